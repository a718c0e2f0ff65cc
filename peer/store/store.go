// Package store keeps what must survive a session, for each of a person's contacts: the messages that are not confirmed yet, the numbers,
// what arrived and was not shown, and the machine last seen.
//
// Most readers need NewMemory, which lives as long as the program, and peer.Config.Store.
package store

import (
	"sync"

	"sinete/wire"
)

// Store is what one person keeps.
type Store struct {
	mu       sync.Mutex
	contacts map[string]*Contact // by identity
}

// NewMemory makes a store that lives as long as the program.
func NewMemory() *Store { return &Store{contacts: map[string]*Contact{}} }

// Contact is what is kept of an identity, from now on if nothing was.
func (s *Store) Contact(identity string) *Contact {
	s.mu.Lock()
	defer s.mu.Unlock()
	c := s.contacts[identity]
	if c == nil {
		c = &Contact{Identity: identity}
		s.contacts[identity] = c
	}
	return c
}

// Known is what is kept of an identity, or nil.
func (s *Store) Known(identity string) *Contact {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.contacts[identity]
}

// Limits of one contact's outbox, after which Add is refused with CodeBusy.
const (
	maxQueued      = 1 << 16
	maxQueuedBytes = 64 << 20
	// maxRemembered ids are kept to recognise what is sent again: twice what can be unacknowledged.
	maxRemembered = 2 * wire.MaxUnacknowledged
)

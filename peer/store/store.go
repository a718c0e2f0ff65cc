// Package store keeps what must survive a session, for each of a person's contacts: the messages that are not confirmed yet, the numbers,
// what arrived and was not shown, the machine last seen; on disk also the history, with what proves it (docs/store.md).
//
// Most readers need Open, or NewMemory for what lives as long as the program, and peer.Config.Store.
package store

import (
	"slices"
	"strings"
	"sync"

	"sinete/peer/store/internal/record"
	"sinete/wire"
)

// What records are made of (docs/store.md section 4).
type (
	Text     = record.Text
	Machine  = record.Machine
	Flight   = record.Flight
	Envelope = record.Envelope
	Passage  = record.Passage
	Step     = record.Step
)

// What an envelope may be to the store.
const (
	IsOther    = record.IsOther
	IsNewText  = record.IsNewText
	IsOwnText  = record.IsOwnText
	IsGone     = record.IsGone
	IsPastText = record.IsPastText
)

// TextOf is the text in a content.
func TextOf(c *wire.Content, label wire.Level) *Text { return record.TextOf(c, label) }

// Store is what one person keeps.
type Store struct {
	disk *disk // nil: in memory

	mu       sync.Mutex
	contacts map[string]*Contact // by identity
	numbered map[uint32]*Contact
}

// NewMemory makes a store that lives as long as the program, and keeps no history.
func NewMemory() *Store {
	return &Store{contacts: map[string]*Contact{}, numbered: map[uint32]*Contact{}}
}

// OnDisk reports whether the store outlives the program, and wants what proves a message.
func (s *Store) OnDisk() bool { return s.disk != nil }

// Contact is what is kept of an identity, from now on if nothing was. name is theirs, from their certificate.
func (s *Store) Contact(identity, name string) *Contact {
	s.mu.Lock()
	defer s.mu.Unlock()
	c := s.contacts[identity]
	if c == nil {
		number := uint32(1)
		for s.numbered[number] != nil {
			number++
		}
		c = s.newContact(number)
		c.Identity = identity
		s.contacts[identity] = c
	}
	c.named(name)
	return c
}

func (s *Store) newContact(number uint32) *Contact {
	c := &Contact{store: s, number: number}
	c.in.taken = make(chan struct{}, 1)
	s.numbered[number] = c
	return c
}

// Known is what is kept of an identity, or nil.
func (s *Store) Known(identity string) *Contact {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.contacts[identity]
}

// all are the contacts, also those whose names are lost.
func (s *Store) all() (all []*Contact) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, c := range s.numbered {
		all = append(all, c)
	}
	return all
}

// Contacts are all that there are, by their identities in ascending order.
func (s *Store) Contacts() (all []*Contact) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, c := range s.contacts {
		all = append(all, c)
	}
	slices.SortFunc(all, func(a, b *Contact) int { return strings.Compare(a.Identity, b.Identity) })
	return all
}

// Limits.
const (
	maxQueued      = 1 << 16 // texts in a contact's outbox, after which Add is refused with CodeBusy
	maxQueuedBytes = 64 << 20
	// maxRemembered ids are kept to recognise what is sent again: twice what can be unacknowledged.
	maxRemembered = 2 * wire.MaxUnacknowledged
	maxUnshown    = wire.MaxUnacknowledged // texts of a contact that nobody has taken, after which no more are taken from them
)

package store

import (
	"sync"
	"time"

	"sinete/wire"
)

// Contact is what is kept of one other person. Its methods may be called by any goroutine.
type Contact struct {
	Identity string

	mu      sync.Mutex
	out     outbox
	in      inbox
	machine *Machine
}

// Machine is a machine that a contact spoke from.
type Machine struct {
	Hash        [32]byte // protocol.md section 7.5
	Description string   // empty where their direction was closed
}

// SpeaksFrom remembers the machine that the contact speaks from, and returns the one remembered before; nil where there was none.
func (c *Contact) SpeaksFrom(m Machine) (before *Machine) {
	c.mu.Lock()
	defer c.mu.Unlock()
	before, c.machine = c.machine, &m
	return before
}

// Text is a message to or from a contact.
type Text struct {
	ID     [16]byte
	Number uint64    // of its author's texts to its recipient, from 0
	Time   time.Time // the author's clock
	Text   string
	Label  wire.Level // of what arrived
}

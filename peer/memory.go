package peer

import (
	"crypto/rand"
	"slices"
	"sync"
	"time"

	"sinete/wire"
)

// Memory is what outlives a session: for each contact the messages that are not confirmed yet, the numbers, which messages
// arrived, and the machine last seen. It lives as long as the program.
type Memory struct {
	mu       sync.Mutex
	contacts map[string]*contact // by identity
}

// NewMemory makes an empty one.
func NewMemory() *Memory { return &Memory{contacts: map[string]*contact{}} }

func (m *Memory) contact(identity string) *contact {
	m.mu.Lock()
	defer m.mu.Unlock()
	c := m.contacts[identity]
	if c == nil {
		c = &contact{}
		m.contacts[identity] = c
	}
	return c
}

// queued counts the messages to an identity that are not confirmed.
func (m *Memory) queued(identity string) int {
	if !m.known(identity) {
		return 0
	}
	unconfirmed, _ := m.contact(identity).waiting()
	return unconfirmed
}

// known reports whether there ever was a conversation with that identity.
func (m *Memory) known(identity string) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.contacts[identity] != nil
}

// Limits of one contact's outbox, after which Send is refused with CodeBusy.
const (
	maxQueued      = 1 << 16
	maxQueuedBytes = 64 << 20
	// maxRemembered ids are kept to recognise what is sent again: twice what can be unacknowledged.
	maxRemembered = 2 * wire.MaxUnacknowledged
)

// contact is the memory of one identity.
type contact struct {
	mu     sync.Mutex
	next   uint64     // number of the next text
	outbox []outgoing // unconfirmed, ascending by number
	sent   int        // how many of outbox this conversation has sent
	bytes  int
	wake   chan struct{} // raised when there is more to send; of the conversation that sends

	ids   []([16]byte) // of messages that arrived, oldest first
	known map[[16]byte]bool

	machine     [32]byte
	description string
	met         bool
}

// outgoing is a message of ours that is not confirmed yet.
type outgoing struct {
	id     [16]byte
	number uint64
	time   time.Time
	text   string
}

func (c *contact) add(text string) (number uint64, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.outbox) >= maxQueued || c.bytes+len(text) > maxQueuedBytes {
		return 0, wire.Errorf(wire.CodeBusy, "%d messages wait for this contact", len(c.outbox))
	}
	o := outgoing{number: c.next, time: time.Now(), text: text}
	rand.Read(o.id[:])
	c.next++
	c.outbox = append(c.outbox, o)
	c.bytes += len(text)
	if c.wake != nil {
		raise(c.wake)
	}
	return o.number, nil
}

// rewind makes everything unconfirmed wait again, for a new conversation, which is raised by the signal returned. From here on only
// it takes and confirms: one that ended unnoticed must not count what it took as sent by its successor.
func (c *contact) rewind() (wake chan struct{}) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.sent = 0
	c.wake = make(chan struct{}, 1)
	return c.wake
}

// take gives the conversation with that signal what is to be sent next: at most n messages of at most bytes bytes of text, overhead for each counted.
func (c *contact) take(wake chan struct{}, n, bytes, overhead int) []outgoing {
	c.mu.Lock()
	defer c.mu.Unlock()
	if wake != c.wake {
		return nil
	}
	waiting := c.outbox[c.sent:]
	k := 0
	for k < len(waiting) && k < n && bytes >= len(waiting[k].text)+overhead {
		bytes -= len(waiting[k].text) + overhead
		k++
	}
	c.sent += k
	return slices.Clone(waiting[:k])
}

// delivered forgets everything up to number.
func (c *contact) delivered(wake chan struct{}, number uint64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if wake != c.wake {
		return
	}
	k := 0
	for k < len(c.outbox) && c.outbox[k].number <= number {
		c.bytes -= len(c.outbox[k].text)
		k++
	}
	clear(c.outbox[:k]) // the texts; moving up what remains would cost the more the longer the outbox is
	c.outbox = c.outbox[k:]
	c.sent = max(0, c.sent-k)
}

func (c *contact) waiting() (unconfirmed, unsent int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.outbox), len(c.outbox) - c.sent
}

// knows reports whether a message with that id has been handed out.
func (c *contact) knows(id [16]byte) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.known[id]
}

// arrived remembers an id and reports whether it is new.
func (c *contact) arrived(id [16]byte) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.known[id] {
		return false
	}
	if c.known == nil {
		c.known = map[[16]byte]bool{}
	}
	if len(c.ids) == maxRemembered {
		delete(c.known, c.ids[0])
		c.ids = c.ids[1:]
	}
	c.ids = append(c.ids, id)
	c.known[id] = true
	return true
}

// speaksFrom remembers the machine that a contact speaks from and compares it with the last one.
func (c *contact) speaksFrom(hash [32]byte, description string) *MachineStatement {
	c.mu.Lock()
	defer c.mu.Unlock()
	s := &MachineStatement{Known: MachineNew, Description: description}
	switch {
	case c.met && c.machine == hash:
		s.Known = MachineKnown
	case c.met:
		s.Known, s.Before = MachineChanged, c.description
	}
	c.machine, c.description, c.met = hash, description, true
	return s
}

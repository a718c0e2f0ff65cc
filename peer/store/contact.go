package store

import (
	"sync"

	"sinete/peer/store/internal/record"
)

// Contact is what is kept of one other person. Its methods may be called by any goroutine.
type Contact struct {
	Identity string

	store  *Store
	number uint32 // of its records

	mu       sync.Mutex
	name     string
	out      outbox
	in       inbox
	stays    stays
	open     bool      // there is a conversation, or was one that neither side has left
	asked    bool      // the owner asked for the last one
	preamble *preamble // what must be in the journal before anything else of the contact; nil: it is there

	receiving sync.Mutex // one Receive after the other; taken before mu
}

// State is how far a text of the owner's has come (protocol.md section 6), or that it is the contact's.
type State string

const (
	Queued    State = "queued"    // stored
	Sent      State = "sent"      // written, under its seal
	Relayed   State = "relayed"   // H1
	Delivered State = "delivered" // H3
	Failed    State = "failed"    // it will not be sent
	Received  State = "received"  // the contact's, with verified seals
)

// Name is the contact's, from their last certificate.
func (c *Contact) Name() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.name
}

func (c *Contact) named(name string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.name == name {
		return
	}
	c.name = name
	if c.store.disk != nil {
		c.preamble = c.preamble.with(&record.Named{Contact: c.number, Identity: c.Identity, Name: c.name})
	}
}

// current is the channel of the last conversation, which may be there still.
func (c *Contact) current() (channel [32]byte, ok bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.out.talk == nil {
		return channel, false
	}
	return c.out.talk.channel, true
}

// snapshot is all that is known of the contact beside messages. c.mu is held.
func (c *Contact) snapshot() *record.State {
	return &record.State{Contact: c.number, Identity: c.Identity, Name: c.name, Open: c.open, Asked: c.asked, Machine: c.stays.last(),
		Next: c.out.next, Sent: c.out.sent, Relayed: c.out.relayed, Delivered: c.out.delivered, Came: c.in.came, Shown: c.in.shown,
		Failed: c.out.failed, IDs: c.in.ids}
}

// WasOpen reports whether there is a conversation with the contact, or was one when the program ended and neither side had left it.
func (c *Contact) WasOpen() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.open
}

// Asked reports whether the owner asked for the last conversation with the contact.
func (c *Contact) Asked() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.asked
}

// opens notes that there is a conversation, or that one side has left it. c.mu is held.
func (c *Contact) opens(open bool) {
	if c.open != open {
		c.open = open
		c.store.disk.note(&record.Open{Contact: c.number, Open: open})
	}
}

// preamble is records that wait for the next synced write.
type preamble struct {
	records [][]byte
	blobs   [][32]byte // that stand in it
}

// with is p, which may be nil, with more records behind.
func (p *preamble) with(more ...record.Record) *preamble {
	next := &preamble{}
	if p != nil {
		next.records, next.blobs = append(next.records, p.records...), append(next.blobs, p.blobs...)
	}
	for _, r := range more {
		next.records = append(next.records, r.Append(nil))
	}
	return next
}

// append puts records into the journal and waits until they are safe. Errors: *FullError, *IOError.
func (c *Contact) append(records ...[]byte) error {
	c.mu.Lock()
	p := c.preamble
	c.mu.Unlock()
	if p != nil {
		records = append(p.records[:len(p.records):len(p.records)], records...)
	}
	if len(records) == 0 {
		return nil
	}
	if err := c.store.disk.journal.Append(records...).Wait(); err != nil {
		c.store.markAgain(err)
		return err
	}
	raise(c.store.disk.taken)
	if p != nil {
		c.store.disk.keeps(p.blobs)
		c.mu.Lock()
		if c.preamble == p {
			c.preamble = nil
		}
		c.mu.Unlock()
	}
	return nil
}

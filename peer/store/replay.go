package store

import (
	"crypto/sha256"
	"slices"
	"time"

	"sinete/peer/store/internal/journal"
	"sinete/peer/store/internal/record"
	"sinete/wire"
)

// replay makes the state of a store from its records, one after the other.
type replay struct {
	store *Store
	blobs map[[32]byte]bool
	// levels of contacts, by channel
	levels levels
	bad    int // records of the journal that are none of ours
}

func newReplay(s *Store, blobs map[[32]byte]bool) *replay {
	return &replay{store: s, blobs: blobs, levels: levels{}}
}

func (p *replay) visit(_ journal.Position, b []byte) error {
	r, err := record.Parse(b)
	if err != nil {
		p.bad++ // of a later version of the program, say: the others are good
		return nil
	}
	p.apply(r)
	return nil
}

// contact finds a contact by its number. Where the record that names it is lost, so is the name only.
func (p *replay) contact(number uint32) *Contact {
	if c := p.store.numbered[number]; c != nil {
		return c
	}
	return p.store.newContact(number)
}

func (p *replay) apply(r record.Record) {
	switch r := r.(type) {
	case *record.Named:
		c := p.contact(r.Contact)
		c.Identity, c.name = r.Identity, r.Name
		p.store.contacts[r.Identity] = c
	case *record.Blob:
		p.blobs[sha256.Sum256(r.Bytes)] = true
	case *record.Channel:
		p.contact(r.Contact).asked = r.Role == wire.RoleInitiator
	case *record.Levels:
		p.levels[r.Channel] = r.Other
	case *record.Spoke:
		p.contact(r.Contact).stays.at(r.Machine, time.Time{})
	case *record.Moved:
		p.contact(r.Contact).stays.replay(r)
	case *record.Open:
		p.contact(r.Contact).open = r.Open
	case *record.Queued:
		p.contact(r.Contact).out.restore(r.Text)
	case *record.Sent:
		o := &p.contact(r.Contact).out
		for i := range r.Flight.Envelopes {
			if e := &r.Flight.Envelopes[i]; e.Is == IsOwnText {
				o.sent = max(o.sent, e.Number+1)
				o.next = max(o.next, o.sent)
			}
		}
	case *record.Received:
		in := &p.contact(r.Contact).in
		place := r.First
		for i := range r.Flight.Envelopes {
			switch e := &r.Flight.Envelopes[i]; {
			case e.Is == IsGone:
				place++
				in.came = max(in.came, place)
			case e.Is == IsPastText && p.levels.read(&r.Flight, e):
				in.remember(e.Text.ID)
			case e.Is == IsNewText && p.levels.read(&r.Flight, e):
				if place >= in.came { // else a snapshot has it
					in.came = place
					in.remember(e.Text.ID)
					in.arrive(e.Text)
				}
				place++
			}
		}
	case *record.Marks:
		c := p.contact(r.Contact)
		// Numbers that have come so far are not given again, though the records of the texts themselves be lost.
		c.in.came = max(c.in.came, r.Shown)
		c.out.next = max(c.out.next, r.Relayed, r.Delivered)
		c.in.show(r.Shown)
		c.out.relayed = max(c.out.relayed, r.Relayed)
		c.out.delivered = max(c.out.delivered, r.Delivered)
		c.out.confirm(r.Delivered)
	case *record.State:
		c := p.contact(r.Contact)
		c.Identity, c.name, c.open, c.asked = r.Identity, r.Name, r.Open, r.Asked
		if r.Machine != nil {
			c.stays.at(*r.Machine, time.Time{})
		}
		if c.Identity != "" {
			p.store.contacts[c.Identity] = c
		}
		c.out.next, c.out.sent = max(c.out.next, r.Next), max(c.out.sent, r.Sent)
		c.out.relayed, c.out.delivered = max(c.out.relayed, r.Relayed), max(c.out.delivered, r.Delivered)
		c.out.confirm(r.Delivered)
		c.out.failed = nil
		for _, f := range r.Failed {
			c.out.fail(f)
		}
		c.in.came = max(c.in.came, r.Came)
		c.in.show(r.Shown)
		for _, id := range r.IDs {
			c.in.remember(id)
		}
	case *record.Failed:
		o := &p.contact(r.Contact).out
		o.next = max(o.next, r.Last+1)
		o.fail(*r)
	}
}

// levels are those of the contact in each channel.
type levels map[[32]byte]wire.Level

// read finds the text in an envelope of the contact's, and whether they labelled it below their level. ok is false where there is none.
func (l levels) read(f *Flight, e *Envelope) (ok bool) {
	if e.Read() != nil || e.Text == nil {
		return false
	}
	level, known := l[f.Channel]
	e.Text.Labelled = known && !e.Text.Label.Equal(level)
	return true
}

// restore puts a text back in its place. It stands there already where its record was written twice.
func (o *outbox) restore(t Text) {
	i, there := slices.BinarySearchFunc(o.waiting, t.Number, func(w Text, n uint64) int {
		switch {
		case w.Number < n:
			return -1
		case w.Number > n:
			return 1
		}
		return 0
	})
	o.next = max(o.next, t.Number+1)
	if there || t.Number < o.delivered {
		return
	}
	o.waiting = slices.Insert(o.waiting, i, t)
	o.bytes += len(t.Text)
}

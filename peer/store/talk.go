package store

import (
	"context"
	"crypto/sha256"
	"slices"
	"time"

	"sinete/peer/store/internal/record"
	"sinete/wire"
)

// Talk is one conversation with a contact. Only the newest of a contact takes from its outbox and confirms what is in it: one that ended unnoticed
// must not count what it took as sent by its successor.
type Talk struct {
	contact *Contact
	channel [32]byte
	more    chan struct{}
}

// Channel is what a conversation's channel is known by later.
type Channel struct {
	ID         [32]byte
	Role       wire.Role // of the store's owner
	Suite      wire.Suite
	TH         []byte // of the first epoch
	Own, Other wire.Credentials

	OwnLevel, OtherLevel wire.Level // by the relay's word
	Relay                Relay
}

// Relay is the one that a conversation goes through.
type Relay struct {
	Name  string   // by which the owner meant it
	Chain [][]byte // as in wire.Credentials
}

// Talk begins a conversation: everything unconfirmed waits again, for it.
func (c *Contact) Talk(ch Channel) *Talk {
	c.mu.Lock()
	defer c.mu.Unlock()
	t := &Talk{c, ch.ID, make(chan struct{}, 1)}
	c.out.talk, c.out.taken = t, 0
	if c.store.disk != nil {
		r := &record.Channel{Contact: c.number, At: time.Now(), Channel: ch.ID, Role: ch.Role, Suite: ch.Suite}
		c.preamble = c.preamble.with(&record.Named{Contact: c.number, Identity: c.Identity, Name: c.name}) // again, should the first be damaged one day
		r.Own, r.Other = c.blobs(ch.Own), c.blobs(ch.Other)
		c.preamble = c.preamble.with(r, &record.Epoch{Contact: c.number, Channel: ch.ID, TH: ch.TH},
			&record.Levels{Contact: c.number, Channel: ch.ID, Own: ch.OwnLevel, Other: ch.OtherLevel})
		hop := &record.Hop{Contact: c.number, Channel: ch.ID, Relay: ch.Relay.Name}
		hop.Chain = c.blobs(wire.Credentials{Chain: ch.Relay.Chain}).Chain
		c.preamble = c.preamble.with(hop)
	}
	c.opens(true)
	c.asked = ch.Role == wire.RoleInitiator
	return t
}

// blobs puts into the preamble what the store does not have of credentials. c.mu is held.
func (c *Contact) blobs(creds wire.Credentials) (hashes record.Credentials) {
	keep := func(b []byte) [32]byte {
		h := sha256.Sum256(b)
		if !c.store.disk.has(h) && !slices.Contains(c.preamble.blobs, h) {
			c.preamble = c.preamble.with(&record.Blob{Bytes: b})
			c.preamble.blobs = append(c.preamble.blobs, h)
		}
		return h
	}
	for _, cert := range creds.Chain {
		hashes.Chain = append(hashes.Chain, keep(cert))
	}
	for _, staple := range creds.Staples {
		hashes.Staples = append(hashes.Staples, keep(staple))
	}
	if d := creds.Delegation; d != nil {
		hashes.Delegation = append(hashes.Delegation, keep(record.AppendDelegation(nil, d)))
	}
	return hashes
}

// Save stores what is known of the channel, and of the contact. Where it fails, that comes before whatever is stored next.
func (t *Talk) Save() error {
	if t.contact.store.disk == nil {
		return nil
	}
	return t.contact.append()
}

// More is raised when there is more to take.
func (t *Talk) More() <-chan struct{} { return t.more }

// Take gives what is to be sent next: at most n texts of at most bytes bytes, overhead for each counted, and all of one label.
func (t *Talk) Take(n, bytes, overhead int) []Text {
	t.contact.mu.Lock()
	defer t.contact.mu.Unlock()
	waiting := t.unsent()
	k := 0
	for k < len(waiting) && k < n && bytes >= len(waiting[k].Text)+overhead && sameLabel(&waiting[0], &waiting[k]) {
		bytes -= len(waiting[k].Text) + overhead
		k++
	}
	t.contact.out.taken += k
	return slices.Clone(waiting[:k])
}

// Fills reports whether texts wait to be taken of so many bytes or more, overhead for each counted.
func (t *Talk) Fills(bytes, overhead int) bool {
	t.contact.mu.Lock()
	defer t.contact.mu.Unlock()
	waiting := t.unsent()
	for i := 0; i < len(waiting) && bytes > 0; i++ {
		bytes -= len(waiting[i].Text) + overhead
	}
	return bytes <= 0
}

// unsent are the texts that wait to be taken: none where another talk sends now. contact.mu is held.
func (t *Talk) unsent() []Text {
	o := &t.contact.out
	if t != o.talk {
		return nil
	}
	return o.waiting[o.taken:]
}

// sameLabel reports whether two texts of the owner's may stand in one flight.
func sameLabel(a, b *Text) bool { return a.Labelled == b.Labelled && a.Label.Equal(b.Label) }

// Fail gives up texts that were taken one after the other: they will not be sent, for that reason. It returns once that is safe unless the disk refuses.
func (t *Talk) Fail(texts []Text, reason wire.Code) {
	f := &record.Failed{Contact: t.contact.number, First: texts[0].Number, Last: texts[len(texts)-1].Number, Reason: reason}
	t.contact.mu.Lock()
	t.contact.out.fail(*f)
	t.contact.mu.Unlock()
	t.contact.keepFailed(f)
}

// Keep notes a flight that has been written. Where the disk is behind with much it waits, until ctx ends.
func (t *Talk) Keep(ctx context.Context, f *Flight) {
	d := t.contact.store.disk
	d.waitForRoom(ctx)
	d.note(&record.Sent{Contact: t.contact.number, At: time.Now(), Flight: *f})
}

// Passed notes what the relay has sealed of the conversation's lane.
func (t *Talk) Passed(p *Passage) {
	t.contact.store.disk.note(&record.Passed{Contact: t.contact.number, Passage: *p})
}

// Sent notes that all texts before next have been written, and returns the first that had not been before; ok is false where there is none.
func (t *Talk) Sent(next uint64) (first uint64, ok bool) {
	t.contact.mu.Lock()
	defer t.contact.mu.Unlock()
	o := &t.contact.out
	first = o.sent
	if t != o.talk || next <= first {
		return 0, false
	}
	o.sent = next
	return first, true
}

// Epoch notes TH of an epoch of the channel.
func (t *Talk) Epoch(number uint64, th []byte) {
	t.contact.store.disk.note(&record.Epoch{Contact: t.contact.number, Channel: t.channel, Epoch: number, TH: th})
}

// Relayed notes that the relay has acknowledged everything before next.
func (t *Talk) Relayed(next uint64) {
	t.contact.mu.Lock()
	defer t.contact.mu.Unlock()
	if o := &t.contact.out; t == o.talk && next > o.relayed {
		o.relayed = next
		t.contact.store.disk.mark(t.contact)
	}
}

// Delivered forgets everything before next: the contact has confirmed it, with that head.
func (t *Talk) Delivered(next uint64, receipt *wire.SealEntry) {
	t.contact.mu.Lock()
	defer t.contact.mu.Unlock()
	o := &t.contact.out
	if t != o.talk {
		return
	}
	o.confirm(next)
	o.delivered = max(o.delivered, next)
	if t.contact.store.disk != nil {
		if n := len(o.receipts); n > 0 && o.receipts[n-1].Head.Channel == receipt.Head.Channel {
			o.receipts[n-1] = *receipt
		} else {
			o.receipts = append(o.receipts, *receipt)
		}
		t.contact.store.disk.mark(t.contact)
	}
}

// Left notes that one side has left the conversation in order: it is not to be made again.
func (t *Talk) Left() {
	t.contact.mu.Lock()
	defer t.contact.mu.Unlock()
	if t == t.contact.out.talk {
		t.contact.opens(false)
	}
}

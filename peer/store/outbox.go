package store

import (
	"crypto/rand"
	"slices"
	"time"

	"sinete/wire"
)

// outbox is what a person says to a contact and the contact has not confirmed. The contact's mu guards it.
type outbox struct {
	next    uint64 // number of the next text
	waiting []Text // unconfirmed, ascending by number
	bytes   int    // of their texts
	taken   int    // how many of waiting the feed has taken
	feed    *Feed  // of the conversation that sends; nil: none did yet
}

// Add queues texts, in their order, and returns the number of the first. Where they are too many, none of them is queued: CodeBusy.
func (c *Contact) Add(texts ...string) (first uint64, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	o := &c.out
	bytes := 0
	for _, text := range texts {
		bytes += len(text)
	}
	if len(o.waiting)+len(texts) > maxQueued || o.bytes+bytes > maxQueuedBytes {
		return 0, wire.Errorf(wire.CodeBusy, "%d messages wait for this contact", len(o.waiting))
	}
	first = o.next
	now := time.Now()
	for _, text := range texts {
		t := Text{Number: o.next, Time: now, Text: text}
		rand.Read(t.ID[:])
		o.next++
		o.waiting = append(o.waiting, t)
	}
	o.bytes += bytes
	if o.feed != nil {
		o.feed.raise()
	}
	return first, nil
}

// Waiting counts the texts that are not confirmed, and those among them that the conversation there is has not taken.
func (c *Contact) Waiting() (unconfirmed, unsent int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.out.waiting), len(c.out.waiting) - c.out.taken
}

// Feed gives one conversation what is to be sent. Only the newest of a contact does: a conversation that ended unnoticed must not count
// what it took as sent by its successor.
type Feed struct {
	contact *Contact
	more    chan struct{}
}

// Feed makes everything unconfirmed wait again, for a new conversation.
func (c *Contact) Feed() *Feed {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.out.taken = 0
	c.out.feed = &Feed{c, make(chan struct{}, 1)}
	return c.out.feed
}

// More is raised when there is more to take.
func (f *Feed) More() <-chan struct{} { return f.more }

func (f *Feed) raise() {
	select {
	case f.more <- struct{}{}:
	default:
	}
}

// Take gives what is to be sent next: at most n texts of at most bytes bytes, overhead for each counted.
func (f *Feed) Take(n, bytes, overhead int) []Text {
	f.contact.mu.Lock()
	defer f.contact.mu.Unlock()
	o := &f.contact.out
	if f != o.feed {
		return nil
	}
	waiting := o.waiting[o.taken:]
	k := 0
	for k < len(waiting) && k < n && bytes >= len(waiting[k].Text)+overhead {
		bytes -= len(waiting[k].Text) + overhead
		k++
	}
	o.taken += k
	return slices.Clone(waiting[:k])
}

// Delivered forgets everything before next: the contact has confirmed it.
func (f *Feed) Delivered(next uint64) {
	f.contact.mu.Lock()
	defer f.contact.mu.Unlock()
	o := &f.contact.out
	if f != o.feed {
		return
	}
	k := 0
	for k < len(o.waiting) && o.waiting[k].Number < next {
		o.bytes -= len(o.waiting[k].Text)
		k++
	}
	clear(o.waiting[:k]) // the texts; moving up what remains would cost the more the longer the outbox is
	o.waiting = o.waiting[k:]
	o.taken = max(0, o.taken-k)
}

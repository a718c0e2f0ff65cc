package store

import (
	"crypto/rand"
	"slices"
	"time"

	"sinete/peer/store/internal/record"
	"sinete/wire"
)

// outbox is what a person says to a contact. The contact's mu guards it.
type outbox struct {
	next    uint64 // number of the next text
	waiting []Text // that the contact has not confirmed, ascending by number
	bytes   int    // of their texts
	taken   int    // how many of waiting the talk has taken
	talk    *Talk  // that sends; nil: none did yet

	adding  []*addition // that wait to be stored
	leading bool        // somebody stores them

	// Everything before these has been written, has been acknowledged by the relay, and by the contact.
	sent, relayed, delivered uint64
	failed                   []record.Failed
	receipts                 []wire.SealEntry // H3, the latest of each channel, not in the journal yet
}

// addition is texts that are queued together, or not at all.
type addition struct {
	texts []Text
	bytes int
	done  chan struct{}
	err   error // before done is closed
}

// Add queues texts, in their order, and returns the number of the first, once they are stored. Otherwise none of them is queued. Errors: CodeBusy
// where too many wait, *FullError, *IOError.
func (c *Contact) Add(texts ...string) (first uint64, err error) { return c.add(Text{}, texts) }

// AddAs is Add for texts that go out under a label that their author chose, or not at all.
func (c *Contact) AddAs(label wire.Level, texts ...string) (first uint64, err error) {
	return c.add(Text{Label: label, Labelled: true}, texts)
}

// add queues texts that are like t else.
func (c *Contact) add(t Text, texts []string) (first uint64, err error) {
	a := &addition{texts: make([]Text, 0, len(texts)), done: make(chan struct{})}
	t.Time = time.UnixMilli(time.Now().UnixMilli()) // as it travels, and is stored
	for _, text := range texts {
		t.Text = text
		rand.Read(t.ID[:])
		a.texts = append(a.texts, t)
		a.bytes += len(text)
	}
	c.mu.Lock()
	n, bytes := len(c.out.waiting)+len(texts), c.out.bytes+a.bytes
	for _, other := range c.out.adding {
		n, bytes = n+len(other.texts), bytes+other.bytes
	}
	switch {
	case n > maxQueued || bytes > maxQueuedBytes:
		c.mu.Unlock()
		return 0, wire.Errorf(wire.CodeBusy, "%d messages wait for this contact", n-len(texts))
	case len(texts) == 0:
	case c.store.disk == nil:
		c.out.place(a, c.out.next)
		c.out.queue(a)
	default:
		c.out.adding = append(c.out.adding, a)
		if !c.out.leading {
			c.out.leading = true
			go c.lead()
		}
		c.mu.Unlock()
		<-a.done
		if a.err != nil {
			return 0, a.err
		}
		return a.texts[0].Number, nil
	}
	c.mu.Unlock()
	if len(texts) == 0 {
		return 0, nil
	}
	return a.texts[0].Number, nil
}

// place gives the texts their numbers, and returns the one that follows.
func (o *outbox) place(a *addition, next uint64) uint64 {
	for i := range a.texts {
		a.texts[i].Number = next
		next++
	}
	return next
}

// queue lets texts go out.
func (o *outbox) queue(a *addition) {
	o.waiting = append(o.waiting, a.texts...)
	o.bytes += a.bytes
	o.next += uint64(len(a.texts))
	if o.talk != nil {
		raise(o.talk.more)
	}
}

// lead stores what waits, all together, until nothing does.
func (c *Contact) lead() {
	for {
		c.mu.Lock()
		batch := c.out.adding
		c.out.adding = nil
		c.out.leading = len(batch) > 0
		next := c.out.next
		c.mu.Unlock()
		if len(batch) == 0 {
			return
		}
		var records [][]byte
		for _, a := range batch {
			next = c.out.place(a, next)
			for _, t := range a.texts {
				records = append(records, (&record.Queued{Contact: c.number, Text: t}).Append(nil))
			}
		}
		err := c.append(records...)
		c.mu.Lock()
		for _, a := range batch {
			if a.err = err; err == nil {
				c.out.queue(a)
			}
			close(a.done)
		}
		c.mu.Unlock()
	}
}

// Waiting counts the texts that are not confirmed, and those among them that the conversation there is has not taken.
func (c *Contact) Waiting() (unconfirmed, unsent int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.out.waiting), len(c.out.waiting) - c.out.taken
}

// Fail gives up what waits: it will not be sent, for that reason. It returns the numbers of the first and the last, once that is safe unless the disk
// refuses; n is 0 where nothing waits.
func (c *Contact) Fail(reason wire.Code) (first, last uint64, n int) {
	c.mu.Lock()
	waiting := c.out.waiting
	if n = len(waiting); n == 0 {
		c.mu.Unlock()
		return 0, 0, 0
	}
	f := &record.Failed{Contact: c.number, First: waiting[0].Number, Last: waiting[n-1].Number, Reason: reason}
	c.out.fail(*f)
	c.mu.Unlock()
	c.keepFailed(f)
	return f.First, f.Last, n
}

// keepFailed returns once it is safe that texts have failed, unless the disk refuses.
func (c *Contact) keepFailed(f *record.Failed) {
	if d := c.store.disk; d != nil && c.append(f.Append(nil)) != nil {
		d.note(f)
	}
}

// fail takes texts out of what waits. Those before them have been sent.
func (o *outbox) fail(f record.Failed) {
	if !slices.Contains(o.failed, f) {
		o.failed = append(o.failed, f)
	}
	o.sent = max(o.sent, f.Last+1)
	gone := func(t Text) bool { return f.First <= t.Number && t.Number <= f.Last }
	for _, t := range o.waiting[:o.taken] {
		if gone(t) {
			o.taken--
		}
	}
	o.waiting = slices.DeleteFunc(o.waiting, gone)
	o.bytes = 0
	for _, t := range o.waiting {
		o.bytes += len(t.Text)
	}
}

// confirm forgets the texts before next.
func (o *outbox) confirm(next uint64) {
	k := 0
	for k < len(o.waiting) && o.waiting[k].Number < next {
		o.bytes -= len(o.waiting[k].Text)
		k++
	}
	clear(o.waiting[:k]) // the texts; moving up what remains would cost the more the longer the outbox is
	o.waiting = o.waiting[k:]
	o.taken = max(0, o.taken-k)
}

// raise wakes who waits; raised twice before that, it wakes once.
func raise(signal chan struct{}) {
	select {
	case signal <- struct{}{}:
	default:
	}
}

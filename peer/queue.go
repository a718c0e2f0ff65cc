package peer

import (
	"context"
	"sync"

	"sinete/peer/store"
)

// queue holds events until they are taken. What may stand in it is bounded by what puts events there: receipts replace each
// other, and messages are limited by what may be unacknowledged.
type queue struct {
	mu     sync.Mutex
	events []entry
	more   chan struct{}
	last   handed // the text taken last, unless it is known already that the person has it
}

// entry is an event, or texts that have come.
type entry struct {
	event Event
	texts *texts
	taken func() // called when it, or the last of the texts, is taken; may be nil
}

// texts are those of a contact before a place that nobody has taken yet, be it in this conversation or another one.
type texts struct {
	contact *store.Contact
	to      uint64
	missed  bool // they came in an earlier life of the store
}

// handed is a text that a program has taken; zero: none.
type handed struct {
	contact *store.Contact
	next    uint64 // the place after its own
}

// shown notes that the person has it.
func (h handed) shown() {
	if h.contact != nil {
		h.contact.Shown(h.next)
	}
}

// next takes one of them; e is nil where there is none any more. h is zero where Missed.Shown is called for it.
func (t *texts) next() (e Event, h handed) {
	s, next, ok := t.contact.Hand(t.to)
	if !ok {
		return nil, handed{}
	}
	h = handed{t.contact, next}
	m := Message{s.Number, s.ID, s.Text, s.Time, s.Label, s.Labelled}
	if t.missed {
		return &Missed{t.contact.Identity, t.contact.Name(), m, h}, handed{}
	}
	return &m, h
}

// pop takes from the front, and returns what its being taken calls. q.mu is held.
func (q *queue) pop() (e Event, taken func()) {
	first := &q.events[0]
	if e = first.event; first.texts != nil {
		var h handed
		if e, h = first.texts.next(); h.contact != nil {
			q.last = h
		}
		if first.texts.contact.Untaken(first.texts.to) {
			return e, nil
		}
	}
	taken = first.taken
	*first = entry{}
	q.events = q.events[1:]
	return e, taken
}

func newQueue() *queue { return &queue{more: make(chan struct{}, 1)} }

func (q *queue) put(e Event) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for i := len(q.events) - 1; i >= max(0, len(q.events)-3); i-- {
		if extends(q.events[i].event, e) {
			return
		}
	}
	q.events = append(q.events, entry{event: e})
	raise(q.more)
}

// extends lets an event that waits say what another one does, too, where it can.
func extends(waits, e Event) bool {
	switch e := e.(type) {
	case *Receipt:
		if r, ok := waits.(*Receipt); ok && r.Stage == e.Stage {
			r.Number = e.Number
			return true
		}
	case *Progress:
		if p, ok := waits.(*Progress); ok && p.State == e.State && p.Reason == e.Reason && p.Last+1 == e.First {
			p.Last = e.Last
			return true
		}
	}
	return false
}

// whenTaken calls f once everything that stands in the queue now has been taken. Of several only the last is called: it confirms more.
func (q *queue) whenTaken(f func()) {
	q.mu.Lock()
	if n := len(q.events); n > 0 {
		q.events[n-1].taken = f
		f = nil
	}
	q.mu.Unlock()
	if f != nil {
		f()
	}
}

// putTexts puts what has come. taken is called when it, and all before it, has been taken.
func (q *queue) putTexts(t *texts, taken func()) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.events = append(q.events, entry{texts: t, taken: taken})
	raise(q.more)
}

// ready takes the next event, where there is one, and with it all that has nothing left to give. Of what their being taken calls only the last is
// returned: it confirms more.
func (q *queue) ready() (e Event, taken func()) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for len(q.events) > 0 {
		first := q.events[0]
		if e != nil && (first.texts == nil || first.texts.contact.Untaken(first.texts.to)) {
			break
		}
		next, f := q.pop()
		if f != nil {
			taken = f
		}
		if next != nil {
			e = next
		}
	}
	return e, taken
}

// take waits for the next event. Whoever comes for it has shown the one before.
func (q *queue) take(ctx context.Context) (Event, error) {
	q.mu.Lock()
	last := q.last
	q.last = handed{}
	q.mu.Unlock()
	last.shown()
	for {
		e, taken := q.ready()
		if taken != nil {
			taken()
		}
		if e != nil {
			return e, nil
		}
		select {
		case <-q.more:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

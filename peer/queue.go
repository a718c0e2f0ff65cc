package peer

import (
	"context"
	"sync"
)

// queue holds events until they are taken. What may stand in it is bounded by what puts events there: receipts replace each
// other, and messages are limited by what may be unacknowledged.
type queue struct {
	mu     sync.Mutex
	events []entry
	more   chan struct{}
}

// entry is an event and what its being taken confirms.
type entry struct {
	event  Event
	wanted func() bool // asked when it is taken; nil: always
	taken  func()
}

func newQueue() *queue { return &queue{more: make(chan struct{}, 1)} }

func (q *queue) put(e Event) { q.putIf(nil, e) }

// putIf puts an event that is passed over if wanted says so when its turn has come.
func (q *queue) putIf(wanted func() bool, e Event) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if r, ok := e.(*Receipt); ok {
		for i := len(q.events) - 1; i >= max(0, len(q.events)-2); i-- {
			if last, ok := q.events[i].event.(*Receipt); ok && last.Stage == r.Stage {
				last.Number = r.Number
				return
			}
		}
	}
	q.events = append(q.events, entry{event: e, wanted: wanted})
	raise(q.more)
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

// take waits for the next event.
func (q *queue) take(ctx context.Context) (Event, error) {
	for {
		q.mu.Lock()
		if len(q.events) > 0 {
			e := q.events[0]
			q.events[0] = entry{}
			q.events = q.events[1:]
			q.mu.Unlock()
			wanted := e.wanted == nil || e.wanted()
			if e.taken != nil {
				e.taken()
			}
			if wanted {
				return e.event, nil
			}
			continue
		}
		q.mu.Unlock()
		select {
		case <-q.more:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

package roles

import (
	"context"
	"fmt"
	"sync"
	"time"
)

// conversation is what all systems offer to a loop. send and flush are for one goroutine, confirmed may be called by another.
type conversation interface {
	// send takes the next message.
	send(ctx context.Context) error
	// flush is called when nothing more is to be sent just now.
	flush() error
	// confirmed waits for news, and returns the number before which everything is acknowledged.
	confirmed(ctx context.Context) (next uint64, err error)
}

// stalled is how long a conversation may go without an acknowledgement: with a thousand beside it on a busy machine each waits for its turn.
const stalled = 2 * time.Minute

// loop is a conversation under load.
type loop struct {
	conversation
	window int
	sent   uint64
	next   uint64 // everything before is acknowledged
}

// closed sends n messages, of which so many as the window are unacknowledged, and returns how long each took until its acknowledgement.
func (l *loop) closed(ctx context.Context, n int) ([]time.Duration, error) {
	end := l.sent + uint64(n)
	at := make([]time.Time, l.window)
	took := make([]time.Duration, 0, n)
	patience, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	timer := time.AfterFunc(stalled, func() { cancel(fmt.Errorf("no acknowledgement for %v", stalled)) })
	defer timer.Stop()
	for l.next < end {
		for l.sent < end && l.sent-l.next < uint64(l.window) {
			at[l.sent%uint64(l.window)] = time.Now()
			if err := l.send(ctx); err != nil {
				return nil, err
			}
			l.sent++
		}
		if err := l.flush(); err != nil {
			return nil, err
		}
		next, err := l.news(patience, l.sent)
		if err != nil {
			return nil, fmt.Errorf("after %d of %d messages: %w", l.next, end, err)
		}
		now := time.Now()
		for ; l.next < next; l.next++ {
			took = append(took, now.Sub(at[l.next%uint64(l.window)]))
		}
		timer.Reset(stalled)
	}
	return took, nil
}

// news is what is acknowledged, of which no more can be than is sent.
func (l *loop) news(ctx context.Context, sent uint64) (next uint64, err error) {
	next, err = l.confirmed(ctx)
	if err == nil && next > sent {
		err = fmt.Errorf("message %d acknowledged, and only %d sent", next, sent)
	}
	return next, err
}

// timetable is when the messages of an open loop are due, whatever became of those before.
type timetable struct {
	first time.Time
	every time.Duration
}

func (t timetable) due(i int) time.Time { return t.first.Add(time.Duration(i) * t.every) }

// open sends n messages as the timetable says, and returns how long each took until its acknowledgement, from when it was due: one that
// could not go out in time has waited too.
func (l *loop) open(ctx context.Context, n int, t timetable) ([]time.Duration, error) {
	var sending sync.WaitGroup
	defer sending.Wait()
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	late := time.AfterFunc(time.Until(t.due(n))+stalled, func() {
		cancel(fmt.Errorf("messages lack their acknowledgement %v after the last was due", stalled))
	})
	defer late.Stop()
	begun, end := l.sent, l.sent+uint64(n)
	sending.Go(func() {
		if err := l.sendAsDue(ctx, n, t); err != nil {
			cancel(err)
		}
	})
	took := make([]time.Duration, 0, n)
	for l.next < end {
		next, err := l.news(ctx, end)
		if err != nil {
			return nil, fmt.Errorf("after %d of %d messages: %w", l.next, end, err)
		}
		now := time.Now()
		for ; l.next < next; l.next++ {
			took = append(took, now.Sub(t.due(int(l.next-begun))))
		}
	}
	l.sent = end
	return took, nil
}

func (l *loop) sendAsDue(ctx context.Context, n int, t timetable) error {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for i := 0; i < n; {
		timer.Reset(time.Until(t.due(i)))
		select {
		case <-timer.C:
		case <-ctx.Done():
			return nil
		}
		for now := time.Now(); i < n && !t.due(i).After(now); i++ {
			if err := l.send(ctx); err != nil {
				return err
			}
		}
		if err := l.flush(); err != nil {
			return err
		}
	}
	return nil
}

// loops run side by side.
type loops []*loop

// run passes the messages of a plan.
func (ls loops) run(ctx context.Context, p Plan) ([]time.Duration, error) {
	switch {
	case p.Turns:
		return ls.turns(ctx, p.N)
	case p.Rate > 0:
		// The conversations' messages are due one after the other.
		start, apart := time.Now(), time.Duration(float64(time.Second)/p.Rate)
		return ls.beside(func(i int, l *loop) ([]time.Duration, error) {
			return l.open(ctx, ls.share(p.N, i), timetable{start.Add(time.Duration(i) * apart), time.Duration(len(ls)) * apart})
		})
	}
	return ls.beside(func(i int, l *loop) ([]time.Duration, error) { return l.closed(ctx, ls.share(p.N, i)) })
}

// share is how many messages of n the i-th conversation sends.
func (ls loops) share(n, i int) int {
	share := n / len(ls)
	if i < n%len(ls) {
		share++
	}
	return share
}

// turns has one message under way at any time, of one conversation after the other.
func (ls loops) turns(ctx context.Context, n int) (took []time.Duration, err error) {
	for i := range n {
		t, err := ls[i%len(ls)].closed(ctx, 1)
		if err != nil {
			return nil, err
		}
		took = append(took, t...)
	}
	return took, nil
}

func (ls loops) beside(run func(i int, l *loop) ([]time.Duration, error)) ([]time.Duration, error) {
	var wg sync.WaitGroup
	took, errs := make([][]time.Duration, len(ls)), make([]error, len(ls))
	for i, l := range ls {
		wg.Go(func() { took[i], errs[i] = run(i, l) })
	}
	wg.Wait()
	var all []time.Duration
	for i := range ls {
		if errs[i] != nil {
			return nil, errs[i]
		}
		all = append(all, took[i]...)
	}
	return all, nil
}

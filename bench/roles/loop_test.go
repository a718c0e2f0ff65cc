package roles

import (
	"context"
	"errors"
	"slices"
	"testing"
	"testing/synctest"
	"time"
)

// slow acknowledges each message a while after it was sent, and takes one every so often.
type slow struct {
	sending, way time.Duration
	fails        uint64 // the message that cannot be sent; 0: none
	sent         uint64
	times        chan time.Time
	next         uint64
}

func (s *slow) send(context.Context) error {
	time.Sleep(s.sending)
	if s.sent++; s.sent == s.fails {
		return errors.New("full")
	}
	s.times <- time.Now()
	return nil
}
func (s *slow) flush() error { return nil }
func (s *slow) confirmed(ctx context.Context) (uint64, error) {
	select {
	case at := <-s.times:
		time.Sleep(time.Until(at.Add(s.way)))
		s.next++
		return s.next, nil
	case <-ctx.Done():
		return 0, context.Cause(ctx)
	}
}

// An open loop keeps to its timetable, and counts from when a message was due: where sending takes longer than there is time, each waits for
// all before it.
func TestOpenLoop(t *testing.T) {
	const ms = time.Millisecond
	for name, c := range map[string]struct {
		sending time.Duration
		want    []time.Duration
	}{
		"in time": {0, []time.Duration{5 * ms, 5 * ms, 5 * ms, 5 * ms}},
		"behind":  {15 * ms, []time.Duration{20 * ms, 25 * ms, 30 * ms, 35 * ms}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				l := &loop{conversation: &slow{sending: c.sending, way: 5 * ms, times: make(chan time.Time, 9)}}
				start := time.Now()
				took, err := loops{l}.run(t.Context(), Plan{N: 4, Rate: 100})
				if err != nil || !slices.Equal(took, c.want) {
					t.Errorf("%v, %v", took, err)
				}
				if got := time.Since(start); got != 30*ms+c.want[3] {
					t.Errorf("all took %v", got)
				}
				if took, err = (loops{l}).run(t.Context(), Plan{N: 1, Rate: 100}); err != nil || took[0] != c.want[0] {
					t.Errorf("another run: %v, %v", took, err)
				}
			})
		})
	}
}

// Two conversations share a rate, and their messages are due in turns.
func TestOpenLoopsShare(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := &slow{times: make(chan time.Time, 9)}, &slow{times: make(chan time.Time, 9)}
		start := time.Now()
		took, err := loops{{conversation: a}, {conversation: b}}.run(t.Context(), Plan{N: 5, Rate: 10})
		if err != nil || len(took) != 5 || a.sent != 3 || b.sent != 2 || time.Since(start) != 400*time.Millisecond {
			t.Errorf("%v, %v; %d and %d sent in %v", took, err, a.sent, b.sent, time.Since(start))
		}
	})
}

// What cannot be sent ends the loop, and so does what nobody acknowledges.
func TestOpenLoopFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		if _, err := (&loop{conversation: &slow{fails: 2, times: make(chan time.Time, 9)}}).open(t.Context(), 4, timetable{time.Now(), time.Second}); err == nil {
			t.Error("nobody notices that a message was not sent")
		}
		start := time.Now()
		_, err := (&loop{conversation: &slow{times: nil}}).open(t.Context(), 0, timetable{time.Now(), time.Second})
		if err != nil {
			t.Error(err)
		}
		deaf := &loop{conversation: deaf{}}
		if _, err := deaf.open(t.Context(), 4, timetable{time.Now(), time.Second}); err == nil || time.Since(start) < stalled || time.Since(start) > 2*stalled {
			t.Errorf("after %v: %v", time.Since(start), err)
		}
	})
}

type deaf struct{}

func (deaf) send(context.Context) error { return nil }
func (deaf) flush() error               { return nil }
func (deaf) confirmed(ctx context.Context) (uint64, error) {
	<-ctx.Done()
	return 0, context.Cause(ctx)
}

// In turns there is one message under way at any time.
func TestTurns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := &slow{way: time.Second, times: make(chan time.Time, 9)}, &slow{way: 2 * time.Second, times: make(chan time.Time, 9)}
		took, err := loops{{conversation: a, window: 64}, {conversation: b, window: 64}}.run(t.Context(), Plan{N: 3, Turns: true})
		if want := []time.Duration{time.Second, 2 * time.Second, time.Second}; err != nil || !slices.Equal(took, want) {
			t.Errorf("%v, %v", took, err)
		}
	})
}

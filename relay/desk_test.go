package relay

import (
	"context"
	"errors"
	"slices"
	"testing"
	"testing/synctest"
	"time"
)

// queueAll has calls of these lanes wait at a busy desk, in this order, and returns what is written down as each signs. release
// lets the first one go on.
func queueAll(t *testing.T, d *desk, lanes ...lane) (order chan lane, release func()) {
	t.Helper()
	order, hold := make(chan lane, len(lanes)), make(chan struct{})
	go func() {
		_, _ = d.sign(t.Context(), greeting, func() ([]byte, error) {
			<-hold
			return nil, nil
		})
	}()
	synctest.Wait()
	for _, l := range lanes {
		go func() {
			_, _ = d.sign(t.Context(), l, func() ([]byte, error) {
				order <- l
				return nil, nil
			})
		}()
		synctest.Wait()
	}
	return order, func() { close(hold); synctest.Wait() }
}

func TestDeskTakesTurns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		order, release := queueAll(t, &desk{}, greeting, greeting, greeting, sealing, sealing)
		release()
		close(order)
		var got []lane
		for l := range order {
			got = append(got, l)
		}
		if want := []lane{sealing, greeting, sealing, greeting, greeting}; !slices.Equal(got, want) {
			t.Errorf("the order was %v", got)
		}
	})
}

func TestDeskForgetsWhoGaveUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := &desk{}
		order, release := queueAll(t, d, greeting)
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() {
			_, err := d.sign(ctx, sealing, func() ([]byte, error) { return nil, errors.New("signed all the same") })
			done <- err
		}()
		synctest.Wait()
		cancel()
		if err := <-done; !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
		release()
		if len(order) != 1 || d.busy {
			t.Errorf("%d signed, busy %v", len(order), d.busy)
		}
	})
}

func TestDeskKnowsHowManyMayQueue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for took, want := range map[time.Duration]int{time.Millisecond: 1500, 300 * time.Millisecond: 5, time.Second: 1, time.Minute: 1} {
			d := &desk{}
			for range 3 {
				if _, err := d.sign(t.Context(), sealing, func() ([]byte, error) { time.Sleep(took); return nil, nil }); err != nil {
					t.Fatal(err)
				}
			}
			if n := d.handshakes(); n != want {
				t.Errorf("%v a signature: %d at once", took, n)
			}
		}
	})
}

package systemtest

import (
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"sinete/cardauth"
	"sinete/cardauth/cardtest"
	"sinete/internal/link"
	"sinete/peer"
	"sinete/relay"
	"sinete/transport/transporttest"
	"sinete/wire"
)

// What waits goes in two flights where a signature takes less than to make one of them, so that the relay and the recipient work on the first while the
// second is made; in one under a card that takes longer than that. How long it takes is known from the second time on: here mostly what the network does.
func TestLongQueueGoesInFlights(t *testing.T) {
	const whole, half = wire.MaxFlight, wire.MaxFlight / 2
	for _, c := range []struct {
		name      string
		signature time.Duration
		size      int   // of a text
		flights   []int // messages in each
	}{
		{"quick", 100 * time.Microsecond, 1, []int{half, half, half, half}},
		{"quick for what takes its time", 2 * time.Millisecond, 350, []int{whole, half, half}},
		{"slow", cardTime, 350, []int{whole, whole}},
	} {
		t.Run(c.name, func(t *testing.T) {
			var came flightLengths
			simulated(t, func(cfg *relay.Config) { cfg.Capture = came.capture }, func(t *testing.T, w *world) {
				var card cardauth.Card = cardtest.NewFake(w.card("alice"), c.signature)
				a, b := connect(t, w.login(card), w.login(w.card("bob")))
				texts := make([]string, wire.MaxFlight)
				for i := range texts {
					texts[i] = strings.Repeat("x", c.size)
				}
				for range 2 {
					first, err := a.SendAll(t.Context(), texts...)
					must(t, err)
					for range texts {
						next[*peer.Message](t, b)
					}
					delivered(t, a, first+uint64(len(texts))-1)
				}
				got := slices.DeleteFunc(came.take(), func(n int) bool { return n == 1 }) // the machine statements
				if !slices.Equal(got, c.flights) {
					t.Errorf("flights of %d messages, expected %d", got, c.flights)
				}
			})
		})
	}
}

// Texts that come one by one, faster than the relay can acknowledge, share flights. Those that come now and then each go at once: beside one
// that is on its way as soon as the relay has had its time for that, however long the way is.
func TestFlightsArePaced(t *testing.T) {
	const (
		latency   = 150 * time.Millisecond // one way
		signature = 5 * time.Millisecond   // of the relay: it signs when it acknowledges and passes on, and when it passes on receipts
		way       = 2*latency + 4*signature
	)
	synctest.Test(t, func(t *testing.T) {
		var came flightLengths
		w := newWorld(t, transporttest.New(t, transporttest.Options{Latency: latency}), func(cfg *relay.Config) {
			cfg.Card, cfg.Capture = &slowKey{Card: cfg.Card, delay: signature}, came.capture
		})
		a, b := connect(t, w.login(w.card("alice")), w.login(w.card("bob")))
		for range 10 { // the relay's time is known from now on
			start := time.Now()
			n := sendText(t, a, "now and then")
			next[*peer.Message](t, b)
			if d := time.Since(start); d > way {
				t.Errorf("a text that goes alone takes %v", d)
			}
			delivered(t, a, n)
		}
		start := time.Now()
		for range 2 {
			sendText(t, a, "one after the other")
			time.Sleep(time.Millisecond) // virtual
		}
		for range 2 {
			next[*peer.Message](t, b)
		}
		if d := time.Since(start); d > way+6*signature {
			t.Errorf("two texts, one after the other, take %v", d)
		}

		came.take()
		const texts = 1000
		took := make(chan time.Duration, texts)
		went := make([]time.Time, texts)
		go func() {
			for i := range went {
				next[*peer.Message](t, b)
				took <- time.Since(went[i])
			}
		}()
		for i := range went {
			went[i] = time.Now()
			sendText(t, a, "in a hurry")
			time.Sleep(time.Millisecond) // virtual
		}
		longest := time.Duration(0)
		for range texts {
			longest = max(longest, <-took)
		}
		if longest > way+35*signature {
			t.Errorf("a text takes up to %v", longest)
		}
		if n := len(came.take()); n < 20 || n > 150 {
			t.Errorf("%d texts within a second go in %d flights", texts, n)
		}
	})
}

// flightLengths are those of the flights that a relay took, in contents.
type flightLengths struct {
	mu      sync.Mutex
	lengths []int
}

// capture is a relay's Config.Capture.
func (s *flightLengths) capture(_ string, _ uint64, f *link.Received) {
	n := 0
	for _, p := range f.Pieces {
		if p.Opened.Type == wire.EnvelopeInner {
			n += p.Opened.Envelopes()
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if n > 0 {
		s.lengths = append(s.lengths, n)
	}
}

// take gives those since the last time.
func (s *flightLengths) take() []int {
	s.mu.Lock()
	defer s.mu.Unlock()
	taken := s.lengths
	s.lengths = nil
	return taken
}

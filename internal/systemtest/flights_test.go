package systemtest

import (
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"sinete/cardauth"
	"sinete/cardauth/cardtest"
	"sinete/internal/link"
	"sinete/peer"
	"sinete/relay"
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
			var mu sync.Mutex
			var flights []int
			capture := func(_ string, _ uint64, f *link.Received) {
				n := 0
				for _, p := range f.Pieces {
					if p.Opened.Type == wire.EnvelopeInner {
						n++
					}
				}
				mu.Lock()
				defer mu.Unlock()
				if n > 1 { // not the machine statements
					flights = append(flights, n)
				}
			}
			simulated(t, func(cfg *relay.Config) { cfg.Capture = capture }, func(t *testing.T, w *world) {
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
				mu.Lock()
				defer mu.Unlock()
				if !slices.Equal(flights, c.flights) {
					t.Errorf("flights of %d messages, expected %d", flights, c.flights)
				}
			})
		})
	}
}

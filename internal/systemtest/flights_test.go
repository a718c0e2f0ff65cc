package systemtest

import (
	"slices"
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

// What waits goes in two flights where a signature is quick, so that the relay and the recipient work on the first while the second is made;
// under a card that takes its time, in one.
func TestLongQueueGoesInFlights(t *testing.T) {
	for _, c := range []struct {
		name      string
		signature time.Duration
		flights   []int // messages in each
	}{
		{"quick", 100 * time.Microsecond, []int{wire.MaxFlight / 2, wire.MaxFlight / 2}},
		{"slow", cardTime, []int{wire.MaxFlight}},
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
					texts[i] = "x"
				}
				first, err := a.SendAll(t.Context(), texts...)
				must(t, err)
				for range texts {
					next[*peer.Message](t, b)
				}
				delivered(t, a, first+uint64(len(texts))-1)
				mu.Lock()
				defer mu.Unlock()
				if !slices.Equal(flights, c.flights) {
					t.Errorf("flights of %d messages, expected %d", flights, c.flights)
				}
			})
		})
	}
}

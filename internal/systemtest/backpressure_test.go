package systemtest

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"sinete/internal/link"
	"sinete/peer"
	"sinete/relay"
	"sinete/wire"
)

// counted is what a relay took of one author's messages to one person: all that it and the recipient's program can hold of them.
type counted struct {
	mu               sync.Mutex
	envelopes, bytes map[string]int // by author and stream
}

func (c *counted) capture(identity string, stream uint64, f *link.Received) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, p := range f.Pieces {
		if p.Seals == nil && p.Opened.Type == wire.EnvelopeInner {
			lane := fmt.Sprint(identity, " ", stream)
			c.envelopes[lane] += p.Opened.Envelopes()
			c.bytes[lane] += len(p.Opened.Payload)
		}
	}
}

// most is the author's largest lane: nobody else in these tests sends as much.
func (c *counted) most(identity string) (envelopes, bytes int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for lane, n := range c.envelopes {
		if strings.HasPrefix(lane, identity) {
			envelopes, bytes = max(envelopes, n), max(bytes, c.bytes[lane])
		}
	}
	return envelopes, bytes
}

// A recipient who stops reading stalls this one conversation, at its window, and nothing else; when they read again, everything is there.
func TestRecipientStopsReading(t *testing.T) {
	for _, c := range []struct {
		name  string
		size  int // bytes of a text
		count int
	}{
		{"short texts, bounded by their number", 20, wire.MaxUnacknowledged * 3 / 2},
		{"long texts, bounded by their bytes", 50_000, 2 * wire.MaxUnackedBytes / 50_000},
	} {
		t.Run(c.name, func(t *testing.T) {
			passed := &counted{envelopes: map[string]int{}, bytes: map[string]int{}}
			simulated(t, func(cfg *relay.Config) { cfg.Capture = passed.capture }, func(t *testing.T, w *world) {
				stalled(t, w, passed, c.size, c.count)
			})
		})
	}
}

func stalled(t *testing.T, w *world, passed *counted, size, count int) {
	alice, bob, carol := w.login(w.card("alice")), w.login(w.card("bob")), w.login(w.card("carol"))
	toBob, atBob := connect(t, alice, bob)
	toCarol, atCarol := connect(t, alice, carol)
	canary, atCanary := connect(t, w.login(w.card("dave")), w.login(w.card("erin")))
	next[*peer.MachineStatement](t, atBob) // the last that bob takes for now

	text := func(i int) string { return fmt.Sprintf("%0*d", size, i) }
	for i := range count {
		sendText(t, toBob, text(i))
	}
	start := time.Now()
	for i := range 100 { // each is shown and acknowledged before the next
		talk(t, toCarol, atCarol, fmt.Sprint("to carol ", i))
		talk(t, canary, atCanary, fmt.Sprint("canary ", i))
	}
	if took := time.Since(start); took > 30*time.Second {
		t.Errorf("two hundred messages of others took %v", took)
	}
	nextThat(t, toBob, func(w *peer.Warning) bool { return w.Code == "unconfirmed" })

	envelopes, bytes := passed.most(alice.Identity())
	if envelopes > 1+wire.MaxUnacknowledged || bytes > 1024+wire.MaxUnackedBytes { // and the machine statement
		t.Errorf("the relay took %d envelopes with %d bytes that nobody acknowledged", envelopes, bytes)
	}
	if envelopes < wire.MaxUnacknowledged/2 && bytes < wire.MaxUnackedBytes/2 {
		t.Errorf("the relay took %d envelopes with %d bytes: the window was not used", envelopes, bytes)
	}

	for i := range count {
		if m := next[*peer.Message](t, atBob); m.Number != uint64(i) || m.Text != text(i) {
			t.Fatalf("message %d arrived where %d was next", m.Number, i)
		}
	}
	delivered(t, toBob, uint64(count-1))
	talk(t, toBob, atBob, "as if nothing had been")
}

// A sender who goes on all the same is refused, and not at anybody's expense: what waits for one contact is bounded too.
func TestSendersQueueIsBounded(t *testing.T) {
	simulated(t, nil, func(t *testing.T, w *world) {
		alice, bob := w.login(w.card("alice")), w.login(w.card("bob"))
		a, b := connect(t, alice, bob)
		var err error
		n := 0
		for ; err == nil && n <= 1<<17; n++ {
			_, err = a.Send(context.Background(), "x")
		}
		if wire.CodeOf(err) != wire.CodeBusy {
			t.Fatalf("after %d texts that nobody took: %v", n, err)
		}
		for i := range n - 1 {
			if m := next[*peer.Message](t, b); m.Number != uint64(i) {
				t.Fatalf("message %d arrived where %d was next", m.Number, i)
			}
		}
		delivered(t, a, uint64(n-2))
		if _, err := a.Send(context.Background(), "room again"); err != nil {
			t.Fatal(err)
		}
	})
}

package systemtest

import (
	"context"
	"errors"
	"fmt"
	"net"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"sinete/peer"
	"sinete/relay"
	"sinete/transport/transporttest"
	"sinete/wire"
)

const fairPairs = 10

// pair is a conversation in one direction, with a program at its far end that takes what comes until it is stopped.
type pair struct {
	t        *testing.T
	from, to *peer.Conversation
	at       net.Addr // of the recipient, where it can be cut off

	taken uint64 // messages, each checked to be the next one
	stop  func()
}

// read makes the recipient take what comes.
func (p *pair) read() {
	ctx, cancel := context.WithCancel(p.t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		for ctx.Err() == nil {
			e, err := p.to.Next(ctx)
			if m, ok := e.(*peer.Message); err == nil && ok {
				if m.Number != p.taken {
					p.t.Errorf("message %d arrived where %d was next", m.Number, p.taken)
				}
				p.taken++
			}
		}
	}()
	p.stop = func() {
		cancel()
		<-done
	}
	p.t.Cleanup(p.stop)
}

// send sends texts at once and waits until the last is acknowledged (H3).
func (p *pair) send(ctx context.Context, count int) error {
	var last uint64
	for range count {
		n, err := p.from.Send(ctx, strings.Repeat("x", 100))
		if err != nil {
			return err
		}
		last = n
	}
	for {
		e, err := p.from.Next(ctx)
		if err != nil {
			return err
		}
		if r, ok := e.(*peer.Receipt); ok && r.Stage == peer.StagePeer && r.Number >= last {
			return nil
		}
	}
}

// service is what people get out of a relay.
type service struct {
	h3    []time.Duration // of messages sent one by one, sorted
	burst time.Duration   // for many messages sent at once, all of them
}

func (s service) quantile(q float64) time.Duration { return s.h3[int(q*float64(len(s.h3)-1))] }

// talks are how many messages each conversation sends one by one, and burst how many at once, when it is measured.
const talks, burst = 8, 200

// measure lets all of them talk at the same time.
func measure(t *testing.T, pairs []*pair) (s service) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	var mu sync.Mutex
	everybody := func(do func(p *pair) error) time.Duration {
		start, errs := time.Now(), make([]error, len(pairs))
		var all sync.WaitGroup
		for i, p := range pairs {
			all.Go(func() { errs[i] = do(p) })
		}
		all.Wait()
		must(t, errors.Join(errs...))
		return time.Since(start)
	}
	everybody(func(p *pair) error {
		for range talks {
			start := time.Now()
			if err := p.send(ctx, 1); err != nil {
				return err
			}
			mu.Lock()
			s.h3 = append(s.h3, time.Since(start))
			mu.Unlock()
		}
		return nil
	})
	s.burst = everybody(func(p *pair) error { return p.send(ctx, burst) })
	slices.Sort(s.h3)
	return s
}

// clog sends more than may be unacknowledged to somebody who takes nothing, until the relay holds about a window of it.
func (p *pair) clog() (last uint64) {
	p.t.Helper()
	const size, window = 50_000, wire.MaxUnackedBytes / 50_000
	for range 3 * window {
		last = sendText(p.t, p.from, strings.Repeat("x", size))
	}
	nextThat(p.t, p.from, func(r *peer.Receipt) bool { return r.Stage == peer.StageRelay && r.Number+2*window+window/4 >= last })
	return last
}

// Ten conversations in three arrangements.
func apart(t *testing.T, w *world) (pairs []*pair) {
	for i := range fairPairs {
		author, recipient := w.login(w.card(fmt.Sprint("author", i))), (*peer.Session)(nil)
		p := &pair{t: t}
		if w.network != nil {
			recipient, p.at = w.loginAt(w.config(w.card(fmt.Sprint("recipient", i))))
		} else {
			recipient = w.login(w.card(fmt.Sprint("recipient", i)))
		}
		p.from, p.to = connect(t, author, recipient)
		pairs = append(pairs, p)
	}
	return pairs
}

func oneAuthor(t *testing.T, w *world) (pairs []*pair) {
	author := w.login(w.card("author"))
	for i := range fairPairs {
		p := &pair{t: t}
		p.from, p.to = connect(t, author, w.login(w.card(fmt.Sprint("recipient", i))))
		pairs = append(pairs, p)
	}
	return pairs
}

func oneRecipient(t *testing.T, w *world) (pairs []*pair) {
	recipient := w.login(w.card("recipient"))
	for i := range fairPairs {
		p := &pair{t: t}
		p.from, p.to = connect(t, w.login(w.card(fmt.Sprint("author", i))), recipient)
		pairs = append(pairs, p)
	}
	return pairs
}

// One recipient of ten stops reading while somebody pours messages out over them: the other nine notice nothing.
func TestFairness(t *testing.T) {
	for _, c := range []struct {
		name    string
		arrange func(t *testing.T, w *world) []*pair
		cut     bool // the recipient's network goes, rather than its program stops reading
	}{
		{"everybody apart", apart, false},
		{"one author writes to all", oneAuthor, false},
		{"all write to one recipient", oneRecipient, false},
		{"a recipient's network is cut", apart, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, transporttest.New(t, transporttest.Options{Latency: 20 * time.Millisecond}), nil)
				pairs := c.arrange(t, w)
				for _, p := range pairs {
					p.read()
				}
				nine, slow := pairs[1:], pairs[0]
				before := measure(t, pairs)
				if c.cut {
					w.network.Cut(slow.at)
				} else {
					slow.stop()
				}
				last := slow.clog()
				after := measure(t, nine)

				t.Logf("H3 p99 %v, then %v; %d at once %v, then %v", before.quantile(.99), after.quantile(.99), burst, before.burst, after.burst)
				const floor = 20 * time.Millisecond // one latency
				if b, a := before.quantile(.99), after.quantile(.99); a > 2*b+floor {
					t.Errorf("p99 of H3 was %v, and %v once one recipient had stopped", b, a)
				}
				if after.burst > 2*before.burst+floor {
					t.Errorf("a burst took %v, and %v once one recipient had stopped", before.burst, after.burst)
				}

				if c.cut {
					w.network.Restore(slow.at)
				} else {
					slow.read()
				}
				delivered(t, slow.from, last)
				if slow.stop(); slow.taken != last+1 {
					t.Errorf("%d of %d messages arrived", slow.taken, last+1)
				}
			})
		})
	}
}

// The same by the clock on the wall. Where the machine is busy with something else for a while, it may try again; a conversation that is
// really in the way of the others is so each time.
func TestFairnessOverUDP(t *testing.T) {
	leakFree(t)
	pairs := apart(t, newWorld(t, nil, nil))
	for _, p := range pairs {
		p.read()
	}
	nine, slow := pairs[1:], pairs[0]
	const floor, tries = 50 * time.Millisecond, 8
	before := measure(t, pairs)
	slow.stop()
	last := slow.clog()
	var after service
	for range tries {
		after = measure(t, nine)
		if after.quantile(.99) <= 2*before.quantile(.99)+floor && after.burst <= 2*before.burst+floor {
			break
		}
	}
	t.Logf("H3 p99 %v, then %v; %d at once %v, then %v", before.quantile(.99), after.quantile(.99), burst, before.burst, after.burst)
	if after.quantile(.99) > 2*before.quantile(.99)+floor || after.burst > 2*before.burst+floor {
		t.Errorf("nine conversations suffer from the tenth")
	}
	slow.read()
	delivered(t, slow.from, last)
}

// Somebody floods a person who does not read: 50,000 messages stop at the sender's own queue, which says so, and at the window in the
// relay; others are served, and each message read makes room for another.
func TestFloodIsBounded(t *testing.T) {
	passed := &counted{envelopes: map[string]int{}, bytes: map[string]int{}}
	simulated(t, func(cfg *relay.Config) { cfg.Capture = passed.capture }, func(t *testing.T, w *world) {
		alice, bob := w.login(w.card("alice")), w.login(w.card("bob"))
		toBob, atBob := connect(t, alice, bob)
		canary, atCanary := connect(t, w.login(w.card("dave")), w.login(w.card("erin")))
		const size, queue = 2000, 64 << 20 // of one contact

		sent, busy := 0, 0
		for i := range 50_000 {
			switch _, err := toBob.Send(t.Context(), fmt.Sprintf("%0*d", size, i)); {
			case err == nil && busy == 0:
				sent++
			case wire.CodeOf(err) == wire.CodeBusy:
				busy++
			default:
				t.Fatalf("text %d, after %d that were refused: %v", i, busy, err)
			}
		}
		if sent != queue/size {
			t.Errorf("%d texts of %d bytes were queued", sent, size)
		}
		nextThat(t, toBob, func(w *peer.Warning) bool { return w.Code == "unconfirmed" })
		held := func() {
			t.Helper()
			if envelopes, bytes := passed.most(alice.Identity()); envelopes > 1+wire.MaxUnacknowledged || bytes > 1024+wire.MaxUnackedBytes {
				t.Errorf("the relay holds %d envelopes with %d bytes", envelopes, bytes)
			}
		}
		held()
		talk(t, canary, atCanary, "one", "two", "three")
		held()

		const read = 1200 // more than a window
		for i := range read {
			if m := next[*peer.Message](t, atBob); m.Number != uint64(i) || m.Text != fmt.Sprintf("%0*d", size, i) {
				t.Fatalf("message %d arrived where %d was next", m.Number, i)
			}
		}
		delivered(t, toBob, read/2)
		if _, err := toBob.Send(t.Context(), "room again"); err != nil {
			t.Error(err)
		}
	})
}

// The network to the relay goes for ten seconds while somebody goes on writing: what they hold beside the texts stays bounded, and when it
// comes back everything goes on as if nothing had been.
func TestRelayStalls(t *testing.T) {
	simulated(t, nil, func(t *testing.T, w *world) {
		p := &pair{t: t}
		p.from, p.to = connect(t, w.login(w.card("alice")), w.login(w.card("bob")))
		p.read()
		must(t, p.send(t.Context(), 1))

		w.network.Cut(w.address)
		const stall, size, count = 10 * time.Second, 10_000, 4 * wire.MaxUnackedBytes / 10_000
		text := strings.Repeat("x", size) // one for all, so that the heap shows what else there is of each
		before, last := heap(), uint64(0)
		for range count {
			last = sendText(t, p.from, text)
			<-time.After(stall / count)
		}
		if grown := heap() - before; grown > wire.MaxUnackedBytes {
			t.Errorf("%d bytes more for %d texts that go nowhere", grown, count)
		}
		w.network.Restore(w.address)
		delivered(t, p.from, last)
		if p.stop(); p.taken != last+1 {
			t.Errorf("%d of %d messages arrived", p.taken, last+1)
		}
	})
}

func heap() int {
	var m runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&m)
	return int(m.HeapAlloc)
}

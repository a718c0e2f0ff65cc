package systemtest

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"sinete/peer"
	"sinete/peer/presence"
	"sinete/relay"
	"sinete/transport/transporttest"
	"sinete/wire"
)

// recognised has a relay whose successor peers recognise by its reset key.
func recognised(c *relay.Config) {
	graceful(c)
	c.ResetKey = [32]byte{1}
}

// Nobody says anything while the relay is killed and started again: the peers notice with their next sign of life.
func TestQuietPeersNoticeAKilledRelay(t *testing.T) {
	simulated(t, recognised, func(t *testing.T, w *world) {
		people := []*dweller{w.dwell(t, w.plain("alice")), w.dwell(t, w.plain("bob"))}
		people[0].connects(people[1])
		time.Sleep(time.Hour) // in which the connections change their ids
		w.kill()
		start := time.Now()
		w.start()
		for _, p := range people {
			p.until("being away", func() bool { return number[*peer.Away](p) == 1 })
		}
		if took := time.Since(start); took > 16*time.Second {
			t.Errorf("it took them %v", took)
		}
		reunited(people[0], people[1])
	})
}

// A session whose address changes stays the same session: nobody logs in, nobody is away, and what others write arrives there soon.
func TestAddressChanges(t *testing.T) {
	simulated(t, recognised, func(t *testing.T, w *world) {
		alice, bob := w.dwell(t, w.plain("alice")), w.dwell(t, w.plain("bob"))
		alice.connects(bob)
		session, conversations := bob.Session(), len(bob.all())
		var hers []string
		for i := range 10 {
			hers = append(hers, fmt.Sprint("message ", i))
			w.network.Rebind(bob.sockets[0])
			if i == 5 {
				bob.Session().Rekey()
			}
			start := time.Now()
			alice.says(bob, hers[i])
			bob.has(alice, hers...)
			if took := time.Since(start); took > 20*time.Second { // until bob's next sign of life, and QUIC has sent again
				t.Errorf("message %d took %v", i, took)
			}
		}
		if bob.Session() != session || number[*peer.Away](bob) > 0 || len(bob.all()) != conversations || session.Epoch() != 1 {
			t.Errorf("bob's session is another one: %v", bob.kinds())
		}
		// The relay that is killed now is noticed at the new address too.
		w.kill()
		w.start()
		start := time.Now()
		bob.until("being away", func() bool { return number[*peer.Away](bob) == 1 })
		if took := time.Since(start); took > 16*time.Second {
			t.Errorf("it took him %v", took)
		}
		reunited(alice, bob)
	})
}

// circle is three people who all talk to each other, and are used to new keys.
func (w *world) circle(t *testing.T, limits wire.RekeyLimits) []*restless {
	t.Helper()
	people := make([]*restless, 3)
	for i, name := range []string{"alice", "bob", "rui"} {
		cfg := w.plain(name)
		cfg.Limits = limits
		people[i] = &restless{dweller: w.dwell(t, cfg), random: rand.New(rand.NewPCG(1, uint64(i))), said: map[*restless]int{}}
	}
	for i, r := range people {
		r.others = slices.DeleteFunc(slices.Clone(people), func(o *restless) bool { return o == r })
		for _, o := range people[:i] {
			r.calls(o)
		}
	}
	return people
}

// saysAround has everybody say something to everybody.
func saysAround(people []*restless, times int) {
	for range times {
		for _, r := range people {
			for _, o := range r.others {
				r.says(o)
			}
		}
	}
}

func settleAll(t *testing.T, people []*restless) {
	t.Helper()
	for _, r := range people {
		for _, o := range r.others {
			settle(t, r, o)
		}
	}
}

// A network that loses one datagram in twenty, takes 200 ms each way and lets datagrams overtake each other makes messages slow, and breaks
// nothing: no session, no conversation, no rekeying.
func TestBadNetwork(t *testing.T) {
	for seed := range uint64(2) {
		synctest.Test(t, func(t *testing.T) {
			limits := wire.RekeyLimits{Messages: 50, Seconds: 20}
			network := transporttest.New(t, transporttest.Options{Latency: 200 * time.Millisecond, Jitter: 100 * time.Millisecond, Loss: 0.05, Seed: seed})
			people := newWorld(t, network, func(c *relay.Config) { c.Limits = limits }).circle(t, limits)
			for range 40 {
				saysAround(people, 1+rand.IntN(10))
				time.Sleep(time.Duration(rand.IntN(4000)) * time.Millisecond)
			}
			settleAll(t, people)
			for _, r := range people {
				if n := number[*peer.Away](r.dweller); n > 0 || len(r.all()) != 2 || len(r.Session().Conversations()) != 2 {
					t.Errorf("%s: something broke: %v", r.Session().Name(), r.kinds())
				}
				for _, c := range r.Session().Conversations() {
					if c.Epoch() == 0 || r.Session().Epoch() == 0 {
						t.Errorf("%s: epoch %d with %s, %d of the hop: no new keys were taken", r.Session().Name(), c.Epoch(), c.Person.Name, r.Session().Epoch())
					}
				}
			}
		})
	}
}

// A relay that shuts down, or is killed, in the middle of everything, takes nothing with it: all that was said arrives when another one is
// there, once and in order, and nobody is told of anything but an absence.
func TestRelayGoesInTheMiddle(t *testing.T) {
	for _, goes := range []struct {
		name string
		how  func(w *world)
		why  wire.Code
	}{
		{"in order", func(w *world) { w.stop() }, wire.CodeGoingAway},
		{"killed", (*world).kill, wire.CodeCut},
	} {
		t.Run(goes.name, func(t *testing.T) {
			simulated(t, recognised, func(t *testing.T, w *world) {
				people := w.circle(t, wire.RekeyLimits{})
				for round := range 6 {
					saysAround(people, 100)
					time.Sleep(time.Duration(round*3) * time.Millisecond) // a little later in the flights each time
					goes.how(w)
					saysAround(people, 10)
					time.Sleep(2 * time.Second)
					w.start()
					for _, r := range people {
						r.until("being back", func() bool { return number[*peer.Back](r.dweller) == round+1 })
					}
					settleAll(t, people)
				}
				for _, r := range people {
					for _, e := range r.events {
						if away, ok := e.(*peer.Away); ok && wire.CodeOf(away.Err) != goes.why {
							t.Errorf("%s is away: %v", r.Session().Name(), away.Err)
						}
					}
					if n := number[*peer.GivenUp](r.dweller); n > 0 {
						t.Errorf("%s gave something up: %v", r.Session().Name(), r.kinds())
					}
				}
			})
		})
	}
}

// Those whom one shutdown has hit do not come back at once.
func TestReturnIsDrawn(t *testing.T) {
	simulated(t, recognised, func(t *testing.T, w *world) {
		var people []*dweller
		for i := range 12 {
			people = append(people, w.dwell(t, presence.Config{Config: w.config(w.card(fmt.Sprint("person", i)))}))
		}
		w.stop()
		w.start()
		start := time.Now()
		var took []time.Duration
		for time.Since(start) < 8*time.Second {
			n := 0
			for _, p := range people {
				p.mu.Lock()
				n += number[*peer.Back](p)
				p.mu.Unlock()
			}
			for len(took) < n {
				took = append(took, time.Since(start))
			}
			time.Sleep(10 * time.Millisecond)
		}
		if len(took) != len(people) || took[len(took)-1]-took[0] < time.Second {
			t.Errorf("%d of %d are back, after %v", len(took), len(people), took)
		}
	})
}

// However slowly a network carries long texts, they arrive.
func TestSlowNetworks(t *testing.T) {
	const size, count = 50_000, 40
	for _, rate := range []int{512_000 / 8, 256_000 / 8, 80_000 / 8} { // bytes a second; the last has room for QUIC's own
		t.Run(fmt.Sprintf("%d bytes a second", rate), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, transporttest.New(t, transporttest.Options{Latency: 50 * time.Millisecond, Rate: rate}), nil)
				a, b := connect(t, w.login(w.card("alice")), w.login(w.card("bob")))
				text := func(i int) string { return fmt.Sprintf("%0*d", size, i) }
				start := time.Now()
				for i := range count {
					sendText(t, a, text(i))
				}
				for i := range count {
					if m := next[*peer.Message](t, b); m.Number != uint64(i) || m.Text != text(i) {
						t.Fatalf("message %d arrived where %d was next", m.Number, i)
					}
				}
				delivered(t, a, count-1)
				if took := time.Since(start); took < time.Duration(size*count/rate)*time.Second {
					t.Errorf("%d bytes in %v, faster than the network", size*count, took)
				}
			})
		})
	}
}

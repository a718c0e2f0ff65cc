package systemtest

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"sinete/peer"
	"sinete/wire"
)

// passing is what a relay between two honest people may do to their conversation, alice's messages to bob above all, and what they notice of it.
type passing struct {
	name   string
	do     func(t *testing.T, p, other *passage)
	number wire.Code // with which the one who notices ends the conversation; CodeBye: nobody can tell it from silence
	warned int       // who is warned that nothing is confirmed: 0 alice, 1 bob. The other one notices
	found  string    // part of what is found wrong
}

// of tampers with alice's flights that hold a text; the others pass.
func (p *passage) of(alice func(f flight) []flight) {
	p.tamper(func(f flight) []flight {
		if f.from != 0 {
			return []flight{f}
		}
		return alice(f)
	})
}

// kept passes flights on and keeps the last.
func kept(last *flight) func(f flight) []flight {
	return func(f flight) []flight {
		*last = f
		return []flight{f}
	}
}

// alteredFlight passes flights on in which something was changed.
func alteredFlight(change func(f *flight)) func(f flight) []flight {
	return func(f flight) []flight {
		change(&f)
		return []flight{f}
	}
}

var passings = []passing{
	{name: "another text is shown to bob than alice sealed", number: wire.CodeIntegrity, warned: 0, found: "does not decrypt",
		do: func(_ *testing.T, p, _ *passage) {
			p.of(alteredFlight(func(f *flight) { f.bodies[0][len(f.bodies[0])-1] ^= 1 }))
		}},
	{name: "two flights are shown in another order", number: wire.CodeIntegrity, warned: 0, found: "envelope 3 of epoch 0 where 2 of epoch 0 was next",
		do: func(_ *testing.T, p, _ *passage) {
			var held []flight
			p.of(func(f flight) []flight {
				if held = append(held, f); len(held) < 2 {
					return nil
				}
				slices.Reverse(held)
				return held
			})
		}},
	{name: "a flight is left out", number: wire.CodeIntegrity, warned: 0, found: "envelope 3 of epoch 0 where 2 of epoch 0 was next",
		do: func(_ *testing.T, p, _ *passage) {
			left := false
			p.of(func(f flight) []flight {
				if !left {
					left = true
					return nil
				}
				return []flight{f}
			})
		}},
	{name: "two flights become one under the first one's head", number: wire.CodeIntegrity, warned: 0, found: "whose mine is 3 envelopes of epoch 0",
		do: func(_ *testing.T, p, _ *passage) {
			var held []flight
			p.of(func(f flight) []flight {
				if held = append(held, f); len(held) < 2 {
					return nil
				}
				return []flight{{bodies: append(held[0].bodies, held[1].bodies...), seals: held[0].seals}}
			})
		}},
	{name: "bob is shown another head", number: wire.CodeIntegrity, warned: 0, found: "seal",
		do: func(_ *testing.T, p, _ *passage) {
			p.of(alteredFlight(func(f *flight) {
				h := f.seals[0].Head
				mine := *h.Mine
				mine.T[0] ^= 1
				h.Mine = &mine
				f.seals = p.ends[1].seal(p.ends[1].sealer, h)
			}))
		}},
	{name: "an older head takes the place of the new one", number: wire.CodeIntegrity, warned: 0, found: "whose mine is 3 envelopes of epoch 0",
		do: func(t *testing.T, p, _ *passage) {
			var old []wire.SealEntry
			p.of(func(f flight) []flight {
				old = f.seals
				return []flight{f}
			})
			both(t, p.talks[0], p.talks[1], "before")
			p.of(alteredFlight(func(f *flight) { f.seals = old }))
		}},
	{name: "alice's heads are withheld", number: wire.CodeUnsealed, warned: 0, found: "not under its author's",
		do: func(_ *testing.T, p, _ *passage) { p.of(alteredFlight(func(f *flight) { f.seals = nil })) }},
	{name: "alice's words are withheld, and said to be on their way", number: wire.CodeBye, warned: 0,
		do: func(_ *testing.T, p, _ *passage) { p.of(func(flight) []flight { return nil }) }},
	{name: "the label is another one", number: wire.CodeIntegrity, warned: 0, found: "does not decrypt",
		do: func(_ *testing.T, p, _ *passage) {
			p.of(alteredFlight(func(f *flight) { f.bodies[0][4] ^= 1 }))
		}},
	{name: "a flight comes twice", number: wire.CodeIntegrity, warned: 0, found: "envelope 2 of epoch 0 where 3 of epoch 0 was next",
		do: func(_ *testing.T, p, _ *passage) { p.of(func(f flight) []flight { return []flight{f, f} }) }},
	{name: "a flight of the epoch before takes its place", number: wire.CodeIntegrity, warned: 0, found: "of epoch 0 where 0 of epoch 1 was next",
		do: func(t *testing.T, p, _ *passage) {
			var old flight
			p.of(kept(&old))
			both(t, p.talks[0], p.talks[1], "before")
			p.talks[0].Rekey()
			rekeyed(t, 1, p.talks[0], p.talks[1])
			p.of(func(flight) []flight { return []flight{old} })
		}},
	{name: "a flight of another conversation takes its place", number: wire.CodeIntegrity, warned: 0, found: "does not decrypt",
		do: func(t *testing.T, p, other *passage) {
			var old flight
			other.of(kept(&old))
			both(t, other.talks[0], other.talks[1], "before")
			p.of(func(flight) []flight { return []flight{old} })
		}},
	{name: "bob is said to have received what he did not", number: wire.CodeIntegrity, warned: 1, found: "seal",
		do: func(_ *testing.T, p, _ *passage) {
			p.of(func(f flight) []flight {
				h := wire.Head{Channel: f.seals[0].Head.Channel, Role: wire.RoleResponder, Yours: *f.seals[0].Head.Mine}
				p.ends[0].write(p.ends[0].control, p.ends[0].seal(p.ends[0].sealer, h)...)
				return nil
			})
		}},
	{name: "bob's receipts are withheld", number: wire.CodeBye, warned: 0,
		do: func(_ *testing.T, p, _ *passage) {
			p.receipts(func(from int, _ *wire.SealEntry) bool { return from == 0 })
		}},
	{name: "bob's receipt before is repeated in place of each new one", number: wire.CodeBye, warned: 0,
		do: func(t *testing.T, p, _ *passage) {
			var old *wire.SealEntry
			p.receipts(func(from int, e *wire.SealEntry) bool {
				if from == 1 {
					old = e
				}
				return true
			})
			both(t, p.talks[0], p.talks[1], "before")
			p.receipts(func(from int, e *wire.SealEntry) bool {
				if from == 1 {
					*e = *old
				}
				return true
			})
		}},
}

// A relay between two honest people that forks, withholds, relabels or replays what they say to each other is noticed by both: by the one who
// sees what cannot be, at once and by what differs; by the other, since nothing is confirmed any more, after a minute. Nothing false is shown,
// other conversations of theirs go on, and what was not confirmed comes once, in its order, when an honest relay is there.
func TestRelayInBetween(t *testing.T) {
	for _, c := range passings {
		t.Run(c.name, func(t *testing.T) {
			inBetween(t, func(t *testing.T, w *between) {
				p, others := w.connects(t, 0, 1), []*passage{w.connects(t, 0, 2), w.connects(t, 2, 1)}
				for _, o := range append(others, p) {
					both(t, o.talks[0], o.talks[1], "good morning")
				}
				c.do(t, p, others[0])
				ears := [2]*ear{hears(t, p.talks[0]), hears(t, p.talks[1])}
				start := time.Now()
				sendText(t, p.talks[0], "first")
				time.Sleep(time.Second) // virtual: a flight each
				sendText(t, p.talks[0], "second")
				time.Sleep(time.Second)
				sendText(t, p.talks[c.warned], "are you there?")
				if c.number != wire.CodeBye {
					c.ended(t, soon(t, ears[1-c.warned].closed), start)
				}
				if after := soon(t, ears[c.warned].warned).Sub(start); after < 55*time.Second || after > 75*time.Second {
					t.Errorf("%v is warned after %v", c.warned, after)
				}
				for _, o := range others {
					both(t, o.talks[0], o.talks[1], "still here")
				}

				for i, e := range p.ends { // who has noticed nothing so far is told that the other has left, and does not believe it
					e.send(e.control, wire.EnvelopeControl, wire.Closed{Conversation: p.talks[i].ID, Number: wire.CodePeerLeft}.Append(nil))
					if i == c.warned || c.number == wire.CodeBye {
						if closed := soon(t, ears[i].closed); closed.Number != wire.CodeCut {
							t.Errorf("the end of %d's conversation is %v", i, closed.Number)
						}
					}
				}
				want := [2][]string{{"new"}, {"first", "second", "new"}}
				want[1-c.warned] = slices.Insert(want[1-c.warned], len(want[1-c.warned])-1, "are you there?")
				for i, e := range w.anew(t, 0, 1) {
					if got := append(ears[i].texts, e...); !slices.Equal(got, want[i]) {
						t.Errorf("%d was shown %q, not %q", i, got, want[i])
					}
				}
			})
		})
	}
}

// ended expects what a conversation ended with.
func (c *passing) ended(t *testing.T, closed *peer.Closed, start time.Time) {
	t.Helper()
	if took := time.Since(start); took > 5*time.Second {
		t.Errorf("it took %v", took)
	}
	if closed.Number != c.number || closed.Why == nil || !strings.Contains(closed.Why.Error(), c.found) {
		t.Fatalf("closed with %v (%v), not with %v (%s)", closed.Number, closed.Why, c.number, c.found)
	}
	d, diverged := errors.AsType[*peer.DivergedError](closed.Why)
	if strings.HasPrefix(c.found, "whose mine") && (!diverged || !d.Mine || d.Theirs == d.Ours) {
		t.Errorf("what differs is not named: %#v", closed.Why)
	}
}

// ear takes what comes in a conversation.
type ear struct {
	texts  []string // once closed has been taken
	warned chan time.Time
	closed chan *peer.Closed
}

func hears(t *testing.T, c *peer.Conversation) *ear {
	e := &ear{warned: make(chan time.Time, 1), closed: make(chan *peer.Closed, 1)}
	go func() {
		for {
			event, err := c.Next(t.Context())
			if err != nil {
				return
			}
			switch event := event.(type) {
			case *peer.Message:
				e.texts = append(e.texts, event.Text)
			case *peer.Warning:
				if event.Code == "unconfirmed" {
					select {
					case e.warned <- time.Now():
					default:
					}
				}
			case *peer.Closed:
				e.closed <- event
				return
			}
		}
	}()
	return e
}

// anew has two people leave the evil relay and talk at the honest one, and returns what each is shown up to "new".
func (w *between) anew(t *testing.T, asking, asked int) (shown [2][]string) {
	t.Helper()
	var again [2]*peer.Session
	for i, of := range []int{asking, asked} {
		w.people[of].end.conn.Close(wire.CodeBye)
		<-w.people[of].Done()
		again[i] = w.loginWith(w.people[of].there)
	}
	a, b := connect(t, again[0], again[1])
	talks := [2]*peer.Conversation{a, b}
	for i, c := range talks {
		sendText(t, talks[1-i], "new")
		for len(shown[i]) == 0 || shown[i][len(shown[i])-1] != "new" {
			shown[i] = append(shown[i], next[*peer.Message](t, c).Text)
		}
	}
	return shown
}

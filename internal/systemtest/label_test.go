package systemtest

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"sinete/internal/link"
	"sinete/peer"
	"sinete/peer/store"
	"sinete/peer/store/storetest"
	"sinete/relay"
	"sinete/wire"
)

// ranked gives a card a level, and the right to label below it or not.
func (w *world) ranked(name string, level wire.Level, below bool) (c peer.Config) {
	w.t.Helper()
	c = w.config(w.card(name))
	w.grants(w.identity(c.Card), level, below)
	return c
}

func (w *world) grants(identity string, level wire.Level, below bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.levels[identity], w.below[identity] = level, below
}

// A person with the right labels messages below their level: they go out under that label, and the other sees it. What may not be says why, and
// nothing of it is queued.
func TestSendAs(t *testing.T) {
	simulated(t, nil, func(t *testing.T, w *world) {
		two := wire.Level{Rank: 2, Compartments: []string{"ops"}}
		alice, bob := w.loginWith(w.ranked("alice", two, true)), w.loginWith(w.ranked("bob", wire.Level{Rank: 1}, false))
		carol, dave := w.loginWith(w.ranked("carol", two, false)), w.loginWith(w.ranked("dave", wire.Level{Rank: 3}, false))
		a, b := connect(t, alice, bob)
		for i, label := range []wire.Level{{Rank: 1}, two, {Rank: 2}, {Rank: 1, Compartments: []string{"ops"}}, {Rank: 1}} {
			n, err := a.SendAs(t.Context(), label, "labelled", "and more")
			must(t, err)
			if n != uint64(2*i) {
				t.Errorf("number %d", n)
			}
			for range 2 {
				if m := next[*peer.Message](t, b); !m.Label.Equal(label) || m.Labelled == label.Equal(two) {
					t.Errorf("received %+v, not under %v", m, label)
				}
			}
			delivered(t, a, n+1)
		}
		talk(t, a, b, "at the author's level")

		none := func(c *peer.Conversation, label wire.Level, number wire.Code) {
			t.Helper()
			_, err := c.SendAs(t.Context(), label, "refused")
			e, ok := errors.AsType[*peer.LabelError](err)
			if !ok || e.Number != number || !e.Label.Equal(label) || !e.Own.Equal(two) {
				t.Errorf("under %v: %v", label, err)
			}
		}
		none(a, wire.Level{Rank: 3}, wire.CodeFlowDenied)
		none(a, wire.Level{Rank: 1, Compartments: []string{"other"}}, wire.CodeFlowDenied)
		none(a, wire.Level{Rank: 0}, wire.CodeFlowDenied) // below bob, and no-write-up
		c, _ := connect(t, carol, bob)
		none(c, wire.Level{Rank: 1}, wire.CodeLabelDenied)
		none(c, wire.Level{Rank: 0}, wire.CodeLabelDenied)
		_, err := a.SendAs(t.Context(), wire.Level{Compartments: []string{"b", "a"}}, "no level")
		_, empty := a.SendAs(t.Context(), wire.Level{Rank: 1}, "")
		if wire.CodeOf(err) != wire.CodeMalformed || wire.CodeOf(empty) != wire.CodeMalformed {
			t.Errorf("of no level: %v; of no text: %v", err, empty)
		}
		up, _ := connect(t, alice, dave)
		_, err = up.SendAs(t.Context(), wire.Level{Rank: 1}, "psst")
		refused(t, err, wire.CodeFlowDenied)
		talk(t, a, b, "nothing came of it")
	})
}

// labelsOf are the entries of a history, each with its label where its author chose one.
func labelsOf(t *testing.T, s *store.Store) (entries []string) {
	t.Helper()
	for e, err := range s.History(store.Query{}) {
		must(t, err)
		label := ""
		if e.Text.Labelled {
			label = " under " + e.Text.Label.String()
		}
		if e.State == store.Failed {
			label += " " + e.Reason.String()
		}
		entries = append(entries, string(e.State)+" "+e.Text.Text+label)
	}
	return entries
}

// What waits through a change of level, and through a kill, goes out under the label that its author chose, or fails; what has none goes out under the
// level of then. Both histories say so.
func TestLabelsThatWait(t *testing.T) {
	for name, c := range map[string]struct {
		level wire.Level // that alice has then
		below bool
		want  []string // under 1, under 2, under her own level
	}{
		"nothing changes":      {wire.Level{Rank: 2}, true, []string{"received one under 1", "received two", "received own", "received more under 1"}},
		"a higher level":       {wire.Level{Rank: 3}, true, []string{"received one under 1", "received two under 2", "received own", "received more under 1"}},
		"the level of a label": {wire.Level{Rank: 1}, true, []string{"received one", "failed two under 2 flow-denied", "received own", "received more"}},
		"the right is gone": {wire.Level{Rank: 3}, false, []string{"failed one under 1 label-denied", "failed two under 2 label-denied", "received own",
			"failed more under 1 label-denied"}},
	} {
		t.Run(name, func(t *testing.T) {
			simulated(t, nil, func(t *testing.T, w *world) {
				cfg := w.ranked("alice", wire.Level{Rank: 2}, true)
				alice, bob := w.born(cfg, storetest.NewDisk()), w.born(w.ranked("bob", wire.Level{Rank: 1}, false), storetest.NewDisk())
				a, b := connect(t, alice.Session, bob.Session)
				_, err := a.SendAs(t.Context(), wire.Level{Rank: 1}, "before") // so that the label is one that the relay let through
				must(t, err)
				next[*peer.Message](t, b)
				delivered(t, a, 0)
				time.Sleep(time.Second) // the mark of its receipt is written
				w.network.Cut(alice.at)
				one, two := wire.Level{Rank: 1}, wire.Level{Rank: 2}
				_, err = a.SendAs(t.Context(), one, "one")
				must(t, err)
				_, err = a.SendAs(t.Context(), two, "two")
				must(t, err)
				_, err = a.Send(t.Context(), "own")
				must(t, err)
				_, err = alice.QueueAs(bob.Identity(), one, "more")
				must(t, err)
				w.grants(alice.Identity(), c.level, c.below)
				alice = alice.killed()
				a, b = connect(t, alice.Session, bob.Session)
				last := uint64(4) // of hers that is to be delivered
				for i, want := range c.want {
					var text, label string
					if n, _ := fmt.Sscanf(want, "received %s under %s", &text, &label); n == 0 {
						if i == 3 {
							last = 3
						}
						continue
					}
					if label == "" {
						label = c.level.String()
					}
					if m := next[*peer.Message](t, b); m.Text != text || m.Label.String() != label || m.Number != uint64(i+1) || m.Labelled == (label == c.level.String()) {
						t.Errorf("received %+v, and not %q", m, want)
					}
				}
				over := uint64(0) // all before it are delivered, or failed
				for confirmed := false; !confirmed || over < 4; {
					nextThat(t, a, func(e peer.Event) bool {
						switch e := e.(type) {
						case *peer.Receipt:
							if e.Stage == peer.StagePeer && e.Number == last {
								confirmed, over = true, max(over, e.Number)
							}
						case *peer.Progress:
							if e.State == store.Failed {
								over = max(over, e.Last)
							}
						}
						return true
					})
				}
				wants := []string{"delivered before under 1"}
				came := []string{"received before under 1"}
				for i, want := range c.want {
					own := []string{" under 1", " under 2", "", " under 1"}[i]
					var text string
					if n, _ := fmt.Sscanf(want, "received %s", &text); n == 1 {
						wants, came = append(wants, "delivered "+text+own), append(came, want)
					} else {
						wants = append(wants, want)
					}
				}
				if got := labelsOf(t, alice.cfg.Store); !slices.Equal(got, wants) {
					t.Errorf("alice has %q, not %q", got, wants)
				}
				if got := labelsOf(t, bob.cfg.Store); !slices.Equal(got, came) {
					t.Errorf("bob has %q, not %q", got, came)
				}
			})
		})
	}
}

// flights keeps of each flight of a conversation that the relay gets the labels of its contents and the signature over it.
type flights struct {
	mu   sync.Mutex
	seen []labelledFlight
}

type labelledFlight struct {
	labels    []string
	signature string
}

func (f *flights) capture(_ string, _ uint64, r *link.Received) {
	var one labelledFlight
	for _, p := range r.Pieces {
		switch {
		case p.Seals != nil:
			one.signature = string(p.Seals[0].Seal.Signature)
		case p.Opened.Type == wire.EnvelopeInner:
			one.labels = append(one.labels, p.Opened.Inner.Header.Label.String())
		}
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if one.labels != nil {
		f.seen = append(f.seen, one)
	}
}

// take gives those since the last time.
func (f *flights) take() (all []labelledFlight) {
	f.mu.Lock()
	defer f.mu.Unlock()
	all, f.seen = f.seen, nil
	return all
}

// No flight holds contents of two labels, and no signature of a person's covers flights of two: who reads the one learns nothing of the other.
func TestBatchesDoNotMixLabels(t *testing.T) {
	var passed flights
	simulated(t, func(c *relay.Config) { c.Capture = passed.capture }, func(t *testing.T, w *world) {
		cfg := w.ranked("alice", wire.Level{Rank: 1}, true)
		cfg.Card = &slowKey{Card: cfg.Card, delay: time.Second}
		alice := w.loginWith(cfg)
		toBob, bob := connect(t, alice, w.login(w.card("bob")))
		toCarol, carol := connect(t, alice, w.login(w.card("carol")))
		toRui, rui := connect(t, alice, w.login(w.card("rui")))
		time.Sleep(time.Minute) // the card has nothing more to do
		passed.take()

		together := func(label *wire.Level) []labelledFlight {
			t.Helper()
			_, err := toRui.Send(t.Context(), "which keeps the card busy") // so that flights to the others wait for it together
			must(t, err)
			time.Sleep(100 * time.Millisecond)
			if label == nil {
				_, err = toBob.Send(t.Context(), "to bob")
			} else {
				_, err = toBob.SendAs(t.Context(), *label, "to bob")
			}
			must(t, err)
			_, err = toBob.Send(t.Context(), "to bob")
			must(t, err)
			_, err = toCarol.Send(t.Context(), "to carol")
			must(t, err)
			next[*peer.Message](t, rui)
			for range 2 {
				next[*peer.Message](t, bob)
			}
			next[*peer.Message](t, carol)
			time.Sleep(time.Minute)
			return passed.take()
		}
		shared := false
		all := together(nil)
		for i, f := range all {
			shared = shared || slices.ContainsFunc(all[:i], func(o labelledFlight) bool { return o.signature == f.signature })
		}
		if !shared {
			t.Fatal("flights to two people share no signature where they may: this test sees nothing")
		}
		found := false
		all = together(new(wire.Level{}))
		for i, f := range all {
			if slices.ContainsFunc(f.labels, func(l string) bool { return l != f.labels[0] }) {
				t.Errorf("a flight with labels %v", f.labels)
			}
			found = found || f.labels[0] == "0"
			for _, o := range all[:i] {
				if o.signature == f.signature && o.labels[0] != f.labels[0] {
					t.Errorf("one signature over %v and %v", o.labels, f.labels)
				}
			}
		}
		if !found {
			t.Error("nothing went out under the label")
		}
	})
}

// A relay that does not say whether a label may be used is waited for, and the person is told after ten seconds, whether they type the message or it
// waits from before.
func TestUnansweredWriteRequest(t *testing.T) {
	inLair(t, func(t *testing.T, w *lair) {
		w.level = wire.Level{Rank: 2}
		rui, c := w.calls(t, w.card("rui"))
		sent := make(chan error, 1)
		say := func(label uint16) (req wire.WriteRequest) {
			t.Helper()
			go func() {
				_, err := c.SendAs(t.Context(), wire.Level{Rank: label}, "typed")
				sent <- err
			}()
			return answerOf(w.relay, func(wire.WriteRequest) bool { return true })
		}
		granted := func(r wire.WriteRequest) {
			w.relay.send(w.relay.control, wire.EnvelopeControl, wire.Done{Req: r.Req}.Append(nil))
		}
		late := func(what string, began time.Time) {
			t.Helper()
			warning := next[*peer.Warning](t, c)
			if took := time.Since(began); warning.Code != "timeout" || !strings.Contains(warning.Text, c.Person.Name+" under "+what) || took < 10*time.Second || took > 11*time.Second {
				t.Errorf("after %v: %+v", took, warning)
			}
		}
		asked := say(0)
		time.Sleep(9 * time.Second) // virtual
		granted(asked)
		must(t, soon(t, sent))
		rui.hear(0)

		began := time.Now()
		asked = say(1)
		late("label 1", began) // and not of the one before
		if n := w.relay.count(func(a *arrival) bool { return isContent(a) && a.stream == rui.lane.ID }); n > 0 || len(sent) > 0 {
			t.Fatal("it went out all the same")
		}
		granted(asked)
		must(t, soon(t, sent))
		rui.hear(1)

		began = time.Now()
		other := wire.Level{Rank: 1, Compartments: []string{"a"}}
		w.level.Compartments = other.Compartments
		rui, c = w.calls(t, w.card("nuno"))
		_, err := w.victim.QueueAs(c.Person.Identity, other, "which waits")
		must(t, err)
		_, err = c.Send(t.Context(), "behind it")
		must(t, err)
		asked = answerOf(w.relay, func(r wire.WriteRequest) bool { return r.Label.Equal(other) })
		late("label 1{a}", began)
		if n := w.relay.count(func(a *arrival) bool { return isContent(a) && a.stream == rui.lane.ID }); n > 1 { // the machine
			t.Fatal("it went out all the same")
		}
		granted(asked)
		if got := rui.hear(1); got.Text != "behind it" {
			t.Errorf("%q", got.Text)
		}
	})
}

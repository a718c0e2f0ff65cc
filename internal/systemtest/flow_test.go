package systemtest

import (
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"sinete/peer"
	"sinete/relay"
	"sinete/relay/flow"
	"sinete/wire"
)

// becomes gives an identity another level, at the running relay too.
func (w *world) becomes(identity string, level wire.Level) {
	w.mu.Lock()
	w.levels[identity] = level
	w.mu.Unlock()
	w.changed <- struct{}{}
}

// A level that changes is told at once, ends the conversations that it concerns and no others, and is in force in the next ones: what waited
// goes out under it, or no more where the direction is closed now.
func TestLevelChangesInSession(t *testing.T) {
	simulated(t, nil, func(t *testing.T, w *world) {
		birds := newCanary(t, w)
		low, high := w.card("low"), w.card("high")
		w.grants(w.identity(high), wire.Level{Rank: 1}, false)
		lowly, mighty := w.login(low), w.login(high)
		up, down := connect(t, lowly, mighty)
		talk(t, down, up, "as one of rank 1")
		if m := len(up.Level.Compartments); up.MayWrite || m != 0 || down.Level.Rank != 1 {
			t.Fatalf("low may write: %v; levels %v and %v", up.MayWrite, up.Level, down.Level)
		}

		raised := wire.Level{Rank: 2, Compartments: []string{"ops"}}
		w.becomes(lowly.Identity(), raised)
		if l := sessionNext[*peer.LevelChanged](t, lowly); !l.Level.Equal(raised) || !lowly.Level().Equal(raised) {
			t.Errorf("low was told of level %v", l.Level)
		}
		over(t, up, wire.CodeLevelChanged, 0)
		over(t, down, wire.CodeLevelChanged, 0)
		if p := listed(t, mighty, lowly); !p.Level.Equal(raised) || p.Send {
			t.Errorf("high sees %+v", p)
		}
		birds.sings(t)

		up, down = connect(t, lowly, mighty)
		if !up.MayWrite || up.OtherMay || !up.Level.Equal(raised) {
			t.Errorf("the directions are %v and %v, the label %v", up.MayWrite, up.OtherMay, up.Level)
		}
		n := sendText(t, up, "from above")
		if m := next[*peer.Message](t, down); m.Number != n || !m.Label.Equal(raised) {
			t.Errorf("received %+v", m)
		}
		birds.sings(t)
	})
}

// Where no direction is left, the conversation ends with flow-denied, and there is none again.
func TestLevelForbidsConversation(t *testing.T) {
	simulated(t, func(c *relay.Config) { c.Flow = flow.Equal }, func(t *testing.T, w *world) {
		alice, bob := w.login(w.card("alice")), w.login(w.card("bob"))
		a, b := connect(t, alice, bob)
		talk(t, a, b, "equals")
		w.becomes(bob.Identity(), wire.Level{Rank: 1})
		over(t, a, wire.CodeFlowDenied, 0)
		over(t, b, wire.CodeFlowDenied, 0)
		_, err := alice.Connect(t.Context(), listed(t, alice, bob).ID, nil)
		refused(t, err, wire.CodeFlowDenied)
		w.becomes(bob.Identity(), wire.Level{})
		sessionNext[*peer.LevelChanged](t, bob)
		sessionNext[*peer.LevelChanged](t, bob)
		a, b = connect(t, alice, bob)
		talk(t, a, b, "again")
	})
}

// An identity that has no level is turned away, and one whose level is taken away is out at once.
func TestOnlyKnownIdentities(t *testing.T) {
	var mu sync.Mutex
	known := map[string]bool{}
	knows := func(identity string, is bool) {
		mu.Lock()
		defer mu.Unlock()
		known[identity] = is
	}
	simulated(t, func(c *relay.Config) {
		of := c.Level
		c.Level = func(identity string) (flow.Subject, bool) {
			s, _ := of(identity)
			mu.Lock()
			defer mu.Unlock()
			return s, known[identity]
		}
	}, func(t *testing.T, w *world) {
		alice := w.card("alice")
		turnedAway(t, tryLogin(t, w.config(alice)), wire.CodeFlowDenied)
		knows(w.identity(alice), true)
		s := w.login(alice)
		knows(w.identity(alice), false)
		w.becomes("nobody", wire.Level{})
		<-s.Done()
		if e := sessionNext[*peer.SessionClosed](t, s); wire.CodeOf(e.Err) != wire.CodeFlowDenied {
			t.Errorf("the session ended with %v", e.Err)
		}
	})
}

// answers asks for a conversation with an id and returns all that the relay answers, and how long that takes.
func (e *evil) answers(id uint32) (answer []byte, took time.Duration) {
	e.t.Helper()
	start := time.Now()
	e.ask(func(req uint64) wire.Control { return wire.Connect{Req: req, ID: id, Suites: e.suites} })
	r := answerOf(e, func(r wire.Refused) bool { return r.Req == e.req })
	took = time.Since(start)
	r.Req = 0
	return r.Append(nil), took
}

// With visibility cleared nobody finds out about those whom they are not cleared for: they are in no list, and asking for one of them is
// answered like asking for nobody, in the same bytes and the same time. Those who are cleared see them, and can ask.
func TestVisibilityCleared(t *testing.T) {
	simulated(t, func(c *relay.Config) { c.Cleared = true }, func(t *testing.T, w *world) {
		ops := w.card("ops")
		w.grants(w.identity(ops), wire.Level{Compartments: []string{"ops"}}, false)
		high := w.card("high")
		w.grants(w.identity(high), wire.Level{Rank: 1, Compartments: []string{"ops"}}, false)
		hidden, mighty, plain := w.login(ops), w.login(high), w.login(w.card("plain"))
		mallory := w.evilPeer(t, w.card("mallory"))

		if people := mallory.list(); len(people) != 1 || people[0].Identity != plain.Identity() {
			t.Fatalf("somebody who is not cleared sees %v", people)
		}
		people, err := mighty.List(t.Context())
		must(t, err)
		if len(people) != 3 {
			t.Errorf("somebody who is cleared sees %v", people)
		}
		id := listed(t, mighty, hidden).ID
		nobody := id + 1
		for slices.ContainsFunc(people, func(p peer.Person) bool { return p.ID == nobody }) {
			nobody++
		}
		synctest.Wait()
		hiddenAnswer, hiddenTook := mallory.answers(id)
		nobodyAnswer, nobodyTook := mallory.answers(nobody)
		if !slices.Equal(hiddenAnswer, nobodyAnswer) || hiddenTook != nobodyTook || hiddenTook == 0 {
			t.Errorf("of somebody hidden the relay says %x after %v, of nobody %x after %v", hiddenAnswer, hiddenTook, nobodyAnswer, nobodyTook)
		}
		a, b := connect(t, mighty, hidden)
		talk(t, a, b, "found")
	})
}

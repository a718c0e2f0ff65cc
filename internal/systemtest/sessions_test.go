package systemtest

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"sinete/cardauth/cardtest"
	"sinete/peer"
	"sinete/peer/store"
	"sinete/relay"
	"sinete/transport"
	"sinete/transport/transporttest"
	"sinete/wire"
)

// leakFree fails the test if anything that it started still runs when all its clean-up is done. It comes first in a test. Bubbles
// need none of it: they do not end before their goroutines have.
func leakFree(t *testing.T) {
	before := goleak.IgnoreCurrent()
	t.Cleanup(func() { goleak.VerifyNone(t, before) })
}

// simulated runs a test in virtual time, over a network that it can cut.
func simulated(t *testing.T, edit func(*relay.Config), test func(t *testing.T, w *world)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		test(t, newWorld(t, transporttest.New(t, transporttest.Options{Latency: 5 * time.Millisecond}), edit))
	})
}

// loginAt logs in from an address that the test can cut.
func (w *world) loginAt(cfg peer.Config) (*peer.Session, net.Addr) {
	w.t.Helper()
	socket := w.network.Endpoint()
	cfg.Socket = func() (net.PacketConn, net.Addr, error) { return socket, w.address, nil }
	return w.loginWith(cfg), socket.LocalAddr()
}

// tryLogin expects a login to fail.
func tryLogin(t *testing.T, cfg peer.Config) error {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	s, err := peer.Login(ctx, cfg)
	if err == nil {
		_ = s.Close(ctx)
		t.Fatal("a login that must fail went through")
	}
	return err
}

// turnedAway expects the relay's number, and nothing else about the reason.
func turnedAway(t *testing.T, err error, number wire.Code) {
	t.Helper()
	if c, ok := errors.AsType[*transport.CloseError](err); !ok || c.Number != number || !c.Remote {
		t.Fatalf("%v (%T) where the relay should close with %v", err, err, number)
	}
}

func refused(t *testing.T, err error, number wire.Code) *peer.RefusedError {
	t.Helper()
	r, ok := errors.AsType[*peer.RefusedError](err)
	if !ok || r.Number != number {
		t.Fatalf("%v (%T) where the relay should refuse with %v", err, err, number)
	}
	return r
}

// listed is a session as another sees it in the list.
func listed(t *testing.T, by, who *peer.Session) peer.Person {
	t.Helper()
	people, err := by.List(t.Context())
	must(t, err)
	i := slices.IndexFunc(people, func(p peer.Person) bool { return p.Identity == who.Identity() })
	if i < 0 {
		t.Fatalf("%s is not in the list of %s", who.Name(), by.Name())
	}
	return people[i]
}

// talk sends texts one by one, each shown once at the other end, in order, and acknowledged.
func talk(t *testing.T, from, to *peer.Conversation, texts ...string) {
	t.Helper()
	for _, text := range texts {
		n := sendText(t, from, text)
		if m := next[*peer.Message](t, to); m.Text != text || m.Number != n {
			t.Fatalf("%q with number %d arrived where %q with number %d was sent", m.Text, m.Number, text, n)
		}
		delivered(t, from, n)
	}
}

// over expects the end of a conversation.
func over(t *testing.T, c *peer.Conversation, number wire.Code, queued int) {
	t.Helper()
	if e := next[*peer.Closed](t, c); e.Number != number || e.Queued != queued {
		t.Fatalf("closed with %v and %d queued, not with %v and %d", e.Number, e.Queued, number, queued)
	}
}

// sessionNext takes the session's next event of type E, passing over the others.
func sessionNext[E peer.Event](t *testing.T, s *peer.Session) E {
	t.Helper()
	for {
		e, err := s.Next(t.Context())
		must(t, err)
		if e, ok := e.(E); ok {
			return e
		}
	}
}

// The owner is there: a second login with the same card is turned away and disturbs nothing.
func TestCardInUse(t *testing.T) {
	simulated(t, nil, func(t *testing.T, w *world) {
		card := w.card("alice")
		alice, bob := w.login(card), w.login(w.card("bob"))
		a, b := connect(t, alice, bob)
		talk(t, a, b, "before")
		turnedAway(t, tryLogin(t, w.config(card)), wire.CodeCardInUse)
		turnedAway(t, tryLogin(t, w.config(w.card("alice"))), wire.CodeCardInUse) // a renewed card is the same person
		talk(t, a, b, "after")
		talk(t, b, a, "and back")
	})
}

// inProcess is a slow card for which no relay lets newcomers queue as they do for a key elsewhere.
type inProcess struct{ *cardtest.Fake }

func (inProcess) Software() bool { return true }

// Many logins race with one card: one is in, whoever it is.
func TestRacingLogins(t *testing.T) {
	// Slow, so that all have proved who they are before one is in.
	slow := func(c *relay.Config) { c.Card = inProcess{cardtest.NewFake(c.Card, 100*time.Millisecond)} }
	simulated(t, slow, func(t *testing.T, w *world) {
		const racers = 100
		card, bob := w.card("alice"), w.login(w.card("bob"))
		var racing sync.WaitGroup
		sessions, errs := make([]*peer.Session, racers), make([]error, racers)
		for i := range racers {
			racing.Go(func() { sessions[i], errs[i] = peer.Login(t.Context(), w.config(card)) })
		}
		racing.Wait()
		var winners []*peer.Session
		for i, s := range sessions {
			if s != nil {
				winners = append(winners, s)
			} else if _, full := errors.AsType[*transport.RefusedError](errs[i]); !full { // QUIC's own queue of newcomers is short
				turnedAway(t, errs[i], wire.CodeCardInUse)
			}
		}
		if len(winners) != 1 {
			t.Fatalf("%d of %d racing logins are in", len(winners), racers)
		}
		a, b := connect(t, winners[0], bob)
		talk(t, a, b, "it works")
		must(t, winners[0].Close(t.Context()))
	})
}

// A session that has gone silent does not lock its owner out: a fresh login supersedes it within seconds.
func TestFrozenSessionIsSuperseded(t *testing.T) {
	simulated(t, nil, func(t *testing.T, w *world) {
		card := w.card("alice")
		ghost, addr := w.loginAt(w.config(card))
		bob := w.login(w.card("bob"))
		a, b := connect(t, ghost, bob)
		talk(t, a, b, "still here")

		w.network.Cut(addr)
		start := time.Now()
		alice := w.login(card)
		if took := time.Since(start); took > 5*time.Second {
			t.Errorf("taking over took %v", took)
		}
		over(t, b, wire.CodeSuperseded, 0)
		a, b = connect(t, alice, bob)
		talk(t, a, b, "me again")
		talk(t, b, a, "welcome back")
		turnedAway(t, tryLogin(t, w.config(card)), wire.CodeCardInUse)
	})
}

// Who has left in order is let in again at once.
func TestLoginAfterClose(t *testing.T) {
	leakFree(t)
	w := newWorld(t, nil, nil)
	card := w.card("alice")
	for i := range 20 {
		s, err := peer.Login(t.Context(), w.config(card))
		if err != nil {
			t.Fatalf("login %d: %v", i, err)
		}
		must(t, s.Close(t.Context()))
	}
}

// A renewed card has another key and is the same person: same id, same level, and what was not confirmed goes out to them.
func TestRenewedCard(t *testing.T) {
	simulated(t, nil, func(t *testing.T, w *world) {
		old, renewed := w.card("bob"), w.card("bob")
		if old.Certificate().Equal(renewed.Certificate()) || w.identity(old) != w.identity(renewed) {
			t.Fatal("a renewed card must be another certificate of the same identity")
		}
		w.grants(w.identity(old), wire.Level{Rank: 3, Compartments: []string{"ops"}}, false)
		w.grants(w.identity(w.card("alice")), wire.Level{Rank: 5}, false)
		alice := w.login(w.card("alice"))
		bob, addr := w.loginAt(w.config(old))
		a, b := connect(t, alice, bob)
		talk(t, a, b, "to the old card")
		before := listed(t, alice, bob)

		w.network.Cut(addr)
		n := sendText(t, a, "to whichever card")
		bob = w.login(renewed)
		over(t, a, wire.CodeSuperseded, 1)
		after := listed(t, alice, bob)
		if after.ID != before.ID || !after.Level.Equal(before.Level) || after.Level.Rank != 3 {
			t.Errorf("the renewed card is %+v, the old one was %+v", after, before)
		}
		a, b = connect(t, alice, bob)
		if m := next[*peer.Message](t, b); m.Text != "to whichever card" || m.Number != n {
			t.Errorf("the renewed card received %+v", m)
		}
		delivered(t, a, n)
		must(t, bob.Close(t.Context()))
		must(t, w.login(old).Close(t.Context())) // either card is let in when the other is out
		w.login(renewed)
	})
}

// The connection breaks in the middle of a conversation: both sides are told, nothing is lost, nothing is shown twice.
func TestConnectionCut(t *testing.T) {
	simulated(t, nil, func(t *testing.T, w *world) {
		alice := w.login(w.card("alice"))
		card := w.card("bob")
		cfg := w.config(card)
		cfg.Store = store.NewMemory()
		bob, addr := w.loginAt(cfg)
		a, b := connect(t, alice, bob)
		talk(t, a, b, "zero", "one")
		talk(t, b, a, "zero back")

		w.network.Cut(addr)
		var numbers []uint64
		for i := range 10 {
			numbers = append(numbers, sendText(t, a, fmt.Sprint("in the dark ", i)))
			sendText(t, b, fmt.Sprint("from the dark ", i))
		}
		over(t, a, wire.CodeCut, 10)
		over(t, b, wire.CodeCut, 10)
		later, err := alice.Queue(bob.Identity(), "queued without a conversation")
		must(t, err)

		bob, _ = w.loginAt(cfg)
		a, b = connect(t, alice, bob)
		for i, n := range numbers {
			if m := next[*peer.Message](t, b); m.Number != n || m.Text != fmt.Sprint("in the dark ", i) {
				t.Fatalf("bob received %d %q", m.Number, m.Text)
			}
			if m := next[*peer.Message](t, a); m.Number != uint64(1+i) || m.Text != fmt.Sprint("from the dark ", i) {
				t.Fatalf("alice received %d %q", m.Number, m.Text)
			}
		}
		if m := next[*peer.Message](t, b); m.Number != later || m.Text != "queued without a conversation" {
			t.Fatalf("bob received %d %q", m.Number, m.Text)
		}
		delivered(t, a, later)
		talk(t, a, b, "numbers go on")
	})
}

// A message had arrived and been shown, only its H3 was lost: it is acknowledged in the next conversation and not shown again.
func TestShownOnce(t *testing.T) {
	simulated(t, nil, func(t *testing.T, w *world) {
		cfg := w.config(w.card("alice"))
		cfg.Store = store.NewMemory()
		alice, addr := w.loginAt(cfg)
		bob := w.login(w.card("bob"))
		a, b := connect(t, alice, bob)
		n := sendText(t, a, "once")
		nextThat(t, a, func(r *peer.Receipt) bool { return r.Stage == peer.StageRelay })
		w.network.Cut(addr)
		if m := next[*peer.Message](t, b); m.Text != "once" {
			t.Fatalf("bob received %+v", m)
		}
		over(t, a, wire.CodeCut, 1)
		over(t, b, wire.CodeCut, 0)

		alice = w.loginWith(cfg)
		a, b = connect(t, alice, bob)
		next[*peer.MachineStatement](t, b) // a program that takes events
		delivered(t, a, n)
		talk(t, a, b, "twice")
	})
}

// A relay that shuts down warns, closes what is left after the time it announced, and ends.
func TestRelayShutsDown(t *testing.T) {
	simulated(t, nil, func(t *testing.T, w *world) {
		alice, bob, carol := w.login(w.card("alice")), w.login(w.card("bob")), w.login(w.card("carol"))
		a, b := connect(t, alice, bob)
		talk(t, a, b, "before")
		go w.stop()
		for _, s := range []*peer.Session{alice, bob, carol} {
			if e := sessionNext[*peer.Warning](t, s); e.Code != "going-away" {
				t.Fatalf("%s is warned of %+v", s.Name(), e)
			}
		}
		start := time.Now()
		talk(t, a, b, "the time to say goodbye")
		must(t, carol.Close(t.Context()))
		over(t, a, wire.CodeGoingAway, 0)
		over(t, b, wire.CodeGoingAway, 0)
		for _, s := range []*peer.Session{alice, bob} {
			turnedAway(t, sessionNext[*peer.SessionClosed](t, s).Err, wire.CodeGoingAway)
		}
		if took := time.Since(start); took < 4*time.Second || took > 6*time.Second {
			t.Errorf("the relay closed after %v", took)
		}
		if err := tryLogin(t, w.config(w.card("dave"))); wire.CodeOf(err) != wire.CodeCut && wire.CodeOf(err) != wire.CodeBusy {
			t.Errorf("a login at a relay that is gone: %v", err)
		}
	})
}

// Requests that make no sense are refused, and the session goes on.
func TestConnectRefused(t *testing.T) {
	leakFree(t)
	w := newWorld(t, nil, nil)
	alice, bob := w.login(w.card("alice")), w.login(w.card("bob"))
	try := func(id uint32) error {
		_, err := alice.Connect(t.Context(), id, nil)
		return err
	}
	refused(t, try(4711), wire.CodeUnknownPeer)
	refused(t, try(listed(t, bob, alice).ID), wire.CodeUnknownPeer) // oneself
	a, b := connect(t, alice, bob)
	refused(t, try(listed(t, alice, bob).ID), wire.CodeAlreadyConnected)
	talk(t, a, b, "undisturbed")
}

// Two who ask for each other at the same moment have one conversation.
func TestConnectCrosswise(t *testing.T) {
	simulated(t, nil, func(t *testing.T, w *world) {
		alice, bob := w.login(w.card("alice")), w.login(w.card("bob"))
		atBob, atAlice := listed(t, alice, bob).ID, listed(t, bob, alice).ID
		for range 20 {
			var asking sync.WaitGroup
			var errs [2]error
			asking.Go(func() { _, errs[0] = alice.Connect(t.Context(), atBob, nil) })
			asking.Go(func() { _, errs[1] = bob.Connect(t.Context(), atAlice, nil) })
			asking.Wait()
			for _, err := range errs {
				if err != nil {
					refused(t, err, wire.CodeAlreadyConnected)
				}
			}
			if (errs[0] == nil) == (errs[1] == nil) {
				t.Fatalf("of two who asked, the answers were %v and %v", errs[0], errs[1])
			}
			a := sessionNext[*peer.Opened](t, alice).Conversation
			b := sessionNext[*peer.Opened](t, bob).Conversation
			if a.ID != b.ID {
				t.Fatal("two conversations between two people")
			}
			talk(t, a, b, "one conversation")
			must(t, a.Disconnect(t.Context()))
			over(t, b, wire.CodePeerLeft, 0)
		}
	})
}

package systemtest

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"sinete/cardauth"
	"sinete/peer"
	"sinete/peer/presence"
	"sinete/wire"
)

// A card that takes a second a signature and wants its PIN for each: one PIN in a whole chat of two hours with three lost connections. All
// that was said arrives, once and in order, under numbers that go on.
func TestOnePINForAWholeChat(t *testing.T) {
	simulated(t, graceful, func(t *testing.T, w *world) {
		cfg, card := w.home("alice")
		alice, bob := w.dwell(t, cfg), w.dwell(t, w.plain("bob"))
		if alice.Session().Signing() != peer.SignDelegated {
			t.Fatalf("%v seals with a card that wants its PIN for each signature", alice.Session().Signing())
		}
		alice.connects(bob)
		start := time.Now()
		var hers, his []string
		for minute := range 120 {
			switch minute {
			case 20, 60, 100:
				alice.cut()
			case 22, 64, 107:
				alice.mend()
			}
			hers, his = append(hers, fmt.Sprint("alice ", minute)), append(his, fmt.Sprint("bob ", minute))
			alice.says(bob, hers[minute])
			bob.says(alice, his[minute])
			time.Sleep(time.Minute) // virtual
		}
		reunited(alice, bob)
		bob.has(alice, hers...)
		alice.has(bob, his...)
		if took := time.Since(start); took < 2*time.Hour {
			t.Errorf("the chat took %v", took)
		}
		alice.mu.Lock()
		if aways, backs := number[*peer.Away](alice), number[*peer.Back](alice); aways != 3 || backs != 3 {
			t.Errorf("alice was away %d times and back %d times", aways, backs)
		}
		alice.mu.Unlock()
		if card.PINs() != 1 || card.Signatures() != 1 {
			t.Errorf("the card wanted its PIN %d times and signed %d times", card.PINs(), card.Signatures())
		}
		for _, c := range bob.all() {
			if !c.Delegated() {
				t.Error("bob is not told that a delegated key seals")
			}
		}
	})
}

// Beyond the relay's time for coming back the card is asked again, once.
func TestAwayForTooLong(t *testing.T) {
	simulated(t, graceful, func(t *testing.T, w *world) {
		cfg, card := w.home("alice")
		alice, bob := w.dwell(t, cfg), w.dwell(t, w.plain("bob"))
		alice.connects(bob)
		alice.cut()
		time.Sleep(grace + 2*time.Minute)
		alice.mend()
		reunited(alice, bob)
		if card.PINs() != 2 {
			t.Errorf("the card wanted its PIN %d times", card.PINs())
		}
	})
}

// What trying again cannot heal ends it, with the reason: somebody else took the session over, and nobody fights for it.
func TestSupersededForGood(t *testing.T) {
	simulated(t, graceful, func(t *testing.T, w *world) {
		cfg, _ := w.home("alice")
		alice := w.dwell(t, cfg)
		alice.cut()
		elsewhere := w.login(cfg.Card)
		alice.mend()
		alice.until("the end", func() bool { return number[*peer.SessionClosed](alice) == 1 })
		if err := alice.last().(*peer.SessionClosed).Err; wire.CodeOf(err) != wire.CodeSuperseded {
			t.Errorf("it ended with %v", err)
		}
		if !elsewhere.Alive() {
			t.Error("the session elsewhere was disturbed")
		}
	})
}

// Pulling out the card ends the session in order; the same card back begins it again, with its PIN, and the conversations too.
func TestCardTakenOut(t *testing.T) {
	for _, signing := range []peer.Signing{peer.SignCard, peer.SignDelegated} {
		simulated(t, graceful, func(t *testing.T, w *world) {
			cfg, card := w.home("alice")
			cfg.Sign = signing
			alice, bob := w.dwell(t, cfg), w.dwell(t, w.plain("bob"))
			alice.connects(bob)
			asked := card.PINs()
			start := time.Now()
			card.Remove()
			alice.until("the end of the session", func() bool { return number[*peer.Away](alice) == 1 })
			if took := time.Since(start); took > 3*time.Second {
				t.Errorf("it took %v to leave", took)
			}
			if e := alice.last().(*peer.Away); e.Err != presence.ErrRemoved {
				t.Errorf("away for %v", e.Err)
			}
			time.Sleep(time.Hour)
			if card.PINs() != asked {
				t.Error("a card that is away was asked for its PIN")
			}
			if len(bob.Session().Conversations()) > 0 {
				t.Error("the conversation goes on without the card")
			}
			bob.says(alice, "where are you?")
			alice.says(bob, "here")
			card.Insert()
			reunited(alice, bob)
			alice.has(bob, "where are you?")
			bob.has(alice, "here")
		})
	}
}

// With Wait a session whose card is away says so to the relay and goes on when it is back; later than others wait, it has left.
func TestWaitForTheCard(t *testing.T) {
	simulated(t, graceful, func(t *testing.T, w *world) {
		cfg, card := w.home("alice")
		cfg.Sign, cfg.OnRemoval = peer.SignCard, presence.Wait
		alice, bob := w.dwell(t, cfg), w.dwell(t, w.plain("bob"))
		alice.connects(bob)
		card.Remove()
		alice.says(bob, "without a seal")
		time.Sleep(2 * time.Minute)
		card.Insert()
		bob.has(alice, "without a seal")
		if kinds := alice.kinds(); len(kinds) != 1 {
			t.Errorf("meanwhile: %v", kinds)
		}
		card.Remove()
		alice.says(bob, "much later")
		alice.until("the end of the session", func() bool { return number[*peer.Away](alice) == 1 })
		if e := alice.last().(*peer.Away); e.Err != presence.ErrRemoved {
			t.Errorf("away for %v", e.Err)
		}
		card.Insert()
		reunited(alice, bob)
		bob.has(alice, "without a seal", "much later")
	})
}

// A card that was away for a moment only, so that nobody says that it is back, has its seal all the same.
func TestWaitForTheCardOfAMoment(t *testing.T) {
	simulated(t, graceful, func(t *testing.T, w *world) {
		cfg, card := w.home("alice")
		cfg.Sign, cfg.OnRemoval = peer.SignCard, presence.Wait
		alice, bob := w.dwell(t, cfg), w.dwell(t, w.plain("bob"))
		alice.connects(bob)
		card.SetError(&cardauth.AbsentError{Card: "fake"})
		alice.says(bob, "in a moment")
		time.Sleep(time.Second)
		card.SetError(nil)
		bob.has(alice, "in a moment")
		if kinds := alice.kinds(); len(kinds) != 1 {
			t.Errorf("meanwhile: %v", kinds)
		}
	})
}

// Nobody types for long: the session ends in order, and the card is locked. Anything typed begins it again.
func TestIdleLogout(t *testing.T) {
	for _, removal := range []presence.Removal{presence.Leave, presence.Wait} {
		idleLogout(t, removal)
	}
}

func idleLogout(t *testing.T, removal presence.Removal) {
	simulated(t, graceful, func(t *testing.T, w *world) {
		cfg, card := w.home("alice")
		cfg.IdleLogout, cfg.OnRemoval = 10*time.Minute, removal
		alice, bob := w.dwell(t, cfg), w.dwell(t, w.plain("bob"))
		alice.connects(bob)
		for range 3 {
			time.Sleep(9 * time.Minute)
			alice.Touch()
		}
		if alice.Away() || card.Locks() > 0 {
			t.Fatal("somebody who types is logged out")
		}
		time.Sleep(11 * time.Minute)
		if e, ok := alice.last().(*peer.Away); !ok || e.Err != presence.ErrIdle {
			t.Fatalf("%v", alice.kinds())
		}
		time.Sleep(time.Hour)
		if card.PINs() != 1 {
			t.Error("the card was asked while nobody was there")
		}
		if card.Locks() != 1 {
			t.Errorf("the card was locked %d times", card.Locks())
		}
		alice.Touch()
		alice.says(bob, "back from lunch")
		reunited(alice, bob)
		bob.has(alice, "back from lunch")
		if card.PINs() != 2 {
			t.Errorf("the card wanted its PIN %d times", card.PINs())
		}
	})
}

// A delegation ends: the person is warned, the card logs in anew, and the conversation goes on.
func TestDelegationRunsOut(t *testing.T) {
	simulated(t, graceful, func(t *testing.T, w *world) {
		cfg, card := w.home("alice")
		alice, bob := w.dwell(t, cfg), w.dwell(t, w.plain("bob"))
		alice.connects(bob)
		until := alice.Session().Standing().Until()
		time.Sleep(time.Until(until) - 4*time.Minute)
		if kinds := alice.kinds(); kinds[len(kinds)-1] != "warning: certificate-expired" {
			t.Errorf("%v", kinds)
		}
		time.Sleep(time.Until(until) + time.Minute)
		reunited(alice, bob)
		alice.says(bob, "the next day")
		bob.has(alice, "the next day")
		if card.PINs() != 2 || !alice.Session().Standing().Until().After(until) {
			t.Errorf("the card wanted its PIN %d times; the delegation ends at %v", card.PINs(), alice.Session().Standing().Until())
		}
	})
}

// Who leaves in the middle of coming back has left.
func TestLeavingWhileAway(t *testing.T) {
	simulated(t, graceful, func(t *testing.T, w *world) {
		for _, wait := range []time.Duration{0, 200 * time.Millisecond, time.Second, 3 * time.Second, 20 * time.Second} {
			alice := w.dwell(t, w.plain("alice"))
			alice.cut()
			alice.until("being away", func() bool { return number[*peer.Away](alice) == 1 })
			time.Sleep(wait)
			start := time.Now()
			_ = alice.Close(t.Context())
			if took := time.Since(start); took > time.Second {
				t.Errorf("leaving after %v took %v", wait, took)
			}
			alice.following.Wait()
			if e := alice.last().(*peer.SessionClosed); e.Err != nil {
				t.Errorf("left with %v", e.Err)
			}
		}
	})
}

// A wrong PIN on the way back is not tried again.
func TestWrongPINOnTheWayBack(t *testing.T) {
	simulated(t, nil, func(t *testing.T, w *world) {
		cfg, card := w.home("alice")
		alice := w.dwell(t, cfg)
		alice.cut()
		alice.until("being away", func() bool { return number[*peer.Away](alice) == 1 })
		card.SetError(&cardauth.PINError{Card: "fake"})
		asked := card.PINs()
		alice.mend()
		alice.until("the end", func() bool { return number[*peer.SessionClosed](alice) == 1 })
		if _, ok := errors.AsType[*cardauth.PINError](alice.last().(*peer.SessionClosed).Err); !ok {
			t.Errorf("%v", alice.kinds())
		}
		if card.PINs() != asked+1 {
			t.Errorf("the PIN was asked for %d times", card.PINs()-asked)
		}
	})
}

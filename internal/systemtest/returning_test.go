package systemtest

import (
	"context"
	"errors"
	"net"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"sinete/cardauth"
	"sinete/cardauth/cardtest"
	"sinete/cardauth/seal"
	"sinete/peer"
	"sinete/peer/store"
	"sinete/relay"
	"sinete/wire"
)

const grace = 10 * time.Minute

func graceful(c *relay.Config) { c.DelegationGrace = grace }

// delegating is the configuration of a person whose card delegates, with a card that counts.
func (w *world) delegating(name string) (peer.Config, *cardtest.Fake) {
	card := cardtest.NewFake(w.card(name), 0)
	cfg := w.config(card)
	cfg.Sign, cfg.Store = peer.SignDelegated, store.NewMemory()
	return cfg, card
}

// gone waits until the relay has given up a session that was cut.
func gone() { time.Sleep(time.Minute) } // virtual

// After a lost connection the delegation logs in, and the card signs nothing.
func TestReturn(t *testing.T) {
	simulated(t, graceful, func(t *testing.T, w *world) {
		cfg, card := w.delegating("alice")
		alice, addr := w.loginAt(cfg)
		bob := w.login(w.card("bob"))
		cfg.Standing = alice.Standing()
		for range 3 {
			a, b := connect(t, alice, bob)
			talk(t, a, b, "here")
			w.network.Cut(addr)
			over(t, b, wire.CodeCut, 0)
			gone()
			alice, addr = w.loginAt(cfg)
			if alice.Signing() != peer.SignDelegated || !alice.Standing().Until().Equal(cfg.Standing.Until()) {
				t.Errorf("it came back sealing by %v, until %v", alice.Signing(), alice.Standing().Until())
			}
		}
		if card.Signatures() != 1 {
			t.Errorf("the card signed %d times", card.Signatures())
		}
	})
}

// A program that comes back finds its own session still there: it takes its place at once, without a probe.
func TestReturnSupersedes(t *testing.T) {
	simulated(t, graceful, func(t *testing.T, w *world) {
		cfg, _ := w.delegating("alice")
		bob := w.login(w.card("bob"))
		ghost := w.loginWith(cfg) // alive even
		a, b := connect(t, ghost, bob)
		talk(t, a, b, "before")
		cfg.Standing = ghost.Standing()
		start := time.Now()
		alice := w.loginWith(cfg)
		if took := time.Since(start); took > time.Second {
			t.Errorf("taking over took %v", took)
		}
		turnedAway(t, sessionNext[*peer.SessionClosed](t, ghost).Err, wire.CodeSuperseded)
		over(t, b, wire.CodeCut, 0)
		a, b = connect(t, alice, bob)
		talk(t, a, b, "after")
	})
}

// Many programs race with one delegation: one session is left, and it works.
func TestRacingReturns(t *testing.T) {
	slow := func(c *relay.Config) {
		graceful(c)
		c.Card = cardtest.NewFake(c.Card, 100*time.Millisecond) // so that many have proved themselves before one is in
	}
	simulated(t, slow, func(t *testing.T, w *world) {
		const racers = 200
		cfg, card := w.delegating("alice")
		alice, addr := w.loginAt(cfg)
		bob := w.login(w.card("bob"))
		cfg.Standing = alice.Standing()
		w.network.Cut(addr)
		gone()
		var racing sync.WaitGroup
		sessions := make([]*peer.Session, racers)
		for i := range racers {
			racing.Go(func() { sessions[i], _ = peer.Login(t.Context(), cfg) })
		}
		racing.Wait()
		synctest.Wait()
		var winner *peer.Session
		for _, s := range sessions {
			if s == nil {
				continue
			}
			select {
			case <-s.Done():
				turnedAway(t, sessionNext[*peer.SessionClosed](t, s).Err, wire.CodeSuperseded)
			default:
				if winner != nil {
					t.Fatal("two sessions of one identity")
				}
				winner = s
			}
		}
		if winner == nil {
			t.Fatal("nobody is in")
		}
		a, b := connect(t, winner, bob)
		talk(t, a, b, "one is in")
		if card.Signatures() != 1 {
			t.Errorf("the card signed %d times", card.Signatures())
		}
		must(t, winner.Close(t.Context()))
	})
}

// A delegation that may not come back here and now is refused, whoever brings it, and the card itself is let in.
func TestReturnRefused(t *testing.T) {
	for _, c := range []struct {
		name   string
		edit   func(*relay.Config)
		before func(t *testing.T, w *world, s *peer.Session, cfg *peer.Config, addr net.Addr)
		number wire.Code
	}{
		{"after the time for it", graceful, func(_ *testing.T, w *world, _ *peer.Session, _ *peer.Config, addr net.Addr) {
			w.network.Cut(addr)
			time.Sleep(grace + time.Minute)
		}, wire.CodeSigningRefused},
		{"at a relay that gives no time", nil, func(_ *testing.T, w *world, _ *peer.Session, _ *peer.Config, addr net.Addr) {
			w.network.Cut(addr)
			gone()
		}, wire.CodeSigningRefused},
		{"after a login with the card elsewhere", graceful, func(t *testing.T, w *world, _ *peer.Session, cfg *peer.Config, addr net.Addr) {
			w.network.Cut(addr)
			gone()
			elsewhere := w.config(cfg.Card)
			must(t, w.loginWith(elsewhere).Close(t.Context()))
		}, wire.CodeSigningRefused},
		{"after a later session of the card was lost", graceful, func(_ *testing.T, w *world, _ *peer.Session, cfg *peer.Config, addr net.Addr) {
			w.network.Cut(addr)
			gone()
			later := w.config(cfg.Card)
			later.Sign = peer.SignDelegated
			_, addr = w.loginAt(later)
			w.network.Cut(addr)
			gone()
		}, wire.CodeSigningRefused},
		{"while the card is logged in elsewhere", graceful, func(_ *testing.T, w *world, _ *peer.Session, cfg *peer.Config, addr net.Addr) {
			w.network.Cut(addr)
			w.login(cfg.Card)
		}, wire.CodeCardInUse},
		{"while a session of the card has gone silent", graceful, func(_ *testing.T, w *world, _ *peer.Session, cfg *peer.Config, addr net.Addr) {
			w.network.Cut(addr)
			_, ghost := w.loginAt(w.config(cfg.Card))
			w.network.Cut(ghost)
		}, wire.CodeSigningRefused},
	} {
		t.Run(c.name, func(t *testing.T) {
			simulated(t, c.edit, func(t *testing.T, w *world) {
				cfg, _ := w.delegating("alice")
				s, addr := w.loginAt(cfg)
				cfg = w.config(cfg.Card)
				cfg.Sign, cfg.Standing = peer.SignDelegated, s.Standing()
				c.before(t, w, s, &cfg, addr)
				turnedAway(t, tryLogin(t, cfg), c.number)
				if c.number == wire.CodeSigningRefused {
					cfg.Standing = nil
					must(t, w.loginWith(cfg).Close(t.Context()))
				}
			})
		})
	}
}

// Who leaves has erased the delegated key, also where the connection was lost before.
func TestLeavingErasesTheDelegatedKey(t *testing.T) {
	simulated(t, graceful, func(t *testing.T, w *world) {
		for _, lost := range []bool{false, true} {
			cfg, _ := w.delegating("alice")
			s, addr := w.loginAt(cfg)
			cfg.Standing = s.Standing()
			if lost {
				w.network.Cut(addr)
				gone()
				_ = s.Close(t.Context())
			} else {
				must(t, s.Close(t.Context()))
			}
			if _, err := peer.Login(t.Context(), cfg); !errors.Is(err, cardauth.ErrClosed) {
				t.Errorf("logged in with an erased key: %v", err)
			}
		}
	})
}

// A relay that was restarted remembers nobody: the delegation is refused, the card is let in.
func TestReturnToARestartedRelay(t *testing.T) {
	simulated(t, graceful, func(t *testing.T, w *world) {
		cfg, card := w.delegating("alice")
		s, _ := w.loginAt(cfg)
		cfg.Standing = s.Standing()
		w.restart(t)
		turnedAway(t, tryLogin(t, cfg), wire.CodeSigningRefused)
		cfg.Standing = nil
		w.loginWith(cfg)
		if card.Signatures() != 2 {
			t.Errorf("the card signed %d times", card.Signatures())
		}
	})
}

// Who has a delegation and not its key, or the key and no delegation of this relay, comes in nowhere.
func TestForgedReturn(t *testing.T) {
	simulated(t, graceful, func(t *testing.T, w *world) {
		birds := newCanary(t, w)
		card, others := w.card("mallory"), w.card("other")
		soon := time.Now().Add(time.Hour)
		lost := w.evilDelegate(t, card) // a session whose delegation may come back
		shown := lost.credentials.Delegation
		var earlier wire.Seal // of TH2, at a return that succeeded
		proofBy := func(by *seal.Sealer) func([]byte) (wire.Seal, *wire.SealedDelegation) {
			return func(th2 []byte) (wire.Seal, *wire.SealedDelegation) {
				earlier = sealStatements(t, by, seal.Statement{Purpose: wire.PurposeInitiator, Bytes: th2})[0]
				return earlier, nil
			}
		}
		back, err := w.evilReturn(t, card, shown, proofBy(lost.sealer))
		must(t, err)
		back.sealer = lost.sealer
		lost.thrownOut(wire.CodeSuperseded)
		seen := earlier

		thief, err := cardauth.NewDelegate(relayName, soon)
		must(t, err)
		foreign := delegate(t, others, soon, relayName)
		unseen := delegate(t, card, soon, relayName)
		elsewhere := delegate(t, card, soon, "elsewhere.example")
		past := delegate(t, card, time.Now().Add(30*time.Second), relayName)
		time.Sleep(31 * time.Second) // virtual
		for _, c := range []struct {
			name   string
			shown  *wire.SealedDelegation
			seals  func(th2 []byte) (wire.Seal, *wire.SealedDelegation)
			number wire.Code
		}{
			{"a delegation without its key", shown, proofBy(sealerOf(t, thief, wire.SignerHash(card.Certificate().Raw, shown.Statement))), wire.CodeAuthenticationFailed},
			{"a delegation with the card's own seal", shown, proveOnly(t, card), wire.CodeAuthenticationFailed},
			{"a proof of an earlier return", shown, func([]byte) (wire.Seal, *wire.SealedDelegation) { return seen, nil }, wire.CodeAuthenticationFailed},
			{"another's delegation", &foreign.made, proofBy(foreign.sealer(t, card)), wire.CodeAuthenticationFailed},
			{"a delegation for another relay", &elsewhere.made, proofBy(elsewhere.sealer(t, card)), wire.CodeWrongContext},
			{"a delegation past its time", &past.made, proofBy(past.sealer(t, card)), wire.CodeAuthenticationFailed},
			{"a delegated key that delegates", shown, func(th2 []byte) (wire.Seal, *wire.SealedDelegation) {
				s, _ := proofBy(lost.sealer)(th2)
				return s, &unseen.made
			}, wire.CodeUnexpected},
			{"a delegation that was never shown at a login", &unseen.made, proofBy(unseen.sealer(t, card)), wire.CodeSigningRefused},
		} {
			t.Log("forged:", c.name)
			_, err := w.evilReturn(t, card, c.shown, c.seals)
			turnedAway(t, err, c.number)
			back.list()
			birds.sings(t)
		}
		back.conn.Close(wire.CodeBye)
		time.Sleep(time.Second) // virtual
		_, err = w.evilReturn(t, card, &unseen.made, proofBy(unseen.sealer(t, card)))
		turnedAway(t, err, wire.CodeSigningRefused)
		_, err = w.evilReturn(t, card, shown, proofBy(lost.sealer)) // it left in order
		turnedAway(t, err, wire.CodeSigningRefused)
		birds.sings(t)
	})
}

// A relay that wants cards passes no delegation on, not even one in a conversation whose sessions the cards themselves seal.
func TestCardOnlyConversation(t *testing.T) {
	for _, role := range []wire.Role{wire.RoleInitiator, wire.RoleResponder} {
		simulated(t, func(c *relay.Config) { c.CardOnly = true }, func(t *testing.T, w *world) {
			birds := newCanary(t, w)
			card := w.card("mallory")
			mallory, bob := w.evilPeer(t, card), w.login(w.card("bob"))
			d := delegate(t, card, time.Now().Add(time.Hour), relayName)
			mallory.credentials.Delegation = &d.made
			if role == wire.RoleInitiator {
				bobs := mallory.entry(bob.Identity())
				mallory.ask(func(req uint64) wire.Control { return wire.Connect{Req: req, ID: bobs.ID, Suites: mallory.suites} })
				if _, err := mallory.tryJoin(w, role, nil); err == nil {
					t.Error("the relay passed a delegation on")
				}
			} else {
				asked := make(chan error)
				go func() {
					people, err := bob.List(context.Background())
					for _, p := range people {
						if p.Name == mallory.own.Name {
							_, err = bob.Connect(context.Background(), p.ID, nil)
						}
					}
					asked <- err
				}()
				if _, err := mallory.tryJoin(w, role, nil); err == nil {
					t.Error("the relay passed a delegation on")
				}
				if err := <-asked; wire.CodeOf(err) != wire.CodeSigningRefused {
					t.Errorf("bob's request ended with %v", err)
				}
			}
			answerOf(mallory, func(c wire.Closed) bool { return c.Number == wire.CodeSigningRefused })
			mallory.list()
			birds.sings(t)
		})
	}
}

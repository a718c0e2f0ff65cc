package systemtest

import (
	"errors"
	"slices"
	"testing"
	"time"

	"sinete/cardauth"
	"sinete/cardauth/seal"
	"sinete/peer"
	"sinete/transport"
	"sinete/wire"
)

// delegation is a key that a card has let seal for it.
type delegation struct {
	key  *cardauth.Delegate
	made wire.SealedDelegation
}

// delegate has a card delegate at some moment, for some relay.
func delegate(t *testing.T, card cardauth.Card, until time.Time, deployment string) *delegation {
	t.Helper()
	key, err := cardauth.NewDelegate(deployment, until)
	must(t, err)
	by := sealerOf(t, card, wire.SignerHash(card.Certificate().Raw, nil))
	s := sealStatements(t, by, seal.Statement{Purpose: wire.PurposeDelegation, Bytes: key.Statement()})[0]
	return &delegation{key, wire.SealedDelegation{Statement: key.Statement(), Seal: s}}
}

// sealer seals with the delegated key in the name of a certificate.
func (d *delegation) sealer(t *testing.T, card cardauth.Card) *seal.Sealer {
	return sealerOf(t, d.key, wire.SignerHash(card.Certificate().Raw, d.made.Statement))
}

// proveWith is for evilLogin: the card seals TH2, and the delegation is shown.
func proveWith(t *testing.T, card cardauth.Card, d *delegation) func(th2 []byte) (wire.Seal, *wire.SealedDelegation) {
	by := sealerOf(t, card, wire.SignerHash(card.Certificate().Raw, nil))
	return func(th2 []byte) (wire.Seal, *wire.SealedDelegation) {
		return sealStatements(t, by, seal.Statement{Purpose: wire.PurposeInitiator, Bytes: th2})[0], &d.made
	}
}

// evilDelegate is an evil peer whose login is honest and whose card has delegated for the longest time.
func (w *world) evilDelegate(t *testing.T, card cardauth.Card) *evil {
	t.Helper()
	return w.evilDelegateUntil(t, card, time.Now().Add(wire.MaxDelegation*time.Second))
}

func (w *world) evilDelegateUntil(t *testing.T, card cardauth.Card, until time.Time) *evil {
	t.Helper()
	d := delegate(t, card, until, relayName)
	e, err := w.evilLogin(t, card, proveWith(t, card, d))
	must(t, err)
	e.sealer, e.credentials.Delegation = d.sealer(t, card), &d.made
	return e
}

// A login with a proof or a delegation that is not the card owner's own, for here and now, is refused, and its identity is free for the
// owner at once.
func TestForgedLogin(t *testing.T) {
	simulated(t, nil, func(t *testing.T, w *world) {
		birds := newCanary(t, w)
		card, others := w.card("mallory"), w.card("other")
		own := func(s wire.Seal) func([]byte) (wire.Seal, *wire.SealedDelegation) {
			return func([]byte) (wire.Seal, *wire.SealedDelegation) { return s, nil }
		}
		soon, sealer := time.Now().Add(time.Hour), sealerOf(t, card, wire.SignerHash(card.Certificate().Raw, nil))
		past := delegate(t, card, time.Now().Add(30*time.Second), relayName)
		time.Sleep(31 * time.Second) // virtual
		for _, c := range []struct {
			name   string
			seals  func(th2 []byte) (wire.Seal, *wire.SealedDelegation)
			number wire.Code
		}{
			{"a proof sealed by another's card", proveOnly(t, others), wire.CodeAuthenticationFailed},
			{"a proof made for another login", own(sealStatements(t, sealer, seal.Statement{Purpose: wire.PurposeInitiator, Bytes: make([]byte, 48)})[0]),
				wire.CodeAuthenticationFailed},
			{"a proof sealed as a head", func(th2 []byte) (wire.Seal, *wire.SealedDelegation) {
				return sealStatements(t, sealer, seal.Statement{Purpose: wire.PurposeHead, Bytes: th2})[0], nil
			}, wire.CodeAuthenticationFailed},
			{"another's delegation", proveWith(t, card, delegate(t, others, soon, relayName)), wire.CodeAuthenticationFailed},
			{"a delegation past its time", proveWith(t, card, past), wire.CodeAuthenticationFailed},
			{"a delegation for longer than may be", proveWith(t, card, delegate(t, card, time.Now().Add(13*time.Hour), relayName)),
				wire.CodeAuthenticationFailed},
			{"a delegation for another relay", proveWith(t, card, delegate(t, card, soon, "elsewhere.example")), wire.CodeWrongContext},
		} {
			t.Log("forged:", c.name)
			_, err := w.evilLogin(t, card, c.seals)
			if closed, ok := errors.AsType[*transport.CloseError](err); !ok || !closed.Remote || closed.Number != c.number {
				t.Errorf("%s: %v, where the relay should close with %v", c.name, err, c.number)
			}
			birds.sings(t)
		}
		w.evilPeer(t, card).list()
	})
}

func proveOnly(t *testing.T, card cardauth.Card) func(th2 []byte) (wire.Seal, *wire.SealedDelegation) {
	by := sealerOf(t, card, wire.SignerHash(card.Certificate().Raw, nil))
	return func(th2 []byte) (wire.Seal, *wire.SealedDelegation) {
		return sealStatements(t, by, seal.Statement{Purpose: wire.PurposeInitiator, Bytes: th2})[0], nil
	}
}

// Heads sealed under a delegation that is not the one of the login, or whose time is over, whatever the seal says about the time.
func TestForgedDelegation(t *testing.T) {
	for _, c := range []struct {
		name  string
		spoil func(t *testing.T, e *evil, card, others cardauth.Card)
	}{
		{"a signer made with another's delegation", func(t *testing.T, e *evil, card, others cardauth.Card) {
			d := delegate(t, others, time.Now().Add(time.Hour), relayName)
			e.sealer = d.sealer(t, card)
		}},
		{"another delegation of one's own", func(t *testing.T, e *evil, card, _ cardauth.Card) {
			e.sealer = delegate(t, card, time.Now().Add(time.Hour), relayName).sealer(t, card)
		}},
		{"the card itself", func(t *testing.T, e *evil, card, _ cardauth.Card) {
			e.sealer = sealerOf(t, card, wire.SignerHash(card.Certificate().Raw, nil))
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			simulated(t, nil, func(t *testing.T, w *world) {
				birds := newCanary(t, w)
				bob, card := w.login(w.card("bob")), w.card("mallory")
				mallory := w.evilDelegate(t, card)
				m := mallory.connect(w, bob.Identity())
				b := opened(t, bob)
				m.say("honest", forgery{})
				next[*peer.Message](t, b)
				c.spoil(t, mallory, card, w.card("other"))
				m.sealer = mallory.sealer
				m.say("forged", forgery{})
				mallory.thrownOut(wire.CodeIntegrity)
				heardNothing(t, b, wire.CodeCut)
				birds.sings(t)
			})
		})
	}
}

// A delegated key seals until the delegation's end and no longer, even if its seals claim an earlier time: its session and conversations end
// with it.
func TestDelegationEnds(t *testing.T) {
	simulated(t, nil, func(t *testing.T, w *world) {
		birds := newCanary(t, w)
		bob, card := w.login(w.card("bob")), w.card("mallory")
		d := delegate(t, card, time.Now().Add(time.Minute), relayName)
		mallory, err := w.evilLogin(t, card, proveWith(t, card, d))
		must(t, err)
		start := time.Now()
		mallory.credentials.Delegation = &d.made
		mallory.sealer = seal.NewSealer(d.key, wire.SignerHash(card.Certificate().Raw, d.made.Statement),
			seal.Config{Now: func() time.Time { return start }})
		t.Cleanup(mallory.sealer.Close)
		m := mallory.connect(w, bob.Identity())
		b := opened(t, bob)
		m.say("in time", forgery{})
		next[*peer.Message](t, b)
		time.Sleep(61 * time.Second) // virtual
		mallory.thrownOut(wire.CodeCertificateExpired)
		heardNothing(t, b, wire.CodeCertificateExpired)
		birds.sings(t)
	})
}

// Somebody else's delegation in a conversation's hello is refused by the person asked, and nothing else ends.
func TestDelegationOfAnother(t *testing.T) {
	simulated(t, nil, func(t *testing.T, w *world) {
		birds := newCanary(t, w)
		bob, mallory := w.login(w.card("bob")), w.evilPeer(t, w.card("mallory"))
		mallory.credentials.Delegation = &delegate(t, w.card("other"), time.Now().Add(time.Hour), relayName).made
		bobs := mallory.entry(bob.Identity())
		mallory.ask(func(req uint64) wire.Control { return wire.Connect{Req: req, ID: bobs.ID, Suites: mallory.suites} })
		_, err := mallory.tryJoin(w, wire.RoleInitiator, nil)
		if err == nil {
			t.Error("bob took another's delegation")
		}
		answerOf(mallory, func(c wire.Closed) bool { return c.Number == wire.CodeAuthenticationFailed })
		mallory.list()
		birds.sings(t)
	})
}

// A delegation that was made at a login elsewhere is worth nothing in a conversation here, in hello and in answer.
func TestDelegationFromElsewhere(t *testing.T) {
	simulated(t, nil, func(t *testing.T, w *world) {
		birds := newCanary(t, w)
		card := w.card("mallory")
		bob, mallory := w.login(w.card("bob")), w.evilPeer(t, card)
		elsewhere := delegate(t, card, time.Now().Add(time.Hour), "elsewhere.example")
		mallory.credentials.Delegation = &elsewhere.made
		joins := func(role wire.Role) error {
			talk := mallory.opened(role)
			talk.sealer = elsewhere.sealer(t, card)
			return talk.handshake(w, role, mallory.credentials, nil)
		}

		bobs := mallory.entry(bob.Identity())
		mallory.ask(func(req uint64) wire.Control { return wire.Connect{Req: req, ID: bobs.ID, Suites: mallory.suites} })
		if err := joins(wire.RoleInitiator); err == nil {
			t.Error("bob took it from hello")
		}
		answerOf(mallory, func(c wire.Closed) bool { return c.Number == wire.CodeWrongContext })

		result := make(chan error, 1)
		go func() {
			people, err := bob.List(t.Context())
			must(t, err)
			i := slices.IndexFunc(people, func(p peer.Person) bool { return p.Identity == mallory.own.Identity })
			_, err = bob.Connect(t.Context(), people[i].ID, nil)
			result <- err
		}()
		_ = joins(wire.RoleResponder) // bob decides
		if err := soon(t, result); wire.CodeOf(err) != wire.CodeWrongContext {
			t.Errorf("bob took it from answer, or is told %v", err)
		}
		birds.sings(t)
	})
}

package systemtest

import (
	"errors"
	"testing"

	"sinete/cardauth/softcard"
	"sinete/internal/trialpki"
	"sinete/peer"
	"sinete/transport"
	"sinete/wire"
)

// What a person may try with things that are truly their own, in the wrong place. Each ends that conversation with the number that both
// sides are told, shows nothing, and leaves the person's other conversation and the canary alone.
func TestOwnThingsMisused(t *testing.T) {
	for _, c := range []struct {
		name   string
		do     func(m, elsewhere *evilTalk)
		number wire.Code
	}{
		{"the head of another conversation", func(m, elsewhere *evilTalk) {
			m.say("sealed elsewhere", forgery{heads: func(_ *evilTalk, _, inner *wire.Head) {
				elsewhere.content("the cover")
				*inner = elsewhere.inner.Closing()
			}})
		}, wire.CodeIntegrity},
		{"content that names another recipient", func(m, elsewhere *evilTalk) {
			m.other = elsewhere.other
			m.say("meant for somebody else", forgery{})
		}, wire.CodeIntegrity},
		{"content that names another author", func(m, elsewhere *evilTalk) {
			m.own = elsewhere.other.Party
			m.say("said by somebody else", forgery{})
		}, wire.CodeIntegrity},
		{"an envelope of another conversation", func(m, elsewhere *evilTalk) {
			m.content("the place that it takes")
			m.put(forgery{}, elsewhere.content("said elsewhere").Body)
			m.close(forgery{})
		}, wire.CodeIntegrity},
	} {
		t.Run(c.name, func(t *testing.T) {
			simulated(t, nil, func(t *testing.T, w *world) {
				birds := newCanary(t, w)
				bob, eve, mallory := w.login(w.card("bob")), w.login(w.card("eve")), w.evilPeer(t, w.card("mallory"))
				m := mallory.connect(w, bob.Identity())
				b := opened(t, bob)
				elsewhere := mallory.connect(w, eve.Identity())
				e := opened(t, eve)
				c.do(m, elsewhere)
				heardNothing(t, b, c.number)
				m.closed(c.number)
				n := sendText(t, e, "undisturbed")
				elsewhere.hear(n)
				elsewhere.confirm(nil)
				delivered(t, e, n)
				birds.sings(t)
			})
		})
	}
}

// A conversation's handshake with a certificate that is not the session's never reaches the person asked.
func TestConversationWithAnotherCertificate(t *testing.T) {
	simulated(t, nil, func(t *testing.T, w *world) {
		birds := newCanary(t, w)
		watcher, mallory := w.evilPeer(t, w.card("watcher")), w.evilPeer(t, w.card("mallory"))
		mallory.credentials = wire.Credentials{Chain: w.card("other").Chain()}
		id := mallory.entry(watcher.own.Identity).ID
		mallory.ask(func(req uint64) wire.Control { return wire.Connect{Req: req, ID: id, Suites: mallory.suites} })
		joined := make(chan error, 1)
		go func() {
			_, err := watcher.tryJoin(w, wire.RoleResponder, nil)
			joined <- err
		}()
		m, err := mallory.tryJoin(w, wire.RoleInitiator, nil)
		if err == nil {
			t.Error("the handshake went through")
		}
		m.closed(wire.CodeWrongContext)
		if reset, ok := errors.AsType[*transport.ResetError](soon(t, joined)); !ok || reset.Number != wire.CodeWrongContext {
			t.Errorf("the person asked read a hello; %v", reset)
		}
		birds.sings(t)
	})
}

// The same key under another scheme makes signatures that are as good, and is refused: the handshake's scheme is pinned.
func TestSchemeChanged(t *testing.T) {
	simulated(t, nil, func(t *testing.T, w *world) {
		birds := newCanary(t, w)
		bob := w.login(w.card("bob"))
		issued, err := w.pki.IssuePerson(trialpki.Person{Name: "mallory", Key: trialpki.RSA2048})
		must(t, err)
		card, err := softcard.FromKey(issued.Key, issued.Chain, wire.SchemeRSAPKCS1)
		must(t, err)
		pss, err := softcard.FromKey(issued.Key, issued.Chain, wire.SchemeRSAPSS)
		must(t, err)
		mallory := w.evilPeer(t, card)
		m := mallory.connect(w, bob.Identity())
		b := opened(t, bob)
		m.say("in the handshake's scheme", forgery{})
		next[*peer.Message](t, b)
		mallory.sealer = sealerOf(t, pss, wire.SignerHash(card.Certificate().Raw, nil))
		m.sealer = mallory.sealer
		m.say("in another", forgery{})
		mallory.thrownOut(wire.CodeIntegrity)
		heardNothing(t, b, wire.CodeCut)
		birds.sings(t)
	})
}

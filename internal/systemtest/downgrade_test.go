package systemtest

import (
	"context"
	"slices"
	"testing"
	"time"

	"sinete/peer"
	"sinete/relay"
	"sinete/transport/channel"
	"sinete/wire"
)

const (
	leastSuite = wire.SuiteX25519MLKEM768ChaCha20
	weakSuite  = wire.SuiteP256AES128GCM
)

// A relay that has a weakest suite takes none weaker: not on the hop, not where two people ask for one, not where they agree on one
// behind its back.
func TestRelayWithMinSuite(t *testing.T) {
	simulated(t, func(c *relay.Config) { c.MinSuite = leastSuite }, relayWithMinSuite)
}

func relayWithMinSuite(t *testing.T, w *world) {
	alice, bob := w.login(w.card("alice")), w.login(w.card("bob"))

	old := w.config(w.card("old"))
	old.Suites = []wire.Suite{weakSuite}
	turnedAway(t, tryLogin(t, old), wire.CodeSuiteUnsupported)

	_, err := alice.Connect(t.Context(), listed(t, alice, bob).ID, []wire.Suite{weakSuite})
	if r := refused(t, err, wire.CodeSuiteUnsupported); !slices.Equal(r.Suites, channel.Suites()[:2]) {
		t.Errorf("told of the suites %v", r.Suites)
	}
	a, b := connect(t, alice, bob)
	talk(t, a, b, "as strong as the relay wants it")

	mallory := w.evilPeer(t, w.card("mallory"))
	id := mallory.entry(bob.Identity()).ID
	mallory.ask(func(req uint64) wire.Control { return wire.Connect{Req: req, ID: id, Suites: channel.Suites()} })
	mallory.suites = []wire.Suite{weakSuite}
	if _, err := mallory.tryJoin(w, wire.RoleInitiator, nil); err == nil {
		t.Error("a conversation with a suite that the relay forbids")
	}
	closed := answerOf(mallory, func(wire.Closed) bool { return true })
	if closed.Number != wire.CodeSuiteUnsupported {
		t.Errorf("ended with %v", closed.Number)
	}
	talk(t, b, a, "nobody else noticed")
}

// Whoever has a weakest suite is brought to a weaker one by nothing that a relay says or changes: not by its list, not by its hint, not by
// an offer or a choice in either role.
func TestDowngradesAreRefused(t *testing.T) {
	inLairAs(t, func(_ *testing.T, c *peer.Config) { c.MinSuite = leastSuite }, func(t *testing.T, w *lair) {
		card := w.card("bob")
		connects := func() int {
			return w.relay.count(func(a *arrival) bool {
				if a.opened == nil || a.opened.Type != wire.EnvelopeControl {
					return false
				}
				m, err := wire.ParseControl(a.opened.Payload)
				must(t, err)
				_, ok := m.(wire.Connect)
				return ok
			})
		}

		t.Log("the list says that somebody has nothing but weak suites, and so does the hint")
		_, entry := w.contact(card)
		entry.Suites = []wire.Suite{weakSuite}
		result := make(chan error, 1)
		go func() {
			_, err := w.victim.Connect(t.Context(), entry.ID, nil)
			result <- err
		}()
		asked := answerOf(w.relay, func(wire.List) bool { return true })
		w.relay.send(w.relay.control, wire.EnvelopeControl, wire.Peers{Req: asked.Req, Entries: []wire.PeerEntry{entry}}.Append(nil))
		request := answerOf(w.relay, func(wire.Connect) bool { return true })
		if !slices.Equal(request.Suites, channel.Suites()[:2]) {
			t.Errorf("asks with %v", request.Suites)
		}
		w.relay.send(w.relay.control, wire.EnvelopeControl,
			wire.Refused{Req: request.Req, Number: wire.CodeSuiteUnsupported, Suites: entry.Suites}.Append(nil))
		if r := refused(t, soon(t, result), wire.CodeSuiteUnsupported); !slices.Equal(r.Suites, entry.Suites) {
			t.Errorf("told of the suites %v", r.Suites)
		}
		before := connects()
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		if _, err := w.victim.Connect(ctx, entry.ID, entry.Suites); wire.CodeOf(err) != wire.CodeSuiteUnsupported {
			t.Errorf("following the hint: %v", err)
		}
		if n := connects(); n != before {
			t.Error("the hint was followed")
		}

		t.Log("hello offers nothing but weak suites")
		talk, entry := w.contact(card)
		w.opens(talk, entry, wire.RoleResponder)
		w.relay.suites = []wire.Suite{weakSuite}
		if err := talk.handshake(w.world, wire.RoleInitiator, wire.Credentials{Chain: card.Chain()}, nil); err == nil {
			t.Error("the handshake went through")
		}
		w.told(t, talk, wire.CodeSuiteUnsupported)

		t.Log("answer chooses a weak suite, as the best that its sender has")
		w.relay.suites = channel.Suites()
		talk, asking := w.asked(t, card)
		_ = talk.handshake(w.world, wire.RoleResponder, wire.Credentials{Chain: card.Chain()}, func(f *wire.Frame) { // the victim decides
			if f.Type != wire.FrameAnswer {
				return
			}
			a, err := wire.ParseAnswer(f.Body)
			must(t, err)
			a.Suites, a.Suite = []wire.Suite{weakSuite}, weakSuite
			f.Body = a.Append(nil)
		})
		if err := soon(t, asking); wire.CodeOf(err) != wire.CodeIntegrity {
			t.Errorf("the victim is told %v", err)
		}
		w.told(t, talk, wire.CodeIntegrity)
		if all := w.victim.Conversations(); len(all) != 0 {
			t.Errorf("%d conversations", len(all))
		}
	})
}

// A peer that offers nothing strong enough does not even dial.
func TestMinSuiteLeavesNone(t *testing.T) {
	cfg := peer.Config{Relay: "relay.example:1", Suites: []wire.Suite{weakSuite}, MinSuite: leastSuite}
	w := newWorld(t, nil, nil)
	cfg.Card, cfg.Policy = w.card("alice"), w.policy
	if _, err := peer.Login(t.Context(), cfg); wire.CodeOf(err) != wire.CodeSuiteUnsupported {
		t.Errorf("got %v", err)
	}
}

package systemtest

import (
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"sinete/cardauth/seal"
	"sinete/internal/link"
	"sinete/peer"
	"sinete/relay"
	"sinete/wire"
)

// forging is a flight that is not what it must be, and what becomes of it.
type forging struct {
	name    string
	forgery forgery
	number  wire.Code
}

func leaveOut(outer, inner bool) func(*wire.SealEntry, bool) bool {
	return func(_ *wire.SealEntry, isOuter bool) bool { return outer && isOuter || inner && !isOuter }
}

// What the hop's head must say and does not: the relay ends the session with the liar.
var hopForgeries = []forging{
	{"outer head with a wrong count", forgery{heads: func(_ *evilTalk, outer, _ *wire.Head) { outer.Mine.Count++ }}, wire.CodeIntegrity},
	{"outer head with a wrong transcript", forgery{heads: func(_ *evilTalk, outer, _ *wire.Head) { outer.Mine.T[0] ^= 1 }}, wire.CodeIntegrity},
	{"outer head of another epoch", forgery{heads: func(_ *evilTalk, outer, _ *wire.Head) { outer.Mine.Epoch++ }}, wire.CodeIntegrity},
	{"outer head of another lane", forgery{heads: func(_ *evilTalk, outer, _ *wire.Head) { outer.Lane = 0 }}, wire.CodeIntegrity},
	{"outer head in the relay's role", forgery{heads: func(_ *evilTalk, outer, _ *wire.Head) { outer.Role = wire.RoleResponder }}, wire.CodeIntegrity},
	{"outer head acknowledging what was never sent", forgery{heads: func(_ *evilTalk, outer, _ *wire.Head) { outer.Yours.Count += 5 }}, wire.CodeIntegrity},
	{"outer head with another transcript acknowledged", forgery{heads: func(_ *evilTalk, outer, _ *wire.Head) { outer.Yours.T[31] ^= 1 }}, wire.CodeIntegrity},
	{"outer head with the path of another batch", forgery{seals: func(t *evilTalk, outer, _ *wire.SealEntry) {
		other := t.at.seal(t.sealer, outer.Head, outer.Head)[1].Seal
		outer.Seal.Path, outer.Seal.Salt, outer.Seal.Index = other.Path, other.Salt, other.Index
	}}, wire.CodeIntegrity},
	{"outer head sealed by another person", forgery{seals: func(t *evilTalk, outer, _ *wire.SealEntry) {
		*outer = t.at.seal(accomplice(t), outer.Head)[0]
	}}, wire.CodeIntegrity},
	{"a wrong signature", forgery{seals: func(_ *evilTalk, outer, inner *wire.SealEntry) {
		outer.Seal.Signature[len(outer.Seal.Signature)-1] ^= 1 // both share it
	}}, wire.CodeIntegrity},
	{"another scheme than in the handshake", forgery{seals: func(_ *evilTalk, outer, inner *wire.SealEntry) {
		outer.Seal.Scheme, inner.Seal.Scheme = wire.SchemeP384, wire.SchemeP384
	}}, wire.CodeIntegrity},
	{"outer envelope of another epoch", forgery{frame: func(b []byte) { b[0] = 1 }}, wire.CodeIntegrity},
	{"outer envelope with another number", forgery{frame: func(b []byte) { b[1]++ }}, wire.CodeIntegrity},
	{"outer envelope flipped", forgery{frame: func(b []byte) { b[len(b)-1] ^= 1 }}, wire.CodeIntegrity},
	{"outer head of another channel", forgery{heads: func(_ *evilTalk, outer, _ *wire.Head) { outer.Channel[0] ^= 1 }}, wire.CodeUnsealed},
	{"no seal", forgery{without: leaveOut(true, true)}, wire.CodeUnsealed},
	{"no outer head", forgery{without: leaveOut(true, false)}, wire.CodeUnsealed},
}

// What the conversation's head must say and does not: the relay verifies it before it passes anything on, and ends that conversation.
var conversationForgeries = []forging{
	{"no inner head", forgery{without: leaveOut(false, true)}, wire.CodeUnsealed},
	{"inner head that only acknowledges", forgery{heads: func(_ *evilTalk, _, inner *wire.Head) { inner.Mine = nil }}, wire.CodeUnsealed},
	{"inner head with a wrong count", forgery{heads: func(_ *evilTalk, _, inner *wire.Head) { inner.Mine.Count-- }}, wire.CodeIntegrity},
	{"inner head with a wrong transcript", forgery{heads: func(_ *evilTalk, _, inner *wire.Head) { inner.Mine.T[0] ^= 1 }}, wire.CodeIntegrity},
	{"inner head of another epoch", forgery{heads: func(_ *evilTalk, _, inner *wire.Head) { inner.Mine.Epoch++ }}, wire.CodeIntegrity},
	{"inner head of another lane", forgery{heads: func(_ *evilTalk, _, inner *wire.Head) { inner.Lane = 2 }}, wire.CodeIntegrity},
	{"inner head of another channel", forgery{heads: func(_ *evilTalk, _, inner *wire.Head) { inner.Channel[0] ^= 1 }}, wire.CodeIntegrity},
	{"inner head in the other's role", forgery{heads: func(_ *evilTalk, _, inner *wire.Head) { inner.Role = inner.Role.Other() }}, wire.CodeIntegrity},
	{"inner head acknowledging what was never sent", forgery{heads: func(_ *evilTalk, _, inner *wire.Head) { inner.Yours.Count += 5 }}, wire.CodeIntegrity},
	{"inner head with the path of another batch", forgery{seals: func(t *evilTalk, _, inner *wire.SealEntry) {
		other := t.at.seal(t.sealer, inner.Head, inner.Head)[0].Seal
		inner.Seal.Path, inner.Seal.Salt = other.Path, other.Salt
	}}, wire.CodeIntegrity},
	{"inner head with the path of its batch-mate", forgery{seals: func(_ *evilTalk, outer, inner *wire.SealEntry) {
		inner.Seal.Path, inner.Seal.Salt, inner.Seal.Index = outer.Seal.Path, outer.Seal.Salt, outer.Seal.Index
	}}, wire.CodeIntegrity},
	{"inner head sealed by another person", forgery{seals: func(t *evilTalk, _, inner *wire.SealEntry) {
		*inner = t.at.seal(accomplice(t), inner.Head)[0]
	}}, wire.CodeIntegrity},
	{"inner head with a wrong signature", forgery{seals: func(t *evilTalk, _, inner *wire.SealEntry) {
		*inner = t.at.seal(t.sealer, inner.Head)[0]
		inner.Seal.Signature[len(inner.Seal.Signature)-1] ^= 1
	}}, wire.CodeIntegrity},
	{"inner head under another scheme", forgery{seals: func(t *evilTalk, _, inner *wire.SealEntry) {
		*inner = t.at.seal(t.sealer, inner.Head)[0]
		inner.Seal.Scheme = wire.SchemeRSAPSS
	}}, wire.CodeIntegrity},
	{"inner envelope of another epoch", forgery{body: func(b []byte) { b[0] = 1 }}, wire.CodeIntegrity},
	{"inner envelope with another number", forgery{body: func(b []byte) { b[1]++ }}, wire.CodeIntegrity},
	{"inner envelope altered after it was sealed", forgery{body: func(b []byte) { b[len(b)-1] ^= 1 }}, wire.CodeIntegrity},
}

// accomplice seals for somebody else with a valid certificate of the same authority.
func accomplice(t *evilTalk) *seal.Sealer {
	card := t.at.accomplice
	return sealerOf(t.at.t, card, wire.SignerHash(card.Certificate().Raw, nil))
}

// countContents counts the messages in flights whose hop head the relay has verified.
func countContents(n *atomic.Int64) func(*relay.Config) {
	return func(cfg *relay.Config) {
		cfg.Capture = func(_ string, _ uint64, f *link.Received) {
			for _, p := range f.Pieces {
				if p.Opened.Type == wire.EnvelopeInner {
					n.Add(int64(p.Opened.Envelopes()))
				}
			}
		}
	}
}

func isContent(a *arrival) bool { return a.opened != nil && a.opened.Type == wire.EnvelopeInner }

// A flight whose hop head is forged gets no further than the relay's door.
func TestForgedOnHop(t *testing.T) {
	var taken atomic.Int64
	simulated(t, countContents(&taken), func(t *testing.T, w *world) {
		birds := newCanary(t, w)
		bob, card := w.login(w.card("bob")), w.card("mallory")
		for _, c := range hopForgeries {
			t.Log("forged:", c.name)
			mallory := w.evilPeer(t, card)
			mallory.accomplice = w.card("accomplice")
			m := mallory.connect(w, bob.Identity())
			b := opened(t, bob)
			m.say("honest", forgery{})
			if got := next[*peer.Message](t, b); got.Text != "honest" {
				t.Fatalf("bob received %q", got.Text)
			}
			synctest.Wait()
			before := taken.Load()

			m.say("forged", c.forgery)
			mallory.thrownOut(c.number)
			heardNothing(t, b, wire.CodeCut)
			if n := taken.Load() - before; n != 0 {
				t.Errorf("the relay took %d messages of the forged flight", n)
			}
			birds.sings(t)
		}
	})
}

// A flight whose conversation head is forged is passed on to nobody: neither an honest recipient nor one who looks at every envelope
// gets any of it. The sender's session and all other conversations go on.
func TestForgedInConversation(t *testing.T) {
	simulated(t, nil, func(t *testing.T, w *world) {
		birds := newCanary(t, w)
		bob, mallory, watcher := w.login(w.card("bob")), w.evilPeer(t, w.card("mallory")), w.evilPeer(t, w.card("watcher"))
		mallory.accomplice = w.card("accomplice")
		shared := slices.Clone(conversationForgeries) // once more, of texts that share an envelope
		for i := range shared {
			shared[i].name += ", of several texts"
			shared[i].forgery.beside = "as well"
		}
		for _, c := range slices.Concat(conversationForgeries, shared) {
			t.Log("forged:", c.name)
			time.Sleep(2 * time.Second) // virtual: the relay takes one connect request a second
			m := mallory.connect(w, bob.Identity())
			b := opened(t, bob)
			m.say("honest", forgery{})
			if got := next[*peer.Message](t, b); got.Text != "honest" {
				t.Fatalf("bob received %q", got.Text)
			}
			m.say("forged", c.forgery)
			m.closed(c.number)
			heardNothing(t, b, c.number)
			birds.sings(t)

			joined := make(chan *evilTalk, 1)
			go func() { joined <- watcher.join(w, wire.RoleResponder) }()
			m = mallory.connect(w, watcher.own.Identity)
			r := soon(t, joined)
			m.say("honest", forgery{})
			r.hear(0)
			m.say("forged", c.forgery)
			m.closed(c.number)
			r.closed(c.number)
			if n := watcher.count(isContent); n != 0 {
				t.Errorf("the relay passed on %d envelopes", n)
			}
		}
	})
}

// A flight that nobody seals ends its session, after the time that the sealing key has: 10 seconds for one in a process, 180 for a card or
// whoever says that a card makes them wait.
func TestUnsealed(t *testing.T) {
	for _, c := range []struct {
		name             string
		delegates, waits bool
		atLeast, atMost  time.Duration
	}{
		{"card", false, false, 180 * time.Second, 200 * time.Second},
		{"delegated key", true, false, 10 * time.Second, 30 * time.Second},
		{"delegated key that says waiting", true, true, 180 * time.Second, 200 * time.Second},
	} {
		t.Run(c.name, func(t *testing.T) {
			simulated(t, nil, func(t *testing.T, w *world) {
				birds := newCanary(t, w)
				bob, card := w.login(w.card("bob")), w.card("mallory")
				mallory := w.evilPeer(t, card)
				if c.delegates {
					mallory.conn.Close(wire.CodeBye)
					mallory = w.evilDelegate(t, card)
				}
				m := mallory.connect(w, bob.Identity())
				b := opened(t, bob)
				start := time.Now()
				m.say("unsealed", forgery{without: leaveOut(true, true)})
				if c.waits {
					time.Sleep(time.Second) // virtual; the envelope has come when the control stream says waiting
					must(t, mallory.control.stream.Append(wire.Frame{Type: wire.FrameWaiting, Body: []byte{byte(wire.WaitingForCard)}}.Append))
				}
				mallory.thrownOut(wire.CodeUnsealed)
				if took := time.Since(start); took < c.atLeast || took > c.atMost {
					t.Errorf("the relay waited %v", took)
				}
				heardNothing(t, b, wire.CodeCut)
				birds.sings(t)
			})
		})
	}
}

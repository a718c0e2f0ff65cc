package systemtest

import (
	"bytes"
	"context"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"io"
	"maps"
	"math"
	"net/http"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/crypto/ocsp"

	"sinete/cardauth"
	"sinete/cardauth/seal"
	"sinete/internal/link"
	"sinete/transport/channel"
	"sinete/wire"
)

// What is left to those who cheat passes in a closed direction: docs/security.md has a table of it, which names these tests.

var psst = [32]byte([]byte("32 bytes that say what they like"))

// In a handshake: what only the other end could verify, and whatever is random, or a choice.
func TestClosedCarriersOfHandshakes(t *testing.T) {
	proof := func(change func(p *wire.Proof)) func(f *wire.Frame) {
		return func(f *wire.Frame) {
			if f.Type == wire.FrameProof {
				p, _ := wire.ParseProof(f.Body)
				change(p)
				f.Body = p.Append(nil)
			}
		}
	}
	isHello := func(said func(h *wire.Hello) bool) func(f wire.Frame) bool {
		return func(f wire.Frame) bool {
			h, err := wire.ParseHello(f.Body)
			return f.Type == wire.FrameHello && err == nil && said(h)
		}
	}
	isAnswer := func(said func(a *wire.Answer) bool) func(f wire.Frame) bool {
		return func(f wire.Frame) bool {
			a, err := wire.ParseAnswer(f.Body)
			return f.Type == wire.FrameAnswer && err == nil && said(a)
		}
	}
	for name, c := range map[string]struct {
		asks  bool // mallory does
		spoil func(f *wire.Frame)
		heard func(f wire.Frame) bool // by eve
	}{
		"nonce of hello": {true, hello(func(h *wire.Hello) { h.Nonce = psst }), isHello(func(h *wire.Hello) bool { return h.Nonce == psst })},
		"share of hello": {true, hello(func(h *wire.Hello) { copy(h.Shares[0].Data, psst[:]) }),
			isHello(func(h *wire.Hello) bool { return bytes.HasPrefix(h.Shares[0].Data, psst[:]) })},
		"limits": {true, hello(func(h *wire.Hello) { h.Limits = wire.RekeyLimits{Messages: 0x70737374, Seconds: 0x70737374} }),
			isHello(func(h *wire.Hello) bool { return h.Limits.Messages == 0x70737374 && h.Limits.Seconds == 0x70737374 })},
		"suites": {true, hello(func(h *wire.Hello) { h.Suites = slices.Delete(h.Suites, 1, 2) }),
			isHello(func(h *wire.Hello) bool { return len(h.Suites) == len(channel.Suites())-1 })},
		"MAC of proof": {true, proof(func(p *wire.Proof) { copy(p.MAC, psst[:]) }), func(f wire.Frame) bool {
			p, err := wire.ParseProof(f.Body)
			return f.Type == wire.FrameProof && err == nil && bytes.HasPrefix(p.MAC, psst[:])
		}},
		"nonce of answer": {false, answer(func(a *wire.Answer) { a.Nonce = psst }), isAnswer(func(a *wire.Answer) bool { return a.Nonce == psst })},
		"share of answer": {false, answer(func(a *wire.Answer) { copy(a.Share.Data, psst[:]) }),
			isAnswer(func(a *wire.Answer) bool { return bytes.HasPrefix(a.Share.Data, psst[:]) })},
		"MAC of accept": {false, func(f *wire.Frame) {
			if f.Type == wire.FrameAccept {
				a, _ := wire.ParseAccept(f.Body)
				copy(a.MAC, psst[:])
				f.Body = a.Append(nil)
			}
		}, func(f wire.Frame) bool {
			a, err := wire.ParseAccept(f.Body)
			return f.Type == wire.FrameAccept && err == nil && bytes.HasPrefix(a.MAC, psst[:])
		}},
	} {
		t.Run(name, func(t *testing.T) {
			closedTo(t, func(t *testing.T, w *world, mallory, eve *evil, _ cardauth.Card) {
				var heard atomic.Bool
				eve.listens = func(f wire.Frame) {
					if c.heard(f) {
						heard.Store(true)
					}
				}
				asks, asked, spoil, spoils := mallory, eve, c.spoil, (func(f *wire.Frame))(nil)
				if !c.asks {
					asks, asked, spoil, spoils = eve, mallory, spoils, spoil
				}
				if tryMeet(t, w, asks, asked, spoil, spoils) == nil {
					t.Error("a handshake of which both ends have other views went through")
				}
				if !heard.Load() {
					t.Error("nothing came through: security.md says that it does")
				}
			})
		})
	}
}

// A machine frame says what it likes, in its hash and in its MAC, once in a conversation.
func TestClosedCarrierMachine(t *testing.T) {
	closedTo(t, func(t *testing.T, w *world, mallory, eve *evil, _ cardauth.Card) {
		m, e := meet(t, w, mallory, eve)
		said := wire.Frame{Type: wire.FrameMachine, Body: wire.MachineFrame{Hash: psst, MAC: psst}.Append(nil)}
		m.post(said)
		f, err := evilMessages{e, nil}.Receive(t.Context())
		must(t, err)
		if !bytes.Equal(f.Body, said.Body) {
			t.Errorf("eve got %x", f.Body)
		}
		m.post(said)
		m.closed(wire.CodeUnexpected)
		e.closed(wire.CodeUnexpected)
		if n := eve.count(isHandshake); n != 0 {
			t.Errorf("eve was passed %d more", n)
		}
	})
}

// ground signs again and again until the signature ends as it should: half a byte, here.
func ground(by *seal.Sealer, st seal.Statement) wire.Seal {
	for {
		s, err := by.SealAlone(context.Background(), st)
		if err != nil || s.Signature[len(s.Signature)-1]&0xf == 0xe {
			return s
		}
	}
}

// What is random in a signature says something to whoever has tried often enough, in a handshake and in a head. Nothing beside the signature does.
func TestClosedCarrierSignature(t *testing.T) {
	isHead := func(a *arrival) bool { return a.inner != nil && a.inner.Head.Mine == nil }
	closedTo(t, func(t *testing.T, w *world, mallory, eve *evil, _ cardauth.Card) {
		mallory.seals = ground
		var said byte
		eve.listens = func(f wire.Frame) {
			if p, err := wire.ParseProof(f.Body); f.Type == wire.FrameProof && err == nil {
				said = p.Seal.Signature[len(p.Seal.Signature)-1] & 0xf
			}
		}
		m, e := meet(t, w, mallory, eve)
		if said != 0xe {
			t.Errorf("the proof said %x", said)
		}
		e.say("to be confirmed", forgery{})
		m.hear(0)
		m.confirm(nil)
		a := eve.await("H3", isHead)
		if s := a.inner.Seal.Signature; s[len(s)-1]&0xf != 0xe {
			t.Errorf("the head said %x", s)
		}
		e.say("more", forgery{})
		m.hear(1)
		mallory.seals = func(by *seal.Sealer, st seal.Statement) wire.Seal {
			s := ground(by, st)
			s.Signature = append(slices.Clone(s.Signature), "psst"...)
			return s
		}
		m.confirm(nil)
		m.closed(wire.CodeIntegrity)
		if n := eve.count(isHead); n != 0 {
			t.Error("eve was passed what is no signature")
		}
	})
}

// Which of the messages that came a head acknowledges is its author's choice, once for each: nothing else passes as a place.
func TestClosedCarrierAcknowledged(t *testing.T) {
	closedTo(t, func(t *testing.T, w *world, mallory, eve *evil, _ cardauth.Card) {
		m, e := meet(t, w, mallory, eve)
		places := []wire.Place{}
		for i := range uint64(5) {
			e.say("to be confirmed", forgery{})
			m.hear(i)
			places = append(places, m.inner.Received.LastSealed())
		}
		choose := func(p wire.Place) { m.confirm(func(h *wire.Head) { h.Yours = p }) }
		for _, i := range []int{1, 3} {
			choose(places[i])
			if h, _ := e.confirmed(); h.Yours != places[i] {
				t.Errorf("eve heard %v", h.Yours)
			}
			choose(places[i]) // says nothing new
			choose(places[0])
			time.Sleep(10 * time.Second) // virtual
			if n := eve.count(func(a *arrival) bool { return a.inner != nil }); n != 0 {
				t.Errorf("eve was passed %d heads that say nothing new", n)
			}
		}
		beyond := places[4]
		beyond.Count++
		choose(beyond)
		m.closed(wire.CodeIntegrity)
		e.closed(wire.CodeIntegrity)
	})
}

// answerRekey is the other side of rekey.
func (t *evilTalk) answerRekey(w *world) error {
	_, _, err := link.Respond(context.Background(), evilMessages{t, nil}, link.Response{Config: t.channel.Rekeying(wire.Credentials{Chain: t.chain}, evilLimits),
		Acquaintance: link.Acquaintance{Known: t.other, Verifier: seal.NewVerifier(16), Now: time.Now, Settle: w.policy.Settle,
			Meet: func(_ context.Context, c wire.Credentials) (*cardauth.Party, error) {
				return w.policy.VerifyPerson(c.Chain, nil)
			}},
		Context: func(*wire.Hello) (string, error) { return "", nil },
		Admit: func(_ context.Context, _ *link.Other, h *wire.Hello) ([]byte, error) {
			return wire.AppendConversationParameters(nil, evilLimits.Smaller(h.Limits)), nil
		},
		Seal: func(_ context.Context, th3 []byte) (wire.Seal, error) {
			return t.sealsFor(seal.Statement{Purpose: wire.PurposeResponder, Bytes: th3}), nil
		}})
	return err
}

// The MACs of switched and rekey-please, which only the other end could verify, say what they like. Each comes once in a rekeying.
func TestClosedCarrierRekeying(t *testing.T) {
	t.Run("switched", func(t *testing.T) {
		closedTo(t, func(t *testing.T, w *world, mallory, eve *evil, card cardauth.Card) {
			m, e := meet(t, w, mallory, eve)
			m.chain, e.chain = card.Chain(), eve.credentials.Chain
			over := make(chan error, 1)
			go func() { over <- e.answerRekey(w) }()
			must(t, m.rekey(w, nil, nil))
			must(t, soon(t, over))
			said := m.turn()
			copy(said.Body[len(said.Body)-len(psst):], psst[:])
			m.post(said)
			f, err := evilMessages{e, nil}.Receive(t.Context())
			must(t, err)
			if f.Type != wire.FrameSwitched || !bytes.HasSuffix(f.Body, psst[:]) {
				t.Errorf("eve got %v %x", f.Type, f.Body)
			}
			m.post(said)
			m.closed(wire.CodeUnexpected)
			if n := eve.count(isHandshake); n != 0 {
				t.Errorf("eve was passed %d more", n)
			}
		})
	})
	t.Run("rekey-please", func(t *testing.T) {
		closedTo(t, func(t *testing.T, w *world, mallory, eve *evil, _ cardauth.Card) {
			e, m := meet(t, w, eve, mallory)
			said := wire.Frame{Type: wire.FrameRekeyPlease, Body: wire.RekeyPlease{MAC: psst}.Append(nil)}
			m.post(said)
			f, err := evilMessages{e, nil}.Receive(t.Context())
			must(t, err)
			if !bytes.Equal(f.Body, said.Body) {
				t.Errorf("eve got %v %x", f.Type, f.Body)
			}
			m.post(said)
			m.closed(wire.CodeUnexpected)
			if n := eve.count(isHandshake); n != 0 {
				t.Errorf("eve was passed %d more", n)
			}
		})
	})
}

// The code by which somebody ends a conversation is one of a few to the other side.
func TestClosedCarrierEnding(t *testing.T) {
	closedTo(t, func(t *testing.T, w *world, mallory, eve *evil, _ cardauth.Card) {
		id := mallory.entry(eve.own.Identity).ID
		heard := map[wire.Code]bool{}
		for number := range wire.Code(64) {
			time.Sleep(wire.ClosedConnectSeconds * time.Second) // virtual
			mallory.ask(func(req uint64) wire.Control { return wire.Connect{Req: req, ID: id, Suites: mallory.suites} })
			rings := answerOf(mallory, func(r wire.Ringing) bool { return r.Req == mallory.req })
			eve.opened(wire.RoleResponder)
			mallory.ask(func(req uint64) wire.Control {
				return wire.Disconnect{Req: req, Conversation: rings.Conversation, Number: number}
			})
			heard[answerOf(eve, func(c wire.Closed) bool { return c.Conversation == rings.Conversation }).Number] = true
		}
		if bits := math.Log2(float64(len(heard))); bits > 4.2 || !heard[wire.CodeIntegrity] {
			t.Errorf("%.2f bits: %v", bits, slices.Sorted(maps.Keys(heard)))
		}
	})
}

// Another seal of the delegation in force than that which was shown first says something: once in a session.
func TestClosedCarrierDelegation(t *testing.T) {
	simulated(t, nil, func(t *testing.T, w *world) {
		high, card := w.card("eve"), w.card("mallory")
		w.grants(w.identity(high), wire.Level{Rank: 1}, false)
		mallory, eve := w.evilDelegate(t, card), w.evilPeer(t, high)
		var heard atomic.Value
		eve.listens = func(f wire.Frame) {
			if h, err := wire.ParseHello(f.Body); f.Type == wire.FrameHello && err == nil && h.Delegation != nil {
				heard.Store(h.Delegation.Seal.Signature)
			}
		}
		again := func() *wire.SealedDelegation {
			d := *mallory.credentials.Delegation
			by := sealerOf(t, card, wire.SignerHash(card.Certificate().Raw, nil))
			d.Seal = sealStatements(t, by, seal.Statement{Purpose: wire.PurposeDelegation, Bytes: d.Statement})[0]
			return &d
		}
		mallory.credentials.Delegation = again() // not that of the login
		m, _ := meet(t, w, mallory, eve)
		if got, _ := heard.Load().([]byte); !bytes.Equal(got, mallory.credentials.Delegation.Seal.Signature) {
			t.Errorf("eve got %x", got)
		}
		mallory.ask(func(req uint64) wire.Control { return wire.Disconnect{Req: req, Conversation: m.open.Conversation} })
		answerOf(mallory, func(d wire.Done) bool { return d.Req == mallory.req })
		answerOf(eve, func(c wire.Closed) bool { return c.Conversation == m.open.Conversation })
		heard.Store([]byte(nil))
		mallory.credentials.Delegation = again()
		if tryMeet(t, w, mallory, eve, nil, nil) == nil {
			t.Error("another seal went through")
		}
		answerOf(eve, func(c wire.Closed) bool { return c.Number == wire.CodeFlowDenied })
		if got, _ := heard.Load().([]byte); got != nil {
			t.Errorf("eve got %x", got)
		}
	})
}

// What an authority answers to one's own nonce says it, in a staple; but not at any length, and nothing else passes for a staple.
func TestClosedCarrierStaples(t *testing.T) {
	for _, c := range []struct {
		name   string
		staple func(t *testing.T, w *world, a *authorities, card cardauth.Card) []byte
		passes bool
	}{
		{"a nonce", func(t *testing.T, w *world, a *authorities, card cardauth.Card) []byte {
			return chosenStaple(t, w, a, card, psst[:])
		}, true},
		{"a longer nonce", func(t *testing.T, w *world, a *authorities, card cardauth.Card) []byte {
			return chosenStaple(t, w, a, card, append(psst[:], "!"...))
		}, false},
		{"what nobody signed", func(t *testing.T, w *world, a *authorities, card cardauth.Card) []byte {
			b := chosenStaple(t, w, a, card, psst[:])
			b[bytes.Index(b, psst[:])] ^= 1
			return b
		}, false},
		{"a byte more", func(t *testing.T, w *world, a *authorities, card cardauth.Card) []byte {
			return append(chosenStaple(t, w, a, card, psst[:]), '!')
		}, false},
		{"no answer at all", func(*testing.T, *world, *authorities, cardauth.Card) []byte { return psst[:] }, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			simulated(t, nil, func(t *testing.T, w *world) {
				a := w.revocable(true, 0)
				high, card := w.card("eve"), w.card("mallory")
				w.grants(w.identity(high), wire.Level{Rank: 1}, false)
				mallory, eve := w.evilPeer(t, card), w.evilPeer(t, high)
				staple := c.staple(t, w, a, card)
				heard := false
				eve.listens = func(f wire.Frame) {
					if h, err := wire.ParseHello(f.Body); f.Type == wire.FrameHello && err == nil {
						heard = len(h.Staples) > 0 && bytes.Equal(h.Staples[0], staple)
					}
				}
				mallory.credentials.Staples = [][]byte{staple}
				err := tryMeet(t, w, mallory, eve, nil, nil)
				if (err == nil) != c.passes || heard != c.passes {
					t.Errorf("the handshake: %v; eve heard it: %v", err, heard)
				}
			})
		})
	}
}

// chosenStaple asks an authority about a card with a nonce of one's choice.
func chosenStaple(t *testing.T, w *world, a *authorities, card cardauth.Card, nonce []byte) []byte {
	t.Helper()
	issuer, err := x509.ParseCertificate(card.Chain()[1])
	must(t, err)
	plain, err := ocsp.CreateRequest(card.Certificate(), issuer, nil)
	must(t, err)
	var r struct {
		TBS struct {
			List       asn1.RawValue
			Extensions []pkix.Extension `asn1:"explicit,tag:2,optional"`
		}
	}
	_, err = asn1.Unmarshal(plain, &r)
	must(t, err)
	value, err := asn1.Marshal(nonce)
	must(t, err)
	r.TBS.Extensions = []pkix.Extension{{Id: asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 48, 1, 2}, Value: value}}
	der, err := asn1.Marshal(r)
	must(t, err)
	q, err := http.NewRequest(http.MethodPost, card.Certificate().OCSPServer[0], bytes.NewReader(der))
	must(t, err)
	answer, err := a.RoundTrip(q)
	must(t, err)
	staple, err := io.ReadAll(answer.Body)
	must(t, err)
	return staple
}

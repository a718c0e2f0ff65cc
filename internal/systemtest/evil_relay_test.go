package systemtest

import (
	"context"
	"crypto/rand"
	"net"
	"testing"
	"time"

	"sinete/cardauth"
	"sinete/cardauth/seal"
	"sinete/internal/link"
	"sinete/peer"
	"sinete/peer/store"
	"sinete/relay"
	"sinete/transport"
	"sinete/transport/channel"
	"sinete/wire"
)

// lair is a world with an evil relay beside the honest one, under the same name and certificate, and somebody who has logged in there.
// The relay plays all of the victim's contacts, with their cards: what an honest contact would do, and what becomes of it on the way.
type lair struct {
	*world
	relay  *evil
	there  peer.Config // the victim's, for a login at the honest relay
	victim *peer.Session
	alice  cardauth.Card // the victim's
	level  wire.Level    // the victim's in conversations
	ids    uint32
}

// inLair runs a test in virtual time, with a canary at the honest relay.
func inLair(t *testing.T, test func(t *testing.T, w *lair)) {
	t.Helper()
	inLairAs(t, func(*testing.T, *peer.Config) {}, test)
}

// inLairAs is inLair with a victim whose configuration may be changed.
func inLairAs(t *testing.T, victim func(t *testing.T, c *peer.Config), test func(t *testing.T, w *lair)) {
	t.Helper()
	besideHonest(t, func(t *testing.T, w *world, login func(there peer.Config) (*peer.Session, *evil)) {
		l := &lair{world: w, alice: w.card("alice")}
		l.there = w.config(l.alice)
		l.there.Store = store.NewMemory()
		victim(t, &l.there)
		l.victim, l.relay = login(l.there)
		test(t, l)
	})
}

// besideHonest runs a test in virtual time, with an evil relay beside the honest one and under the same name and certificate, and a canary at the
// honest one. login logs somebody in at the evil one, who takes it for the honest one of their configuration.
func besideHonest(t *testing.T, test func(t *testing.T, w *world, login func(there peer.Config) (*peer.Session, *evil))) {
	t.Helper()
	var cfg relay.Config
	simulated(t, func(c *relay.Config) { cfg = *c }, func(t *testing.T, w *world) {
		birds := newCanary(t, w)
		socket := w.network.Endpoint()
		listener, err := transport.Listen(socket, transport.ServerConfig{Certificate: cfg.Certificate})
		must(t, err)
		t.Cleanup(listener.Close)
		test(t, w, func(there peer.Config) (*peer.Session, *evil) {
			there.Socket = func() (net.PacketConn, net.Addr, error) { return w.network.Endpoint(), socket.LocalAddr(), nil }
			served := make(chan *evil, 1)
			go func() {
				defer close(served)
				served <- w.evilRelay(t, listener, cfg.Card)
			}()
			s := w.loginWith(there)
			return s, soon(t, served)
		})
		birds.sings(t)
	})
}

// evilRelay accepts one login, honestly.
func (w *world) evilRelay(t *testing.T, listener *transport.Listener, card cardauth.Card) *evil {
	conn, err := listener.Accept(t.Context())
	must(t, err)
	control, err := conn.AcceptStream(t.Context())
	must(t, err)
	e := &evil{t: t, conn: conn, sealer: sealerOf(t, card, wire.SignerHash(card.Certificate().Raw, nil))}
	_, _, err = link.Respond(t.Context(), link.OnStream{Stream: control}, link.Response{
		Config: channel.Config{Kind: wire.KindHop, Limits: evilLimits, Suites: channel.Suites(), Credentials: wire.Credentials{Chain: card.Chain()}},
		Acquaintance: link.Acquaintance{Verifier: seal.NewVerifier(16), Now: time.Now, Settle: w.policy.Settle,
			Meet: func(_ context.Context, c wire.Credentials) (*cardauth.Party, error) {
				return w.policy.VerifyPerson(c.Chain, nil)
			}},
		Context: func(*wire.Hello) (string, error) { return "", nil },
		Admit: func(_ context.Context, _ *link.Other, h *wire.Hello) ([]byte, error) {
			return (&wire.HopParameters{Limits: evilLimits.Smaller(h.Limits), Relay: "Evil relay"}).Append(nil), nil
		},
		Seal: func(_ context.Context, th3 []byte) (wire.Seal, error) {
			return e.sealOne(wire.PurposeResponder, th3), nil
		},
		Accept: func(ch *channel.Channel, o *link.Other, send func() error) error {
			err := send()
			e.start(ch, o, control)
			return err
		},
	})
	must(t, err)
	conn.LoggedIn()
	return e
}

// contact is somebody whom the evil relay plays.
func (l *lair) contact(card cardauth.Card) (*evilTalk, wire.PeerEntry) {
	own, err := l.policy.VerifyPerson(card.Chain(), nil)
	must(l.t, err)
	l.ids++
	return &evilTalk{at: l.relay, own: own, sealer: sealerOf(l.relay.t, card, wire.SignerHash(card.Certificate().Raw, nil))},
		wire.PeerEntry{ID: l.ids, Name: own.Name, Identity: own.Identity, Certificate: own.CertificateHash,
			Suites: channel.Suites(), Send: true}
}

// opens sends open to the victim.
func (l *lair) opens(t *evilTalk, entry wire.PeerEntry, role wire.Role) {
	stream, err := l.relay.conn.OpenStream(l.relay.t.Context())
	must(l.t, err)
	t.lane = l.relay.lane(stream)
	victim, err := l.policy.VerifyPerson(l.alice.Chain(), nil)
	must(l.t, err)
	rand.Read(t.open.Conversation[:])
	t.open.Other = wire.PeerEntry{Identity: victim.Identity, Certificate: victim.CertificateHash} // as the contact sees it
	l.relay.send(t.lane, wire.EnvelopeControl, wire.Open{Conversation: t.open.Conversation, Role: role, MayWrite: true, OtherMay: true,
		Level: l.level, Other: entry}.Append(nil))
}

// calls has a contact ask the victim for a conversation.
func (l *lair) calls(t *testing.T, card cardauth.Card) (*evilTalk, *peer.Conversation) {
	t.Helper()
	talk, entry := l.contact(card)
	l.opens(talk, entry, wire.RoleResponder)
	must(t, talk.handshake(l.world, wire.RoleInitiator, wire.Credentials{Chain: card.Chain()}, nil))
	return talk, opened(t, l.victim)
}

// asked has the victim ask for a conversation with a contact, and plays the relay's part up to open.
func (l *lair) asked(t *testing.T, card cardauth.Card) (*evilTalk, <-chan error) {
	t.Helper()
	talk, entry := l.contact(card)
	result := make(chan error, 1)
	go func() {
		_, err := l.victim.Connect(t.Context(), entry.ID, nil)
		result <- err
	}()
	asked := answerOf(l.relay, func(wire.List) bool { return true })
	l.relay.send(l.relay.control, wire.EnvelopeControl, wire.Peers{Req: asked.Req, Entries: []wire.PeerEntry{entry}}.Append(nil))
	connect := answerOf(l.relay, func(wire.Connect) bool { return true })
	l.opens(talk, entry, wire.RoleInitiator)
	l.relay.send(l.relay.control, wire.EnvelopeControl, wire.Ringing{Req: connect.Req, Conversation: talk.open.Conversation}.Append(nil))
	return talk, result
}

// told awaits what the victim tells the relay about the end of a conversation.
func (l *lair) told(t *testing.T, talk *evilTalk, number wire.Code) {
	t.Helper()
	d := answerOf(l.relay, func(d wire.Disconnect) bool { return d.Conversation == talk.open.Conversation })
	if d.Number != number {
		t.Errorf("the victim ended the conversation with %v, not with %v", d.Number, number)
	}
}

// sessionEnds expects the end of the victim's session by its own decision.
func (l *lair) sessionEnds(t *testing.T, number wire.Code) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	for {
		e, err := l.victim.Next(ctx)
		must(t, err)
		if closed, ok := e.(*peer.SessionClosed); ok {
			if wire.CodeOf(closed.Err) != number {
				t.Errorf("the session ended with %v, not with %v", closed.Err, number)
			}
			break
		}
	}
	l.relay.thrownOut(number)
}

// chat is an honest message each way.
func chat(t *testing.T, talk *evilTalk, victim *peer.Conversation) {
	t.Helper()
	talk.say("piu", forgery{})
	if m := next[*peer.Message](t, victim); m.Text != "piu" {
		t.Fatalf("the victim received %q", m.Text)
	}
	n := sendText(t, victim, "pio")
	if c := talk.hear(n); c.Text != "pio" || c.Number != n {
		t.Fatalf("the contact received %q", c.Text)
	}
	talk.confirm(nil)
	delivered(t, victim, n)
}

// What a relay may do to a contact's messages on the way. Each ends that conversation and shows nothing.
var tamperings = []struct {
	name   string
	do     func(t *evilTalk)
	number wire.Code
}{
	{"reordered", func(t *evilTalk) {
		first, second := t.content("first"), t.content("second")
		t.put(forgery{}, second.Body, first.Body)
		t.close(forgery{})
	}, wire.CodeIntegrity},
	{"dropped in the middle", func(t *evilTalk) {
		first, _, third := t.content("first"), t.content("second"), t.content("third")
		t.put(forgery{}, first.Body, third.Body)
		t.close(forgery{})
	}, wire.CodeIntegrity},
	{"tail dropped", func(t *evilTalk) {
		first, _ := t.content("first"), t.content("second")
		t.put(forgery{}, first.Body)
		t.close(forgery{})
	}, wire.CodeIntegrity},
	{"replayed", func(t *evilTalk) {
		t.put(forgery{}, t.said)
		t.close(forgery{})
	}, wire.CodeIntegrity},
	{"replayed behind a new one", func(t *evilTalk) {
		t.put(forgery{}, t.content("new").Body, t.said)
		t.close(forgery{})
	}, wire.CodeIntegrity},
	{"reflected", func(t *evilTalk) {
		t.put(forgery{}, t.heard)
		t.close(forgery{})
	}, wire.CodeIntegrity},
	{"flipped in the number", func(t *evilTalk) { t.say("flipped", forgery{body: func(b []byte) { b[1] ^= 1 }}) }, wire.CodeIntegrity},
	{"flipped in the label", func(t *evilTalk) { t.say("flipped", forgery{body: func(b []byte) { b[4] ^= 1 }}) }, wire.CodeIntegrity},
	{"flipped in the commitment", func(t *evilTalk) { t.say("flipped", forgery{body: func(b []byte) { b[20] ^= 1 }}) }, wire.CodeIntegrity},
	{"flipped in the ciphertext", func(t *evilTalk) { t.say("flipped", forgery{body: func(b []byte) { b[40] ^= 1 }}) }, wire.CodeIntegrity},
	{"the author's seal withheld", func(t *evilTalk) { t.say("unsealed", forgery{without: leaveOut(false, true)}) }, wire.CodeUnsealed},
	{"the author's head replaced by an older one", func(t *evilTalk) {
		t.say("old seal", forgery{seals: func(t *evilTalk, _, inner *wire.SealEntry) { *inner = t.sealed }})
	}, wire.CodeIntegrity},
	{"the author's head sealed by the relay", func(t *evilTalk) {
		t.say("the relay's seal", forgery{seals: func(t *evilTalk, _, inner *wire.SealEntry) { *inner = t.at.seal(t.at.sealer, inner.Head)[0] }})
	}, wire.CodeIntegrity},
}

func TestRelayTampers(t *testing.T) {
	inLair(t, func(t *testing.T, w *lair) {
		card := w.card("bob")
		carol, a2 := w.calls(t, w.card("carol"))
		for _, c := range tamperings {
			t.Log("tampering:", c.name)
			bob, a := w.calls(t, card)
			chat(t, bob, a)
			c.do(bob)
			heardNothing(t, a, c.number)
			w.told(t, bob, c.number)
			chat(t, carol, a2)
		}
	})
}

// What a relay may do to its own envelopes and seals ends the session, and nothing is shown.
func TestRelayTampersWithHop(t *testing.T) {
	for _, c := range []struct {
		name    string
		forgery forgery
		number  wire.Code
		after   time.Duration
	}{
		{"flipped in the header", forgery{frame: func(b []byte) { b[2] ^= 1 }}, wire.CodeIntegrity, 0},
		{"flipped in the ciphertext", forgery{frame: func(b []byte) { b[9] ^= 1 }}, wire.CodeIntegrity, 0},
		{"a head with another transcript", forgery{heads: func(_ *evilTalk, outer, _ *wire.Head) { outer.Mine.T[0] ^= 1 }}, wire.CodeIntegrity, 0},
		{"its seal withheld", forgery{without: leaveOut(true, true)}, wire.CodeUnsealed, 10 * time.Second},
	} {
		t.Run(c.name, func(t *testing.T) {
			inLair(t, func(t *testing.T, w *lair) {
				bob, a := w.calls(t, w.card("bob"))
				chat(t, bob, a)
				start := time.Now()
				bob.say("tampered", c.forgery)
				heardNothing(t, a, c.number)
				w.sessionEnds(t, c.number)
				if took := time.Since(start); took < c.after || took > c.after+20*time.Second {
					t.Errorf("the session ended after %v", took)
				}
			})
		})
	}
}

// A conversation's handshake that was altered on the way, or answered by anybody but whom the list showed, makes no conversation. What the
// relay alters is refused with authentication-failed by the victim where the victim reads it, who else answers with wrong-context.
func TestRelayTampersWithHandshake(t *testing.T) {
	flip := func(which wire.FrameType, at int) func(f *wire.Frame) {
		return func(f *wire.Frame) {
			if f.Type == which {
				f.Body[(at+len(f.Body))%len(f.Body)] ^= 1
			}
		}
	}
	inLair(t, func(t *testing.T, w *lair) {
		card := w.card("bob")
		credentials := wire.Credentials{Chain: card.Chain()}
		carol, a2 := w.calls(t, w.card("carol"))

		for _, c := range []struct {
			name   string
			spoil  func(f *wire.Frame)
			before func(talk *evilTalk)
			number wire.Code
		}{
			{"hello's limits altered", flip(wire.FrameHello, -len(wire.ConversationContext{Conversation: [16]byte{}, Asking: w.identity(card),
				AskedFor: w.victim.Identity()}.Append(nil))-1), nil, wire.CodeAuthenticationFailed},
			{"proof's MAC altered", flip(wire.FrameProof, -1), nil, wire.CodeAuthenticationFailed},
			{"hello of another conversation", nil, func(talk *evilTalk) { talk.open.Conversation[0] ^= 1 }, wire.CodeWrongContext},
			{"hello for another person", nil, func(talk *evilTalk) { talk.open.Other.Identity = carol.own.Identity }, wire.CodeWrongContext},
		} {
			t.Log("the victim is asked;", c.name)
			talk, entry := w.contact(card)
			w.opens(talk, entry, wire.RoleResponder)
			id := talk.open.Conversation
			if c.before != nil {
				c.before(talk)
			}
			if err := talk.handshake(w.world, wire.RoleInitiator, credentials, c.spoil); err == nil {
				t.Error("the handshake went through")
			}
			talk.open.Conversation = id
			w.told(t, talk, c.number)
			chat(t, carol, a2)
		}

		for _, c := range []struct {
			name   string
			spoil  func(f *wire.Frame)
			card   cardauth.Card
			number wire.Code
		}{
			{"answer's choice of suite altered", weakest, card, wire.CodeIntegrity},
			{"accept's MAC altered", flip(wire.FrameAccept, -1), card, wire.CodeAuthenticationFailed},
			{"accept's parameters altered", flip(wire.FrameAccept, 2), card, wire.CodeAuthenticationFailed},
			{"somebody else answers", nil, w.card("mallory"), wire.CodeWrongContext},
			{"another certificate of the same person answers", nil, w.card("bob"), wire.CodeWrongContext},
		} {
			t.Log("the victim asks;", c.name)
			talk, result := w.asked(t, card)
			talk.sealer = sealerOf(t, c.card, wire.SignerHash(c.card.Certificate().Raw, nil))
			_ = talk.handshake(w.world, wire.RoleResponder, wire.Credentials{Chain: c.card.Chain()}, c.spoil) // the victim decides
			if err := soon(t, result); wire.CodeOf(err) != c.number {
				t.Errorf("the victim is told %v", err)
			}
			w.told(t, talk, c.number)
			chat(t, carol, a2)
		}
		if all := w.victim.Conversations(); len(all) != 1 {
			t.Errorf("%d conversations are left, not the one that nobody disturbed", len(all))
		}
	})
}

// weakest changes answer's choice to the weakest suite.
func weakest(f *wire.Frame) {
	if f.Type == wire.FrameAnswer {
		a, err := wire.ParseAnswer(f.Body)
		if err != nil {
			panic(err)
		}
		a.Suite = a.Suites[len(a.Suites)-1]
		f.Body = a.Append(nil)
	}
}

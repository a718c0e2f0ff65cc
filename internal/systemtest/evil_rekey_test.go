package systemtest

import (
	"context"
	"testing"
	"time"

	"sinete/cardauth"
	"sinete/cardauth/seal"
	"sinete/internal/link"
	"sinete/peer"
	"sinete/transport/channel"
	"sinete/wire"
)

// rekey runs the handshake of a rekeying that the contact begins. spoil may change its messages, and edit what it brings.
func (t *evilTalk) rekey(w *world, edit func(c *channel.Config), spoil func(f *wire.Frame)) error {
	config := t.channel.Rekeying(wire.Credentials{Chain: t.chain}, evilLimits)
	if edit != nil {
		edit(&config)
	}
	_, _, _, err := link.Initiate(context.Background(), evilMessages{t, spoil}, link.Initiation{Config: config,
		Acquaintance: link.Acquaintance{Known: t.other, Verifier: seal.NewVerifier(16), Now: time.Now, Settle: w.policy.Settle,
			Meet: func(_ context.Context, c wire.Credentials) (*cardauth.Party, error) {
				return w.policy.VerifyPerson(c.Chain, nil)
			}},
		Seal: func(_ context.Context, th2 []byte) (wire.Seal, *wire.SealedDelegation, error) {
			return t.sealsFor(seal.Statement{Purpose: wire.PurposeInitiator, Bytes: th2}), nil, nil
		}})
	return err
}

// turn is the contact's switch.
func (t *evilTalk) turn() wire.Frame {
	body, err := t.channel.Switch()
	must(t.at.t, err)
	return wire.Frame{Type: wire.FrameSwitched, Body: body}
}

func (t *evilTalk) post(frames ...wire.Frame) {
	for _, f := range frames {
		must(t.at.t, evilMessages{t, nil}.Send(context.Background(), f))
	}
}

// turned takes the victim's switch.
func (t *evilTalk) turned() {
	f, err := evilMessages{t, nil}.Receive(context.Background())
	must(t.at.t, err)
	if f.Type != wire.FrameSwitched {
		t.at.t.Fatalf("%v where switched was due", f.Type)
	}
	must(t.at.t, t.channel.Switched(f.Body))
}

// An evil relay and an evil contact let a rekeying go well, again and again, and then do what they like. It ends that conversation, and
// shows nothing.
func TestEvilRekeys(t *testing.T) {
	for _, test := range []struct {
		name   string
		do     func(t *testing.T, w *lair, talk *evilTalk)
		number wire.Code
	}{
		{"another certificate", func(_ *testing.T, w *lair, talk *evilTalk) {
			go talk.rekey(w.world, func(c *channel.Config) { c.Credentials.Chain = w.card("mallory").Chain() }, nil)
		}, wire.CodeWrongContext},
		{"of another conversation", func(t *testing.T, w *lair, talk *evilTalk) {
			other, _ := w.calls(t, w.card("nuno"))
			go talk.rekey(w.world, func(c *channel.Config) {
				c.Context = wire.RekeyContext{Channel: other.channel.ID, TH: other.channel.TH()}.Append(nil)
			}, nil)
		}, wire.CodeWrongContext},
		{"of another epoch", func(_ *testing.T, w *lair, talk *evilTalk) {
			go talk.rekey(w.world, func(c *channel.Config) {
				c.Context = wire.RekeyContext{Channel: talk.channel.ID, TH: make([]byte, 48)}.Append(nil)
			}, nil)
		}, wire.CodeWrongContext},
		{"a first handshake again", func(_ *testing.T, w *lair, talk *evilTalk) {
			go talk.rekey(w.world, func(c *channel.Config) { c.Kind = wire.KindConversation }, nil)
		}, wire.CodeUnexpected},
		{"a message altered on the way", func(_ *testing.T, w *lair, talk *evilTalk) {
			go talk.rekey(w.world, nil, func(f *wire.Frame) {
				if f.Type == wire.FrameProof {
					f.Body[len(f.Body)-1] ^= 1
				}
			})
		}, wire.CodeAuthenticationFailed},
		{"a message twice", func(_ *testing.T, w *lair, talk *evilTalk) {
			go talk.rekey(w.world, nil, func(f *wire.Frame) {
				if f.Type == wire.FrameHello {
					talk.post(*f)
				}
			})
		}, wire.CodeUnexpected},
		{"switched without a rekeying", func(_ *testing.T, _ *lair, talk *evilTalk) {
			talk.post(wire.Frame{Type: wire.FrameSwitched, Body: (&wire.Switched{Epoch: 2}).Append(nil)})
		}, wire.CodeUnexpected},
		{"switched altered", func(t *testing.T, w *lair, talk *evilTalk) {
			must(t, talk.rekey(w.world, nil, nil))
			f := talk.turn()
			f.Body[len(f.Body)-1] ^= 1
			talk.post(f)
		}, wire.CodeIntegrity},
		{"switched twice", func(t *testing.T, w *lair, talk *evilTalk) {
			must(t, talk.rekey(w.world, nil, nil))
			f := talk.turn()
			talk.post(f, f)
		}, wire.CodeUnexpected},
		{"switched kept back", func(t *testing.T, w *lair, talk *evilTalk) {
			must(t, talk.rekey(w.world, nil, nil))
			talk.turn()
			talk.say("in the next epoch", forgery{})
		}, wire.CodeIntegrity},
		{"the tail of the epoch kept back", func(t *testing.T, w *lair, talk *evilTalk) {
			talk.content("never comes")
			talk.inner.Closing()
			must(t, talk.rekey(w.world, nil, nil))
			talk.post(talk.turn())
		}, wire.CodeIntegrity},
		{"the old epoch goes on", func(t *testing.T, w *lair, talk *evilTalk) {
			must(t, talk.rekey(w.world, nil, nil))
			old := talk.content("old")
			talk.inner.Closing()
			talk.post(talk.turn())
			talk.put(forgery{}, old.Body)
			talk.close(forgery{})
		}, wire.CodeIntegrity},
	} {
		t.Run(test.name, func(t *testing.T) {
			inLair(t, func(t *testing.T, w *lair) {
				card := w.card("rui")
				talk, victim := w.calls(t, card)
				talk.chain = card.Chain()
				chat(t, talk, victim)
				must(t, talk.rekey(w.world, nil, nil))
				talk.post(talk.turn())
				talk.turned()
				chat(t, talk, victim)
				if victim.Epoch() != 1 {
					t.Fatalf("epoch %d", victim.Epoch())
				}
				test.do(t, w, talk)
				heardNothing(t, victim, test.number)
				w.told(t, talk, test.number)
			})
		})
	}
}

// Whoever keeps a rekeying from happening must not make keys live longer: at twice the limit nothing more is sent, the person is told, and
// everything goes on when the rekeying does.
func TestRekeyKeptBack(t *testing.T) {
	simulated(t, nil, func(t *testing.T, w *world) {
		cfg := w.config(w.card("alice"))
		cfg.Limits = wire.RekeyLimits{Messages: 20, Seconds: 900}
		alice := w.loginWith(cfg)
		card := w.card("rui")
		talk := w.evilPeer(t, card).connect(w, alice.Identity())
		talk.chain = card.Chain()
		a := opened(t, alice)
		chat(t, talk, a)
		must(t, talk.rekey(w, nil, nil)) // and no switched
		var last uint64
		for range 60 {
			last = sendText(t, a, "text")
			time.Sleep(time.Second) // virtual
		}
		if warning := next[*peer.Warning](t, a); warning.Code != "rekey-waiting" {
			t.Fatalf("%+v", warning)
		}
		came := talk.at.count(func(a *arrival) bool {
			return a.stream == talk.lane.ID && a.opened != nil && a.opened.Type == wire.EnvelopeInner
		})
		if came < 10 || came > 40 {
			t.Fatalf("%d messages with keys for 20", came)
		}
		talk.hear(last - 60 + uint64(came)) // they have the numbers up to last
		talk.post(talk.turn())
		talk.turned()
		if c := talk.hear(last); c.Number != last {
			t.Fatalf("message %d", c.Number)
		}
	})
}

// The relay takes so many rekeyings of a conversation, whatever its two people would (section 10).
func TestRekeysAreLimited(t *testing.T) {
	simulated(t, nil, func(t *testing.T, w *world) {
		birds, mine, theirs := newCanary(t, w), w.card("mallory"), w.card("eve")
		m, e := meet(t, w, w.evilPeer(t, mine), w.evilPeer(t, theirs))
		m.chain, e.chain = mine.Chain(), theirs.Chain()
		began, last := time.Now(), time.Now()
		n := 0
		for ; n <= 2*wire.MaxRekeys; n++ {
			answered := make(chan error, 1)
			go func() { answered <- e.answerRekey(w) }()
			asked := m.rekey(w, nil, nil)
			if soon(t, answered) != nil || asked != nil {
				break
			}
			last = time.Now()
			m.post(m.turn())
			e.turned()
			e.post(e.turn())
			m.turned()
		}
		allowed := wire.MaxRekeys + wire.RekeysPerSecond*last.Sub(began).Seconds()
		if n < wire.MaxRekeys || float64(n) > allowed {
			t.Errorf("%d rekeyings in %v", n, last.Sub(began))
		}
		m.closed(wire.CodeLimitExceeded)
		e.closed(wire.CodeLimitExceeded)
		birds.sings(t)
	})
}

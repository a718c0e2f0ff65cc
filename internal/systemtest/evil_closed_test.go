package systemtest

import (
	"context"
	"slices"
	"testing"
	"time"

	"sinete/cardauth"
	"sinete/cardauth/seal"
	"sinete/peer"
	"sinete/wire"
)

// With no-write-up mallory, whose level is lower, may not write to eve, who may write to her. Both cheat: whatever mallory gets through, eve reads.
func closedTo(t *testing.T, test func(t *testing.T, w *world, mallory, eve *evil, card cardauth.Card)) {
	t.Helper()
	simulated(t, nil, func(t *testing.T, w *world) {
		high := w.card("eve")
		w.grants(w.identity(high), wire.Level{Rank: 1}, false)
		card := w.card("mallory")
		test(t, w, w.evilPeer(t, card), w.evilPeer(t, high), card)
	})
}

// meet has one ask the other for a conversation.
func meet(t *testing.T, w *world, asks, asked *evil) (a, b *evilTalk) {
	t.Helper()
	joined := make(chan *evilTalk, 1)
	go func() { joined <- asked.join(w, wire.RoleResponder) }()
	a = asks.connect(w, asked.own.Identity)
	return a, soon(t, joined)
}

// hello and answer change one message, as sent; the transcript has the honest one, which the relay does not come to.
func hello(change func(h *wire.Hello)) func(f *wire.Frame) {
	return func(f *wire.Frame) {
		if f.Type == wire.FrameHello {
			h, err := wire.ParseHello(f.Body)
			if err == nil {
				change(h)
				f.Body = h.Append(nil)
			}
		}
	}
}

func answer(change func(a *wire.Answer)) func(f *wire.Frame) {
	return func(f *wire.Frame) {
		if f.Type == wire.FrameAnswer {
			a, err := wire.ParseAnswer(f.Body)
			if err == nil {
				change(a)
				f.Body = a.Append(nil)
			}
		}
	}
}

// salted, batched, and aged are how an honest program seals elsewhere, and not in a closed direction.
func salted(by *seal.Sealer, st seal.Statement) wire.Seal {
	seals, _ := by.Seal(context.Background(), "", func() []seal.Statement { return []seal.Statement{st} })
	return seals[0]
}

func batched(by *seal.Sealer, st seal.Statement) wire.Seal {
	seals, _ := by.Seal(context.Background(), "", func() []seal.Statement { return []seal.Statement{st, st} })
	return seals[1]
}

// aged seals alone, and dates it otherwise than now.
func aged(t *testing.T, card cardauth.Card, by time.Duration) func(*seal.Sealer, seal.Statement) wire.Seal {
	s := seal.NewSealer(card, wire.SignerHash(card.Certificate().Raw, nil), seal.Config{Now: func() time.Time { return time.Now().Add(by) }})
	t.Cleanup(s.Close)
	return func(_ *seal.Sealer, st seal.Statement) wire.Seal {
		sealed, _ := s.SealAlone(context.Background(), st)
		return sealed
	}
}

func isHandshake(a *arrival) bool { return a.opened != nil && a.opened.Type == wire.EnvelopeHandshake }

// What a handshake could carry across a closed direction, beside what it needs, ends the conversation before it gets to the other side.
func TestClosedHandshakes(t *testing.T) {
	extra := func(c *wire.Credentials) { c.Chain = append(slices.Clone(c.Chain), c.Chain[len(c.Chain)-1]) }
	for _, c := range []struct {
		name  string
		asks  bool                // mallory does
		spoil func(f *wire.Frame) // of mallory
		seals func(by *seal.Sealer, st seal.Statement) wire.Seal
	}{
		{"an unknown version", true, hello(func(h *wire.Hello) { h.Versions = append(h.Versions, 0xbeef) }), nil},
		{"an unknown suite", true, hello(func(h *wire.Hello) { h.Suites = append(h.Suites, 0xbeef) }), nil},
		{"a share of an unknown group", true, hello(func(h *wire.Hello) {
			h.Shares = append(h.Shares, wire.Share{Group: 0xbeef, Data: []byte("psst")})
		}), nil},
		{"a share that is too long", true, hello(func(h *wire.Hello) { h.Shares[0].Data = append(h.Shares[0].Data, "psst"...) }), nil},
		{"a share of a group that is not offered", true, hello(func(h *wire.Hello) { h.Suites = h.Suites[:1] }), nil},
		{"a certificate more", true, hello(func(h *wire.Hello) { extra(&h.Credentials) }), nil},
		{"a delegation that is not in force", true, hello(func(h *wire.Hello) {
			d := wire.Delegation{Purposes: 2, Deployment: "psst"}
			h.Delegation = &wire.SealedDelegation{Statement: d.Append(nil), Seal: wire.Seal{Scheme: wire.SchemeP256, Signature: []byte("psst"), Leaves: 1}}
		}), nil},
		{"a salt in proof", true, nil, salted},
		{"a path in proof", true, nil, batched},
		{"a long MAC in proof", true, func(f *wire.Frame) {
			if f.Type == wire.FrameProof {
				p, _ := wire.ParseProof(f.Body)
				p.MAC = append(p.MAC, "psst"...)
				f.Body = p.Append(nil)
			}
		}, nil},
		{"an unknown suite in answer", false, answer(func(a *wire.Answer) { a.Suites = append(a.Suites, 0xbeef) }), nil},
		{"a long share in answer", false, answer(func(a *wire.Answer) { a.Share.Data = append(a.Share.Data, "psst"...) }), nil},
		{"a share of another group in answer", false, answer(func(a *wire.Answer) { a.Share.Group = 0xbeef }), nil},
		{"a certificate more in answer", false, answer(func(a *wire.Answer) { extra(&a.Credentials) }), nil},
		{"a salt in accept", false, nil, salted},
		{"a path in accept", false, nil, batched},
		{"a long MAC in accept", false, func(f *wire.Frame) {
			if f.Type == wire.FrameAccept {
				a, _ := wire.ParseAccept(f.Body)
				a.MAC = append(a.MAC, "psst"...)
				f.Body = a.Append(nil)
			}
		}, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			closedTo(t, func(t *testing.T, w *world, mallory, eve *evil, _ cardauth.Card) {
				mallory.seals = c.seals
				asks, asked, spoil, spoils := mallory, eve, c.spoil, (func(f *wire.Frame))(nil)
				if !c.asks {
					asks, asked, spoil, spoils = eve, mallory, spoils, spoil
				}
				if err := tryMeet(t, w, asks, asked, spoil, spoils); err == nil {
					t.Error("the handshake went through")
				}
				for _, e := range []*evil{mallory, eve} {
					answerOf(e, func(c wire.Closed) bool { return c.Number == wire.CodeFlowDenied })
				}
				// What she waited for, the drivers have taken; what came beside lies there.
				if n := eve.count(isHandshake); n != 0 {
					t.Errorf("eve was passed %d messages more", n)
				}
			})
		})
	}
}

// tryMeet is meet where either may fail, and change its messages.
func tryMeet(t *testing.T, w *world, asks, asked *evil, spoil, spoils func(f *wire.Frame)) error {
	t.Helper()
	over := make(chan error, 1)
	go func() {
		_, err := asked.tryJoin(w, wire.RoleResponder, spoils)
		over <- err
	}()
	id := asks.entry(asked.own.Identity).ID
	asks.ask(func(req uint64) wire.Control { return wire.Connect{Req: req, ID: id, Suites: asks.suites} })
	_, err := asks.tryJoin(w, wire.RoleInitiator, spoil)
	if answered := soon(t, over); err == nil {
		err = answered
	}
	return err
}

// A seal dated otherwise than it is says something, in proof and in heads. A card may take its time for a handshake.
func TestClosedTimes(t *testing.T) {
	for _, c := range []struct {
		by          time.Duration
		proof, head bool // passes
	}{
		{-302 * time.Second, false, false}, {-298 * time.Second, true, false}, {-122 * time.Second, true, false},
		{-118 * time.Second, true, true}, {118 * time.Second, true, true}, {122 * time.Second, false, false},
	} {
		t.Run(c.by.String(), func(t *testing.T) {
			closedTo(t, func(t *testing.T, w *world, mallory, eve *evil, card cardauth.Card) {
				m, e := meet(t, w, mallory, eve)
				e.say("to be confirmed", forgery{})
				m.hear(0)
				mallory.seals = aged(t, card, c.by)
				m.confirm(nil)
				if c.head {
					e.confirmed()
				} else {
					m.closed(wire.CodeFlowDenied)
				}
			})
			closedTo(t, func(t *testing.T, w *world, mallory, eve *evil, card cardauth.Card) {
				mallory.seals = aged(t, card, c.by)
				if err := tryMeet(t, w, mallory, eve, nil, nil); (err == nil) != c.proof {
					t.Errorf("a proof dated %v ahead: %v", c.by, err)
				}
			})
		})
	}
}

// An acknowledgement in a closed direction is alone in its batch, and signs nothing of its own.
func TestClosedHeads(t *testing.T) {
	for _, c := range []struct {
		name string
		lie  func(m *evilTalk)
	}{
		{"a salt", func(m *evilTalk) { m.at.seals = salted; m.confirm(nil) }},
		{"a path", func(m *evilTalk) { m.at.seals = batched; m.confirm(nil) }},
		{"a place of its own", func(m *evilTalk) {
			m.confirm(func(h *wire.Head) { h.Mine = new(m.inner.Sent.Here()) })
		}},
		{"on the conversation's stream", func(m *evilTalk) {
			must(m.at.t, m.inner.Confirm(m.inner.Received.LastSealed()))
			h, _ := m.inner.Acknowledging()
			m.at.write(m.lane, wire.SealEntry{Seal: m.sealsFor(seal.Statement{Purpose: wire.PurposeHead, Bytes: h.Append(nil)}), Head: h})
		}},
		{"a message", func(m *evilTalk) { m.say("psst", forgery{}) }},
		{"a message that nobody sealed for eve", func(m *evilTalk) { m.say("psst", forgery{without: leaveOut(false, true)}) }},
	} {
		t.Run(c.name, func(t *testing.T) {
			closedTo(t, func(t *testing.T, w *world, mallory, eve *evil, _ cardauth.Card) {
				m, e := meet(t, w, mallory, eve)
				e.say("to be confirmed", forgery{})
				m.hear(0)
				c.lie(m)
				m.closed(wire.CodeFlowDenied)
				e.closed(wire.CodeFlowDenied)
				if n := eve.count(func(a *arrival) bool { return a.inner != nil || isContent(a) }); n != 0 {
					t.Errorf("eve was passed %d heads or messages", n)
				}
			})
		})
	}
}

// confirmed takes the next H3, and says when it came.
func (t *evilTalk) confirmed() (head wire.Head, at time.Time) {
	t.at.t.Helper()
	a := t.at.await("H3", func(a *arrival) bool {
		return a.inner != nil && a.inner.Head.Channel == t.channel.ID && a.inner.Head.Mine == nil
	})
	return a.inner.Head, a.at
}

// However many acknowledgements come, the relay passes on one a second, the newest; in an open direction it passes on each as it comes.
func TestClosedHeadsAreRare(t *testing.T) {
	closedTo(t, func(t *testing.T, w *world, mallory, eve *evil, _ cardauth.Card) {
		m, e := meet(t, w, mallory, eve)
		const n = 20
		for i := range uint64(n) {
			e.say("to be confirmed", forgery{})
			m.hear(i)
			m.confirm(nil)
		}
		first, last := e.confirmed()
		if first.Yours.Count != 1 {
			t.Errorf("the first H3 is for %d", first.Yours.Count)
		}
		for heads, count := 1, uint64(1); count < n; heads++ {
			h, at := e.confirmed()
			if after := at.Sub(last); after < time.Second {
				t.Errorf("H3 for %d came %v after the one before", h.Yours.Count, after)
			}
			if count, last = h.Yours.Count, at; heads > 3 {
				t.Fatal("more than the newest waited")
			}
		}
	})
}

// Handshakes of two people between whom a direction is closed are rare: of conversations, and of rekeyings in one.
func TestClosedHandshakesAreRare(t *testing.T) {
	closedTo(t, func(t *testing.T, w *world, mallory, eve *evil, _ cardauth.Card) {
		ask := func(e *evil, id uint32) (number wire.Code) {
			e.ask(func(req uint64) wire.Control { return wire.Connect{Req: req, ID: id, Suites: e.suites} })
			var rings wire.Ringing
			e.await("an answer", func(a *arrival) bool {
				if a.opened == nil || a.stream != 0 {
					return false
				}
				m, _ := wire.ParseControl(a.opened.Payload)
				refused, is := m.(wire.Refused)
				number = refused.Number
				if !is {
					rings, is = m.(wire.Ringing)
				}
				return is
			})
			if number == wire.CodeBye {
				e.ask(func(req uint64) wire.Control { return wire.Disconnect{Req: req, Conversation: rings.Conversation} })
				answerOf(e, func(d wire.Done) bool { return d.Req == e.req })
			}
			return number
		}
		bob := w.login(w.card("bob"))
		ids := map[*evil]uint32{mallory: mallory.entry(eve.own.Identity).ID, eve: eve.entry(mallory.own.Identity).ID}
		begun := 0
		for i := 0; ; i++ { // in turns, for both sides' handshakes carry
			e := []*evil{mallory, eve}[i%2]
			if ask(e, ids[e]) == wire.CodeBusy {
				break
			}
			if begun++; begun > 2*wire.MaxClosedConnects {
				t.Fatal("no limit")
			}
		}
		if begun != wire.MaxClosedConnects {
			t.Errorf("%d conversations at once", begun)
		}
		if got := ask(mallory, mallory.entry(bob.Identity()).ID); got == wire.CodeBusy {
			t.Error("the limit concerns a third person, too")
		}
		time.Sleep(wire.ClosedConnectSeconds * time.Second) // virtual
		if got := ask(mallory, ids[mallory]); got == wire.CodeBusy {
			t.Error("there is none after a while either")
		}
	})
}

// Rekeyings are rare there, too.
func TestClosedRekeysAreRare(t *testing.T) {
	closedTo(t, func(t *testing.T, w *world, mallory, _ *evil, card cardauth.Card) {
		high := w.card("high")
		w.grants(w.identity(high), wire.Level{Rank: 1}, false)
		mighty := w.login(high)
		m := mallory.connect(w, mighty.Identity())
		m.chain = card.Chain()
		b := opened(t, mighty)
		m.hear(sendText(t, b, "an order"))
		for range wire.MaxClosedRekeys {
			must(t, m.rekey(w, nil, nil))
			m.post(m.turn())
			m.turned()
		}
		if err := m.rekey(w, nil, nil); err == nil {
			t.Error("one too many went through")
		}
		m.closed(wire.CodeLimitExceeded)
		heardNothing(t, b, wire.CodeLimitExceeded)
	})
}

// Honest people notice none of this: whoever asks, with a card or a delegated key, a conversation with a closed direction comes about, takes new
// keys, and its messages are confirmed.
func TestClosedDirectionBetweenHonestPeople(t *testing.T) {
	for _, signing := range []peer.Signing{peer.SignCard, peer.SignDelegated} {
		t.Run(string(signing), func(t *testing.T) {
			simulated(t, nil, func(t *testing.T, w *world) {
				low, high := w.config(w.card("low")), w.config(w.card("high"))
				w.grants(w.identity(high.Card), wire.Level{Rank: 1}, false)
				low.Sign, high.Sign = signing, signing
				lowly, mighty := w.loginWith(low), w.loginWith(high)
				for _, asks := range []*peer.Session{lowly, mighty} {
					asked := map[*peer.Session]*peer.Session{lowly: mighty, mighty: lowly}[asks]
					a, b := connect(t, asks, asked)
					up, down := a, b
					if asks == mighty {
						up, down = b, a
					}
					talk(t, down, up, "one", "two", "three")
					a.Rekey()
					next[*peer.Rekeyed](t, a)
					next[*peer.Rekeyed](t, b)
					talk(t, down, up, "in the next epoch")
					_, err := up.Send(t.Context(), "psst")
					refused(t, err, wire.CodeFlowDenied)
					must(t, a.Disconnect(t.Context()))
					sessionNext[*peer.Opened](t, asks) // one's own
				}
			})
		})
	}
}

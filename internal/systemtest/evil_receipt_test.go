package systemtest

import (
	"slices"
	"testing"
	"time"

	"sinete/cardauth"
	"sinete/peer"
	"sinete/wire"
)

// falsehoods are what an acknowledgement can say that is not so.
var falsehoods = []struct {
	name  string
	forge func(h *wire.Head)
}{
	{"another transcript", func(h *wire.Head) { h.Yours.T[0] ^= 1 }},
	{"more than was sent", func(h *wire.Head) { h.Yours.Count++ }},
	{"another epoch", func(h *wire.Head) { h.Yours.Epoch++ }},
	{"one's own role", func(h *wire.Head) { h.Role = h.Role.Other() }},
}

// waits says `waiting` once what has been written has arrived, and gives how long the other side then waits.
func waits(t *testing.T, e *evil, does bool) (atLeast, atMost time.Duration) {
	if !does {
		return 30 * time.Second, 50 * time.Second
	}
	time.Sleep(time.Second) // virtual
	must(t, e.control.stream.Append(wire.Frame{Type: wire.FrameWaiting, Body: []byte{byte(wire.WaitingForCard)}}.Append))
	return 180 * time.Second, 200 * time.Second
}

// comesOnce logs the author in at the honest relay, where the real recipient gets what was not confirmed: once, before anything new.
func (w *world) comesOnce(t *testing.T, author peer.Config, recipient cardauth.Card, number uint64, text string) {
	t.Helper()
	w.comesOnceTo(t, w.loginWith(author), recipient, number, text)
}

func (w *world) comesOnceTo(t *testing.T, author *peer.Session, recipient cardauth.Card, number uint64, text string) {
	t.Helper()
	a, b := connect(t, author, w.login(recipient))
	if m := next[*peer.Message](t, b); m.Text != text || m.Number != number {
		t.Fatalf("received %d %q where %d %q was queued", m.Number, m.Text, number, text)
	}
	delivered(t, a, number)
	talk(t, a, b, "new")
}

// A relay that falsifies H1 loses the session at once; what it concerned stays queued.
func TestFalseH1(t *testing.T) {
	for _, f := range falsehoods {
		t.Run(f.name, func(t *testing.T) {
			inLair(t, func(t *testing.T, w *lair) {
				bob, a := w.calls(t, w.card("bob"))
				chat(t, bob, a)
				w.relay.receipts(func(h *wire.Head) bool {
					f.forge(h)
					return true
				})
				start := time.Now()
				n := sendText(t, a, "falsely acknowledged")
				over(t, a, wire.CodeIntegrity, 1)
				w.sessionEnds(t, wire.CodeIntegrity)
				if took := time.Since(start); took > 5*time.Second {
					t.Errorf("it took %v", took)
				}
				w.comesOnce(t, w.there, w.card("bob"), n, "falsely acknowledged")
			})
		})
	}
}

// A relay that withholds H1 loses the session after 30 seconds, or 180 if it says that a card keeps it waiting.
func TestWithheldH1(t *testing.T) {
	for _, waiting := range []bool{false, true} {
		t.Run(map[bool]string{false: "silent", true: "waiting"}[waiting], func(t *testing.T) {
			inLair(t, func(t *testing.T, w *lair) {
				bob, a := w.calls(t, w.card("bob"))
				chat(t, bob, a)
				w.relay.receipts(withhold)
				start := time.Now()
				n := sendText(t, a, "never acknowledged")
				atLeast, atMost := waits(t, w.relay, waiting)
				w.sessionEnds(t, wire.CodeIntegrity)
				if took := time.Since(start); took < atLeast || took > atMost {
					t.Errorf("it took %v", took)
				}
				over(t, a, wire.CodeIntegrity, 1)
				w.comesOnce(t, w.there, w.card("bob"), n, "never acknowledged")
			})
		})
	}
}

// evilRecipient is mallory, whom honest alice has asked for a conversation.
func (w *world) evilRecipient(t *testing.T, alice *peer.Session, card cardauth.Card) (*evilTalk, *peer.Conversation) {
	t.Helper()
	mallory := w.evilPeer(t, card)
	people, err := alice.List(t.Context())
	must(t, err)
	i := slices.IndexFunc(people, func(p peer.Person) bool { return p.Identity == mallory.own.Identity })
	joined := make(chan *evilTalk, 1)
	go func() { joined <- mallory.join(w, wire.RoleResponder) }()
	a, err := alice.Connect(t.Context(), people[i].ID, nil)
	must(t, err)
	return soon(t, joined), a
}

// A recipient that falsifies H2 loses the session at once; the author is told that the conversation was cut, and the message stays queued.
func TestFalseH2(t *testing.T) {
	simulated(t, nil, func(t *testing.T, w *world) {
		birds := newCanary(t, w)
		alice, card := w.login(w.card("alice")), w.card("mallory")
		for i, f := range falsehoods {
			t.Log("H2 says", f.name)
			m, a := w.evilRecipient(t, alice, card)
			m.at.receipts(func(h *wire.Head) bool {
				f.forge(h)
				return true
			})
			n := sendText(t, a, "falsely acknowledged")
			m.at.thrownOut(wire.CodeIntegrity)
			over(t, a, wire.CodeCut, i+1)
			if i == len(falsehoods)-1 {
				a, b := connect(t, alice, w.login(card))
				for k := range n + 1 {
					if got := next[*peer.Message](t, b); got.Number != k {
						t.Errorf("message %d came where %d was next", got.Number, k)
					}
				}
				delivered(t, a, n)
				talk(t, a, b, "new")
			}
			birds.sings(t)
		}
	})
}

// A recipient that withholds H2 loses the session after 30 seconds, or 180 if it says that a card keeps it waiting.
func TestWithheldH2(t *testing.T) {
	for _, waiting := range []bool{false, true} {
		t.Run(map[bool]string{false: "silent", true: "waiting"}[waiting], func(t *testing.T) {
			simulated(t, nil, func(t *testing.T, w *world) {
				birds := newCanary(t, w)
				alice, card := w.login(w.card("alice")), w.card("mallory")
				m, a := w.evilRecipient(t, alice, card)
				time.Sleep(time.Second) // virtual; the handshake's acknowledgements are out
				m.at.receipts(withhold)
				start := time.Now()
				n := sendText(t, a, "never acknowledged")
				atLeast, atMost := waits(t, m.at, waiting)
				m.at.thrownOut(wire.CodeIntegrity)
				if took := time.Since(start); took < atLeast || took > atMost {
					t.Errorf("it took %v", took)
				}
				over(t, a, wire.CodeCut, 1)
				w.comesOnceTo(t, alice, card, n, "never acknowledged")
				birds.sings(t)
			})
		})
	}
}

// A recipient that reads and withholds H3 makes the author's program warn after 60 seconds. Nothing ends, and the message stays queued for
// the next conversation.
func TestWithheldH3(t *testing.T) {
	simulated(t, nil, func(t *testing.T, w *world) {
		birds := newCanary(t, w)
		alice, card := w.login(w.card("alice")), w.card("mallory")
		m, a := w.evilRecipient(t, alice, card)
		n := sendText(t, a, "read and not confirmed")
		start := time.Now()
		m.hear(n)
		warning := next[*peer.Warning](t, a)
		if took := time.Since(start); warning.Code != "unconfirmed" || took < 55*time.Second || took > 65*time.Second {
			t.Errorf("after %v alice is warned: %+v", took, warning)
		}
		m.at.list()
		must(t, a.Disconnect(t.Context()))
		over(t, a, wire.CodeBye, 1)
		m.closed(wire.CodePeerLeft)
		m.at.conn.Close(wire.CodeBye)
		w.comesOnceTo(t, alice, card, n, "read and not confirmed")
		birds.sings(t)
	})
}

// A recipient that falsifies H3 loses that conversation: the relay ends it before the author hears anything of it, and tells both. Both
// sessions go on.
func TestFalseH3(t *testing.T) {
	simulated(t, nil, func(t *testing.T, w *world) {
		birds := newCanary(t, w)
		alice, card := w.login(w.card("alice")), w.card("mallory")
		var n uint64
		for i, c := range []struct {
			name   string
			lie    func(m *evilTalk)
			number wire.Code
		}{
			{falsehoods[0].name, func(m *evilTalk) { m.confirm(falsehoods[0].forge) }, wire.CodeIntegrity},
			{falsehoods[1].name, func(m *evilTalk) { m.confirm(falsehoods[1].forge) }, wire.CodeIntegrity},
			{falsehoods[2].name, func(m *evilTalk) { m.confirm(falsehoods[2].forge) }, wire.CodeIntegrity},
			{falsehoods[3].name, func(m *evilTalk) { m.confirm(falsehoods[3].forge) }, wire.CodeIntegrity},
			{"another lane", func(m *evilTalk) { m.confirm(func(h *wire.Head) { h.Lane = 2 }) }, wire.CodeIntegrity},
			{"sealed by another person", func(m *evilTalk) {
				m.at.accomplice = w.card("accomplice")
				m.sealer = accomplice(m)
				m.confirm(nil)
			}, wire.CodeIntegrity},
			{"signs envelopes on the control stream", func(m *evilTalk) {
				m.confirm(func(h *wire.Head) {
					p := m.inner.Sent.Here()
					h.Mine = &p
				})
			}, wire.CodeUnexpected},
		} {
			t.Log("H3:", c.name)
			m, a := w.evilRecipient(t, alice, card)
			n = sendText(t, a, "falsely confirmed")
			m.hear(n) // and those before it, which were not confirmed either
			c.lie(m)
			m.closed(c.number)
			over(t, a, c.number, i+1)
			_, err := alice.List(t.Context())
			must(t, err)
			birds.sings(t)
			m.at.conn.Close(wire.CodeBye)
		}
		a, b := connect(t, alice, w.login(card))
		for k := range n + 1 {
			if got := next[*peer.Message](t, b); got.Number != k {
				t.Errorf("message %d came where %d was next", got.Number, k)
			}
		}
		delivered(t, a, n)
	})
}

// A relay that falsifies H3 on the way: the author's conversation ends, the session and the other conversation go on, and the message
// stays queued.
func TestRelayFalsifiesH3(t *testing.T) {
	for _, c := range []struct {
		name string
		lie  func(bob, carol *evilTalk, honest wire.SealEntry) wire.SealEntry
	}{
		{"altered", func(_, _ *evilTalk, h wire.SealEntry) wire.SealEntry {
			h.Head.Yours.Count--
			return h
		}},
		{"sealed by the relay", func(bob, _ *evilTalk, h wire.SealEntry) wire.SealEntry {
			return bob.at.seal(bob.at.sealer, h.Head)[0]
		}},
		{"sealed by another contact", func(bob, carol *evilTalk, h wire.SealEntry) wire.SealEntry {
			return bob.at.seal(carol.sealer, h.Head)[0]
		}},
		{"confirming more than was sent", func(bob, _ *evilTalk, h wire.SealEntry) wire.SealEntry {
			h.Head.Yours.Count++
			return bob.at.seal(bob.sealer, h.Head)[0]
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			inLair(t, func(t *testing.T, w *lair) {
				bob, a := w.calls(t, w.card("bob"))
				carol, a2 := w.calls(t, w.card("carol"))
				chat(t, bob, a)
				n := sendText(t, a, "confirmed by nobody")
				bob.hear(n)
				must(t, bob.inner.Confirm(bob.inner.Received.LastSealed()))
				h, _ := bob.inner.Acknowledging()
				w.relay.write(w.relay.control, c.lie(bob, carol, w.relay.seal(bob.sealer, h)[0]))
				over(t, a, wire.CodeIntegrity, 1)
				w.told(t, bob, wire.CodeIntegrity)
				chat(t, carol, a2)
				w.relay.conn.Close(wire.CodeBye)
				<-w.victim.Done()
				w.comesOnce(t, w.there, w.card("bob"), n, "confirmed by nobody")
			})
		})
	}
}

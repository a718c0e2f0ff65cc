package channel

import (
	"testing"

	"sinete/wire"
)

// passing is a message of a handshake as the relay sees it pass.
type passing struct {
	from wire.Role
	wire.Frame
}

// observed runs a conversation's handshake and returns its four messages in order.
func handshakeOf(t testing.TB, s ...wire.Suite) (c conversation, i *Channel, messages []passing) {
	t.Helper()
	h := newTalk(variants[2], s...)
	body, err := h.i.Hello()
	for f := wire.FrameHello; f <= wire.FrameAccept; f++ {
		must(t, err)
		from := wire.RoleInitiator
		if f == wire.FrameAnswer || f == wire.FrameAccept {
			from = wire.RoleResponder
		}
		messages = append(messages, passing{from, wire.Frame{Type: f, Body: body}})
		body, err = h.step(f, body)
	}
	must(t, err)
	return conversation{h.ic.Conversation(), h.rc.Conversation()}, h.ic, messages
}

func watching(t testing.TB, s ...wire.Suite) (c conversation, o *Observer, i *Channel) {
	t.Helper()
	c, i, messages := handshakeOf(t, s...)
	o = NewObserver()
	for _, m := range messages {
		must(t, o.Handshake(m.from, m.Frame))
	}
	return c, o, i
}

// Every frame, from both sides, in every state of the handshake: only the one that is due is taken.
func TestObserverHandshake(t *testing.T) {
	_, i, messages := handshakeOf(t, wire.SuiteX25519MLKEM768AES256GCM)
	machine := i.MachineFrame([32]byte{1}, false).Append(nil)
	body := func(f wire.FrameType) []byte {
		if f <= wire.FrameAccept {
			return messages[f-1].Body
		}
		return machine
	}
	o := NewObserver()
	for state := 0; ; state++ {
		for f := wire.FrameHello; f <= wire.FrameAlive+1; f++ {
			for _, from := range []wire.Role{wire.RoleInitiator, wire.RoleResponder} {
				due := state < 4 && f == messages[state].Type && from == messages[state].from || state == 4 && f == wire.FrameMachine
				other := *o
				err := other.Handshake(from, wire.Frame{Type: f, Body: body(min(f, wire.FrameMachine))})
				if due {
					must(t, err)
					continue
				}
				want := wire.CodeUnexpected
				if state == 4 && f == wire.FrameRekeyPlease && from == wire.RoleResponder {
					want = wire.CodeMalformed // it has its place, and another body
				}
				wantCode(t, err, want)
				if other.Established() != o.Established() || other.ID() != o.ID() {
					t.Fatalf("%v from the %v after %d messages changes what is established", f, from, state)
				}
			}
		}
		if state == 4 {
			break
		}
		if o.Established() || (o.Hello() != nil) != (state > 0) || (o.Answer() != nil) != (state > 1) {
			t.Fatalf("after %d messages: %v", state, o.Established())
		}
		must(t, o.Handshake(messages[state].from, messages[state].Frame))
	}
	if !o.Established() || o.ID() != i.ID {
		t.Error("the observer computes another channel id than the two people")
	}
	for _, from := range []wire.Role{wire.RoleInitiator, wire.RoleResponder} {
		f := wire.Frame{Type: wire.FrameMachine, Body: machine}
		must(t, o.Handshake(from, f))
		wantCode(t, o.Handshake(from, f), wire.CodeUnexpected) // a second one
	}
}

func TestObserverRefusesMalformed(t *testing.T) {
	_, i, messages := handshakeOf(t, wire.SuiteX25519AES256GCM)
	o := NewObserver()
	for _, m := range messages {
		bad := wire.Frame{Type: m.Type, Body: m.Body[:20]}
		wantCode(t, o.Handshake(m.from, bad), wire.CodeMalformed)
		bad.Body = make([]byte, wire.MaxHandshake+1)
		wantCode(t, o.Handshake(m.from, bad), wire.CodeLimitExceeded)
		if o.Established() {
			t.Fatal("established by what was refused")
		}
		must(t, o.Handshake(m.from, m.Frame))
	}
	if o.ID() != i.ID {
		t.Error("what was refused went into the channel id")
	}
	wantCode(t, o.Handshake(wire.RoleInitiator, wire.Frame{Type: wire.FrameMachine, Body: []byte("short")}), wire.CodeMalformed)

	hop := newTalk(variants[0], wire.SuiteX25519AES256GCM)
	hello, err := hop.i.Hello()
	must(t, err)
	wantCode(t, NewObserver().Handshake(wire.RoleInitiator, wire.Frame{Type: wire.FrameHello, Body: hello}), wire.CodeUnexpected)

	o = NewObserver()
	must(t, o.Handshake(messages[0].from, messages[0].Frame))
	a, err := wire.ParseAnswer(messages[1].Body)
	must(t, err)
	a.Suite = 99
	wantCode(t, o.Handshake(wire.RoleResponder, wire.Frame{Type: wire.FrameAnswer, Body: a.Append(nil)}), wire.CodeMalformed)
}

// pass lets an envelope by the observer and, if that takes it, hands it to the other side.
func pass(t testing.TB, o *Observer, from wire.Role, to *ConversationLane, envelope []byte) error {
	t.Helper()
	e, err := wire.ParseEnvelope(envelope)
	must(t, err)
	if err := o.Envelope(from, &e, e.InnerDigests()); err != nil {
		return err
	}
	return open(to, envelope)
}

// heard is for heads of which only matters whether they are taken.
func heard(o *Observer, from wire.Role, h wire.Head) error {
	_, err := o.Head(from, h)
	return err
}

// A head that says nothing new is not worth passing on, however well it is sealed.
func TestObserverTellsNews(t *testing.T) {
	c, o, _ := watching(t, wire.SuiteX25519AES256GCM)
	want := func(from wire.Role, h wire.Head, want bool) {
		t.Helper()
		if news, err := o.Head(from, h); err != nil || news != want {
			t.Fatalf("news %v, %v", news, err)
		}
	}
	want(wire.RoleInitiator, c.a.Closing(), false) // of nothing
	must(t, pass(t, o, wire.RoleInitiator, c.b, say(c.a, "x")))
	said := c.a.Closing()
	want(wire.RoleInitiator, said, true)
	want(wire.RoleInitiator, said, false)
	_, _, err := c.b.Check(said)
	must(t, err)
	early, _ := c.b.Acknowledging()
	want(wire.RoleResponder, early, false)
	must(t, c.b.Confirm(*said.Mine))
	ack, _ := c.b.Acknowledging()
	want(wire.RoleResponder, ack, true)
	want(wire.RoleResponder, ack, false)
	want(wire.RoleResponder, early, false) // overtaken
}

func TestObserverFollowsTraffic(t *testing.T) {
	eachSuite(t, func(t *testing.T, s wire.Suite) {
		c, o, _ := watching(t, s)
		for round := range 5 {
			must(t, pass(t, o, wire.RoleInitiator, c.b, say(c.a, "question")))
			must(t, pass(t, o, wire.RoleInitiator, c.b, say(c.a, "and another")))
			if o.Sealed(wire.RoleInitiator) || !o.Sealed(wire.RoleResponder) {
				t.Fatal("sealed before there is a head")
			}
			question := c.a.Closing()
			must(t, heard(o, wire.RoleInitiator, question))
			if !o.Sealed(wire.RoleInitiator) {
				t.Fatal("the head covers all, and it is not sealed")
			}
			if _, _, err := c.b.Check(question); err != nil {
				t.Fatal(err)
			}
			must(t, c.b.Confirm(*question.Mine))
			if round%2 == 0 {
				must(t, pass(t, o, wire.RoleResponder, c.a, say(c.b, "answer")))
			}
			answer := c.b.Closing()
			must(t, heard(o, wire.RoleResponder, answer))
			_, acked, err := c.a.Check(answer)
			must(t, err)
			if n, _ := o.sides[0].Unacknowledged(); !acked || n != 0 {
				t.Fatalf("%d unacknowledged for the observer, acknowledged for the author: %v", n, acked)
			}
			must(t, c.a.Confirm(*answer.Mine))
		}
	})
}

func TestObserverRefusesHeads(t *testing.T) {
	for _, test := range []struct {
		name string
		lie  func(h *wire.Head)
	}{
		{"another T", func(h *wire.Head) { h.Mine.T[0] ^= 1 }},
		{"another count", func(h *wire.Head) { h.Mine.Count++ }},
		{"another lane", func(h *wire.Head) { h.Lane = 2 }},
		{"another channel", func(h *wire.Head) { h.Channel[0] ^= 1 }},
		{"the other side's", func(h *wire.Head) { h.Role = wire.RoleResponder }},
		{"acknowledges what did not pass", func(h *wire.Head) { h.Yours.Count++ }},
		{"acknowledges another history", func(h *wire.Head) { h.Yours.T[0] ^= 1 }},
	} {
		t.Run(test.name, func(t *testing.T) {
			c, o, _ := watching(t, wire.SuiteX25519AES256GCM)
			must(t, pass(t, o, wire.RoleInitiator, c.b, say(c.a, "x")))
			honest := c.a.Closing()
			lie := honest
			mine := *honest.Mine
			lie.Mine = &mine
			test.lie(&lie)
			wantCode(t, heard(o, wire.RoleInitiator, lie), wire.CodeIntegrity)
			must(t, heard(o, wire.RoleInitiator, honest))
		})
	}
	wantCode(t, heard(NewObserver(), wire.RoleInitiator, wire.Head{}), wire.CodeIntegrity)
}

func TestObserverRefusesEnvelopes(t *testing.T) {
	c, o, _ := watching(t, wire.SuiteX25519AES256GCM)
	first, second := say(c.a, "first"), say(c.a, "second")
	must(t, pass(t, o, wire.RoleInitiator, c.b, first))
	wantCode(t, pass(t, o, wire.RoleInitiator, c.b, first), wire.CodeIntegrity)  // a repeat
	wantCode(t, pass(t, o, wire.RoleResponder, c.a, second), wire.CodeIntegrity) // from the other side
	third := say(c.a, "third")
	wantCode(t, pass(t, o, wire.RoleInitiator, c.b, third), wire.CodeIntegrity) // a gap
	c.a.out.epoch = 1
	c.a.out.seq = 1
	wantCode(t, pass(t, o, wire.RoleInitiator, c.b, say(c.a, "x")), wire.CodeIntegrity) // another epoch
	must(t, pass(t, o, wire.RoleInitiator, c.b, second))
	wantCode(t, pass(t, NewObserver(), wire.RoleInitiator, c.b, first), wire.CodeUnexpected) // before the handshake
}

func TestObserverLimits(t *testing.T) {
	for _, test := range []struct {
		name string
		size int // of a body
		fit  int // envelopes
	}{
		{"envelopes", 100, wire.MaxUnacknowledged},
		{"bytes", 32 << 10, wire.MaxUnackedBytes / (32 << 10)},
	} {
		t.Run(test.name, func(t *testing.T) {
			_, o, _ := watching(t, wire.SuiteX25519AES256GCM)
			envelope := func() error {
				e := wire.Envelope{Header: wire.Header{Seq: o.sides[0].seq, Type: wire.EnvelopeContent}}
				e.RawHeader = e.Header.Append(nil)
				e.Ciphertext = make([]byte, test.size-len(e.RawHeader))
				return o.Envelope(wire.RoleInitiator, &e, [][32]byte{{}})
			}
			for range test.fit {
				must(t, envelope())
			}
			sealed := o.sides[0].Seal()
			wantCode(t, envelope(), wire.CodeLimitExceeded)

			// The other person's acknowledgement makes room.
			must(t, heard(o, wire.RoleResponder, wire.Head{Channel: o.ID(), Role: wire.RoleResponder, Yours: sealed, Mine: nil}))
			must(t, envelope())
		})
	}
}

package channel

import (
	"bytes"
	"fmt"
	"slices"
	"testing"

	"sinete/wire"
)

// body takes the one frame in b apart.
func body(t testing.TB, b []byte) []byte {
	t.Helper()
	f, err := wire.ParseFrame(b)
	must(t, err)
	if f.Type != wire.FrameEnvelope {
		t.Fatalf("a %v frame", f.Type)
	}
	return f.Body
}

func control(t testing.TB, l *HopLane, payload string) []byte {
	return body(t, l.Seal(nil, wire.EnvelopeControl, []byte(payload)))
}

func TestHopCarries(t *testing.T) {
	eachSuite(t, func(t *testing.T, s wire.Suite) {
		i, r := channels(t, wire.KindHop, s)
		a, b := i.Hop(8), r.Hop(8)
		for n, size := range []int{0, 1, 256, 61_000, 3} {
			payload := bytes.Repeat([]byte{byte(n)}, size)
			for _, way := range [][2]*HopLane{{a, b}, {b, a}} {
				from, to := way[0], way[1]
				kind := []wire.EnvelopeType{wire.EnvelopeControl, wire.EnvelopeHandshake}[n%2]
				sealed := body(t, from.Seal(nil, kind, payload))
				if size > 16 && bytes.Contains(sealed, payload[:16]) {
					t.Error("the payload can be read")
				}
				o, err := to.Open([]byte("before"), sealed)
				must(t, err)
				if o.Type != kind || !bytes.Equal(o.Payload, payload) {
					t.Errorf("type %d, %d bytes", o.Type, len(o.Payload))
				}
				if from.Sent.Here() != to.Received.Here() || from.Sent.Here().Count != uint64(n+1) {
					t.Errorf("transcripts: %+v, %+v", from.Sent.Here(), to.Received.Here())
				}
			}
		}
	})
}

func TestConversationInsideHop(t *testing.T) {
	eachSuite(t, func(t *testing.T, s wire.Suite) {
		hopI, hopR := channels(t, wire.KindHop, s)
		i, r := channels(t, wire.KindConversation, s)
		out, in := hopI.Hop(4), hopR.Hop(4)
		a, b := i.Conversation(), r.Conversation()
		// A label with every compartment makes headers longer than any scratch space.
		long := wire.Level{Rank: 9}
		for n := range wire.MaxCompartments {
			long.Compartments = append(long.Compartments, fmt.Sprintf("%032d", n))
		}
		for n, label := range []wire.Level{{}, {Rank: 3, Compartments: []string{"nato"}}, long, {}} {
			content := fmt.Appendf(nil, "message %d", n)
			sealed := a.Seal([]byte("before"), label, content)
			o, err := in.Open(nil, body(t, out.SealInner(nil, sealed.Body, [][32]byte{sealed.Digest})))
			must(t, err)
			if o.Type != wire.EnvelopeInner || !o.Inner.Header.Label.Equal(label) || o.Digests[0] != sealed.Digest {
				t.Fatalf("%+v", o)
			}
			got, opening, err := b.Open([]byte("before"), &o.Inner, o.Digests[0])
			must(t, err)
			if !bytes.Equal(got, content) || opening != sealed.Opening {
				t.Errorf("%q, openings agree: %v", got, opening == sealed.Opening)
			}
			if a.Sent.Here() != b.Received.Here() || out.Sent.Here() != in.Received.Here() {
				t.Error("transcripts disagree")
			}
		}
	})
}

// What does not come from the next place of the same lane, direction, epoch and channel is refused.
func TestHopRefuses(t *testing.T) {
	i, r := channels(t, wire.KindHop, wire.SuiteX25519MLKEM768AES256GCM)
	other, _ := channels(t, wire.KindHop, wire.SuiteX25519MLKEM768AES256GCM)
	for _, test := range []struct {
		name   string
		attack func(t *testing.T, a, b *HopLane) []byte // what b is to open
		want   wire.Code
	}{
		{"a gap", func(t *testing.T, a, _ *HopLane) []byte {
			control(t, a, "lost")
			return control(t, a, "second")
		}, wire.CodeIntegrity},
		{"a repeat", func(t *testing.T, a, b *HopLane) []byte {
			again := control(t, a, "first")
			_, err := b.Open(nil, again)
			must(t, err)
			return again
		}, wire.CodeIntegrity},
		{"reflected", func(t *testing.T, _, b *HopLane) []byte { return control(t, b, "own") }, wire.CodeIntegrity},
		{"from another lane", func(t *testing.T, _, _ *HopLane) []byte { return control(t, i.Hop(8), "x") }, wire.CodeIntegrity},
		{"from another channel", func(t *testing.T, _, _ *HopLane) []byte { return control(t, other.Hop(4), "x") }, wire.CodeIntegrity},
		{"of another epoch", func(t *testing.T, a, _ *HopLane) []byte {
			a.out.epoch = 1
			return control(t, a, "x")
		}, wire.CodeIntegrity},
		{"texts without a conversation", func(t *testing.T, a, _ *HopLane) []byte {
			h := wire.Header{Type: wire.EnvelopeTexts, Commitments: make([][32]byte, 2)}
			aad := h.Append(a.out.place())
			return a.outKey.Seal(slices.Clone(aad[placeLen:]), a.out.next(1), []byte("x"), aad)
		}, wire.CodeUnexpected},
		{"content without a conversation", func(t *testing.T, a, _ *HopLane) []byte {
			h := wire.Header{Type: wire.EnvelopeContent}
			return append(h.Append(nil), make([]byte, 40)...)
		}, wire.CodeUnexpected},
		{"an inner envelope that is none", func(t *testing.T, a, _ *HopLane) []byte {
			return body(t, a.SealInner(nil, []byte("chat"), [][32]byte{{}}))
		}, wire.CodeMalformed},
		{"control in the place of content", func(t *testing.T, a, _ *HopLane) []byte {
			return body(t, a.SealInner(nil, control(t, i.Hop(8), "x"), [][32]byte{{}}))
		}, wire.CodeUnexpected},
		{"no envelope", func(t *testing.T, _, _ *HopLane) []byte { return nil }, wire.CodeMalformed},
	} {
		t.Run(test.name, func(t *testing.T) {
			a, b := i.Hop(4), r.Hop(4)
			envelope := test.attack(t, a, b)
			before := b.Received.Here()
			_, err := b.Open(nil, envelope)
			wantCode(t, err, test.want)
			if b.Received.Here() != before {
				t.Error("the transcript counts what was refused")
			}
		})
	}
}

func TestAlteredHopEnvelope(t *testing.T) {
	eachSuite(t, func(t *testing.T, s wire.Suite) {
		i, r := channels(t, wire.KindHop, s)
		sealed := control(t, i.Hop(4), "attack at dawn")
		opens := func(envelope []byte) bool {
			_, err := r.Hop(4).Open(nil, envelope)
			return err == nil
		}
		if !opens(sealed) {
			t.Fatal("the unaltered envelope does not open")
		}
		for n := range sealed {
			if opens(flipped(sealed, n)) {
				t.Errorf("byte %d altered", n)
			}
			if opens(sealed[:n]) {
				t.Errorf("cut to %d bytes", n)
			}
		}
		if opens(append(sealed, 0)) {
			t.Error("a byte more")
		}
	})
}

// conversation is two ends whose inner envelopes an evil relay hands on as it likes.
type conversation struct{ a, b *ConversationLane }

func newConversation(t testing.TB, s wire.Suite) (c conversation, i, r *Channel) {
	i, r = channels(t, wire.KindConversation, s)
	return conversation{i.Conversation(), r.Conversation()}, i, r
}

// fork is another lane in the same state, whose transcripts nobody looks at.
func (l *ConversationLane) fork() *ConversationLane {
	f := *l
	f.Lane = &Lane{ID: l.ID, channel: l.channel, role: l.role, Sent: &Transcript{}, Received: &Transcript{}}
	return &f
}

func open(l *ConversationLane, envelope []byte) error {
	e, err := wire.ParseEnvelope(envelope)
	if err != nil {
		return err
	}
	_, _, err = l.Open(nil, &e, wire.InnerDigest(e.RawHeader, e.Ciphertext))
	return err
}

func say(l *ConversationLane, text string) []byte {
	return l.Seal(nil, wire.Level{}, []byte(text)).Body
}

func TestConversationRefuses(t *testing.T) {
	for _, test := range []struct {
		name   string
		attack func(t *testing.T, c conversation) []byte
	}{
		{"a gap", func(t *testing.T, c conversation) []byte {
			say(c.a, "no, do not")
			return say(c.a, "do it")
		}},
		{"a repeat", func(t *testing.T, c conversation) []byte {
			pay := say(c.a, "pay")
			must(t, open(c.b, pay))
			return pay
		}},
		{"a repeat under the next number", func(t *testing.T, c conversation) []byte {
			pay := say(c.a, "pay")
			must(t, open(c.b, pay))
			pay[1]++
			return pay
		}},
		{"reflected", func(t *testing.T, c conversation) []byte { return say(c.b, "own words") }},
		{"of another epoch", func(t *testing.T, c conversation) []byte {
			c.a.out.epoch = 1
			return say(c.a, "x")
		}},
		{"from another conversation", func(t *testing.T, c conversation) []byte {
			other, _, _ := newConversation(t, wire.SuiteX25519AES256GCM)
			return say(other.a, "meant for somebody else")
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			c, _, _ := newConversation(t, wire.SuiteX25519AES256GCM)
			envelope := test.attack(t, c)
			before := c.b.Received.Here()
			wantCode(t, open(c.b, envelope), wire.CodeIntegrity)
			if c.b.Received.Here() != before {
				t.Error("the transcript counts what was refused")
			}
		})
	}
}

// The relay can wrap what it likes in good outer envelopes: the inner ones show it.
func TestAlteredInnerEnvelope(t *testing.T) {
	eachSuite(t, func(t *testing.T, s wire.Suite) {
		c, _, _ := newConversation(t, s)
		sealed := c.a.Seal(nil, wire.Level{Rank: 2, Compartments: []string{"a"}}, []byte("attack at dawn")).Body
		must(t, open(c.b.fork(), sealed))
		for n := range sealed {
			if open(c.b.fork(), flipped(sealed, n)) == nil {
				t.Errorf("byte %d altered", n)
			}
			if open(c.b.fork(), sealed[:n]) == nil {
				t.Errorf("cut to %d bytes", n)
			}
		}
		if open(c.b.fork(), append(sealed, 0)) == nil {
			t.Error("a byte more")
		}
	})
}

// An author who knows the AEAD key can make an envelope that decrypts and whose commitment is to something else: to be able to show a
// judge another text than the recipient read.
func TestWrongCommitment(t *testing.T) {
	eachSuite(t, func(t *testing.T, s wire.Suite) {
		c, i, _ := newConversation(t, s)
		forge := func(committed string) []byte {
			evil := c.a.fork()
			opening := evil.out.ratchet.next()
			h := wire.Header{Type: wire.EnvelopeContent}
			h.Commitment = wire.Commitment(opening, i.ID, 0, 1, h.AppendUncommitted(nil), []byte(committed))
			header := h.Append(nil)
			return evil.aead(&evil.out.key).Seal(header, evil.out.half.next(1), []byte("I owe you 1"), append(wire.AppendPlace(nil, i.ID, 0, 1), header...))
		}
		must(t, open(c.b.fork(), forge("I owe you 1")))
		wantCode(t, open(c.b.fork(), forge("I owe you 9")), wire.CodeIntegrity)
	})
}

// Whoever gets at a lane's memory cannot open what was opened before.
func TestRatchetForgets(t *testing.T) {
	c, i, _ := newConversation(t, wire.SuiteX25519AES256GCM)
	first := say(c.a, "secret")
	must(t, open(c.b.fork(), first))
	old := c.b.in.state
	must(t, open(c.b, first))
	if c.b.in.state == old || c.a.out.state != c.b.in.state {
		t.Error("the ratchets have not moved on together")
	}
	thief := c.b.fork()
	thief.in.seq = 0
	wantCode(t, open(thief, first), wire.CodeIntegrity)

	key := [32]byte{1, 2, 3}
	c.a.aead(&key)
	if key != [32]byte{} {
		t.Errorf("an envelope's key stays in memory: %x", key)
	}

	i.Erase()
	for name, use := range map[string]func(){"Seal": func() { say(c.a, "x") }, "Open": func() { _ = open(c.a, say(c.b, "x")) }} {
		if !panics(use) {
			t.Errorf("%s works after Erase, with keys that everybody knows", name)
		}
	}
}

func panics(f func()) (did bool) {
	defer func() { did = recover() != nil }()
	f()
	return false
}

func TestMachineFrames(t *testing.T) {
	_, i, r := newConversation(t, wire.SuiteX25519AES256GCM)
	hash := [32]byte{7}
	m := i.MachineFrame(hash, false)
	checkMachine(t, r, i)
	refuses := func(c *Channel, m wire.MachineFrame) {
		t.Helper()
		_, err := c.CheckMachine(m)
		wantCode(t, err, wire.CodeIntegrity)
	}
	refuses(i, m) // reflected
	_, _, stranger := newConversation(t, wire.SuiteX25519AES256GCM)
	refuses(stranger, m)
	for n := range m.Append(nil) {
		altered, err := wire.ParseMachineFrame(flipped(m.Append(nil), n))
		must(t, err)
		refuses(r, altered)
	}
}

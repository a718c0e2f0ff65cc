package channel

import (
	"bytes"
	"encoding/binary"
	"errors"
	"slices"
	"testing"

	"sinete/wire"
)

// Keys are fresh in each process, so what a fuzzer keeps is not the messages but what becomes of them under way: a list of edits, each an
// operation, a place and what it needs.
const (
	editFlip    = iota // place, u8: bits to change there
	editCut            // place
	editInsert         // place, u8
	editDelete         // place, u8: how many
	editReplace        // place: all from there on is the rest of the list
	editKinds
)

// altered is a message after the edits; without any it is genuine.
func altered(genuine, edits []byte) []byte {
	b := slices.Clone(genuine)
	for len(edits) >= 4 {
		op, at, v := edits[0]%editKinds, int(binary.BigEndian.Uint16(edits[1:]))%(len(b)+1), edits[3]
		switch {
		case op == editReplace:
			return append(b[:at], edits[3:]...)
		case op == editCut:
			b = b[:at]
		case op == editInsert:
			b = slices.Insert(b, at, v)
		case op == editDelete:
			b = slices.Delete(b, at, min(len(b), at+int(v)))
		case at < len(b):
			b[at] ^= v
		}
		edits = edits[4:]
	}
	return b
}

// editSeeds are edits of a message, and another in place of it.
func editSeeds(genuine, whole []byte) [][]byte {
	end := binary.BigEndian.AppendUint16(nil, uint16(len(genuine)-1))
	return [][]byte{
		nil,
		{editFlip, 0, 0, 1},
		{editFlip, 0, 2, 2},
		{editFlip, 0, 40, 0x80, editFlip, 0, 40, 0x80}, // and back
		{editFlip, end[0], end[1], 1},
		{editCut, end[0], end[1], 0},
		{editInsert, end[0], end[1], 0},
		{editInsert, 0, 3, 1},
		{editDelete, 0, 2, 1},
		append([]byte{editReplace, 0, 0}, whole...),
	}
}

// recorded is a handshake between two real ends, from which others fork.
type recorded struct {
	asked    *talk // hello is made, nothing is delivered
	messages [wire.FrameAccept + 1][]byte
	id       [32]byte
}

// recordings are of every kind, with every suite offered alone and all together.
func recordings(f *testing.F) (all []recorded) {
	offers := [][]wire.Suite{Suites()}
	for _, s := range Suites() {
		offers = append(offers, []wire.Suite{s})
	}
	for _, v := range variants {
		for _, offer := range offers {
			h := newTalk(v, offer...)
			body, err := h.i.Hello()
			r := recorded{asked: h.fork()}
			for frame := wire.FrameHello; frame <= wire.FrameAccept; frame++ {
				must(f, err)
				r.messages[frame] = body
				body, err = h.step(frame, body)
			}
			must(f, err)
			r.id = h.ic.ID
			all = append(all, r)
		}
	}
	return all
}

// handshakeSeeds adds edits of two messages for every recording.
func handshakeSeeds(f *testing.F, all []recorded, first, second wire.FrameType) {
	if len(all) == 0 {
		f.Fatal("no seeds")
	}
	for n, r := range all {
		other := all[(n+1)%len(all)]
		for _, e := range editSeeds(r.messages[first], other.messages[first]) {
			f.Add(uint8(n), e, []byte(nil))
		}
		for _, e := range editSeeds(r.messages[second], other.messages[second]) {
			f.Add(uint8(n), []byte(nil), e)
		}
		f.Add(uint8(n), append([]byte{editReplace, 0, 0}, r.messages[second]...), append([]byte{editReplace, 0, 0}, r.messages[first]...))
	}
}

// refusal checks that an error tells the other side something, and something that it is to blame for.
func refusal(t *testing.T, err error) {
	t.Helper()
	if errors.Is(err, errSeal) { // no MAC covers a delegation's seal
		return
	}
	switch wire.CodeOf(err) {
	case wire.CodeMalformed, wire.CodeUnexpected, wire.CodeLimitExceeded, wire.CodeVersionUnsupported, wire.CodeSuiteUnsupported,
		wire.CodeIntegrity, wire.CodeAuthenticationFailed:
	default:
		t.Fatalf("refused with %v: %v", wire.CodeOf(err), err)
	}
}

// Whatever comes in place of answer and accept, the initiator has a channel only when both are the responder's.
func FuzzInitiator(f *testing.F) {
	all := recordings(f)
	handshakeSeeds(f, all, wire.FrameAnswer, wire.FrameAccept)
	f.Fuzz(func(t *testing.T, which uint8, answerEdits, acceptEdits []byte) {
		r := all[int(which)%len(all)]
		answer, accept := altered(r.messages[wire.FrameAnswer], answerEdits), altered(r.messages[wire.FrameAccept], acceptEdits)
		genuine := bytes.Equal(answer, r.messages[wire.FrameAnswer]) && bytes.Equal(accept, r.messages[wire.FrameAccept])

		h := r.asked.fork()
		_, err := h.step(wire.FrameAnswer, answer)
		if err != nil {
			refusal(t, err)
			_, err = h.i.Proof(wire.Seal{}, nil)
			wantCode(t, err, wire.CodeUnexpected)
		}
		_, err = h.step(wire.FrameAccept, accept)
		if genuine {
			must(t, err)
			if h.ic.ID != r.id {
				t.Fatal("another channel than the responder's")
			}
			return
		}
		if err == nil || h.ic != nil {
			t.Fatalf("a channel out of\n%x\n%x", answer, accept)
		}
		if refusal(t, err); !errors.Is(err, errSeal) {
			_, err = h.i.Finish()
			wantCode(t, err, wire.CodeUnexpected)
		}
	})
}

// Whatever comes in place of hello and proof, the responder has a channel only when both are the initiator's.
func FuzzResponder(f *testing.F) {
	all := recordings(f)
	handshakeSeeds(f, all, wire.FrameHello, wire.FrameProof)
	f.Fuzz(func(t *testing.T, which uint8, helloEdits, proofEdits []byte) {
		r := all[int(which)%len(all)]
		hello := altered(r.messages[wire.FrameHello], helloEdits)
		h := r.asked.fork()
		due := r.messages[wire.FrameProof] // where the initiator does not go on, at least one of its own, from another handshake
		answer, err := h.step(wire.FrameHello, hello)
		if err != nil {
			refusal(t, err)
			_, err = h.r.Answer()
			wantCode(t, err, wire.CodeUnexpected)
		} else if proof, err := h.step(wire.FrameAnswer, answer); err == nil {
			due = proof
		} else {
			refusal(t, err)
		}

		proof := altered(due, proofEdits)
		genuine := bytes.Equal(hello, r.messages[wire.FrameHello]) && bytes.Equal(proof, due)
		accept, err := h.step(wire.FrameProof, proof)
		if genuine {
			must(t, err)
			must(t, h.deliver(wire.FrameAccept, accept))
			if h.ic.ID != h.rc.ID {
				t.Fatal("the ends have different channels")
			}
			return
		}
		if err == nil || h.rc != nil {
			t.Fatalf("a channel out of\n%x\n%x", hello, proof)
		}
		if refusal(t, err); !errors.Is(err, errSeal) {
			_, err = h.r.Parameters(nil)
			wantCode(t, err, wire.CodeUnexpected)
		}
	})
}

// Of everything that may stand on an established hop lane, only the genuine next envelope is opened.
func FuzzHopOpen(f *testing.F) {
	i, r := channels(f, wire.KindHop, wire.SuiteX25519AES256GCM)
	person, _, _ := newConversation(f, wire.SuiteX25519AES256GCM)
	a, b := i.Hop(4), r.Hop(4)
	inner := person.a.Seal(nil, wire.Level{Rank: 2, Compartments: []string{"a"}}, []byte("content"))
	shared := person.a.SealTexts(nil, wire.Level{}, textsOf("one", "two", "three"))
	payloads := [][]byte{[]byte("control"), inner.Body, []byte("handshake"), shared.Body}
	due := [][]byte{
		body(f, a.Seal(nil, wire.EnvelopeControl, payloads[0])),
		body(f, a.SealInner(nil, inner.Body, [][32]byte{inner.Digest})),
		body(f, a.Seal(nil, wire.EnvelopeHandshake, payloads[2])),
		body(f, a.SealInner(nil, shared.Body, shared.Digests)),
	}
	// What the author, who is evil, the network or the relay can put there.
	sent := append(slices.Clone(due), control(f, b, "reflected"), control(f, i.Hop(8), "of another lane"), inner.Body,
		body(f, i.Hop(4).SealInner(nil, []byte("no envelope"), [][32]byte{{}})), shared.Body)
	envelopeSeeds(f, due, sent)
	f.Fuzz(func(t *testing.T, after, which uint8, edits []byte) {
		lane := r.Hop(4)
		n := int(after) % len(due)
		for _, e := range due[:n] {
			_, err := lane.Open(nil, e)
			must(t, err)
		}
		envelope, before := altered(sent[int(which)%len(sent)], edits), lane.Received.Here()
		o, err := lane.Open(nil, envelope)
		opened(t, err, envelope, due[n], o.Payload, payloads[n], before, lane.Received.Here(), o.Envelopes())
	})
}

// The relay can wrap what it likes in good outer envelopes: of that, too, only the author's next one is opened.
func FuzzConversationOpen(f *testing.F) {
	c, _, _ := newConversation(f, wire.SuiteX25519AES256GCM)
	other, _, _ := newConversation(f, wire.SuiteX25519AES256GCM)
	payloads := [][]byte{[]byte("yes"), []byte("no"), []byte("attack at dawn")}
	due := make([][]byte, len(payloads))
	for n, p := range payloads {
		due[n] = c.a.Seal(nil, wire.Level{Rank: uint16(n), Compartments: []string{"a", "b"}[:n]}, p).Body
	}
	shared := textsOf("at dawn", "or not", "at all")
	due, payloads = append(due, c.a.SealTexts(nil, wire.Level{}, shared).Body), append(payloads, wire.AppendTexts(nil, shared))
	hop, _ := channels(f, wire.KindHop, wire.SuiteX25519AES256GCM)
	sent := append(slices.Clone(due), say(c.b, "reflected"), say(other.a, "yes"), control(f, hop.Hop(0), "control"))
	envelopeSeeds(f, due, sent)
	f.Fuzz(func(t *testing.T, after, which uint8, edits []byte) {
		lane := c.b.fork()
		n := int(after) % len(due)
		for _, e := range due[:n] {
			must(t, open(lane, e))
		}
		envelope, before := altered(sent[int(which)%len(sent)], edits), lane.Received.Here()
		var content []byte
		e, err := wire.ParseEnvelope(envelope)
		switch {
		case err == nil && e.Header.Type == wire.EnvelopeTexts:
			var texts []wire.Content
			if texts, _, _, err = lane.OpenTexts(nil, &e, e.InnerDigests()); err == nil {
				content = wire.AppendTexts(nil, texts)
			}
		case err == nil:
			content, _, err = lane.Open(nil, &e, wire.InnerDigest(e.RawHeader, e.Ciphertext))
		}
		opened(t, err, envelope, due[n], content, payloads[n], before, lane.Received.Here(), e.Header.Envelopes())
	})
}

func envelopeSeeds(f *testing.F, due, sent [][]byte) {
	if len(due) == 0 || len(sent) == 0 {
		f.Fatal("no seeds")
	}
	for after := range due {
		for which, b := range sent {
			for _, e := range editSeeds(b, due[after]) {
				f.Add(uint8(after), uint8(which), e)
			}
		}
	}
}

// opened checks what came of an envelope where another, or the same, was due.
func opened(t *testing.T, err error, envelope, due, payload, want []byte, before, after wire.Place, envelopes int) {
	t.Helper()
	switch {
	case bytes.Equal(envelope, due):
		must(t, err)
		if !bytes.Equal(payload, want) || after.Count != before.Count+uint64(envelopes) || after.T == before.T {
			t.Fatalf("%q in place of %q, transcript from %+v to %+v", payload, want, before, after)
		}
	case err == nil:
		t.Fatalf("opened as %q:\n%x\nwhere the next was\n%x", payload, envelope, due)
	default:
		refusal(t, err)
		if after != before {
			t.Fatal("the transcript counts what was refused")
		}
	}
}

package channel

import (
	"slices"

	"sinete/wire"
)

// Observer follows a conversation as the relay does, without any of its keys: the handshake's order and canonical form, the
// transcripts from the inner digests, and the heads (protocol.md sections 3 and 5.6). It is for one goroutine at a time.
type Observer struct {
	next        wire.FrameType // of the handshake; FrameEnvelope once it is complete
	hello       *wire.Hello
	answer      *wire.Answer
	helloBody   []byte
	answerBody  []byte
	proofBody   []byte
	machineSeen [2]bool

	id    [32]byte
	sides [2]*observed // by the role that sends, less one
}

type observed struct {
	*Transcript
	seq uint64
}

// NewObserver begins before hello.
func NewObserver() *Observer { return &Observer{next: wire.FrameHello} }

// Established reports whether accept has passed.
func (o *Observer) Established() bool { return o.next == wire.FrameEnvelope }

// ID is the channel's id once it is established.
func (o *Observer) ID() [32]byte { return o.id }

// Hello and Answer are the two offers, nil before they passed.
func (o *Observer) Hello() *wire.Hello   { return o.hello }
func (o *Observer) Answer() *wire.Answer { return o.answer }

// Handshake takes a frame of the handshake lane that side from sends. Errors: CodeMalformed, CodeUnexpected, CodeLimitExceeded.
func (o *Observer) Handshake(from wire.Role, f wire.Frame) error {
	if f.Type == wire.FrameMachine && o.Established() && !o.machineSeen[from-1] {
		o.machineSeen[from-1] = true
		_, err := wire.ParseMachineFrame(f.Body)
		return err
	}
	sender := wire.RoleInitiator
	if f.Type == wire.FrameAnswer || f.Type == wire.FrameAccept {
		sender = wire.RoleResponder
	}
	if o.Established() || f.Type != o.next || from != sender {
		return wire.Errorf(wire.CodeUnexpected, "%v from the %v in a conversation's handshake", f.Type, from)
	}
	body := slices.Clone(f.Body)
	var err error
	switch f.Type {
	case wire.FrameHello:
		o.helloBody = body
		if o.hello, err = wire.ParseHello(body); err == nil && o.hello.Kind != wire.KindConversation {
			err = wire.Errorf(wire.CodeUnexpected, "a %v handshake inside a conversation", o.hello.Kind)
		}
	case wire.FrameAnswer:
		o.answerBody = body
		if o.answer, err = wire.ParseAnswer(body); err == nil && !o.answer.Suite.Known() {
			err = &wire.MalformedError{What: "answer", Reason: "a suite that does not exist"}
		}
	case wire.FrameProof:
		o.proofBody = body
		var p *wire.Proof
		if p, err = wire.ParseProof(body); err == nil && p.Delegation != nil {
			err = wire.Errorf(wire.CodeUnexpected, "a delegation in a conversation's proof")
		}
	case wire.FrameAccept:
		var a *wire.Accept
		if a, err = wire.ParseAccept(body); err == nil {
			_, err = wire.ParseConversationParameters(a.Parameters)
		}
		if err == nil {
			o.establish(a)
		}
	}
	if err == nil {
		o.next++ // hello, answer, proof, accept and envelope follow each other
	}
	return err
}

func (o *Observer) establish(a *wire.Accept) {
	hash := suites[o.answer.Suite].hash()
	th2 := wire.TH2(hash, wire.KindConversation, o.helloBody, o.answerBody)
	th3 := wire.TH3(hash, wire.KindConversation, th2, o.proofBody, a.Parameters)
	th := wire.TH(hash, wire.KindConversation, th3, a.Seal.Append(nil), a.MAC)
	o.id = wire.ChannelID(th)
	for i := range o.sides {
		o.sides[i] = &observed{Transcript: newTranscript(th, 0, wire.Direction(i+1))}
	}
	o.helloBody, o.answerBody, o.proofBody = nil, nil, nil
}

// Envelope takes an inner envelope with that digest. Errors: CodeUnexpected, CodeIntegrity, CodeLimitExceeded.
func (o *Observer) Envelope(from wire.Role, e *wire.Envelope, digest [32]byte) error {
	if !o.Established() {
		return wire.Errorf(wire.CodeUnexpected, "content before the conversation's handshake is complete")
	}
	s := o.sides[from-1]
	if e.Header.Epoch != 0 || e.Header.Seq != s.seq {
		return wire.Errorf(wire.CodeIntegrity, "inner envelope %d of epoch %d where %d was next", e.Header.Seq, e.Header.Epoch, s.seq)
	}
	s.seq++
	s.add(digest, len(e.RawHeader)+len(e.Ciphertext))
	if n, bytes := s.Unacknowledged(); n > wire.MaxUnacknowledged || bytes > wire.MaxUnackedBytes {
		return wire.Errorf(wire.CodeLimitExceeded, "%d inner envelopes (%d bytes) unacknowledged", n, bytes)
	}
	return nil
}

// Head takes the head that side from has sealed and compares it with the observer's own view. news is false where it says nothing that
// a head before it has not said: such heads, of which anybody could make any number, need not be passed on. Errors have CodeIntegrity.
func (o *Observer) Head(from wire.Role, h wire.Head) (news bool, err error) {
	if !o.Established() || h.Channel != o.id || h.Lane != 0 || h.Role != from {
		return false, wire.Errorf(wire.CodeIntegrity, "a head of another conversation")
	}
	sent, received := o.sides[from-1], o.sides[from.Other()-1]
	if h.Mine != nil {
		if *h.Mine != sent.Here() {
			return false, wire.Errorf(wire.CodeIntegrity, "a head over %d inner envelopes that does not agree with the %d that passed", h.Mine.Count, sent.Here().Count)
		}
		news = sent.LastSealed() != *h.Mine
		sent.Seal()
	}
	acked, err := received.Acknowledge(h.Yours)
	return news || acked, err
}

// Sealed reports whether side from has sealed everything it sent.
func (o *Observer) Sealed(from wire.Role) bool {
	if !o.Established() {
		return true
	}
	s := o.sides[from-1]
	return s.LastSealed() == s.Here()
}

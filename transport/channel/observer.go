package channel

import (
	"slices"

	"sinete/wire"
)

// Observer follows a conversation as the relay does, without any of its keys: the handshake's order and canonical form, the
// transcripts from the inner digests, and the heads (protocol.md sections 3 and 5.6). It is for one goroutine at a time.
type Observer struct {
	exchange    *exchange // the handshake under way, the first or a rekeying's; nil where there is none
	machineSeen [2]bool
	proven      Proven

	id          [32]byte
	established bool
	epoch       uint64
	th          []byte       // of the epoch
	nextTH      []byte       // of the epoch that follows, from its accept until both sides have switched
	switched    [2]bool      // by the role, less one
	asked       bool         // rekey-please has passed in this epoch
	sides       [2]*observed // by the role that sends, less one
}

type observed struct {
	*Transcript
	epoch, seq uint64
}

// exchange is one handshake as it passes.
type exchange struct {
	kind                             wire.Kind
	next                             wire.FrameType
	hello                            *wire.Hello
	answer                           *wire.Answer
	helloBody, answerBody, proofBody []byte
	th2, th3                         []byte
}

// NewObserver begins before hello.
func NewObserver() *Observer {
	return &Observer{exchange: &exchange{kind: wire.KindConversation, next: wire.FrameHello}}
}

// Established reports whether the first accept has passed.
func (o *Observer) Established() bool { return o.established }

// ID is the channel's id once it is established.
func (o *Observer) ID() [32]byte { return o.id }

// Hello and Answer are the two offers of the handshake under way, nil before they passed and when it is complete.
func (o *Observer) Hello() *wire.Hello {
	if o.exchange == nil {
		return nil
	}
	return o.exchange.hello
}

func (o *Observer) Answer() *wire.Answer {
	if o.exchange == nil {
		return nil
	}
	return o.exchange.answer
}

// Proven is what a proof or an accept shows, for whoever can verify its seal.
type Proven struct {
	Purpose   wire.Purpose
	Statement []byte // TH2 or TH3
	Seal      wire.Seal
	WholeMAC  bool // the MAC is as long as the suite's hash
}

// Proven is of the last proof or accept that Handshake took.
func (o *Observer) Proven() Proven { return o.proven }

// Handshake takes a frame of the handshake lane that side from sends. Errors: CodeMalformed, CodeUnexpected, CodeLimitExceeded, and in
// rekeyings CodeWrongContext, CodeIntegrity, CodeUnsealed.
func (o *Observer) Handshake(from wire.Role, f wire.Frame) error {
	switch {
	case f.Type == wire.FrameMachine && o.established && !o.machineSeen[from-1]:
		o.machineSeen[from-1] = true
		_, err := wire.ParseMachineFrame(f.Body)
		return err
	case f.Type == wire.FrameRekeyPlease && o.established && from == wire.RoleResponder:
		return o.please(f.Body)
	case f.Type == wire.FrameSwitched && o.nextTH != nil:
		return o.turn(from, f.Body)
	}
	var x exchange
	switch {
	case o.exchange != nil:
		x = *o.exchange
	case o.established && o.nextTH == nil:
		x = exchange{kind: wire.KindConversationRekey, next: wire.FrameHello}
	}
	sender := wire.RoleInitiator
	if f.Type == wire.FrameAnswer || f.Type == wire.FrameAccept {
		sender = wire.RoleResponder
	}
	if f.Type != x.next || from != sender {
		return wire.Errorf(wire.CodeUnexpected, "%v from the %v in a conversation's handshake", f.Type, from)
	}
	proven, accept, err := x.take(f.Type, slices.Clone(f.Body))
	if err == nil && f.Type == wire.FrameHello && o.established {
		err = o.checkRekey(x.hello)
	}
	if err != nil {
		return err // and nothing has changed
	}
	o.exchange, o.proven = &x, proven
	if accept != nil {
		o.accepted(accept)
	}
	return nil
}

// take takes the next message. accept is not nil when it was the last.
func (x *exchange) take(t wire.FrameType, body []byte) (proven Proven, accept *wire.Accept, err error) {
	switch t {
	case wire.FrameHello:
		x.helloBody = body
		if x.hello, err = wire.ParseHello(body); err == nil && x.hello.Kind != x.kind {
			err = wire.Errorf(wire.CodeUnexpected, "a %v handshake where a %v handshake belongs", x.hello.Kind, x.kind)
		}
	case wire.FrameAnswer:
		x.answerBody = body
		if x.answer, err = wire.ParseAnswer(body); err == nil && !x.answer.Suite.Known() {
			err = &wire.MalformedError{What: "answer", Reason: "a suite that does not exist"}
		}
	case wire.FrameProof:
		x.proofBody = body
		var p *wire.Proof
		if p, err = wire.ParseProof(body); err == nil && p.Delegation != nil {
			err = wire.Errorf(wire.CodeUnexpected, "a delegation in a conversation's proof")
		}
		if err == nil {
			hash := suites[x.answer.Suite].hash
			x.th2 = wire.TH2(hash(), x.kind, x.helloBody, x.answerBody)
			proven = Proven{wire.PurposeInitiator, x.th2, p.Seal, len(p.MAC) == hash().Size()}
		}
	case wire.FrameAccept:
		if accept, err = wire.ParseAccept(body); err == nil {
			_, err = wire.ParseConversationParameters(accept.Parameters)
		}
		if err == nil {
			hash := suites[x.answer.Suite].hash
			x.th3 = wire.TH3(hash(), x.kind, x.th2, x.proofBody, accept.Parameters)
			proven = Proven{wire.PurposeResponder, x.th3, accept.Seal, len(accept.MAC) == hash().Size()}
		}
	}
	if err != nil {
		return proven, nil, err
	}
	x.next++ // hello, answer, proof, accept follow each other
	return proven, accept, nil
}

// checkRekey wants a rekeying of this conversation and epoch.
func (o *Observer) checkRekey(h *wire.Hello) error {
	c, err := wire.ParseRekeyContext(h.Context)
	if err == nil && (c.Channel != o.id || !slices.Equal(c.TH, o.th)) {
		err = wire.Errorf(wire.CodeWrongContext, "a rekeying of another conversation or epoch")
	}
	return err
}

func (o *Observer) accepted(a *wire.Accept) {
	x := o.exchange
	o.exchange = nil
	th := wire.TH(suites[x.answer.Suite].hash(), x.kind, x.th3, a.Seal.Append(nil), a.MAC)
	if o.established {
		o.nextTH = th
		return
	}
	o.established, o.id, o.th = true, wire.ChannelID(th), th
	for i := range o.sides {
		o.sides[i] = &observed{Transcript: newTranscript(0, th, 0, wire.Direction(i+1))}
	}
}

func (o *Observer) please(body []byte) error {
	p, err := wire.ParseRekeyPlease(body)
	if err == nil && (o.asked || p.Epoch != o.epoch || o.nextTH != nil || o.Answer() != nil) {
		err = wire.Errorf(wire.CodeUnexpected, "a rekey-please that has no place")
	}
	o.asked = o.asked || err == nil
	return err
}

// turn follows one side into the next epoch.
func (o *Observer) turn(from wire.Role, body []byte) error {
	w, err := wire.ParseSwitched(body)
	if err != nil {
		return err
	}
	s := o.sides[from-1]
	switch {
	case w.Epoch != o.epoch+1 || o.switched[from-1] || from == wire.RoleResponder && !o.switched[0]:
		return wire.Errorf(wire.CodeUnexpected, "a switch to epoch %d where none is due", w.Epoch)
	case len(w.Lanes) > 1 || len(w.Lanes) == 1 && w.Lanes[0].Lane != 0 || w.Last(0) != s.seq:
		return wire.Errorf(wire.CodeIntegrity, "a switch that does not agree with the %d envelopes that passed", s.seq)
	case !s.allSealed():
		return wire.Errorf(wire.CodeUnsealed, "a switch behind envelopes without their seal")
	}
	s.turn(w.Epoch, o.nextTH, true)
	s.epoch, s.seq = w.Epoch, 0
	o.switched[from-1] = true
	if o.switched == [2]bool{true, true} {
		o.epoch, o.th, o.nextTH, o.switched, o.asked = w.Epoch, o.nextTH, nil, [2]bool{}, false
	}
	return nil
}

// Envelope takes an inner envelope with those digests, one for each envelope that it stands for. Errors: CodeUnexpected, CodeIntegrity,
// CodeLimitExceeded.
func (o *Observer) Envelope(from wire.Role, e *wire.Envelope, digests [][32]byte) error {
	if !o.Established() {
		return wire.Errorf(wire.CodeUnexpected, "content before the conversation's handshake is complete")
	}
	s := o.sides[from-1]
	if e.Header.Epoch != s.epoch || e.Header.Seq != s.seq {
		return wire.Errorf(wire.CodeIntegrity, "inner envelope %d of epoch %d where %d of epoch %d was next", e.Header.Seq, e.Header.Epoch, s.seq, s.epoch)
	}
	s.seq += uint64(len(digests))
	s.add(len(e.RawHeader)+len(e.Ciphertext), digests...)
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
			return false, sent.diverged(o.id, true, *h.Mine)
		}
		news = sent.LastSealed() != *h.Mine
		sent.Seal()
	}
	acked, err := received.Acknowledge(h.Yours)
	if err != nil {
		return false, received.diverged(o.id, false, h.Yours)
	}
	return news || acked, nil
}

// Sealed reports whether side from has sealed everything it sent.
func (o *Observer) Sealed(from wire.Role) bool {
	if !o.Established() {
		return true
	}
	return o.sides[from-1].allSealed()
}

package link

import (
	"context"
	"fmt"
	"math"
	"time"

	"sinete/cardauth"
	"sinete/cardauth/seal"
	"sinete/transport"
	"sinete/transport/channel"
	"sinete/wire"
)

// Handshakes is the class of the batches of handshakes, which no session's level concerns (section 4.4).
const Handshakes = "handshake"

// SealHandshake seals the one statement of a handshake. alone is for where this side may not write to the other (section 8.4).
func SealHandshake(ctx context.Context, s *seal.Sealer, p wire.Purpose, statement []byte, alone bool) (wire.Seal, error) {
	if alone {
		return s.SealAlone(ctx, seal.Statement{Purpose: p, Bytes: statement})
	}
	seals, err := s.Seal(ctx, Handshakes, func() []seal.Statement { return []seal.Statement{{Purpose: p, Bytes: statement}} })
	if err != nil {
		return wire.Seal{}, err
	}
	return seals[0], nil
}

// Messages carries the frames of one handshake.
type Messages interface {
	Send(ctx context.Context, f wire.Frame) error
	// Receive returns the next frame, valid until the next call.
	Receive(ctx context.Context) (wire.Frame, error)
}

// Other is who is at the other end of a channel.
type Other struct {
	*cardauth.Party
	Signer    seal.Signer // who seals for them
	Delegated bool
}

// Until is when the other side's certificate or delegation ends, whichever is first: no session or conversation with it lasts longer.
func (o *Other) Until() time.Time {
	until := o.Certificate.NotAfter
	if d := o.Signer.Delegation; d != nil {
		if end := time.Unix(int64(min(d.NotAfter, math.MaxInt64)), 0); end.Before(until) {
			until = end
		}
	}
	return until
}

// Forget drops what a verifier remembers of their signatures: their certificate does not hold any more.
func (o *Other) Forget(v *seal.Verifier) {
	v.Forget(o.Signer.Digest)
	v.Forget(wire.SignerHash(o.Certificate.Raw, nil))
}

// Acquaintance is how a side finds out who the other is.
type Acquaintance struct {
	// Meet verifies the other's certificates by what they show. It asks no network: they are strangers yet.
	Meet func(ctx context.Context, c wire.Credentials) (*cardauth.Party, error)
	// Settle decides whether the certificates still hold, and may ask the network. It is called before anything is sealed for them, and
	// by a responder only once they have proved who they are.
	Settle   func(ctx context.Context, p *cardauth.Party) error
	Verifier *seal.Verifier
	Now      func() time.Time
	// Deployed, in a conversation, reports whether a name is one of the deployment that both are in: the other's delegation must have
	// been made there. nil takes any.
	Deployed func(name string) bool
	// Known, in a rekeying, is who the first handshake found: nobody else may seal.
	Known *Other
}

// signer is whose seal the channel takes from then on: the scheme of the first seal is pinned, a delegation checked.
// deployment is the name that it must have been made for; empty leaves that to Deployed.
func (a *Acquaintance) signer(p *cardauth.Party, first wire.Seal, d *wire.SealedDelegation, deployment string) (*Other, error) {
	if a.Known != nil {
		return a.Known, nil
	}
	if d == nil {
		s, err := p.Signer(first.Scheme, nil)
		if err != nil {
			return nil, unproven(err)
		}
		return &Other{Party: p, Signer: s}, nil
	}
	s, err := cardauth.VerifyDelegation(a.Verifier, p, d, a.Now(), deployment)
	if err == nil && deployment == "" && a.Deployed != nil && !a.Deployed(s.Delegation.Deployment) {
		err = &cardauth.DelegationError{Number: wire.CodeWrongContext, Err: fmt.Errorf("made for %q", s.Delegation.Deployment)}
	}
	return &Other{Party: p, Signer: s, Delegated: true}, err
}

// Initiation is what the initiator of a handshake brings.
type Initiation struct {
	channel.Config
	Acquaintance
	// Seal seals TH2, and makes the delegation where the card delegates at this login.
	Seal func(ctx context.Context, th2 []byte) (wire.Seal, *wire.SealedDelegation, error)
}

// Initiate runs the initiator's side of a handshake (protocol.md section 3). parameters are those of accept, in clear.
func Initiate(ctx context.Context, m Messages, i Initiation) (ch *channel.Channel, other *Other, parameters []byte, err error) {
	steps := channel.NewInitiator(i.Config)
	defer steps.Erase()
	// -> hello
	hello, err := steps.Hello()
	if err != nil {
		return nil, nil, nil, err
	}
	if err := m.Send(ctx, wire.Frame{Type: wire.FrameHello, Body: hello}); err != nil {
		return nil, nil, nil, err
	}
	// <- answer
	body, err := receive(ctx, m, wire.FrameAnswer)
	if err != nil {
		return nil, nil, nil, err
	}
	answer, th2, err := steps.ReadAnswer(body)
	if err != nil {
		return nil, nil, nil, err
	}
	party, err := i.Meet(ctx, answer.Credentials)
	if err != nil {
		return nil, nil, nil, err
	}
	if err := i.Settle(ctx, party); err != nil {
		return nil, nil, nil, err
	}
	// -> proof
	own, made, err := i.Seal(ctx, th2)
	if err != nil {
		return nil, nil, nil, err
	}
	proof, err := steps.Proof(own, made)
	if err != nil {
		return nil, nil, nil, err
	}
	if err := m.Send(ctx, wire.Frame{Type: wire.FrameProof, Body: proof}); err != nil {
		return nil, nil, nil, err
	}
	// <- accept
	if body, err = receive(ctx, m, wire.FrameAccept); err != nil {
		return nil, nil, nil, err
	}
	theirs, th3, parameters, err := steps.ReadAccept(body)
	if err != nil {
		return nil, nil, nil, err
	}
	if other, err = i.signer(party, theirs, answer.Delegation, ""); err != nil {
		return nil, nil, nil, err
	}
	if err := i.Verifier.Verify(other.Signer, wire.PurposeResponder, th3, theirs); err != nil {
		return nil, nil, nil, unproven(err)
	}
	ch, err = steps.Finish()
	return ch, other, parameters, err
}

// Response is what the responder of a handshake brings.
type Response struct {
	channel.Config
	Acquaintance
	// Context compares hello's context with this side's own view, and returns the name that a delegation must have been made
	// for; empty leaves that to Deployed.
	Context func(h *wire.Hello) (deployment string, err error)
	// Admit applies this side's rules once the other has proved who they are, and returns the parameters of accept.
	Admit func(ctx context.Context, o *Other, h *wire.Hello) (parameters []byte, err error)
	// Seal seals TH3.
	Seal func(ctx context.Context, th3 []byte) (wire.Seal, error)
	// Accept, if not nil, is called when the channel is made and sends accept by calling send, so that whoever has read
	// accept finds what this side does with the channel done.
	Accept func(ch *channel.Channel, o *Other, send func() error) error
	// Answered, if not nil, is called when answer has been sent: from here on the other side's card takes its time.
	Answered func()
}

// Respond runs the responder's side of a handshake.
func Respond(ctx context.Context, m Messages, r Response) (ch *channel.Channel, other *Other, err error) {
	steps := channel.NewResponder(r.Config)
	defer steps.Erase()
	// <- hello
	body, err := receive(ctx, m, wire.FrameHello)
	if err != nil {
		return nil, nil, err
	}
	hello, err := steps.ReadHello(body)
	if err != nil {
		return nil, nil, err
	}
	party, err := r.Meet(ctx, hello.Credentials)
	if err != nil {
		return nil, nil, err
	}
	deployment, err := r.Context(hello)
	if err != nil {
		return nil, nil, err
	}
	// -> answer
	answer, err := steps.Answer()
	if err != nil {
		return nil, nil, err
	}
	if err := m.Send(ctx, wire.Frame{Type: wire.FrameAnswer, Body: answer}); err != nil {
		return nil, nil, err
	}
	if r.Answered != nil {
		r.Answered()
	}
	// <- proof
	if body, err = receive(ctx, m, wire.FrameProof); err != nil {
		return nil, nil, err
	}
	proof, th2, err := steps.ReadProof(body)
	if err != nil {
		return nil, nil, err
	}
	if other, err = r.prove(party, deployment, hello, proof, th2); err != nil {
		return nil, nil, err
	}
	if err := r.Settle(ctx, party); err != nil {
		return nil, nil, err
	}
	// -> accept
	parameters, err := r.Admit(ctx, other, hello)
	if err != nil {
		return nil, nil, err
	}
	th3, err := steps.Parameters(parameters)
	if err != nil {
		return nil, nil, err
	}
	own, err := r.Seal(ctx, th3)
	if err != nil {
		return nil, nil, err
	}
	accept, ch, err := steps.Accept(own)
	if err != nil {
		return nil, nil, err
	}
	send := func() error { return m.Send(ctx, wire.Frame{Type: wire.FrameAccept, Body: accept}) }
	if r.Accept == nil {
		return ch, other, send()
	}
	return ch, other, r.Accept(ch, other, send)
}

// prove verifies the initiator's seal over TH2: the card's own where the delegation is made at this login, the delegated
// key's where hello showed one.
func (r *Response) prove(party *cardauth.Party, deployment string, h *wire.Hello, p *wire.Proof, th2 []byte) (*Other, error) {
	who, err := r.signer(party, p.Seal, h.Delegation, deployment)
	if err != nil {
		return nil, err
	}
	if err := r.Verifier.Verify(who.Signer, wire.PurposeInitiator, th2, p.Seal); err != nil {
		return nil, unproven(err)
	}
	if p.Delegation == nil {
		return who, nil
	}
	return r.signer(party, p.Seal, p.Delegation, deployment)
}

// unproven is what a seal of a handshake that does not verify is called, whatever the reason.
func unproven(err error) error { return &wire.Error{Number: wire.CodeAuthenticationFailed, Err: err} }

func receive(ctx context.Context, m Messages, want wire.FrameType) ([]byte, error) {
	f, err := m.Receive(ctx)
	if err != nil {
		return nil, err
	}
	if f.Type != want {
		return nil, wire.Errorf(wire.CodeUnexpected, "a %v frame where %v was due", f.Type, want)
	}
	return f.Body, nil
}

// OnStream carries a hop's handshake on its control stream. The context ends nothing: closing the connection does.
type OnStream struct{ *transport.Stream }

func (s OnStream) Send(_ context.Context, f wire.Frame) error { return s.Append(f.Append) }

func (s OnStream) Receive(context.Context) (wire.Frame, error) { return s.ReadFrame() }

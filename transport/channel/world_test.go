package channel

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"
	"testing"

	"sinete/wire"
)

// talk is a handshake between two ends that have no network between them. Its seals stand for signatures: whoever knows the statement
// can make them, so a seal proves here which statement its maker saw, and nothing else.
type talk struct {
	i *Initiator
	r *Responder

	made   *wire.SealedDelegation // in proof
	plain  []byte                 // parameters that the responder sends, twelve bytes as a conversation has them
	got    []byte                 // and that the initiator received
	ic, rc *Channel               // of the two ends, nil before they have one
}

var errSeal = errors.New("the seal is over another statement")

type variant struct {
	name        string
	kind        wire.Kind
	shown, made *wire.SealedDelegation
}

var delegation = &wire.SealedDelegation{Statement: wire.Delegation{Deployment: "relay.example"}.Append(nil), Seal: sealOf("card", []byte("delegation"))}

var variants = []variant{
	{name: "hop", kind: wire.KindHop},
	{name: "hop, delegated at login", kind: wire.KindHop, made: delegation},
	{name: "conversation", kind: wire.KindConversation},
	{name: "conversation, delegated", kind: wire.KindConversation, shown: delegation},
}

func newTalk(v variant, suites ...wire.Suite) *talk {
	config := func(name string) Config {
		c := Config{Kind: v.kind, Suites: suites, Limits: wire.RekeyLimits{Messages: 7, Seconds: 9},
			Credentials: wire.Credentials{Chain: [][]byte{[]byte("certificate of " + name), []byte("its issuer")}, Staples: [][]byte{[]byte("good")}}}
		if v.kind == wire.KindConversation {
			c.Credentials.Delegation = v.shown
		}
		return c
	}
	i, r := config("initiator"), config("responder")
	i.Context = []byte("context")
	return &talk{i: NewInitiator(i), r: NewResponder(r), made: v.made, plain: []byte("0123456789ab")}
}

func sealOf(who string, statement []byte) wire.Seal {
	h := sha256.Sum256(append([]byte(who), statement...))
	return wire.Seal{Scheme: wire.SchemeP256, Signature: h[:], Time: 1, Leaves: 1}
}

func checkSeal(who string, statement []byte, s wire.Seal) error {
	if !bytes.Equal(s.Append(nil), sealOf(who, statement).Append(nil)) {
		return errSeal
	}
	return nil
}

// step delivers one message and returns the one that answers it.
func (t *talk) step(f wire.FrameType, body []byte) (next []byte, err error) {
	switch f {
	case wire.FrameHello:
		if _, err := t.r.ReadHello(body); err != nil {
			return nil, err
		}
		return t.r.Answer()
	case wire.FrameAnswer:
		_, th2, err := t.i.ReadAnswer(body)
		if err != nil {
			return nil, err
		}
		return t.i.Proof(sealOf("initiator", th2), t.made)
	case wire.FrameProof:
		p, th2, err := t.r.ReadProof(body)
		if err == nil {
			err = checkSeal("initiator", th2, p.Seal)
		}
		if err == nil && p.Delegation != nil {
			err = checkSeal("card", []byte("delegation"), p.Delegation.Seal)
		}
		if err != nil {
			return nil, err
		}
		th3, err := t.r.Parameters(t.plain)
		if err != nil {
			return nil, err
		}
		next, t.rc, err = t.r.Accept(sealOf("responder", th3))
		return next, err
	case wire.FrameAccept:
		s, th3, parameters, err := t.i.ReadAccept(body)
		if err == nil {
			err = checkSeal("responder", th3, s)
		}
		if err != nil {
			return nil, err
		}
		t.got = parameters
		t.ic, err = t.i.Finish()
		return nil, err
	}
	return nil, fmt.Errorf("no step takes %v", f)
}

// deliver delivers a message and lets the handshake go on to its end.
func (t *talk) deliver(f wire.FrameType, body []byte) (err error) {
	for ; f <= wire.FrameAccept && err == nil; f++ {
		body, err = t.step(f, body)
	}
	return err
}

// fork lets one handshake go on in many ways.
func (t *talk) fork() *talk {
	u, i, r := *t, *t.i, *t.r
	i.prk, r.prk, r.shared = slices.Clone(i.prk), slices.Clone(r.prk), slices.Clone(r.shared)
	u.i, u.r = &i, &r
	return &u
}

// channels runs a handshake and returns both ends.
func channels(t testing.TB, kind wire.Kind, s wire.Suite) (initiator, responder *Channel) {
	t.Helper()
	h := newTalk(variant{kind: kind}, s)
	hello, err := h.i.Hello()
	must(t, err)
	must(t, h.deliver(wire.FrameHello, hello))
	return h.ic, h.rc
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func wantCode(t testing.TB, err error, want wire.Code) {
	t.Helper()
	if err == nil {
		t.Fatalf("taken, where %v was due", want)
	}
	if got := wire.CodeOf(err); got != want {
		t.Fatalf("%v (%v), where %v was due", got, err, want)
	}
}

// flipped is b with one bit of byte n another.
func flipped(b []byte, n int) []byte {
	c := slices.Clone(b)
	c[n] ^= 1 << (n % 8)
	return c
}

func eachSuite(t *testing.T, f func(t *testing.T, s wire.Suite)) {
	for _, s := range Suites() {
		t.Run(s.String(), func(t *testing.T) { f(t, s) })
	}
}

package channel

import (
	"bytes"
	"testing"

	"sinete/wire"
)

func TestBothEndsAgree(t *testing.T) {
	eachSuite(t, func(t *testing.T, s wire.Suite) {
		for _, v := range variants {
			t.Run(v.name, func(t *testing.T) {
				h := newTalk(v, s)
				hello, err := h.i.Hello()
				must(t, err)
				must(t, h.deliver(wire.FrameHello, hello))
				if h.ic.ID != h.rc.ID || !bytes.Equal(h.ic.TH(), h.rc.TH()) || len(h.ic.TH()) != suites[s].hash().Size() {
					t.Errorf("the ends disagree: %x, %x", h.ic.TH(), h.rc.TH())
				}
				if h.ic.Role != wire.RoleInitiator || h.rc.Role != wire.RoleResponder || h.ic.Suite != s || h.rc.Suite != s {
					t.Errorf("%v %v, %v %v", h.ic.Role, h.ic.Suite, h.rc.Role, h.rc.Suite)
				}
				if !bytes.Equal(h.got, h.plain) {
					t.Errorf("the initiator received the parameters %q", h.got)
				}
				if hidden := !bytes.Contains(h.r.parameters, h.plain); hidden != (v.kind == wire.KindHop) {
					t.Errorf("parameters encrypted: %v", hidden)
				}
			})
		}
	})
}

// The same two people never make the same channel twice.
func TestChannelsDiffer(t *testing.T) {
	a, _ := channels(t, wire.KindHop, wire.SuiteX25519AES256GCM)
	b, _ := channels(t, wire.KindHop, wire.SuiteX25519AES256GCM)
	if a.ID == b.ID || bytes.Equal(a.epochs[0].lanes, b.epochs[0].lanes) {
		t.Error("two handshakes made one channel")
	}
}

func TestStrongestCommonSuite(t *testing.T) {
	for _, test := range []struct {
		initiator, responder []wire.Suite
		want                 wire.Suite
	}{
		{Suites(), Suites(), 1},
		{Suites(), []wire.Suite{4, 5}, 4},
		{[]wire.Suite{2, 3, 5}, []wire.Suite{1, 3, 4, 5}, 3},
		{[]wire.Suite{5, 900}, []wire.Suite{1, 5, 900}, 5}, // one that nobody here knows
	} {
		h := newTalk(variants[0])
		h.i.cfg.Suites, h.r.cfg.Suites = test.initiator, test.responder
		hello, err := h.i.Hello()
		must(t, err)
		must(t, h.deliver(wire.FrameHello, hello))
		if h.ic.Suite != test.want {
			t.Errorf("%v and %v chose %v", test.initiator, test.responder, h.ic.Suite)
		}
	}
}

// At every place, every step but the one that is due is refused, and the handshake goes on as if nobody had called it.
func TestStepsOutOfOrder(t *testing.T) {
	h := newTalk(variants[0], Suites()...)
	var hello, answer, proof, accept []byte
	var th2, th3 []byte
	initiator := []func() error{
		func() (err error) { hello, err = h.i.Hello(); return },
		func() (err error) { _, th2, err = h.i.ReadAnswer(answer); return },
		func() (err error) { proof, err = h.i.Proof(sealOf("initiator", th2), nil); return },
		func() (err error) { _, _, _, err = h.i.ReadAccept(accept); return },
		func() (err error) { h.ic, err = h.i.Finish(); return },
	}
	responder := []func() error{
		func() (err error) { _, err = h.r.ReadHello(hello); return },
		func() (err error) { answer, err = h.r.Answer(); return },
		func() (err error) { _, _, err = h.r.ReadProof(proof); return },
		func() (err error) { th3, err = h.r.Parameters(h.plain); return },
		func() (err error) { accept, h.rc, err = h.r.Accept(sealOf("responder", th3)); return },
	}
	wrong := func(steps []func() error, due int) {
		keep := []*[]byte{&hello, &answer, &proof, &accept, &th2, &th3}
		for n, step := range steps {
			if n == due {
				continue
			}
			var before [6][]byte
			for k, b := range keep {
				before[k] = *b
			}
			channels := [2]*Channel{h.ic, h.rc}
			wantCode(t, step(), wire.CodeUnexpected)
			for k, b := range keep {
				*b = before[k]
			}
			h.ic, h.rc = channels[0], channels[1]
		}
	}
	in, rn := 0, 0
	for _, initiates := range []bool{true, false, false, true, true, false, false, false, true, true} {
		wrong(initiator, in)
		wrong(responder, rn)
		if initiates {
			must(t, initiator[in]())
			in++
		} else {
			must(t, responder[rn]())
			rn++
		}
	}
	wrong(initiator, in)
	wrong(responder, rn)
	if h.ic.ID != h.rc.ID {
		t.Error("the ends disagree")
	}
}

// What a step refused cannot be worked with any more, and cannot be replaced by something better.
func TestRefusedStepEndsTheHandshake(t *testing.T) {
	h := newTalk(variants[0], wire.SuiteX25519AES256GCM)
	body, err := h.i.Hello()
	must(t, err)
	for f := wire.FrameHello; f <= wire.FrameAccept; f++ {
		u := h.fork()
		bad := flipped(body, len(body)-1) // context, staple, MAC, MAC
		if f == wire.FrameHello || f == wire.FrameAnswer {
			bad = body[:40]
		}
		if _, err := u.step(f, bad); err == nil {
			t.Fatalf("a bad %v was taken", f)
		}
		_, again := u.step(f, body)
		wantCode(t, again, wire.CodeUnexpected)
		_, onward := u.i.Proof(wire.Seal{}, nil)
		wantCode(t, onward, wire.CodeUnexpected)
		_, onward = u.i.Finish()
		if f != wire.FrameProof { // after a bad proof the initiator is still waiting
			wantCode(t, onward, wire.CodeUnexpected)
		}
		_, onward = u.r.Parameters(nil)
		wantCode(t, onward, wire.CodeUnexpected)
		body, err = h.step(f, body)
		must(t, err)
	}
}

// What is secret does not outlive its use.
func TestSecretsAreErased(t *testing.T) {
	zero := func(name string, b []byte) {
		if len(b) == 0 || bytes.ContainsFunc(b, func(r rune) bool { return r != 0 }) {
			t.Errorf("%s: %x", name, b)
		}
	}
	h := newTalk(variants[2], Suites()...)
	hello, err := h.i.Hello()
	must(t, err)
	_, err = h.r.ReadHello(hello)
	must(t, err)
	answer, err := h.r.Answer()
	must(t, err)
	zero("shared secret", h.r.shared)
	proof, err := h.step(wire.FrameAnswer, answer)
	must(t, err)
	if h.i.shares != nil {
		t.Error("the initiator keeps its ephemeral keys")
	}
	prkI, prkR := h.i.prk, h.r.prk
	must(t, h.deliver(wire.FrameProof, proof))
	zero("PRK of the initiator", prkI)
	zero("PRK of the responder", prkR)

	lane := h.ic.Conversation()
	h.ic.Erase()
	zero("sending ratchet", lane.out.state[:])
	zero("receiving ratchet", lane.in.state[:])
	zero("machine key", h.ic.epochs[0].machine[0][:])
	hop, _ := channels(t, wire.KindHop, wire.SuiteX25519AES256GCM)
	lanes, chain := hop.epochs[0].lanes, hop.epochs[0].chain
	hop.Erase()
	zero("lane secret", lanes)
	zero("chain secret", chain)
}

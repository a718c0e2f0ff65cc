package channel

import (
	"bytes"
	"crypto/mlkem"
	"fmt"
	"slices"
	"testing"

	"sinete/wire"
)

// Every byte of every message another, every prefix, one byte more: nobody ends up with a channel that the other side has not got.
func TestAlteredMessages(t *testing.T) {
	for _, s := range Suites() {
		for _, v := range variants {
			t.Run(fmt.Sprintf("%v/%s", s, v.name), func(t *testing.T) {
				h := newTalk(v, s)
				body, err := h.i.Hello()
				must(t, err)
				for f := wire.FrameHello; f <= wire.FrameAccept; f++ {
					for n := range body {
						if !withinShare(t, f, body, n) || n%64 == 0 {
							refuses(t, h, f, flipped(body, n), fmt.Sprintf("byte %d of %d", n, len(body)))
						}
						refuses(t, h, f, body[:n], fmt.Sprintf("%d bytes of %d", n, len(body)))
					}
					refuses(t, h, f, append(slices.Clip(body), 0), "a byte more")
					body, err = h.step(f, body)
					must(t, err)
				}
				if h.ic.ID != h.rc.ID {
					t.Error("the unaltered handshake fails")
				}
			})
		}
	}
}

// withinShare tells the bytes of ML-KEM keys and ciphertexts, which are many and slow, and of which some will do: that every byte of hello
// and answer goes into TH2, TestTranscriptCoversEveryByte shows.
func withinShare(t *testing.T, f wire.FrameType, body []byte, n int) bool {
	var data []byte
	switch f {
	case wire.FrameHello:
		m, err := wire.ParseHello(body)
		must(t, err)
		data = m.Shares[0].Data
	case wire.FrameAnswer:
		m, err := wire.ParseAnswer(body)
		must(t, err)
		data = m.Share.Data
	}
	start := bytes.Index(body, data)
	return len(data) > 1000 && n >= start && n < start+len(data)
}

func TestTranscriptCoversEveryByte(t *testing.T) {
	eachSuite(t, func(t *testing.T, s wire.Suite) {
		h, hash := newTalk(variants[2], s), suites[s].hash
		hello, err := h.i.Hello()
		must(t, err)
		answer, err := h.step(wire.FrameHello, hello)
		must(t, err)
		_, err = h.step(wire.FrameAnswer, answer)
		must(t, err)
		if !bytes.Equal(h.i.th2, h.r.th2) {
			t.Fatal("the ends disagree")
		}
		for n := range hello {
			if bytes.Equal(wire.TH2(hash(), wire.KindConversation, flipped(hello, n), answer), h.r.th2) {
				t.Fatalf("byte %d of hello is not in TH2", n)
			}
		}
		for n := range answer {
			if bytes.Equal(wire.TH2(hash(), wire.KindConversation, hello, flipped(answer, n)), h.r.th2) {
				t.Fatalf("byte %d of answer is not in TH2", n)
			}
		}
	})
}

func refuses(t *testing.T, h *talk, f wire.FrameType, body []byte, what string) {
	t.Helper()
	u := h.fork()
	err := u.deliver(f, body)
	if err == nil || u.ic != nil || u.rc != nil && f != wire.FrameAccept {
		t.Fatalf("%v, %s: %v", f, what, err)
	}
	// The MACs have noticed it. So would the seals, had somebody got at the secret behind the MACs.
	if f <= wire.FrameAnswer && u.i.th2 != nil && bytes.Equal(u.i.th2, u.r.th2) {
		t.Fatalf("%v, %s: both would seal the same", f, what)
	}
}

// edited delivers hello or answer after an edit and returns what the step says.
func edited(t *testing.T, h *talk, f wire.FrameType, hello func(*wire.Hello), answer func(*wire.Answer)) error {
	t.Helper()
	body, err := h.i.Hello()
	must(t, err)
	if hello != nil {
		m, err := wire.ParseHello(slices.Clone(body))
		must(t, err)
		hello(m)
		body = m.Append(nil)
	}
	body, err = h.step(wire.FrameHello, body)
	if f == wire.FrameHello {
		return err
	}
	must(t, err)
	if answer != nil {
		m, err := wire.ParseAnswer(slices.Clone(body))
		must(t, err)
		answer(m)
		body = m.Append(nil)
	}
	body, err = h.step(wire.FrameAnswer, body)
	if f == wire.FrameAnswer {
		return err
	}
	must(t, err)
	_, err = h.step(wire.FrameProof, body)
	return err
}

func TestDowngrade(t *testing.T) {
	weak := []wire.Suite{wire.SuiteP256AES128GCM}
	strip := func(h *wire.Hello) {
		h.Suites = weak
		h.Shares = slices.DeleteFunc(h.Shares, func(s wire.Share) bool { return s.Group != wire.GroupP256 })
	}
	for _, test := range []struct {
		name   string
		at     wire.FrameType // who notices: the reader of this
		hello  func(*wire.Hello)
		answer func(*wire.Answer)
		want   wire.Code
	}{
		{"the responder prefers a weaker suite", wire.FrameAnswer, nil, func(a *wire.Answer) { a.Suite = 2 }, wire.CodeIntegrity},
		{"a suite that nobody offered", wire.FrameAnswer, nil, func(a *wire.Answer) { a.Suite = 6 }, wire.CodeIntegrity},
		{"the initiator's offer stripped", wire.FrameAnswer, strip, nil, wire.CodeIntegrity},
		{"the responder's offer stripped", wire.FrameAnswer, nil, func(a *wire.Answer) { a.Suites = weak }, wire.CodeIntegrity},
		{"both offers stripped", wire.FrameProof, strip, func(a *wire.Answer) { a.Suites = weak }, wire.CodeAuthenticationFailed},
		{"a version stripped", wire.FrameHello, func(h *wire.Hello) { h.Versions = []uint16{2} }, nil, wire.CodeVersionUnsupported},
		{"a version added", wire.FrameProof, func(h *wire.Hello) { h.Versions = []uint16{0, 1} }, nil, wire.CodeAuthenticationFailed},
		{"another version chosen", wire.FrameAnswer, nil, func(a *wire.Answer) { a.Version = 0 }, wire.CodeVersionUnsupported},
		{"no common suite", wire.FrameHello, func(h *wire.Hello) { h.Suites = []wire.Suite{77} }, nil, wire.CodeSuiteUnsupported},
		{"a hop's hello in a conversation", wire.FrameHello, func(h *wire.Hello) { h.Kind = wire.KindHop }, nil, wire.CodeUnexpected},
		{"a rekeying", wire.FrameHello, func(h *wire.Hello) { h.Kind = wire.KindConversationRekey }, nil, wire.CodeUnexpected},
		{"the limits of rekeying raised", wire.FrameProof, func(h *wire.Hello) { h.Limits.Messages++ }, nil, wire.CodeAuthenticationFailed},
		{"another certificate", wire.FrameProof, func(h *wire.Hello) { h.Chain[0] = []byte("certificate of mallory") }, nil, wire.CodeAuthenticationFailed},
		{"another conversation", wire.FrameProof, func(h *wire.Hello) { h.Context = []byte("another") }, nil, wire.CodeAuthenticationFailed},
	} {
		t.Run(test.name, func(t *testing.T) {
			wantCode(t, edited(t, newTalk(variants[2], Suites()...), test.at, test.hello, test.answer), test.want)
		})
	}
}

func TestBadShares(t *testing.T) {
	const (
		p256   = wire.SuiteP256AES128GCM
		x25519 = wire.SuiteX25519AES256GCM
		hybrid = wire.SuiteX25519MLKEM768AES256GCM
	)
	zeros := func(b []byte) []byte { return make([]byte, len(b)) }
	first := func(b []byte, n int, f func([]byte) []byte) []byte { return append(f(b[:n]), b[n:]...) }
	last32 := func(b []byte, f func([]byte) []byte) []byte {
		n := len(b) - 32
		return append(slices.Clone(b[:n]), f(b[n:])...)
	}
	shorter := func(b []byte) []byte { return b[1:] }
	lowOrder := func([]byte) []byte { // a point of order 8 (RFC 7748 section 7)
		return []byte{0xe0, 0xeb, 0x7a, 0x7c, 0x3b, 0x41, 0xb8, 0xae, 0x16, 0x56, 0xe3, 0xfa, 0xf1, 0x9f, 0xc4, 0x6a,
			0xda, 0x09, 0x8d, 0xeb, 0x9c, 0x32, 0xb1, 0xfd, 0x86, 0x62, 0x05, 0x16, 0x5f, 0x49, 0xb8, 0x00}
	}
	for _, test := range []struct {
		name  string
		suite wire.Suite
		spoil func([]byte) []byte
	}{
		{"X25519 of zeros", x25519, zeros},
		{"X25519 of low order", x25519, lowOrder},
		{"X25519 too short", x25519, shorter},
		{"X25519 too long", x25519, func(b []byte) []byte { return append(b, 0) }},
		{"nothing", x25519, func([]byte) []byte { return nil }},
		{"P-256 off the curve", p256, func(b []byte) []byte { return flipped(b, 64) }},
		{"P-256 compressed", p256, func(b []byte) []byte { return append([]byte{2 + b[64]&1}, b[1:33]...) }},
		{"P-256 at infinity", p256, func([]byte) []byte { return []byte{0} }},
		{"P-256 of zeros", p256, zeros},
		{"X25519 in the place of P-256", p256, lowOrder},
		{"hybrid, X25519 of zeros", hybrid, func(b []byte) []byte { return last32(b, zeros) }},
		{"hybrid, X25519 of low order", hybrid, func(b []byte) []byte { return last32(b, lowOrder) }},
		{"hybrid, X25519 too short", hybrid, func(b []byte) []byte { return last32(b, shorter) }},
		{"hybrid without X25519", hybrid, func(b []byte) []byte { return b[:len(b)-32] }},
		{"hybrid, ML-KEM too short", hybrid, shorter},
		{"hybrid, of no length", hybrid, func([]byte) []byte { return nil }},
		{"X25519 in the place of hybrid", hybrid, func(b []byte) []byte { return b[len(b)-32:] }},
	} {
		t.Run(test.name, func(t *testing.T) {
			h := newTalk(variants[0], test.suite)
			wantCode(t, edited(t, h, wire.FrameHello, func(m *wire.Hello) { m.Shares[0].Data = test.spoil(m.Shares[0].Data) }, nil), wire.CodeAuthenticationFailed)
			h = newTalk(variants[0], test.suite)
			wantCode(t, edited(t, h, wire.FrameAnswer, nil, func(m *wire.Answer) { m.Share.Data = test.spoil(m.Share.Data) }), wire.CodeAuthenticationFailed)
		})
	}

	t.Run("ML-KEM key with coefficients beyond the modulus", func(t *testing.T) {
		ones := func(b []byte) []byte { return bytes.Repeat([]byte{0xff}, len(b)) }
		err := edited(t, newTalk(variants[0], hybrid), wire.FrameHello, func(m *wire.Hello) {
			m.Shares[0].Data = first(m.Shares[0].Data, mlkem.EncapsulationKeySize768, ones)
		}, nil)
		wantCode(t, err, wire.CodeAuthenticationFailed)
	})
	t.Run("corrupt ML-KEM ciphertext", func(t *testing.T) { // decapsulates to something else, so the MAC of proof is wrong
		err := edited(t, newTalk(variants[0], hybrid), wire.FrameProof, nil, func(m *wire.Answer) { m.Share.Data = flipped(m.Share.Data, 100) })
		wantCode(t, err, wire.CodeAuthenticationFailed)
	})
	t.Run("answer of another group", func(t *testing.T) {
		err := edited(t, newTalk(variants[0], Suites()...), wire.FrameAnswer, nil, func(m *wire.Answer) {
			m.Share = wire.Share{Group: wire.GroupX25519, Data: m.Share.Data[mlkem.CiphertextSize768:]}
		})
		wantCode(t, err, wire.CodeIntegrity)
	})
	t.Run("no share for the best suite", func(t *testing.T) {
		err := edited(t, newTalk(variants[0], Suites()...), wire.FrameHello, func(m *wire.Hello) { m.Shares = m.Shares[:2] }, nil)
		wantCode(t, err, wire.CodeMalformed)
	})
}

// A message that comes back to its sender, or comes in another's place, is worth nothing.
func TestReflection(t *testing.T) {
	h := newTalk(variants[2], wire.SuiteX25519AES256GCM)
	hello, err := h.i.Hello()
	must(t, err)
	_, _, err = h.fork().i.ReadAnswer(hello)
	wantCode(t, err, wire.CodeMalformed)
	answer, err := h.step(wire.FrameHello, hello)
	must(t, err)
	_, _, err = h.fork().r.ReadProof(answer)
	wantCode(t, err, wire.CodeMalformed)
	proof, err := h.step(wire.FrameAnswer, answer)
	must(t, err)
	_, _, _, err = h.fork().i.ReadAccept(proof)
	wantCode(t, err, wire.CodeMalformed)

	// Seal and MAC of the initiator's own proof, in the form of an accept.
	p, err := wire.ParseProof(proof)
	must(t, err)
	reflected := wire.Accept{Parameters: h.plain, Seal: p.Seal, MAC: p.MAC}
	_, _, _, err = h.fork().i.ReadAccept(reflected.Append(nil))
	wantCode(t, err, wire.CodeAuthenticationFailed)

	accept, err := h.step(wire.FrameProof, proof)
	must(t, err)
	_, _, err = h.fork().r.ReadProof(accept)
	wantCode(t, err, wire.CodeUnexpected) // its proof has come
	must(t, h.deliver(wire.FrameAccept, accept))
}

// A proof made in one handshake, in another between the same two.
func TestReplayedProof(t *testing.T) {
	var proofs [2][]byte
	var talks [2]*talk
	for n := range talks {
		h := newTalk(variants[0], wire.SuiteX25519AES256GCM)
		body, err := h.i.Hello()
		must(t, err)
		body, err = h.step(wire.FrameHello, body)
		must(t, err)
		proofs[n], err = h.step(wire.FrameAnswer, body)
		must(t, err)
		talks[n] = h
	}
	_, err := talks[0].step(wire.FrameProof, proofs[1])
	wantCode(t, err, wire.CodeAuthenticationFailed)
}

// A delegation has its place in a conversation's hello and answer, and on the hop there is one at most.
func TestDelegationOutOfPlace(t *testing.T) {
	both := variants[0]
	both.made = delegation
	h := newTalk(both, wire.SuiteX25519AES256GCM)
	h.i.cfg.Credentials.Delegation = delegation
	wantCode(t, edited(t, h, wire.FrameProof, nil, nil), wire.CodeUnexpected)

	late := variants[2]
	late.made = delegation
	wantCode(t, edited(t, newTalk(late, wire.SuiteX25519AES256GCM), wire.FrameProof, nil, nil), wire.CodeUnexpected)
}

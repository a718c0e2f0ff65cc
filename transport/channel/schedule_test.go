package channel

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/sha512"
	"hash"
	"testing"

	"golang.org/x/crypto/chacha20poly1305"

	"sinete/wire"
)

// The formulas of protocol.md sections 3.7, 3.9 and 5, written down a second time and without anything of this package.

func mac(h func() hash.Hash, key []byte, parts ...[]byte) []byte {
	m := hmac.New(h, key)
	for _, p := range parts {
		m.Write(p)
	}
	return m.Sum(nil)
}

func expand(h func() hash.Hash, secret, info []byte, n int) (out []byte) {
	var block []byte
	for i := byte(1); len(out) < n; i++ {
		block = mac(h, secret, block, info, []byte{i})
		out = append(out, block...)
	}
	return out[:n]
}

func expandLabel(h func() hash.Hash, secret []byte, label string, context []byte, n int) []byte {
	full := "sinete/1 " + label
	info := append([]byte{byte(n >> 8), byte(n), byte(len(full))}, full...)
	return expand(h, secret, append(append(info, byte(len(context))), context...), n)
}

func len32(parts ...[]byte) (b []byte) {
	for _, p := range parts {
		b = append(append(b, 0, 0, byte(len(p)>>8), byte(len(p))), p...)
	}
	return b
}

func sum(h func() hash.Hash, parts ...[]byte) []byte {
	s := h()
	for _, p := range parts {
		s.Write(p)
	}
	return s.Sum(nil)
}

type algorithms struct {
	hash func() hash.Hash
	key  int
	aead func([]byte) (cipher.AEAD, error)
}

func gcm(key []byte) (cipher.AEAD, error) {
	b, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	return cipher.NewGCM(b)
}

var independent = map[wire.Suite]algorithms{
	1: {sha512.New384, 32, gcm},
	2: {sha256.New, 32, chacha20poly1305.New},
	3: {sha256.New, 32, gcm},
	4: {sha256.New, 32, chacha20poly1305.New},
	5: {sha256.New, 16, gcm},
}

func (s algorithms) open(t *testing.T, key, iv, aad, ciphertext []byte) string {
	t.Helper()
	aead, err := s.aead(key)
	must(t, err)
	plain, err := aead.Open(nil, iv, ciphertext, aad)
	if err != nil {
		t.Fatalf("the independent key does not open it: %v", err)
	}
	return string(plain)
}

func TestExpandLabelKnownAnswer(t *testing.T) {
	secret, context := bytes.Repeat([]byte{0x0b}, 32), []byte{0xf0, 0xf1}
	for s, a := range independent {
		for _, n := range []int{12, 16, 32, 48, 100} {
			got, want := suites[s].expandLabel(secret, "lane key", context, n), expandLabel(a.hash, secret, "lane key", context, n)
			if !bytes.Equal(got, want) {
				t.Errorf("%v, %d bytes: %x, by the formula %x", s, n, got, want)
			}
		}
	}
}

func TestRatchetKnownAnswer(t *testing.T) {
	r := ratchet{state: [32]byte{1, 2, 3}}
	state := r.state[:]
	for range 3 {
		want := expand(sha256.New, state, []byte("sinete/1 ratchet"), 96)
		opening := r.next()
		if !bytes.Equal(r.state[:], want[:32]) || !bytes.Equal(r.key[:], want[32:64]) || !bytes.Equal(opening[:], want[64:]) {
			t.Fatal("the ratchet is not the one of the text")
		}
		state = want[:32]
	}
}

// A whole handshake and the first envelopes, of which everything is computed again from the shared secret and the messages.
func TestScheduleByTheText(t *testing.T) {
	eachSuite(t, func(t *testing.T, s wire.Suite) {
		for _, v := range variants {
			t.Run(v.name, func(t *testing.T) {
				a := independent[s]
				h := newTalk(v, s)
				hello, err := h.i.Hello()
				must(t, err)
				_, err = h.r.ReadHello(hello)
				must(t, err)
				shared := bytes.Clone(h.r.shared)
				answer, err := h.r.Answer()
				must(t, err)
				proof, err := h.step(wire.FrameAnswer, answer)
				must(t, err)
				accept, err := h.step(wire.FrameProof, proof)
				must(t, err)
				must(t, h.deliver(wire.FrameAccept, accept))
				p, err := wire.ParseProof(proof)
				must(t, err)
				c, err := wire.ParseAccept(accept)
				must(t, err)

				kind := "sinete/1 " + map[wire.Kind]string{wire.KindHop: "hop", wire.KindConversation: "conversation"}[v.kind]
				th2 := sum(a.hash, []byte(kind+" initiator\x00"), len32(hello, answer))
				th3 := sum(a.hash, []byte(kind+" responder\x00"), len32(th2, proof, c.Parameters))
				th := sum(a.hash, []byte(kind+" channel\x00"), len32(th3, c.Seal.Append(nil), c.MAC))
				id := sha256.Sum256(th)
				if !bytes.Equal(th, h.ic.TH()) || id != h.ic.ID {
					t.Errorf("TH %x, by the text %x", h.ic.TH(), th)
				}

				prk := mac(a.hash, make([]byte, len(th)), shared)
				var shown, made []byte // statements of the delegations in force
				if v.shown != nil {
					shown, made = v.shown.Statement, v.shown.Statement
				}
				if v.made != nil {
					made = v.made.Statement
				}
				macI := mac(a.hash, expandLabel(a.hash, prk, "mac i", th2, len(th)),
					len32(th2, []byte("certificate of initiator"), p.Seal.Append(nil), made))
				macR := mac(a.hash, expandLabel(a.hash, prk, "mac r", th2, len(th)),
					len32(th3, []byte("certificate of responder"), c.Seal.Append(nil), shown))
				if !bytes.Equal(macI, p.MAC) || !bytes.Equal(macR, c.MAC) {
					t.Error("the MACs are not those of the text")
				}
				if v.kind == wire.KindHop {
					hopByTheText(t, a, h, prk, th2, th, c.Parameters)
				} else {
					conversationByTheText(t, a, h, prk, th)
				}
			})
		}
	})
}

func hopByTheText(t *testing.T, a algorithms, h *talk, prk, th2, th, parameters []byte) {
	key := expandLabel(a.hash, prk, "parameters key", th2, a.key)
	if got := a.open(t, key, expandLabel(a.hash, prk, "parameters iv", th2, 12), th2, parameters); got != string(h.plain) {
		t.Errorf("parameters %q", got)
	}
	lanes := expandLabel(a.hash, prk, "lanes", th, len(th))
	place := []byte{0, 0, 0, 0, 0, 0, 0x12, 0x34, 2} // u64 lane, u8 direction: from the responder
	lane := h.rc.Hop(0x1234)
	lane.Seal(nil, wire.EnvelopeControl, nil)
	sealed := body(t, lane.Seal(nil, wire.EnvelopeControl, []byte("second")))
	header := []byte{0, 1, 1} // epoch 0, number 1, control
	iv := expandLabel(a.hash, lanes, "lane iv", place, 12)
	iv[11] ^= 1
	aad := append(append(append([]byte{}, h.rc.ID[:]...), place...), header...)
	if got := a.open(t, expandLabel(a.hash, lanes, "lane key", place, a.key), iv, aad, bytes.TrimPrefix(sealed, header)); got != "second" {
		t.Errorf("the envelope holds %q", got)
	}
}

func conversationByTheText(t *testing.T, a algorithms, h *talk, prk, th []byte) {
	place := []byte{0, 0, 0, 0, 0, 0, 0, 0, 1} // lane 0, from the initiator
	context := append(append([]byte{byte(len(th))}, th...), place...)
	state := expandLabel(a.hash, prk, "lane ratchet", context, 32)
	lane := h.ic.Conversation()
	lane.Seal(nil, wire.Level{}, nil)
	sealed := lane.Seal(nil, wire.Level{Rank: 5}, []byte("second")).Body

	keys := expand(sha256.New, expand(sha256.New, state, []byte("sinete/1 ratchet"), 96)[:32], []byte("sinete/1 ratchet"), 96)
	header := []byte{0, 1, 16, 0, 5, 0} // epoch 0, number 1, content, rank 5, no compartments
	before := append(append([]byte{}, h.ic.ID[:]...), place...)
	header = append(header, mac(sha256.New, keys[64:], before, header, []byte("second"))...)
	iv := expandLabel(a.hash, prk, "lane iv", context, 12)
	iv[11] ^= 1
	if got := a.open(t, keys[32:32+a.key], iv, append(before, header...), bytes.TrimPrefix(sealed, header)); got != "second" {
		t.Errorf("the envelope holds %q", got)
	}

	hash := [32]byte{9}
	for flag, noticed := range []bool{false, true} {
		m := h.ic.MachineFrame(hash, noticed)
		if want := mac(sha256.New, expandLabel(a.hash, prk, "machine", append(bytes.Clone(th), 1), 32), hash[:], []byte{byte(flag)}); !bytes.Equal(m.MAC[:], want) {
			t.Errorf("the MAC of a machine frame: %x, by the text %x", m.MAC, want)
		}
	}
}

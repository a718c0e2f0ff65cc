package vcard_test

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/binary"
	"math/big"
	"sync"
	"testing"

	"sinete/internal/vcard"
)

const pin = "123456"

var (
	p256 = sync.OnceValue(func() crypto.Signer {
		k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			panic(err)
		}
		return k
	})
	rsa2048 = sync.OnceValue(func() crypto.Signer {
		k, err := rsa.GenerateKey(rand.Reader, 2048)
		if err != nil {
			panic(err)
		}
		return k
	})
)

func newPIV(t testing.TB, k crypto.Signer) *vcard.Card {
	t.Helper()
	key := vcard.Key{Private: k, Certificate: bytes.Repeat([]byte{7}, 600)}
	c, err := vcard.NewPIV(vcard.PIV{Authentication: key, Signature: key, PIN: pin})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func newCitizen(t testing.TB) *vcard.Card {
	t.Helper()
	key := vcard.Key{Private: rsa2048(), Certificate: bytes.Repeat([]byte{8}, 600)}
	c, err := vcard.NewCitizen(vcard.Citizen{Authentication: key, Signature: key, RootCA: []byte("root"), PINs: [3]string{"1111", "2222", "3333"}})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// send sends a short APDU and fetches the whole answer.
func send(c *vcard.Card, header []byte, data []byte) ([]byte, uint16) {
	apdu := bytes.Clone(header)
	for len(data) > 255 { // in pieces
		piece := append(bytes.Clone(header), 255)
		piece[0] |= 0x10
		c.Transmit(append(piece, data[:255]...))
		data = data[255:]
	}
	if len(data) > 0 {
		apdu = append(append(apdu, byte(len(data))), data...)
	}
	answer := c.Transmit(append(apdu, 0))
	var all []byte
	for {
		n := len(answer) - 2
		status := binary.BigEndian.Uint16(answer[n:])
		all = append(all, answer[:n]...)
		if status&0xFF00 != 0x6100 {
			return all, status
		}
		answer = c.Transmit([]byte{0, 0xC0, 0, 0, byte(status)})
	}
}

func expect(t *testing.T, c *vcard.Card, status uint16, header, data []byte) []byte {
	t.Helper()
	answer, got := send(c, header, data)
	if got != status {
		t.Errorf("% x: status %04x, want %04x", header, got, status)
	}
	return answer
}

func padded(pin string) []byte {
	return append([]byte(pin), bytes.Repeat([]byte{0xFF}, 8-len(pin))...)
}

var (
	verifyPIV = []byte{0, 0x20, 0, 0x80}
	sign9A    = []byte{0, 0x87, 0, 0x9A}
	sign9C    = []byte{0, 0x87, 0, 0x9C}
)

// challenge is the template for a signature, lengths in their short form as far as they go.
func challenge(in []byte) []byte {
	object := func(tag byte, v []byte) []byte {
		if len(v) < 128 {
			return append([]byte{tag, byte(len(v))}, v...)
		}
		return append([]byte{tag, 0x82, byte(len(v) >> 8), byte(len(v))}, v...)
	}
	return object(0x7C, append([]byte{0x82, 0}, object(0x81, in)...))
}

func TestPIVSigns(t *testing.T) {
	hash := sha256.Sum256([]byte("message"))
	c := newPIV(t, p256())
	expect(t, c, 0x6982, sign9A, challenge(hash[:]))
	expect(t, c, 0x9000, verifyPIV, padded(pin))
	for range 2 {
		answer := expect(t, c, 0x9000, sign9A, challenge(hash[:]))
		if len(answer) < 4 || !ecdsa.VerifyASN1(p256().Public().(*ecdsa.PublicKey), hash[:], answer[4:]) {
			t.Fatal("the signature does not verify")
		}
	}
	expect(t, c, 0x6A80, sign9A, []byte{0x7C, 0})
	expect(t, c, 0x6A88, []byte{0, 0x87, 0, 0x9D}, challenge(hash[:]))
	expect(t, c, 0x9000, []byte{0, 0x20, 0xFF, 0x80}, nil) // log out
	expect(t, c, 0x6982, sign9A, challenge(hash[:]))
	if n := c.Counts(); n != (vcard.Counts{Signatures: 2, Verified: 1}) {
		t.Errorf("%+v", n)
	}
}

func TestPIVWithRSA(t *testing.T) {
	c := newPIV(t, rsa2048())
	pub := rsa2048().Public().(*rsa.PublicKey)
	block := bytes.Repeat([]byte{0x35}, 256)
	block[0] = 0
	expect(t, c, 0x9000, verifyPIV, padded(pin))
	answer := expect(t, c, 0x9000, sign9A, challenge(block))
	if len(answer) != 8+256 {
		t.Fatalf("%d bytes", len(answer))
	}
	got := new(big.Int).Exp(new(big.Int).SetBytes(answer[8:]), big.NewInt(int64(pub.E)), pub.N)
	if !bytes.Equal(got.FillBytes(make([]byte, 256)), block) {
		t.Error("the signature is not of the block")
	}
	expect(t, c, 0x6A80, sign9A, challenge(bytes.Repeat([]byte{0xFF}, 256))) // above the modulus
	expect(t, c, 0x6A80, sign9A, challenge(block[:255]))
}

func TestPIVSignatureKeyWantsThePINEachTime(t *testing.T) {
	hash := sha256.Sum256(nil)
	c := newPIV(t, p256())
	expect(t, c, 0x9000, verifyPIV, padded(pin))
	expect(t, c, 0x9000, sign9A, challenge(hash[:]))
	expect(t, c, 0x6982, sign9C, challenge(hash[:]))
	expect(t, c, 0x9000, verifyPIV, padded(pin))
	expect(t, c, 0x9000, sign9C, challenge(hash[:]))
	expect(t, c, 0x6982, sign9C, challenge(hash[:]))
}

func TestTries(t *testing.T) {
	c := newPIV(t, p256())
	expect(t, c, 0x63C3, verifyPIV, nil)
	expect(t, c, 0x63C2, verifyPIV, padded("0"))
	expect(t, c, 0x9000, verifyPIV, padded(pin))
	if c.TriesLeft(1) != 3 || c.TriesLeft(2) != -1 {
		t.Errorf("%d tries, %d of no PIN", c.TriesLeft(1), c.TriesLeft(2))
	}
	expect(t, c, 0x9000, verifyPIV, nil)
	expect(t, c, 0x63C2, verifyPIV, padded("0"))
	expect(t, c, 0x63C1, verifyPIV, padded("0"))
	expect(t, c, 0x6983, verifyPIV, padded("0"))
	expect(t, c, 0x6983, verifyPIV, padded(pin))
	expect(t, c, 0x6983, verifyPIV, nil)
	if n := c.Counts(); c.TriesLeft(1) != 0 || n.Verified != 1 || n.Wrong != 5 {
		t.Errorf("%d tries left, %+v", c.TriesLeft(1), n)
	}
	c.SetTriesLeft(1, 1)
	expect(t, c, 0x9000, verifyPIV, padded(pin))
}

func TestLongAnswersComeInParts(t *testing.T) {
	c := newPIV(t, p256())
	get := []byte{0, 0xCB, 0x3F, 0xFF}
	whole := expect(t, c, 0x9000, get, octets(0x5C, 3, 0x5F, 0xC1, 0x05))
	if len(whole) < 600 || whole[0] != 0x53 {
		t.Errorf("%d bytes", len(whole))
	}
	// An extended APDU takes it in one.
	if a := c.Transmit(octets(0, 0xCB, 0x3F, 0xFF, 0, 0, 5, 0x5C, 3, 0x5F, 0xC1, 0x05, 0, 0)); !bytes.Equal(a[:len(a)-2], whole) {
		t.Errorf("%d bytes by an extended APDU", len(a))
	}
	expect(t, c, 0x6A82, get, octets(0x5C, 3, 0x5F, 0xC1, 0xFF))
}

func TestCitizen(t *testing.T) {
	hash := sha256.Sum256([]byte("message"))
	c := newCitizen(t)
	verify := func(i byte) []byte { return []byte{0, 0x20, 0, 0x81 + i} }
	sign := func(key, algorithm byte, status uint16) []byte {
		t.Helper()
		expect(t, c, 0x9000, []byte{0, 0x22, 0x41, 0xB6}, []byte{0x80, 1, algorithm, 0x84, 1, key})
		expect(t, c, 0x9000, []byte{0, 0x2A, 0x90, 0xA0}, append([]byte{0x90, 32}, hash[:]...))
		return expect(t, c, status, []byte{0, 0x2A, 0x9E, 0x9A}, nil)
	}
	sign(2, 0x42, 0x6982)
	expect(t, c, 0x9000, verify(0), padded("1111"))
	sign(1, 0x42, 0x6982) // with the other key's PIN
	for range 2 {
		if rsa.VerifyPKCS1v15(rsa2048().Public().(*rsa.PublicKey), crypto.SHA256, hash[:], sign(2, 0x42, 0x9000)) != nil {
			t.Error("the signature does not verify")
		}
	}
	expect(t, c, 0x9000, verify(1), padded("2222"))
	sign(1, 0x42, 0x9000)
	sign(1, 0x42, 0x6982) // it wants the PIN each time
	expect(t, c, 0x6985, []byte{0, 0x2A, 0x9E, 0x9A}, nil)
	expect(t, c, 0x63C2, verify(2), padded("1111"))
	if c.TriesLeft(1) != 3 || c.TriesLeft(3) != 2 {
		t.Error("the PINs share their counters")
	}
}

func TestCitizenFiles(t *testing.T) {
	c := newCitizen(t)
	choose := []byte{0, 0xA4, 0, 0}
	expect(t, c, 0x6B00, []byte{0, 0xB0, 0, 0}, nil)
	expect(t, c, 0x9000, choose, []byte{0x5F, 0})
	expect(t, c, 0x9000, choose, []byte{0xEF, 0x11})
	if got := expect(t, c, 0x9000, []byte{0, 0xB0, 0, 1}, nil); string(got) != "oot" {
		t.Errorf("read %q", got)
	}
	expect(t, c, 0x6B00, []byte{0, 0xB0, 0, 5}, nil)
	expect(t, c, 0x6A82, choose, []byte{0xEF, 0x0F}) // no certificate of that authority
}

// FuzzTransmit sends commands one after the other: each two bytes of length and an APDU. A card answers anything.
func FuzzTransmit(f *testing.F) {
	script := func(apdus ...[]byte) (b []byte) {
		for _, a := range apdus {
			b = append(binary.BigEndian.AppendUint16(b, uint16(len(a))), a...)
		}
		return b
	}
	hash := sha256.Sum256(nil)
	withLength := func(header, data []byte) []byte { return append(append(bytes.Clone(header), byte(len(data))), data...) }
	f.Add(script(withLength(verifyPIV, padded(pin)), withLength(sign9A, challenge(hash[:])), []byte{0, 0xC0, 0, 0, 0}))
	f.Add(script(withLength([]byte{0, 0x22, 0x41, 0xB6}, []byte{0x80, 1, 0x42, 0x84, 1, 2}),
		withLength([]byte{0, 0x2A, 0x90, 0xA0}, append([]byte{0x90, 32}, hash[:]...)), []byte{0, 0x2A, 0x9E, 0x9A, 0}))
	f.Add(script(octets(0, 0xCB, 0x3F, 0xFF, 0, 0, 5, 0x5C, 3, 0x5F, 0xC1, 0x05, 0, 0), []byte{0, 0xA4, 0, 0, 2, 0x5F, 0}, []byte{0, 0xB0, 0, 1, 0}))
	f.Fuzz(func(t *testing.T, b []byte) {
		cards := []*vcard.Card{newPIV(t, p256()), newCitizen(t)}
		for len(b) >= 2 {
			n := min(int(binary.BigEndian.Uint16(b)), len(b)-2)
			apdu := b[2 : 2+n]
			b = b[2+n:]
			for _, c := range cards {
				if answer := c.Transmit(apdu); len(answer) < 2 {
					t.Fatalf("% x: an answer of %d bytes", apdu, len(answer))
				}
			}
		}
	})
}

func octets(b ...byte) []byte { return b }

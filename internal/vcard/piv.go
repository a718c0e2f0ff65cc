package vcard

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
)

// PIV is what is on a PIV token (NIST SP 800-73-4).
type PIV struct {
	Authentication Key // slot 9A: P-256, P-384 or RSA, which want the PIN once
	Signature      Key // slot 9C: wants the PIN right before each signature; may be empty
	PIN            string
	Tries          int // DefaultTries if 0
}

const (
	slotAuthentication = 0x9A
	slotSignature      = 0x9C
	pivPIN             = 0x80
)

var (
	// PIV's application: its registered provider, and the whole identifier.
	pivProvider    = []byte{0xA0, 0x00, 0x00, 0x03, 0x08}
	pivApplication = append(slices.Clone(pivProvider), 0x00, 0x00, 0x10, 0x00, 0x01, 0x00)
)

type piv struct {
	card    *Card
	keys    map[byte]Key
	objects map[string][]byte // by tag, hexadecimal
	thePIN  *pin
	fresh   bool // the PIN was given by the command before this one
}

// NewPIV makes a PIV token.
func NewPIV(p PIV) (*Card, error) {
	c := &Card{}
	v := &piv{card: c, keys: map[byte]Key{}, thePIN: newPIN(p.PIN, p.Tries)}
	v.objects = map[string][]byte{
		// The card holder's unique identifier: a FASC-N that says "no agency", a GUID, an expiry date, no signature.
		"5fc102": tlv(0x53, tlv(0x30, unhex("d4e739da739ced39ce739d836858210842108421c84210c3eb")), tlv(0x34, guid(p.Authentication.Certificate)),
			tlv(0x35, []byte("20350101")), tlv(0x3E), tlv(0xFE)),
		// The discovery object: the application, and that the PIN is PIV's own.
		"7e": tlv(0x7E, tlv(0x4F, pivApplication), tlv(0x5F2F, []byte{0x40, 0x10})),
	}
	for _, s := range []struct {
		slot byte
		tag  string
		key  Key
	}{{slotAuthentication, "5fc105", p.Authentication}, {slotSignature, "5fc10a", p.Signature}} {
		switch s.key.Private.(type) {
		case nil:
			continue
		case *rsa.PrivateKey, *ecdsa.PrivateKey:
		default:
			return nil, fmt.Errorf("vcard: a PIV token with a %T", s.key.Private)
		}
		v.keys[s.slot] = s.key
		v.objects[s.tag] = tlv(0x53, tlv(0x70, s.key.Certificate), tlv(0x71, []byte{0}), tlv(0xFE))
	}
	c.app = v
	return c, nil
}

// guid tells one card from another.
func guid(certificate []byte) []byte {
	sum := sha256.Sum256(certificate)
	return sum[:16]
}

// atr carries PIV's application identifier in its historical bytes, so that OpenSC takes the card for a plain PIV token. (With
// 3B 80 80 01 01 it would take it for a PIVKey and offer no elliptic curves.)
func (v *piv) atr() []byte {
	b := append([]byte{0x3B, 0x8D, 0x01, 0x80, 0xFB}, pivApplication...)
	var check byte
	for _, x := range b[1:] {
		check ^= x
	}
	return append(b, check)
}

func (v *piv) reset() { v.thePIN.verified, v.fresh = false, false }

func (v *piv) pin(number int) *pin {
	if number == 1 {
		return v.thePIN
	}
	return nil
}

func (v *piv) do(c command) ([]byte, uint16) {
	fresh := v.fresh
	v.fresh = false
	switch c.ins {
	case insSelect:
		if c.p1 != 0x04 || !bytes.HasPrefix(c.data, pivProvider) {
			return nil, statusNotFound
		}
		return tlv(0x61, tlv(0x4F, pivApplication[len(pivProvider):]), tlv(0x79, tlv(0x4F, pivProvider))), statusOK
	case insGetData:
		name, _ := findTLV(c.data, 0x5C)
		if o, ok := v.objects[hex.EncodeToString(name)]; ok {
			return o, statusOK
		}
		return nil, statusNotFound
	case insVerify:
		if c.p2 != pivPIN {
			return nil, statusNoReference
		}
		data, status := v.card.verify(v.thePIN, c)
		v.fresh = status == statusOK && len(c.data) > 0
		return data, status
	case insAuthenticate:
		return v.authenticate(c, fresh)
	}
	return nil, statusNoInstruction
}

// authenticate signs what the host has hashed and padded.
func (v *piv) authenticate(c command, fresh bool) ([]byte, uint16) {
	key, ok := v.keys[c.p2]
	switch {
	case !ok:
		return nil, statusNoReference
	case !v.thePIN.verified, c.p2 == slotSignature && !fresh:
		return nil, statusNotAllowed
	}
	template, _ := findTLV(c.data, 0x7C)
	challenge, ok := findTLV(template, 0x81)
	if !ok || len(challenge) == 0 {
		return nil, statusWrongData
	}
	sig, status := v.card.sign(func() ([]byte, error) {
		switch k := key.Private.(type) {
		case *rsa.PrivateKey:
			return rawRSA(k, challenge)
		case *ecdsa.PrivateKey:
			return ecdsa.SignASN1(rand.Reader, k, challenge)
		}
		return nil, errors.New("no such key")
	})
	if status != statusOK {
		return nil, status
	}
	return tlv(0x7C, tlv(0x82, sig)), statusOK
}

// unhex is for constants.
func unhex(s string) []byte {
	b, err := hex.DecodeString(s)
	if err != nil {
		panic(err)
	}
	return b
}

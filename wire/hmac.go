package wire

import (
	"bytes"
	"crypto/sha256"
	"crypto/subtle"
)

var (
	innerPad = bytes.Repeat([]byte{0x36}, sha256.BlockSize)
	outerPad = bytes.Repeat([]byte{0x5c}, sha256.BlockSize)
)

// HMAC is HMAC-SHA256 (RFC 2104) with a key of 32 bytes over parts, joined. Every envelope of a conversation has keys of its
// own, and crypto/hmac allocates some ten times for a new key; this keeps short messages on the stack, and copies no long ones: with 61,000
// bytes that takes a third less. Of the key and its pads nothing is left in memory that is not the hash's own.
func HMAC(key *[32]byte, parts ...[]byte) (mac [32]byte) {
	var space [512]byte
	b := append(space[:0], innerPad...)
	subtle.XORBytes(b, b, key[:])
	n := len(b)
	for _, p := range parts {
		n += len(p)
	}
	if n <= len(space) {
		for _, p := range parts {
			b = append(b, p...)
		}
		mac = sha256.Sum256(b)
	} else {
		h := sha256.New()
		h.Write(b)
		for _, p := range parts {
			h.Write(p)
		}
		h.Sum(mac[:0])
	}
	clear(b)
	b = append(space[:0], outerPad...)
	subtle.XORBytes(b, b, key[:])
	b = append(b, mac[:]...)
	mac = sha256.Sum256(b)
	clear(b)
	return mac
}

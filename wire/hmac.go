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
// own, and crypto/hmac allocates some ten times for a new key; this keeps short messages on the stack. Of the key and its pads nothing is left
// in memory that is not the hash's own.
func HMAC(key *[32]byte, parts ...[]byte) (mac [32]byte) {
	var space [512]byte
	b := space[:0]
	n := len(innerPad)
	for _, p := range parts {
		n += len(p)
	}
	if n > len(space) {
		b = make([]byte, 0, n) // once: what grows leaves copies behind
	}
	b = append(b, innerPad...)
	subtle.XORBytes(b, b, key[:])
	for _, p := range parts {
		b = append(b, p...)
	}
	inner := sha256.Sum256(b)
	clear(b)
	b = append(space[:0], outerPad...)
	subtle.XORBytes(b, b, key[:])
	b = append(b, inner[:]...)
	mac = sha256.Sum256(b)
	clear(b)
	clear(inner[:])
	return mac
}

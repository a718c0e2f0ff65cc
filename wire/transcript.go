package wire

import (
	"crypto/sha256"
	"encoding/binary"
)

// InnerDigest is the digest of an inner envelope (protocol.md section 5.5).
func InnerDigest(header, ciphertext []byte) [32]byte {
	return InnerDigestOf(header, sha256.Sum256(ciphertext))
}

// InnerDigestOf is InnerDigest where only H(ciphertext) is known.
func InnerDigestOf(header []byte, ciphertext [32]byte) [32]byte { return joined(header, ciphertext) }

// OuterDigest is the digest of an outer envelope whose payload is no inner envelope.
func OuterDigest(header, payload []byte) [32]byte {
	h := sha256.Sum256(payload)
	return joined(header, h)
}

// OuterDigestOfInner is the digest of an outer envelope around the inner envelope with that digest.
func OuterDigestOfInner(header []byte, inner [32]byte) [32]byte { return joined(header, inner) }

// joined is H(header | h). Headers are short, so the input stays on the stack.
func joined(header []byte, h [32]byte) [32]byte {
	var buf [256]byte
	b := append(buf[:0], header...)
	return sha256.Sum256(append(b, h[:]...))
}

// FirstTranscript is T(-1) of a lane and direction (section 5.5). last and t are the previous epoch's number of envelopes
// and final transcript value, zero in the first epoch.
func FirstTranscript(th []byte, lane uint64, d Direction, last uint64, t [32]byte) [32]byte {
	b := append([]byte(nil), "sinete/1 lane\x00"...)
	b = appendOpaque8(b, th)
	b = binary.BigEndian.AppendUint64(b, lane)
	b = append(b, byte(d))
	b = binary.BigEndian.AppendUint64(b, last)
	return sha256.Sum256(append(b, t[:]...))
}

// NextTranscript is T(n) from T(n-1) and d(n).
func NextTranscript(t, digest [32]byte) [32]byte {
	var b [64]byte
	copy(b[:32], t[:])
	copy(b[32:], digest[:])
	return sha256.Sum256(b[:])
}

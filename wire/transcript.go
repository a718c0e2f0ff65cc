package wire

import (
	"crypto/pbkdf2"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"math/big"
	"strings"
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

// Common is how far a direction of a conversation's lane is common to both sides (section 5.8): sealed by its author and acknowledged by the other.
type Common struct {
	Count uint64   // envelopes since the channel began, through all epochs
	T     [32]byte // transcript value after the last of them; zeros where there is none
}

const comparisonIterations = 1 << 17

// ComparisonCode is the code that two people compare by voice (section 5.8): six groups of five digits. It takes some ten milliseconds.
func ComparisonCode(channel [32]byte, one, two Common) string {
	password := append([]byte(nil), channel[:]...)
	for _, c := range []Common{one, two} {
		password = binary.BigEndian.AppendUint64(password, c.Count)
		password = append(password, c.T[:]...)
	}
	value, err := pbkdf2.Key(sha256.New, string(password), []byte("sinete/1 compare\x00"), comparisonIterations, sha256.Size)
	if err != nil {
		panic("wire: " + err.Error()) // only for parameters that are not allowed
	}
	n := new(big.Int).SetBytes(value)
	digits := fmt.Sprintf("%030d", n.Mod(n, new(big.Int).Exp(big.NewInt(10), big.NewInt(30), nil)))
	var groups []string
	for ; digits != ""; digits = digits[5:] {
		groups = append(groups, digits[:5])
	}
	return strings.Join(groups, " ")
}

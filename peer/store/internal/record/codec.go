package record

import (
	"encoding/binary"
	"math"
	"slices"
	"time"

	"golang.org/x/crypto/cryptobyte"

	"sinete/wire"
)

// reader consumes a record from front to back and keeps the first error. What it returns does not alias the record.
type reader struct {
	s   cryptobyte.String
	err error
}

func (r *reader) fail(reason string) {
	if r.err == nil {
		r.err = &wire.MalformedError{What: "record", Reason: reason}
	}
	r.s = nil
}

func (r *reader) take(n int) (b []byte) {
	if !r.s.ReadBytes(&b, n) {
		r.fail("too short")
	}
	return slices.Clone(b)
}

func (r *reader) u8() (v uint8) {
	if !r.s.ReadUint8(&v) {
		r.fail("too short")
	}
	return v
}

func (r *reader) u16() (v uint16) {
	if !r.s.ReadUint16(&v) {
		r.fail("too short")
	}
	return v
}

func (r *reader) u32() (v uint32) {
	if !r.s.ReadUint32(&v) {
		r.fail("too short")
	}
	return v
}

func (r *reader) u64() (v uint64) {
	if !r.s.ReadUint64(&v) {
		r.fail("too short")
	}
	return v
}

func (r *reader) flag() bool {
	v := r.u8()
	if v > 1 {
		r.fail("a flag that is neither 0 nor 1")
	}
	return v == 1
}

func (r *reader) time() time.Time {
	v := r.u64()
	if v > math.MaxInt64 {
		r.fail("a time beyond all others")
		return time.Time{}
	}
	return time.UnixMilli(int64(v))
}

func (r *reader) hash() (v [32]byte) {
	if !r.s.CopyBytes(v[:]) {
		r.fail("too short")
	}
	return v
}

func (r *reader) id() (v [16]byte) {
	if !r.s.CopyBytes(v[:]) {
		r.fail("too short")
	}
	return v
}

func (r *reader) level() (l wire.Level) {
	l.Rank = r.u16()
	for range r.u8() {
		if r.err != nil {
			return l
		}
		l.Compartments = append(l.Compartments, string(r.opaque8()))
	}
	if r.err == nil && !l.Valid() {
		r.fail("no level")
	}
	return l
}

func (r *reader) opaque8() []byte { return r.take(int(r.u8())) }

func (r *reader) opaque16() []byte { return r.take(int(r.u16())) }

func (r *reader) rest() []byte {
	b := slices.Clone([]byte(r.s))
	r.s = nil
	return b
}

// seal reads the one entry of a seal frame.
func (r *reader) seal(b []byte) *wire.SealEntry {
	f, err := wire.ParseSealFrame(b)
	if err == nil && len(f) != 1 {
		r.fail("a seal of several heads")
	}
	if err != nil {
		r.fail(err.Error())
	}
	if r.err != nil {
		return nil
	}
	return &f[0]
}

func appendU64(b []byte, v uint64) []byte { return binary.BigEndian.AppendUint64(b, v) }

func appendU32(b []byte, v uint32) []byte { return binary.BigEndian.AppendUint32(b, v) }

func appendTime(b []byte, t time.Time) []byte { return appendU64(b, uint64(max(0, t.UnixMilli()))) }

func appendFlag(b []byte, v bool) []byte {
	if v {
		return append(b, 1)
	}
	return append(b, 0)
}

func appendText8(b []byte, s string) []byte { return append(append(b, byte(len(s))), s...) }

func appendOpaque16(b, v []byte) []byte {
	return append(binary.BigEndian.AppendUint16(b, uint16(len(v))), v...)
}

// AppendDelegation appends a delegation with its seal, as a blob has it.
func AppendDelegation(b []byte, d *wire.SealedDelegation) []byte {
	return d.Seal.Append(appendOpaque16(b, d.Statement))
}

// ParseDelegation reads one.
func ParseDelegation(b []byte) (*wire.SealedDelegation, error) {
	r := &reader{s: cryptobyte.String(b)}
	d := &wire.SealedDelegation{Statement: r.opaque16()}
	if r.err != nil {
		return nil, r.err
	}
	var err error
	d.Seal, err = wire.ParseSeal(r.rest())
	return d, err
}

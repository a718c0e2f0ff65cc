package wire

import (
	"encoding/binary"
	"fmt"
	"math/bits"
	"unicode/utf8"
)

// MalformedError says that bytes are no canonical encoding (protocol.md section 2.1).
type MalformedError struct {
	What   string // the message or structure being read
	Reason string
}

func (e *MalformedError) Error() string { return fmt.Sprintf("malformed %s: %s", e.What, e.Reason) }

// Code is CodeMalformed: the number the other side is given.
func (e *MalformedError) Code() Code { return CodeMalformed }

// VarintLen returns the length in bytes of v as a varint: 1, 2, 4 or 8. v must be below 2^62.
func VarintLen(v uint64) int {
	switch {
	case v < 1<<6:
		return 1
	case v < 1<<14:
		return 2
	case v < 1<<30:
		return 4
	default:
		return 8
	}
}

// AppendVarint appends v in its shortest form (RFC 9000 section 16). v must be below 2^62.
func AppendVarint(b []byte, v uint64) []byte {
	switch VarintLen(v) {
	case 1:
		return append(b, byte(v))
	case 2:
		return append(b, byte(v>>8)|0x40, byte(v))
	case 4:
		return binary.BigEndian.AppendUint32(b, uint32(v)|0x80<<24)
	default:
		if bits.Len64(v) > 62 {
			panic("wire: varint beyond 2^62-1")
		}
		return binary.BigEndian.AppendUint64(b, v|0xc0<<56)
	}
}

// ParseVarint reads a varint at the start of b and returns its value and length. It refuses longer forms than needed; n is 0
// where b is too short.
func ParseVarint(b []byte) (v uint64, n int, err error) {
	if len(b) == 0 {
		return 0, 0, nil
	}
	n = 1 << (b[0] >> 6)
	if len(b) < n {
		return 0, 0, nil
	}
	v = uint64(b[0] & 0x3f)
	for _, c := range b[1:n] {
		v = v<<8 | uint64(c)
	}
	if VarintLen(v) != n {
		return 0, 0, &MalformedError{"varint", "not in its shortest form"}
	}
	return v, n, nil
}

// reader consumes an encoding from front to back and keeps the first error, so that a layout reads like its clause.
type reader struct {
	what string
	b    []byte
	err  error
}

func (r *reader) fail(reason string) {
	if r.err == nil {
		r.err = &MalformedError{r.what, reason}
	}
	r.b = nil
}

func (r *reader) take(n int) []byte {
	if r.err != nil || len(r.b) < n {
		r.fail("too short")
		return nil
	}
	v := r.b[:n:n]
	r.b = r.b[n:]
	return v
}

func (r *reader) u8() uint8 {
	if v := r.take(1); v != nil {
		return v[0]
	}
	return 0
}

func (r *reader) u16() uint16 {
	if v := r.take(2); v != nil {
		return binary.BigEndian.Uint16(v)
	}
	return 0
}

func (r *reader) u32() uint32 {
	if v := r.take(4); v != nil {
		return binary.BigEndian.Uint32(v)
	}
	return 0
}

func (r *reader) u64() uint64 {
	if v := r.take(8); v != nil {
		return binary.BigEndian.Uint64(v)
	}
	return 0
}

func (r *reader) varint() uint64 {
	if r.err != nil {
		return 0
	}
	v, n, err := ParseVarint(r.b)
	if err != nil {
		r.fail("varint not in its shortest form")
		return 0
	}
	if n == 0 {
		r.fail("too short")
		return 0
	}
	r.b = r.b[n:]
	return v
}

func (r *reader) flag() bool {
	v := r.u8()
	if v > 1 {
		r.fail("a flag that is neither 0 nor 1")
	}
	return v == 1
}

func (r *reader) hash() (v [32]byte) {
	copy(v[:], r.take(32))
	return v
}

func (r *reader) bytes16() (v [16]byte) {
	copy(v[:], r.take(16))
	return v
}

// opaque8, opaque16 return nil for an empty value, so that a value read equals the value written.
func (r *reader) opaque8() []byte  { return r.nonEmpty(int(r.u8())) }
func (r *reader) opaque16() []byte { return r.nonEmpty(int(r.u16())) }

func (r *reader) nonEmpty(n int) []byte {
	if n == 0 {
		return nil
	}
	return r.take(n)
}

func (r *reader) rest() []byte {
	v := r.b
	r.b = nil
	return v
}

func (r *reader) text(b []byte, limit int) string {
	if len(b) > limit {
		r.fail("text too long")
		return ""
	}
	if !ValidText(string(b)) {
		r.fail("text that is no UTF-8 or has control characters")
		return ""
	}
	return string(b)
}

func (r *reader) text8(limit int) string  { return r.text(r.opaque8(), limit) }
func (r *reader) text16(limit int) string { return r.text(r.opaque16(), limit) }

// count reads a u8 that must lie between low and high.
func (r *reader) count(low, high int) int {
	n := int(r.u8())
	if r.err == nil && (n < low || n > high) {
		r.fail(fmt.Sprintf("a count of %d where %d to %d are allowed", n, low, high))
		return 0
	}
	return n
}

// done returns the first error; whatever was not consumed is one.
func (r *reader) done() error {
	if r.err == nil && len(r.b) > 0 {
		r.fail("trailing bytes")
	}
	return r.err
}

// ValidText reports whether s may stand in a text8 or text16: UTF-8 without control characters (section 2.1).
func ValidText(s string) bool {
	if !utf8.ValidString(s) {
		return false
	}
	for _, c := range s {
		if c < 0x20 || 0x7f <= c && c <= 0x9f {
			return false
		}
	}
	return true
}

func appendOpaque8(b, v []byte) []byte {
	if len(v) > 255 {
		panic("wire: opaque8 beyond 255 bytes")
	}
	return append(append(b, byte(len(v))), v...)
}

func appendOpaque16(b, v []byte) []byte {
	if len(v) > 65535 {
		panic("wire: opaque16 beyond 65,535 bytes")
	}
	return append(binary.BigEndian.AppendUint16(b, uint16(len(v))), v...)
}

// AppendLen32 appends v behind its length as a u32: len32 of section 3.7.
func AppendLen32(b, v []byte) []byte {
	return append(binary.BigEndian.AppendUint32(b, uint32(len(v))), v...)
}

func appendFlag(b []byte, v bool) []byte {
	if v {
		return append(b, 1)
	}
	return append(b, 0)
}

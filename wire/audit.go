package wire

import "encoding/binary"

// AuditHead is what a relay seals of its audit log: how long it is, and the root of the tree over all its records (protocol.md section 4.6).
type AuditHead struct {
	Log  [16]byte // drawn when the log began
	Size uint64   // records
	Root [32]byte // of RFC 9162 section 2.1
}

// Append appends the statement's bytes.
func (h AuditHead) Append(b []byte) []byte {
	b = append(b, h.Log[:]...)
	b = binary.BigEndian.AppendUint64(b, h.Size)
	return append(b, h.Root[:]...)
}

// ParseAuditHead reads exactly one head.
func ParseAuditHead(b []byte) (AuditHead, error) {
	r := &reader{what: "audit head", b: b}
	h := AuditHead{Log: r.bytes16(), Size: r.u64(), Root: r.hash()}
	if r.err == nil && h.Size == 0 {
		r.fail("a log without records")
	}
	return h, r.done()
}

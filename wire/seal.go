package wire

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"math/bits"
)

// Scheme is a TLS SignatureScheme code point (RFC 8446 section 4.2.3).
type Scheme uint16

const (
	SchemeRSAPKCS1 Scheme = 0x0401 // rsa_pkcs1_sha256
	SchemeP256     Scheme = 0x0403 // ecdsa_secp256r1_sha256
	SchemeP384     Scheme = 0x0503 // ecdsa_secp384r1_sha384
	SchemeRSAPSS   Scheme = 0x0804 // rsa_pss_rsae_sha256
	SchemeEd25519  Scheme = 0x0807 // ed25519, delegated keys only
)

func (s Scheme) String() string {
	switch s {
	case SchemeRSAPKCS1:
		return "rsa_pkcs1_sha256"
	case SchemeP256:
		return "ecdsa_secp256r1_sha256"
	case SchemeP384:
		return "ecdsa_secp384r1_sha384"
	case SchemeRSAPSS:
		return "rsa_pss_rsae_sha256"
	case SchemeEd25519:
		return "ed25519"
	}
	return fmt.Sprintf("scheme %#04x", uint16(s))
}

// Purpose says what a sealed statement is (protocol.md section 4.2).
type Purpose uint8

const (
	PurposeInitiator  Purpose = 1
	PurposeResponder  Purpose = 2
	PurposeHead       Purpose = 3
	PurposeDelegation Purpose = 4
	PurposeAuditHead  Purpose = 5
)

// SealInput is what a card signs (section 4.1).
type SealInput struct {
	Signer [32]byte // SignerHash of certificate and delegation
	Time   uint64   // Unix seconds
	Leaves uint32   // padding included, a power of two
	Root   [32]byte
}

// Append appends the 154 bytes that are signed.
func (in SealInput) Append(b []byte) []byte {
	for range 64 {
		b = append(b, 0x20)
	}
	b = append(b, "sinete/1 seal\x00"...)
	b = append(b, in.Signer[:]...)
	b = binary.BigEndian.AppendUint64(b, in.Time)
	b = binary.BigEndian.AppendUint32(b, in.Leaves)
	return append(b, in.Root[:]...)
}

// SignerHash is signer of section 4.1: of the leaf certificate (DER) and the delegation in force, nil where the card seals itself.
func SignerHash(certificate, delegation []byte) [32]byte {
	b := append([]byte(nil), "sinete/1 signer\x00"...)
	b = AppendLen32(b, certificate)
	return sha256.Sum256(AppendLen32(b, delegation))
}

// Seal is one signature over a batch, with the path that ties one statement to it (section 4.3).
type Seal struct {
	Scheme    Scheme
	Signature []byte
	Time      uint64 // Unix seconds
	Leaves    uint32
	Index     uint32
	Salt      [16]byte
	Path      [][32]byte // log2(Leaves) nodes, from the leaf upwards
}

// Append appends the seal as handshakes carry it.
func (s Seal) Append(b []byte) []byte {
	b = s.appendBatch(b)
	return s.appendPlace(b)
}

// ParseSeal reads exactly one seal.
func ParseSeal(b []byte) (Seal, error) {
	r := &reader{what: "seal", b: b}
	s := r.seal()
	return s, r.done()
}

func (s Seal) appendBatch(b []byte) []byte {
	b = binary.BigEndian.AppendUint16(b, uint16(s.Scheme))
	b = appendOpaque16(b, s.Signature)
	b = binary.BigEndian.AppendUint64(b, s.Time)
	return binary.BigEndian.AppendUint32(b, s.Leaves)
}

func (s Seal) appendPlace(b []byte) []byte {
	if len(s.Path) != pathLen(s.Leaves) {
		panic("wire: a seal whose path does not fit its leaves")
	}
	b = binary.BigEndian.AppendUint32(b, s.Index)
	b = append(b, s.Salt[:]...)
	for _, n := range s.Path {
		b = append(b, n[:]...)
	}
	return b
}

func pathLen(leaves uint32) int { return bits.Len32(leaves) - 1 }

func (r *reader) seal() (s Seal) {
	r.sealBatch(&s)
	r.sealPlace(&s)
	return s
}

func (r *reader) sealBatch(s *Seal) {
	s.Scheme = Scheme(r.u16())
	s.Signature = r.opaque16()
	s.Time = r.u64()
	s.Leaves = r.u32()
	switch {
	case r.err != nil:
	case len(s.Signature) == 0 || len(s.Signature) > MaxSignature:
		r.fail("a signature of no or too many bytes")
	case s.Leaves == 0 || s.Leaves > MaxLeaves || s.Leaves&(s.Leaves-1) != 0:
		r.fail("a number of leaves that is no power of two in the limit")
	}
}

func (r *reader) sealPlace(s *Seal) {
	s.Index = r.u32()
	s.Salt = r.bytes16()
	if r.err != nil {
		return
	}
	if s.Index >= s.Leaves {
		r.fail("an index beyond the leaves")
		return
	}
	for range pathLen(s.Leaves) {
		s.Path = append(s.Path, r.hash())
	}
}

// SealEntry is one head of a seal frame with its seal.
type SealEntry struct {
	Seal Seal
	Head Head
	// Statement is the head as encoded: what the leaf hashes. It aliases the parsed bytes; Append ignores it.
	Statement []byte
}

// SealFrame is the body of a seal frame: heads under one signature (section 5.6). Scheme, Signature, Time and Leaves of all
// entries are the same.
type SealFrame []SealEntry

// Append appends the body. There must be at least one entry.
func (f SealFrame) Append(b []byte) []byte {
	b = f[0].Seal.appendBatch(b)
	b = AppendVarint(b, uint64(len(f)))
	for _, e := range f {
		b = e.Seal.appendPlace(b)
		b = e.Head.Append(b)
	}
	return b
}

// Len returns the length of the body in bytes.
func (f SealFrame) Len() int {
	n := 2 + 2 + len(f[0].Seal.Signature) + 8 + 4 + VarintLen(uint64(len(f)))
	for _, e := range f {
		n += 4 + 16 + 32*len(e.Seal.Path) + e.Head.Len()
	}
	return n
}

// ParseSealFrame reads the body of a seal frame. Signatures and statements alias b.
func ParseSealFrame(b []byte) (SealFrame, error) {
	r := &reader{what: "seal frame", b: b}
	var batch Seal
	r.sealBatch(&batch)
	n := r.varint()
	if r.err == nil && (n == 0 || n > MaxSealEntries) {
		r.fail("no entries, or too many")
	}
	var f SealFrame
	for i := uint64(0); i < n && r.err == nil; i++ {
		e := SealEntry{Seal: batch}
		r.sealPlace(&e.Seal)
		before := r.b
		e.Head = r.head()
		e.Statement = before[:len(before)-len(r.b)]
		f = append(f, e)
	}
	if err := r.done(); err != nil {
		return nil, err
	}
	return f, nil
}

// Delegation is what a card seals to let a key of the process seal for a session (section 4.5).
type Delegation struct {
	Key        [32]byte // Ed25519
	Purposes   uint16   // bit n for Purpose n
	NotAfter   uint64   // Unix seconds
	Deployment string   // the relay's name
}

const delegable = 1<<PurposeInitiator | 1<<PurposeResponder | 1<<PurposeHead

// Allows reports whether the delegated key may seal statements of that purpose.
func (d Delegation) Allows(p Purpose) bool { return d.Purposes&(1<<p) != 0 }

// Append appends the statement that the card seals.
func (d Delegation) Append(b []byte) []byte {
	b = append(b, d.Key[:]...)
	b = binary.BigEndian.AppendUint16(b, d.Purposes)
	b = binary.BigEndian.AppendUint64(b, d.NotAfter)
	return appendOpaque8(b, []byte(d.Deployment))
}

// ParseDelegation reads a delegation.
func ParseDelegation(b []byte) (Delegation, error) {
	r := &reader{what: "delegation", b: b}
	d := Delegation{Key: r.hash(), Purposes: r.u16(), NotAfter: r.u64(), Deployment: r.text8(MaxName)}
	switch {
	case d.Allows(PurposeDelegation):
		r.fail("a delegation that delegates further")
	case d.Purposes&^delegable != 0:
		r.fail("a delegation for purposes that do not exist")
	}
	return d, r.done()
}

// SealedDelegation is a delegation as it travels: the statement's bytes and the card's seal over them.
type SealedDelegation struct {
	Statement []byte
	Seal      Seal
}

func appendDelegation(b []byte, d *SealedDelegation) []byte {
	if d == nil {
		return append(b, 0)
	}
	return d.Seal.Append(appendOpaque16(append(b, 1), d.Statement))
}

func (r *reader) delegation() *SealedDelegation {
	if !r.flag() {
		return nil
	}
	d := &SealedDelegation{Statement: r.opaque16(), Seal: r.seal()}
	if r.err == nil {
		if _, err := ParseDelegation(d.Statement); err != nil {
			r.err = err
		}
	}
	return d
}

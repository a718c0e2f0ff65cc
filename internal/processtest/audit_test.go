//go:build cgo

package processtest

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/x509"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
)

// What follows is written from docs/protocol.md alone and uses nothing of this program: it is the auditor of a conversation who has
// what passed the relay, and its people's certificates as they showed them there.

type hash = [32]byte

func h(parts ...[]byte) hash { return sha256.Sum256(bytes.Join(parts, nil)) }

func len32(b []byte) []byte { return append(binary.BigEndian.AppendUint32(nil, uint32(len(b))), b...) }

// flight and what it holds are as the relay's process wrote them down.
type flight struct {
	From   string
	Pieces []piece
}

type piece struct {
	Type    uint8  // of the outer envelope, section 5.2
	Payload []byte // of the outer envelope
	Seals   []sealed
}

// sealed is one entry of a seal frame (section 5.6).
type sealed struct {
	Scheme          uint16
	Signature, Salt []byte
	Time            uint64
	Leaves, Index   uint32
	Path            [][]byte
	Head            []byte
}

// party is one side of the conversation.
type party struct {
	identity     string
	role         byte
	leaf         *x509.Certificate
	transcript   []hash            // T(-1), T(0), ...: that of what this side sends
	sealedUpTo   int               // envelopes
	acknowledged int               // envelopes of the other side
	signatures   map[string][]byte // the bytes signed, by signature
}

// audit is what the auditor has seen so far.
type audit struct {
	frames  map[byte][]byte // of the handshake, by type
	sides   [2]*party       // initiator, responder
	suite   uint16
	channel hash
	claims  []claim
}

// claim is an acknowledgement: `yours` of a head (section 5.5).
type claim struct {
	by    *party
	count uint64
	t     hash
}

// auditFlights judges a conversation from hello to the last seal.
func auditFlights(flights []flight) (*audit, error) {
	a := &audit{frames: map[byte][]byte{}}
	for i, f := range flights {
		for _, p := range f.Pieces {
			if err := a.piece(f.From, p); err != nil {
				return nil, fmt.Errorf("flight %d, of %s: %w", i, f.From, err)
			}
		}
	}
	for _, c := range a.claims {
		if err := a.judgeClaim(c); err != nil {
			return nil, err
		}
	}
	for _, s := range a.sides {
		if s == nil {
			return nil, errors.New("no handshake")
		}
		if n := len(s.transcript) - 1; s.sealedUpTo != n {
			return nil, fmt.Errorf("%s sent %d envelopes and sealed %d", s.identity, n, s.sealedUpTo)
		}
	}
	return a, nil
}

func (a *audit) side(identity string) *party {
	for _, s := range a.sides {
		if s != nil && s.identity == identity {
			return s
		}
	}
	return nil
}

func (a *audit) piece(from string, p piece) error {
	switch {
	case p.Seals != nil:
		for _, s := range p.Seals {
			if err := a.head(a.side(from), s); err != nil {
				return err
			}
		}
		return nil
	case p.Type == 3:
		return a.handshake(from, p.Payload)
	case p.Type == 2:
		return a.envelope(a.side(from), p.Payload)
	}
	return fmt.Errorf("an outer envelope of type %d", p.Type)
}

// handshake takes a frame (section 2.3) of the handshake: type, length, body.
func (a *audit) handshake(from string, frame []byte) error {
	r := unread(frame)
	kind := byte(r.uint(1))
	body := r.take(int(r.varint()))
	a.frames[kind] = body
	switch kind {
	case 1: // hello: versions, kind, suites, shares, nonce, chain
		b := unread(body)
		b.take(2 * int(b.uint(1)))
		if b.uint(1) != 2 {
			return errors.New("not the hello of a conversation")
		}
		b.take(2 * int(b.uint(1)))
		for range b.uint(1) {
			b.take(2)
			b.opaque16()
		}
		b.take(32)
		return a.meet(from, 1, &b)
	case 2: // answer: version, suites, suite, share, nonce, chain
		b := unread(body)
		b.take(2)
		b.take(2 * int(b.uint(1)))
		a.suite = uint16(b.uint(2))
		b.take(2)
		b.opaque16()
		b.take(32)
		return a.meet(from, 2, &b)
	case 4:
		return a.established()
	}
	return nil
}

func (a *audit) meet(identity string, role byte, chain *unread) error {
	if chain.uint(1) == 0 {
		return errors.New("an empty chain")
	}
	leaf, err := x509.ParseCertificate(chain.opaque16())
	a.sides[role-1] = &party{identity: identity, role: role, leaf: leaf, signatures: map[string][]byte{}}
	return err
}

// established computes section 3.7 and judges both seals of the handshake.
func (a *audit) established() error {
	hash := func(parts ...[]byte) []byte {
		if a.suite == 1 {
			sum := sha512.Sum384(bytes.Join(parts, nil))
			return sum[:]
		}
		sum := h(parts...)
		return sum[:]
	}
	accept := unread(a.frames[4])
	parameters := accept.opaque16()
	seal := accept
	rSeal := accept.seal()
	rSealBytes := seal[:len(seal)-len(accept)]
	mac := accept.take(int(accept.uint(1)))

	th2 := hash([]byte("sinete/1 conversation initiator\x00"), len32(a.frames[1]), len32(a.frames[2]))
	th3 := hash([]byte("sinete/1 conversation responder\x00"), len32(th2), len32(a.frames[3]), len32(parameters))
	th := hash([]byte("sinete/1 conversation channel\x00"), len32(th3), len32(rSealBytes), len32(mac))
	a.channel = h(th)
	for _, s := range a.sides {
		place := append(make([]byte, 8), s.role)
		s.transcript = append(s.transcript, h([]byte("sinete/1 lane\x00"), []byte{byte(len(th))}, th, place, make([]byte, 8+32)))
	}
	proof := unread(a.frames[3])
	iSeal := proof.seal()
	if err := a.judgeSeal(a.sides[0], 1, th2, iSeal); err != nil {
		return err
	}
	return a.judgeSeal(a.sides[1], 2, th3, rSeal)
}

// envelope computes the digests of an inner envelope, or of those that it stands for, and moves the transcript on (sections 5.1 and 5.5).
func (a *audit) envelope(s *party, b []byte) error {
	r := unread(b)
	epoch, seq, kind := r.varint(), r.varint(), r.uint(1)
	label := []byte(r)
	r.take(2) // rank
	for range r.uint(1) {
		r.take(int(r.uint(1)))
	}
	label = label[:len(label)-len(r)]
	if epoch != 0 || seq != uint64(len(s.transcript)-1) || kind != 16 && kind != 17 {
		return fmt.Errorf("envelope %d of epoch %d and type %d in place %d", seq, epoch, kind, len(s.transcript)-1)
	}
	n := uint64(1)
	if kind == 17 {
		n = r.uint(1)
	}
	commitments := r.take(32 * int(n))
	inner := h(r)
	for i := range n {
		header := append(varint(seq+i, []byte{0}), 16) // the epoch and the number, as it would have them alone
		header = append(append(header, label...), commitments[32*i:32*i+32]...)
		digest := h(header, inner[:])
		last := s.transcript[seq+i]
		s.transcript = append(s.transcript, h(last[:], digest[:]))
	}
	return nil
}

// varint appends a number of four bytes at most (section 2.1).
func varint(n uint64, b []byte) []byte {
	switch {
	case n < 1<<6:
		return append(b, byte(n))
	case n < 1<<14:
		return append(b, byte(n>>8)|0x40, byte(n))
	}
	return append(b, byte(n>>24)|0x80, byte(n>>16), byte(n>>8), byte(n))
}

// head judges a sealed head of a side (section 5.5). What it acknowledges is judged when all has been read.
func (a *audit) head(s *party, e sealed) error {
	r := unread(e.Head)
	channel, lane, role, mine := r.take(32), r.varint(), r.uint(1), r.uint(1) == 1
	if !bytes.Equal(channel, a.channel[:]) || lane != 0 || role != uint64(s.role) {
		return errors.New("a head of another channel, lane or role")
	}
	if mine {
		epoch, count, t := r.varint(), r.varint(), r.take(32)
		want := s.transcript[len(s.transcript)-1]
		if epoch != 0 || count != uint64(len(s.transcript)-1) || !bytes.Equal(t, want[:]) {
			return fmt.Errorf("signs %x after %d envelopes, where %d gave %x", t, count, len(s.transcript)-1, want)
		}
		s.sealedUpTo = int(count)
	}
	if epoch := r.varint(); epoch != 0 {
		return errors.New("acknowledges another epoch")
	}
	a.claims = append(a.claims, claim{s, r.varint(), hash(r.take(32))})
	return a.judgeSeal(s, 3, e.Head, e)
}

// judgeClaim: an acknowledgement is the other's own transcript at that place.
func (a *audit) judgeClaim(c claim) error {
	other := a.sides[2-c.by.role]
	if c.count >= uint64(len(other.transcript)) || other.transcript[c.count] != c.t {
		return fmt.Errorf("%s acknowledges %x after %d envelopes, which is not what was sent", c.by.identity, c.t, c.count)
	}
	c.by.acknowledged = max(c.by.acknowledged, int(c.count))
	return nil
}

// judgeSeal climbs from the leaf to the root and verifies the signature over section 4.1's bytes.
func (a *audit) judgeSeal(s *party, purpose byte, statement []byte, e sealed) error {
	sum := h(statement)
	node := h([]byte{0, purpose}, e.Salt, sum[:])
	if 1<<len(e.Path) != e.Leaves || e.Index >= e.Leaves {
		return errors.New("a path that does not fit its tree")
	}
	for i, sibling := range e.Path {
		if e.Index>>i&1 == 1 {
			node = h([]byte{1}, sibling, node[:])
		} else {
			node = h([]byte{1}, node[:], sibling)
		}
	}
	signer := h([]byte("sinete/1 signer\x00"), len32(s.leaf.Raw), len32(nil))
	signed := bytes.Repeat([]byte{0x20}, 64)
	signed = append(signed, "sinete/1 seal\x00"...)
	signed = append(signed, signer[:]...)
	signed = binary.BigEndian.AppendUint64(signed, e.Time)
	signed = binary.BigEndian.AppendUint32(signed, e.Leaves)
	signed = append(signed, node[:]...)
	if known, ok := s.signatures[string(e.Signature)]; ok {
		if !bytes.Equal(known, signed) {
			return errors.New("two batches under one signature")
		}
		return nil
	}
	s.signatures[string(e.Signature)] = signed
	return verifySignature(s.leaf, e.Scheme, signed, e.Signature)
}

func verifySignature(leaf *x509.Certificate, scheme uint16, signed, signature []byte) error {
	digest := h(signed)
	ok := false
	switch key := leaf.PublicKey.(type) {
	case *rsa.PublicKey:
		if scheme == 0x0804 {
			ok = rsa.VerifyPSS(key, crypto.SHA256, digest[:], signature, &rsa.PSSOptions{SaltLength: 32}) == nil
		} else {
			ok = scheme == 0x0401 && rsa.VerifyPKCS1v15(key, crypto.SHA256, digest[:], signature) == nil
		}
	case *ecdsa.PublicKey:
		ok = scheme == 0x0403 && ecdsa.VerifyASN1(key, digest[:], signature)
	}
	if !ok {
		return fmt.Errorf("a signature of %s that does not verify over %s", leaf.Subject.CommonName, hex.EncodeToString(signed))
	}
	return nil
}

// unread takes bytes from its front. Reading beyond the end panics: the relay has let nothing malformed pass.
type unread []byte

func (r *unread) take(n int) []byte {
	b := (*r)[:n]
	*r = (*r)[n:]
	return b
}

func (r *unread) uint(n int) (v uint64) {
	for _, b := range r.take(n) {
		v = v<<8 | uint64(b)
	}
	return v
}

func (r *unread) varint() uint64 {
	n := 1 << ((*r)[0] >> 6)
	return r.uint(n) & (1<<(8*n-2) - 1)
}

func (r *unread) opaque16() []byte { return r.take(int(r.uint(2))) }

// seal reads section 4.3.
func (r *unread) seal() (s sealed) {
	s.Scheme, s.Signature, s.Time = uint16(r.uint(2)), r.opaque16(), r.uint(8)
	s.Leaves, s.Index, s.Salt = uint32(r.uint(4)), uint32(r.uint(4)), r.take(16)
	for n := s.Leaves; n > 1; n /= 2 {
		s.Path = append(s.Path, r.take(32))
	}
	return s
}

package channel

import (
	"crypto/hmac"
	"crypto/sha256"
	"crypto/subtle"
	"slices"
	"sync/atomic"

	"sinete/wire"
)

// ratchet gives each envelope of a conversation's lane its own keys (protocol.md section 5.3).
type ratchet struct {
	state  [32]byte
	key    [32]byte // of the envelope being made or opened: next sets it, aead erases it
	erased bool
}

// next returns the opening key of the next envelope; its key is in r.
func (r *ratchet) next() (opening [32]byte) {
	if r.erased {
		panic("channel: a lane is used after Erase") // keys made of zeros would be everybody's
	}
	// HKDF-Expand block by block, without what crypto/hkdf allocates for each envelope.
	next := wire.HMAC(&r.state, ratchetInfo, []byte{1})
	r.key = wire.HMAC(&r.state, next[:], ratchetInfo, []byte{2})
	opening = wire.HMAC(&r.state, r.key[:], ratchetInfo, []byte{3})
	r.state = next
	clear(next[:])
	return opening
}

var ratchetInfo = []byte("sinete/1 ratchet")

// ConversationLane is a lane of a conversation channel. Seal is for one goroutine, Open for one (another).
type ConversationLane struct {
	*Lane
	p               parameters
	out, in         ratcheted
	nextOut, nextIn ratcheted      // of the next epoch, while there is one
	envelopes       *atomic.Uint64 // the channel's
	arrived         func()         // the channel's
}

// ratcheted is one direction of a conversation's lane in one epoch.
type ratcheted struct {
	half
	ratchet
}

// Conversation returns the lane of messages, lane 0. It is made with the channel, so that the secrets above it are gone.
func (c *Channel) Conversation() *ConversationLane { return c.messages }

func (c *Channel) newConversationLane(id uint64, prk []byte) *ConversationLane {
	e := c.epochs[0]
	l := &ConversationLane{Lane: c.newLane(id, e, e), p: c.p, envelopes: &c.envelopes, arrived: c.arrived}
	l.out = c.ratcheted(e, id, c.Role.Sends(), prk)
	l.in = c.ratcheted(e, id, c.Role.Other().Sends(), prk)
	return l
}

func (c *Channel) ratcheted(e *epoch, id uint64, d wire.Direction, prk []byte) (r ratcheted) {
	context := append(append([]byte{byte(len(e.th))}, e.th...), lanePlace(id, d)...)
	c.p.expandInto(r.state[:], prk, "lane ratchet", context)
	r.half = newHalf(c.ID, id, d, e.number, c.p.expandLabel(prk, "lane iv", context, ivLen))
	return r
}

// prepare makes the keys of the next epoch.
func (l *ConversationLane) prepare(c *Channel, e *epoch, prk []byte) {
	l.nextOut = c.ratcheted(e, l.ID, c.Role.Sends(), prk)
	l.nextIn = c.ratcheted(e, l.ID, c.Role.Other().Sends(), prk)
}

// turnOut begins to send in the next epoch, and returns how many envelopes this one had.
func (l *ConversationLane) turnOut(e *epoch) (last uint64) {
	l.out, l.nextOut = l.nextOut, ratcheted{}
	return l.Sent.turn(e.number, e.th, true)
}

// turnIn begins to receive in the next epoch, where the other side has sent so many envelopes in this one.
func (l *ConversationLane) turnIn(e *epoch, last uint64) error {
	if !l.Received.allSealed() {
		return wire.Errorf(wire.CodeUnsealed, "a switch behind envelopes without their seal")
	}
	if l.in.seq != last {
		return wire.Errorf(wire.CodeIntegrity, "a switch behind %d envelopes, of which %d came", last, l.in.seq)
	}
	l.in, l.nextIn = l.nextIn, ratcheted{}
	l.Received.turn(e.number, e.th, false)
	return nil
}

// Sealed is an inner envelope just made.
type Sealed struct {
	Body    []byte // of the envelope, without a frame around it
	Header  int    // bytes of it that are the header; the ciphertext follows
	Digest  [32]byte
	Opening [32]byte // the key that opens the commitment: kept with the message, nowhere else
}

// Seal appends the body of an inner envelope with that content.
func (l *ConversationLane) Seal(b []byte, label wire.Level, content []byte) Sealed {
	opening := l.out.ratchet.next()
	h := wire.Header{Epoch: l.out.epoch, Seq: l.out.seq, Type: wire.EnvelopeContent, Label: label}
	uncommitted := h.AppendUncommitted(l.out.place())[placeLen:]
	h.Commitment = wire.Commitment(opening, l.channel, l.ID, l.role.Sends(), uncommitted, content)
	aad := append(l.out.place(), uncommitted...)
	aad = append(aad, h.Commitment[:]...)
	header := aad[placeLen:]
	b = slices.Grow(b, len(header)+len(content)+wire.MinCiphertext)
	start := len(b)
	b = append(b, header...)
	b = l.aead(&l.out.key).Seal(b, l.out.half.next(1), content, aad)
	s := Sealed{Body: b[start:], Header: len(header), Digest: wire.InnerDigest(header, b[start+len(header):]), Opening: opening}
	l.Sent.add(len(s.Body), s.Digest)
	l.envelopes.Add(1)
	return s
}

// SealedTexts is an inner envelope just made that stands for several.
type SealedTexts struct {
	Body       []byte // of the envelope, without a frame around it
	Header     wire.Header
	Ciphertext [32]byte   // SHA-256 of it
	Digests    [][32]byte // of the envelopes that it stands for
	Openings   [][32]byte // the keys that open their commitments
}

// SealTexts appends the body of an inner envelope with texts, 2 to wire.MaxTexts of the same parties: an envelope for each, under one key.
func (l *ConversationLane) SealTexts(b []byte, label wire.Level, texts []wire.Content) SealedTexts {
	n := len(texts)
	opening := l.out.ratchet.next()
	s := SealedTexts{Header: wire.Header{Epoch: l.out.epoch, Seq: l.out.seq, Type: wire.EnvelopeTexts, Label: label, Commitments: make([][32]byte, n)},
		Openings: make([][32]byte, n)}
	for i := range texts {
		s.Openings[i] = wire.TextOpening(&opening, i)
		s.Header.Commitments[i] = l.commitment(&l.out.half, l.role.Sends(), s.Header.At(i), s.Openings[i], &texts[i])
	}
	clear(opening[:])
	aad := s.Header.Append(l.out.place())
	header := aad[placeLen:]
	l.out.aad = aad[:placeLen] // which is longer now
	start := len(b)
	b = append(b, header...)
	plain := len(b)
	b = wire.AppendTexts(b, texts)
	b = l.aead(&l.out.key).Seal(b[:plain], l.out.half.next(n), b[plain:], aad)
	s.Body, s.Ciphertext = b[start:], sha256.Sum256(b[plain:])
	s.Digests = s.Header.Digests(s.Ciphertext)
	l.Sent.add(len(s.Body), s.Digests...)
	l.envelopes.Add(uint64(n))
	return s
}

// commitment is that of one text of several; of the header only its commitment may be missing.
func (l *ConversationLane) commitment(h *half, d wire.Direction, header wire.Header, opening [32]byte, text *wire.Content) [32]byte {
	var space [64]byte
	h.text = text.Append(h.text[:0])
	return wire.Commitment(opening, l.channel, l.ID, d, header.AppendUncommitted(space[:0]), h.text)
}

// OpenTexts decrypts an inner envelope with texts, which has those digests, and checks their commitments. dst is room for what is decrypted, and is
// returned as it has grown. Errors have CodeIntegrity or CodeMalformed and are fatal to the channel.
func (l *ConversationLane) OpenTexts(dst []byte, e *wire.Envelope, digests [][32]byte) (texts []wire.Content, openings [][32]byte, room []byte, err error) {
	if err := l.in.expect(e); err != nil {
		return nil, nil, dst, err
	}
	n := e.Header.Envelopes()
	opening := l.in.ratchet.next()
	defer clear(opening[:])
	aad := append(l.in.place(), e.RawHeader...)
	l.in.aad = aad[:placeLen]
	plain, err := l.aead(&l.in.key).Open(dst[:0], l.in.half.next(n), e.Ciphertext, aad)
	if err != nil {
		return nil, nil, dst, wire.Errorf(wire.CodeIntegrity, "envelope %d of the conversation does not decrypt", e.Header.Seq)
	}
	if texts, err = wire.ParseTexts(plain, n); err != nil {
		return nil, nil, plain, err
	}
	openings = make([][32]byte, n)
	for i := range texts {
		openings[i] = wire.TextOpening(&opening, i)
		c := l.commitment(&l.in.half, l.role.Other().Sends(), e.Header.At(i), openings[i], &texts[i])
		if subtle.ConstantTimeCompare(c[:], e.Header.Commitments[i][:]) != 1 {
			return nil, nil, plain, wire.Errorf(wire.CodeIntegrity, "text %d of envelope %d of the conversation does not keep its commitment", i, e.Header.Seq)
		}
	}
	l.Received.add(len(e.RawHeader)+len(e.Ciphertext), digests...)
	l.envelopes.Add(uint64(n))
	return texts, openings, plain, nil
}

// Open decrypts an inner envelope with that digest and checks its commitment, appending the content to dst. Errors have
// CodeIntegrity and are fatal to the channel.
func (l *ConversationLane) Open(dst []byte, e *wire.Envelope, digest [32]byte) (content []byte, opening [32]byte, err error) {
	if err := l.in.expect(e); err != nil {
		return nil, opening, err
	}
	opening = l.in.ratchet.next()
	aad := append(l.in.place(), e.RawHeader...)
	whole, err := l.aead(&l.in.key).Open(dst, l.in.half.next(1), e.Ciphertext, aad)
	if err != nil {
		return nil, opening, wire.Errorf(wire.CodeIntegrity, "envelope %d of the conversation does not decrypt", e.Header.Seq)
	}
	content = whole[len(dst):]
	uncommitted := e.RawHeader[:len(e.RawHeader)-len(e.Header.Commitment)]
	c := wire.Commitment(opening, l.channel, l.ID, l.role.Other().Sends(), uncommitted, content)
	if subtle.ConstantTimeCompare(c[:], e.Header.Commitment[:]) != 1 {
		return nil, opening, wire.Errorf(wire.CodeIntegrity, "envelope %d of the conversation does not keep its commitment", e.Header.Seq)
	}
	l.Received.add(len(e.RawHeader)+len(e.Ciphertext), digest)
	l.envelopes.Add(1)
	return content, opening, nil
}

// aead makes the cipher of one envelope and erases its key.
func (l *ConversationLane) aead(key *[32]byte) (a interface {
	Seal(dst, nonce, plaintext, additionalData []byte) []byte
	Open(dst, nonce, ciphertext, additionalData []byte) ([]byte, error)
}) {
	a, err := l.p.aead(key[:l.p.keyLen])
	if err != nil {
		panic("channel: " + err.Error()) // only for a key of the wrong length
	}
	clear(key[:])
	return a
}

// Erase clears the ratchets: nothing sent or received before can be opened from this lane any more, and nothing after.
// Seal and Open panic from here on.
func (l *ConversationLane) Erase() {
	for _, h := range []*half{&l.out.half, &l.in.half} {
		clear(h.text[:cap(h.text)])
	}
	gone := ratcheted{ratchet: ratchet{erased: true}}
	l.out, l.in, l.nextOut, l.nextIn = gone, gone, gone, gone
}

// MachineFrame authenticates a machine hash for a closed direction, and that another machine of the other side's was noticed, if so (section 7.5).
func (c *Channel) MachineFrame(hash [32]byte, noticed bool) wire.MachineFrame {
	c.mu.Lock()
	defer c.mu.Unlock()
	return wire.MachineFrame{Hash: hash, MAC: machineMAC(&c.sendingEpoch().machine[c.Role-1], hash, noticed)}
}

// CheckMachine verifies the other side's machine frame, and reports whether they noticed another machine of this side's.
func (c *Channel) CheckMachine(m wire.MachineFrame) (noticed bool, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	e := c.epochs[0]
	if c.theirs {
		e = c.epochs[len(c.epochs)-1]
	}
	for _, noticed := range []bool{false, true} {
		want := machineMAC(&e.machine[c.Role.Other()-1], m.Hash, noticed)
		if hmac.Equal(want[:], m.MAC[:]) {
			return noticed, nil
		}
	}
	return false, wire.Errorf(wire.CodeIntegrity, "the MAC of a machine frame is wrong")
}

func machineMAC(key *[32]byte, hash [32]byte, noticed bool) [32]byte {
	flag := []byte{0}
	if noticed {
		flag[0] = 1
	}
	return wire.HMAC(key, hash[:], flag)
}

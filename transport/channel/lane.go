package channel

import (
	"crypto/cipher"
	"encoding/binary"
	"sync"

	"sinete/wire"
)

const ivLen = 12 // of every suite's AEAD

// Lane is the part of a lane that both kinds of channel share: two transcripts, and the heads over them (protocol.md section 5.5).
// Head, Check and Confirm may be called by any goroutine.
type Lane struct {
	ID      uint64
	channel [32]byte
	role    wire.Role
	// Sent and Received are the transcripts of the two directions.
	Sent, Received *Transcript

	saidMu sync.Mutex
	said   wire.Place // the last place that a head of ours acknowledged
}

func (c *Channel) newLane(id uint64) *Lane {
	l := &Lane{ID: id, channel: c.ID, role: c.Role,
		Sent:     newTranscript(c.TH, id, c.Role.Sends()),
		Received: newTranscript(c.TH, id, c.Role.Other().Sends())}
	l.said = l.Received.Acknowledged()
	return l
}

// Closing is the head that closes a flight: it signs all that was sent and acknowledges what was confirmed.
func (l *Lane) Closing() wire.Head {
	h, _ := l.Acknowledging()
	p := l.Sent.Seal()
	h.Mine = &p
	return h
}

// Acknowledging is the head that only acknowledges what was confirmed. news is false where a head made before says as much.
func (l *Lane) Acknowledging() (h wire.Head, news bool) {
	l.saidMu.Lock()
	defer l.saidMu.Unlock()
	yours := l.Received.Acknowledged()
	news = yours != l.said
	l.said = yours
	return wire.Head{Channel: l.channel, Lane: l.ID, Role: l.role, Yours: yours}, news
}

// Confirm makes a place that the other side sealed the one that our heads acknowledge: verified and, by section 6, permitted and queued or
// stored.
func (l *Lane) Confirm(p wire.Place) error {
	_, err := l.Received.Acknowledge(p)
	return err
}

// Check takes the other side's head, whose seal has been verified, and compares it with this side's own view. A head with
// Mine must come in its order behind the envelopes that it covers. sealed is true when it covers new envelopes, acked when it acknowledges
// new ones of ours. Errors have CodeIntegrity.
func (l *Lane) Check(h wire.Head) (sealed, acked bool, err error) {
	if h.Channel != l.channel || h.Lane != l.ID || h.Role != l.role.Other() {
		return false, false, wire.Errorf(wire.CodeIntegrity, "a head of another lane")
	}
	if h.Mine != nil {
		if here := l.Received.Here(); *h.Mine != here {
			return false, false, wire.Errorf(wire.CodeIntegrity, "a head over %d envelopes of epoch %d that does not agree with the %d received",
				h.Mine.Count, h.Mine.Epoch, here.Count)
		}
		sealed = l.Received.LastSealed() != *h.Mine
		l.Received.Seal()
	}
	acked, err = l.Sent.Acknowledge(h.Yours)
	return sealed, acked, err
}

// half is the key material and numbering of one direction of a lane.
type half struct {
	iv    [ivLen]byte
	epoch uint64
	seq   uint64
	nonce [ivLen]byte
	aad   []byte // scratch: place (41 bytes), then the header
}

func newHalf(channel [32]byte, lane uint64, d wire.Direction, iv []byte) half {
	h := half{aad: wire.AppendPlace(make([]byte, 0, 128), channel, lane, d)}
	copy(h.iv[:], iv)
	return h
}

func (h *half) place() (p []byte) { return h.aad[:placeLen] }

const placeLen = 41

// next returns the nonce of the next envelope and moves on.
func (h *half) next() []byte {
	h.nonce = h.iv
	n := binary.BigEndian.Uint64(h.nonce[4:]) ^ h.seq
	binary.BigEndian.PutUint64(h.nonce[4:], n)
	h.seq++
	return h.nonce[:]
}

// expect refuses an envelope that is not the next one.
func (h *half) expect(e *wire.Envelope) error {
	if e.Header.Epoch != h.epoch || e.Header.Seq != h.seq {
		return wire.Errorf(wire.CodeIntegrity, "envelope %d of epoch %d where %d of epoch %d was next",
			e.Header.Seq, e.Header.Epoch, h.seq, h.epoch)
	}
	return nil
}

// HopLane is a lane of a hop channel: one QUIC stream. Seal and SealInner are for one goroutine, Open for one (another).
type HopLane struct {
	*Lane
	out, in       half
	outKey, inKey cipher.AEAD
}

// Hop makes the lane of the QUIC stream with that id. The caller never asks for an id twice.
func (c *Channel) Hop(stream uint64) *HopLane {
	l := &HopLane{Lane: c.newLane(stream)}
	l.outKey, l.out = c.hopHalf(stream, c.Role.Sends())
	l.inKey, l.in = c.hopHalf(stream, c.Role.Other().Sends())
	return l
}

func (c *Channel) hopHalf(stream uint64, d wire.Direction) (cipher.AEAD, half) {
	place := lanePlace(stream, d)
	key := c.p.expandLabel(c.lanes, "lane key", place, c.p.keyLen)
	defer clear(key)
	aead, err := c.p.aead(key)
	if err != nil {
		panic("channel: " + err.Error()) // only for a key of the wrong length
	}
	return aead, newHalf(c.ID, stream, d, c.p.expandLabel(c.lanes, "lane iv", place, ivLen))
}

// Seal appends an envelope frame with a payload that is no inner envelope.
func (l *HopLane) Seal(b []byte, t wire.EnvelopeType, payload []byte) []byte {
	return l.seal(b, t, payload, func(header []byte) [32]byte { return wire.OuterDigest(header, payload) })
}

// SealInner appends an envelope frame around the body of an inner envelope with that digest.
func (l *HopLane) SealInner(b, inner []byte, digest [32]byte) []byte {
	return l.seal(b, wire.EnvelopeInner, inner, func(header []byte) [32]byte { return wire.OuterDigestOfInner(header, digest) })
}

func (l *HopLane) seal(b []byte, t wire.EnvelopeType, payload []byte, digest func(header []byte) [32]byte) []byte {
	h := wire.Header{Epoch: l.out.epoch, Seq: l.out.seq, Type: t}
	aad := h.Append(l.out.place())
	header := aad[placeLen:]
	n := len(header) + len(payload) + wire.MinCiphertext
	b = append(wire.AppendFrameHeader(b, wire.FrameEnvelope, n), header...)
	b = l.outKey.Seal(b, l.out.next(), payload, aad)
	l.Sent.add(digest(header), len(payload))
	return b
}

// Opened is a decrypted outer envelope.
type Opened struct {
	Type    wire.EnvelopeType
	Payload []byte
	Inner   wire.Envelope // Type EnvelopeInner: the payload taken apart
	Digest  [32]byte      // Type EnvelopeInner: its digest
}

// Open decrypts the body of an envelope frame, appending the payload to dst. Errors have CodeIntegrity, CodeMalformed, CodeUnexpected or
// CodeLimitExceeded and are fatal to the channel.
func (l *HopLane) Open(dst, body []byte) (o Opened, err error) {
	e, err := wire.ParseEnvelope(body)
	if err != nil {
		return o, err
	}
	if e.Header.Type == wire.EnvelopeContent {
		return o, wire.Errorf(wire.CodeUnexpected, "content outside a conversation")
	}
	if err := l.in.expect(&e); err != nil {
		return o, err
	}
	// Another lane's numbers may be longer than this one's: what is passed on must fit a frame there too.
	if n := len(e.Ciphertext) - wire.MinCiphertext; n > wire.MaxPayload {
		return o, wire.Errorf(wire.CodeLimitExceeded, "an envelope with %d bytes of payload", n)
	}
	o.Type = e.Header.Type
	aad := append(l.in.place(), e.RawHeader...)
	whole, err := l.inKey.Open(dst, l.in.next(), e.Ciphertext, aad)
	if err != nil {
		return o, wire.Errorf(wire.CodeIntegrity, "envelope %d of hop lane %d does not decrypt", e.Header.Seq, l.ID)
	}
	o.Payload = whole[len(dst):]
	if o.Type != wire.EnvelopeInner {
		l.Received.add(wire.OuterDigest(e.RawHeader, o.Payload), len(o.Payload))
		return o, nil
	}
	if o.Inner, err = wire.ParseEnvelope(o.Payload); err != nil {
		return o, err
	}
	if o.Inner.Header.Type != wire.EnvelopeContent {
		return o, wire.Errorf(wire.CodeUnexpected, "an inner envelope that is no content")
	}
	o.Digest = wire.InnerDigest(o.Inner.RawHeader, o.Inner.Ciphertext)
	l.Received.add(wire.OuterDigestOfInner(e.RawHeader, o.Digest), len(o.Payload))
	return o, nil
}

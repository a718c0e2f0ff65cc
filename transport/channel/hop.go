package channel

import (
	"crypto/cipher"
	"errors"
	"sync"

	"sinete/wire"
)

// HopLane is a lane of a hop channel: one QUIC stream. While an epoch changes (protocol.md section 9.4) it may have two receiving keys.
type HopLane struct {
	*Lane
	c *Channel

	outMu  sync.Mutex
	out    half
	outKey cipher.AEAD // nil once erased

	inMu   sync.Mutex
	in     half
	inKey  cipher.AEAD // nil once erased
	next   *hopKeys    // of the next epoch, until the lane is in it
	last   *uint64     // how many envelopes this epoch has, once the other side has said so
	before uint64      // how many the epoch before had
}

// hopKeys receive in the epoch after a lane's.
type hopKeys struct {
	key    cipher.AEAD
	half   half
	number uint64
	th     []byte
}

// earlyLane is a lane of which this side knows only that switched named it.
type earlyLane struct {
	key  cipher.AEAD
	half half
	last uint64
	th   []byte // of the epoch that ends
}

// ErrErased is what Open and Check say of a lane that has ended, at this side or at the other.
var ErrErased = errors.New("channel: the lane has ended")

// Hop makes the lane of the QUIC stream with that id. The caller never asks for an id twice, and asks for the other side's streams in the
// order of their ids.
func (c *Channel) Hop(stream uint64) *HopLane {
	c.mu.Lock()
	defer c.mu.Unlock()
	l := &HopLane{c: c}
	out, in := c.sendingEpoch(), c.epochs[0]
	newest := c.epochs[len(c.epochs)-1]
	early := c.early[stream]
	if early == nil && c.theirs {
		in = newest // the other side has sent nothing here before
	}
	l.outKey, l.out = c.hopHalf(out, stream, c.Role.Sends())
	switch {
	case early != nil:
		delete(c.early, stream)
		l.inKey, l.in, l.last = early.key, early.half, &early.last
		in = &epoch{number: early.half.epoch, th: early.th}
		l.next = c.hopNext(newest, stream)
	case in != newest:
		l.inKey, l.in = c.hopHalf(in, stream, c.Role.Other().Sends())
		l.next = c.hopNext(newest, stream)
		c.waits(1)
	default:
		l.inKey, l.in = c.hopHalf(in, stream, c.Role.Other().Sends())
	}
	l.Lane = c.newLane(stream, out, in)
	c.hops[stream] = l
	c.highest = max(c.highest, stream)
	return l
}

func (c *Channel) hopHalf(e *epoch, stream uint64, d wire.Direction) (cipher.AEAD, half) {
	place := lanePlace(stream, d)
	return c.p.cipher(e.lanes, "lane key", place), newHalf(c.ID, stream, d, e.number, c.p.expandLabel(e.lanes, "lane iv", place, ivLen))
}

func (c *Channel) hopNext(e *epoch, stream uint64) *hopKeys {
	n := &hopKeys{number: e.number, th: e.th}
	n.key, n.half = c.hopHalf(e, stream, c.Role.Other().Sends())
	return n
}

// prepare lets the lane follow into the next epoch. It reports false where the lane has ended at the other side.
func (l *HopLane) prepare(n *hopKeys) bool {
	l.inMu.Lock()
	defer l.inMu.Unlock()
	if l.inKey == nil {
		return false
	}
	l.next, l.last = n, nil
	return true
}

// turnOut begins to send in the next epoch, and returns how many envelopes this one had.
func (l *HopLane) turnOut(e *epoch, key cipher.AEAD, out half) (last uint64) {
	l.outMu.Lock()
	defer l.outMu.Unlock()
	l.outKey, l.out = key, out
	return l.Sent.turn(e.number, e.th, true)
}

// ended takes what the other side says of the epoch that ends: a lane in which everything has come leaves it.
func (l *HopLane) ended(last uint64) error {
	l.inMu.Lock()
	defer l.inMu.Unlock()
	came := l.in.seq
	switch {
	case l.inKey == nil:
		return nil
	case l.next == nil:
		came = l.before // the lane has gone ahead
	case last == 0 && came > 0 && l.ID != 0:
		l.over()
		return nil
	}
	if came > last || l.next == nil && came < last {
		return wire.Errorf(wire.CodeIntegrity, "hop lane %d had %d envelopes in an epoch, and the other side says %d", l.ID, came, last)
	}
	if l.next != nil {
		l.last = &last
		l.leave()
	}
	return nil
}

// leave changes the lane's receiving key if everything of the old epoch has come. inMu is held.
func (l *HopLane) leave() {
	if l.next != nil && l.last != nil && l.in.seq == *l.last {
		l.turnIn()
	}
}

// follow takes the first sign of the next epoch as the end of this one. inMu is held.
func (l *HopLane) follow(epoch uint64) error {
	if l.next == nil || epoch != l.next.number {
		return nil
	}
	if l.last != nil && *l.last != l.in.seq {
		return wire.Errorf(wire.CodeIntegrity, "hop lane %d goes on in epoch %d behind %d of %d envelopes", l.ID, epoch, l.in.seq, *l.last)
	}
	l.turnIn()
	return nil
}

// over gives up receiving in a lane that the other side has ended: its switched left out what it had sent there. The stream's own end,
// which says the same, is still to come. inMu is held.
func (l *HopLane) over() {
	l.inKey, l.in.iv = nil, [ivLen]byte{}
	if l.next != nil {
		l.next, l.last = nil, nil
		l.c.arrived()
	}
}

// leftOut reports whether an envelope of that epoch is of a lane that switched has left out before anything came in it. inMu is held.
func (l *HopLane) leftOut(epoch uint64) bool {
	return epoch < l.in.epoch && l.in.seq == 0 && l.before == 0 && l.ID != 0
}

func (l *HopLane) turnIn() {
	l.before = l.in.seq
	l.Received.turn(l.next.number, l.next.th, false)
	l.inKey, l.in = l.next.key, l.next.half
	l.next, l.last = nil, nil
	l.c.arrived()
}

// Check is Lane's, for a head that may be the first sign of a new epoch. ErrErased is what it says of a lane that has ended.
func (l *HopLane) Check(h wire.Head) (sealed, acked bool, err error) {
	if h.Mine != nil {
		l.inMu.Lock()
		err := ErrErased
		if l.inKey != nil {
			err = l.follow(h.Mine.Epoch)
		}
		l.inMu.Unlock()
		if err != nil {
			return false, false, err
		}
	}
	return l.Lane.Check(h)
}

// Erase forgets the lane's keys, and lets the channel go on without it.
func (l *HopLane) Erase() {
	l.c.mu.Lock()
	delete(l.c.hops, l.ID)
	l.c.mu.Unlock()
	l.outMu.Lock()
	l.outKey, l.out.iv = nil, [ivLen]byte{}
	l.outMu.Unlock()
	l.inMu.Lock()
	defer l.inMu.Unlock()
	l.over()
}

// Erased reports whether the lane is erased.
func (l *HopLane) Erased() bool {
	l.outMu.Lock()
	defer l.outMu.Unlock()
	return l.outKey == nil
}

// Seal appends an envelope frame with a payload that is no inner envelope. Once the lane is erased it appends nothing; so does SealInner.
func (l *HopLane) Seal(b []byte, t wire.EnvelopeType, payload []byte) []byte {
	return l.seal(b, t, payload, nil)
}

// SealInner appends an envelope frame around the body of an inner envelope with those digests: one for each envelope that it stands for.
func (l *HopLane) SealInner(b, inner []byte, digests [][32]byte) []byte {
	return l.seal(b, wire.EnvelopeInner, inner, digests)
}

func (l *HopLane) seal(b []byte, t wire.EnvelopeType, payload []byte, inner [][32]byte) []byte {
	l.outMu.Lock()
	defer l.outMu.Unlock()
	if l.outKey == nil {
		return b
	}
	h := wire.Header{Epoch: l.out.epoch, Seq: l.out.seq, Type: t}
	aad := h.Append(l.out.place())
	header := aad[placeLen:]
	n := len(header) + len(payload) + wire.MinCiphertext
	b = append(wire.AppendFrameHeader(b, wire.FrameEnvelope, n), header...)
	b = l.outKey.Seal(b, l.out.next(max(1, len(inner))), payload, aad)
	if t == wire.EnvelopeInner {
		l.around(l.Sent, &h, payload, inner)
	} else {
		l.Sent.add(len(payload), wire.OuterDigest(header, payload))
		l.c.envelopes.Add(1)
	}
	return b
}

// around moves a transcript on over an outer envelope with that header, whose payload is an inner envelope with those digests.
func (l *HopLane) around(t *Transcript, h *wire.Header, payload []byte, inner [][32]byte) {
	outer := make([][32]byte, 0, wire.MaxTexts)
	var space [32]byte
	for i := range inner {
		one := wire.Header{Epoch: h.Epoch, Seq: h.Seq + uint64(i), Type: h.Type}
		outer = append(outer, wire.OuterDigestOfInner(one.Append(space[:0]), inner[i]))
	}
	t.add(len(payload), outer...)
	l.c.envelopes.Add(uint64(len(inner)))
}

// Opened is a decrypted outer envelope.
type Opened struct {
	Type    wire.EnvelopeType
	Payload []byte
	Inner   wire.Envelope // Type EnvelopeInner: the payload taken apart
	Digests [][32]byte    // Type EnvelopeInner: of the envelopes that it stands for
}

// Envelopes is how many envelopes it stands for.
func (o *Opened) Envelopes() int { return max(1, len(o.Digests)) }

// Open decrypts the body of an envelope frame, appending the payload to dst. Errors have CodeIntegrity, CodeMalformed, CodeUnexpected or
// CodeLimitExceeded and are fatal to the channel. ErrErased is not.
func (l *HopLane) Open(dst, body []byte) (o Opened, err error) {
	e, err := wire.ParseEnvelope(body)
	if err != nil {
		return o, err
	}
	l.inMu.Lock()
	defer l.inMu.Unlock()
	if l.leftOut(e.Header.Epoch) {
		l.over()
	}
	if l.inKey == nil {
		return o, ErrErased
	}
	if t := e.Header.Type; t == wire.EnvelopeContent || t == wire.EnvelopeTexts {
		return o, wire.Errorf(wire.CodeUnexpected, "content outside a conversation")
	}
	if err := l.follow(e.Header.Epoch); err != nil {
		return o, err
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
	whole, err := l.inKey.Open(dst, l.in.next(1), e.Ciphertext, aad)
	if err != nil {
		return o, wire.Errorf(wire.CodeIntegrity, "envelope %d of hop lane %d does not decrypt", e.Header.Seq, l.ID)
	}
	o.Payload = whole[len(dst):]
	if o.Type != wire.EnvelopeInner {
		l.Received.add(len(o.Payload), wire.OuterDigest(e.RawHeader, o.Payload))
		l.c.envelopes.Add(1)
		l.leave()
		return o, nil
	}
	if o.Inner, err = wire.ParseEnvelope(o.Payload); err != nil {
		return o, err
	}
	if t := o.Inner.Header.Type; t != wire.EnvelopeContent && t != wire.EnvelopeTexts {
		return o, wire.Errorf(wire.CodeUnexpected, "an inner envelope that is no content")
	}
	o.Digests = o.Inner.InnerDigests()
	l.in.seq += uint64(len(o.Digests) - 1)
	if l.next != nil && l.last != nil && l.in.seq > *l.last {
		return o, wire.Errorf(wire.CodeIntegrity, "hop lane %d goes on to envelope %d of an epoch that ends with %d", l.ID, l.in.seq, *l.last)
	}
	l.around(l.Received, &e.Header, o.Payload, o.Digests)
	l.leave()
	return o, nil
}

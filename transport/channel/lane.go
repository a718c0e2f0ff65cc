package channel

import (
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

// newLane makes a lane whose two directions begin in those epochs.
func (c *Channel) newLane(id uint64, out, in *epoch) *Lane {
	l := &Lane{ID: id, channel: c.ID, role: c.Role,
		Sent:     newTranscript(out.number, out.th, id, c.Role.Sends()),
		Received: newTranscript(in.number, in.th, id, c.Role.Other().Sends())}
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
// new ones of ours. Errors have CodeIntegrity: *DivergedError where the views differ.
func (l *Lane) Check(h wire.Head) (sealed, acked bool, err error) {
	if h.Channel != l.channel || h.Lane != l.ID || h.Role != l.role.Other() {
		return false, false, wire.Errorf(wire.CodeIntegrity, "a head of another lane")
	}
	if h.Mine != nil {
		var ok bool
		if sealed, ok = l.Received.cover(*h.Mine); !ok {
			return false, false, l.Received.diverged(l.channel, true, *h.Mine)
		}
	}
	if acked, err = l.Sent.Acknowledge(h.Yours); err != nil {
		return false, false, l.Sent.diverged(l.channel, false, h.Yours)
	}
	return sealed, acked, nil
}

// Common is how far the two directions are common to both sides, direction 1 first (section 5.8).
func (l *Lane) Common() (one, two wire.Common) {
	one, two = l.Sent.Common(), l.Received.Common()
	if l.role.Sends() == 2 {
		one, two = two, one
	}
	return one, two
}

// half is the key material and numbering of one direction of a lane.
type half struct {
	iv    [ivLen]byte
	epoch uint64
	seq   uint64
	nonce [ivLen]byte
	aad   []byte // scratch: place (41 bytes), then the header
	text  []byte // scratch: a content, of several that share an envelope
}

func newHalf(channel [32]byte, lane uint64, d wire.Direction, epoch uint64, iv []byte) half {
	h := half{epoch: epoch, aad: wire.AppendPlace(make([]byte, 0, 128), channel, lane, d)}
	copy(h.iv[:], iv)
	return h
}

func (h *half) place() (p []byte) { return h.aad[:placeLen] }

const placeLen = 41

// next returns the nonce of the next envelope and moves on over as many as it stands for.
func (h *half) next(envelopes int) []byte {
	h.nonce = h.iv
	n := binary.BigEndian.Uint64(h.nonce[4:]) ^ h.seq
	binary.BigEndian.PutUint64(h.nonce[4:], n)
	h.seq += uint64(envelopes)
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

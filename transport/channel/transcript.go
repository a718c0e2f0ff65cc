package channel

import (
	"sync"

	"sinete/wire"
)

// Transcript is the running hash over one direction of a lane (protocol.md section 5.5), with the places in it that its sender
// has sealed and the other side has not yet acknowledged. Its methods may be called by any goroutine.
type Transcript struct {
	lane      uint64
	direction wire.Direction

	mu     sync.Mutex
	first  [32]byte // T(-1) of the epoch
	here   mark
	acked  mark   // the last place acknowledged; at first T(-1)
	sealed []mark // ascending, after acked
	passed []mark // ends of epochs behind which nothing has come yet, and that no head has named
	last   uint64 // envelopes of the latest earlier epoch that had any
	lastT  [32]byte
}

// mark is a place and what was sent up to it through all epochs, for the limits of section 10 and the code of section 5.8.
type mark struct {
	wire.Place
	envelopes, bytes uint64
	last             [32]byte // T after the last envelope of any epoch; zeros where there is none
}

func newTranscript(epoch uint64, th []byte, lane uint64, d wire.Direction) *Transcript {
	m := mark{Place: wire.Place{Epoch: epoch, T: wire.FirstTranscript(th, lane, d, 0, [32]byte{})}}
	return &Transcript{lane: lane, direction: d, first: m.T, here: m, acked: m}
}

// turn moves on to T(-1) of an epoch and returns how many envelopes the one before had. sent: the transcript is this side's own, or an
// observer's.
func (t *Transcript) turn(epoch uint64, th []byte, sent bool) (last uint64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	old := t.here
	if old.Count > 0 {
		t.last, t.lastT = old.Count, old.T
	}
	t.first = wire.FirstTranscript(th, t.lane, t.direction, t.last, t.lastT)
	t.here.Place = wire.Place{Epoch: epoch, T: t.first}
	switch {
	case sent && t.acked.Place == old.Place:
		t.acked = t.here // it names nothing that was not acknowledged
	case !sent && t.lastSealed().envelopes < old.envelopes:
		t.passed = append(t.passed, old) // the head that closes its flight may have been made before
	}
	return old.Count
}

// add moves on over the envelopes with those digests, of n bytes of body together.
func (t *Transcript) add(n int, digests ...[32]byte) {
	t.mu.Lock()
	for i := range digests {
		t.here.T = wire.NextTranscript(t.here.T, digests[i])
	}
	t.here.Count += uint64(len(digests))
	t.here.envelopes += uint64(len(digests))
	t.here.last = t.here.T
	t.here.bytes += uint64(n)
	t.passed = nil
	t.mu.Unlock()
}

// Here is the place up to now.
func (t *Transcript) Here() wire.Place {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.here.Place
}

// First is where the epoch begins.
func (t *Transcript) First() wire.Place {
	t.mu.Lock()
	defer t.mu.Unlock()
	return wire.Place{Epoch: t.here.Epoch, T: t.first}
}

// Seal makes the place up to now one that the other side may acknowledge.
func (t *Transcript) Seal() wire.Place {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.lastSealed().Place != t.here.Place {
		t.sealed = append(t.sealed, t.here)
	}
	return t.here.Place
}

// cover takes a place that the other side has sealed: here, or the end of an earlier epoch behind which nothing has come. news is false
// where it was sealed before; ok is false where it is neither.
func (t *Transcript) cover(p wire.Place) (news, ok bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	last := t.lastSealed()
	if p == last.Place && last.envelopes == t.here.envelopes {
		return false, true
	}
	if p == t.here.Place {
		t.sealed, t.passed = append(t.sealed, t.here), nil
		return true, true
	}
	for _, m := range t.passed {
		if p == m.Place {
			t.sealed, t.passed = append(t.sealed, m), nil
			return true, true
		}
	}
	return false, false
}

// allSealed reports whether some sealed place covers everything that was sent.
func (t *Transcript) allSealed() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.lastSealed().envelopes == t.here.envelopes
}

// LastSealed is the newest sealed place, or the last one acknowledged.
func (t *Transcript) LastSealed() wire.Place {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.lastSealed().Place
}

func (t *Transcript) lastSealed() mark {
	if n := len(t.sealed); n > 0 {
		return t.sealed[n-1]
	}
	return t.acked
}

// Acknowledged is the newest place that the other side acknowledged.
func (t *Transcript) Acknowledged() wire.Place {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.acked.Place
}

// Acknowledge takes a place that the other side names. A lower one than before is ignored (news is false); one that is no sealed
// place is CodeIntegrity.
func (t *Transcript) Acknowledge(p wire.Place) (news bool, err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.acked.After(p) {
		return false, nil
	}
	if p == t.acked.Place {
		return false, nil
	}
	for i, m := range t.sealed {
		if p == m.Place {
			t.acked = m
			t.sealed = append(t.sealed[:0], t.sealed[i+1:]...)
			return true, nil
		}
	}
	return false, wire.Errorf(wire.CodeIntegrity, "an acknowledgement of envelope %d in epoch %d, which is no sealed place here", p.Count, p.Epoch)
}

// Unacknowledged counts envelopes and bytes of their bodies that are not acknowledged.
func (t *Transcript) Unacknowledged() (envelopes, bytes uint64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.here.envelopes - t.acked.envelopes, t.here.bytes - t.acked.bytes
}

// Common is how far the direction is common to both sides: sealed by its author and acknowledged by the other (section 5.8).
func (t *Transcript) Common() wire.Common {
	t.mu.Lock()
	defer t.mu.Unlock()
	return wire.Common{Count: t.acked.envelopes, T: t.acked.last}
}

package channel

import (
	"sync"

	"sinete/wire"
)

// Transcript is the running hash over one direction of a lane (protocol.md section 5.5), with the places in it that its sender
// has sealed and the other side has not yet acknowledged. Its methods may be called by any goroutine.
type Transcript struct {
	mu     sync.Mutex
	here   mark
	acked  mark   // the last place acknowledged; at first T(-1)
	sealed []mark // ascending, after acked
}

// mark is a place and what was sent up to it through all epochs, for the limits of section 10.
type mark struct {
	wire.Place
	envelopes, bytes uint64
}

func newTranscript(th []byte, lane uint64, d wire.Direction) *Transcript {
	m := mark{Place: wire.Place{T: wire.FirstTranscript(th, lane, d, 0, [32]byte{})}}
	return &Transcript{here: m, acked: m}
}

// add moves on over one envelope of n bytes of body.
func (t *Transcript) add(digest [32]byte, n int) {
	t.mu.Lock()
	t.here.T = wire.NextTranscript(t.here.T, digest)
	t.here.Count++
	t.here.envelopes++
	t.here.bytes += uint64(n)
	t.mu.Unlock()
}

// Here is the place up to now.
func (t *Transcript) Here() wire.Place {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.here.Place
}

// Seal makes the place up to now one that the other side may acknowledge.
func (t *Transcript) Seal() wire.Place {
	t.mu.Lock()
	defer t.mu.Unlock()
	last := t.acked
	if n := len(t.sealed); n > 0 {
		last = t.sealed[n-1]
	}
	if last.Place != t.here.Place {
		t.sealed = append(t.sealed, t.here)
	}
	return t.here.Place
}

// LastSealed is the newest sealed place, or the last one acknowledged.
func (t *Transcript) LastSealed() wire.Place {
	t.mu.Lock()
	defer t.mu.Unlock()
	if n := len(t.sealed); n > 0 {
		return t.sealed[n-1].Place
	}
	return t.acked.Place
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
	if before(p, t.acked.Place) {
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

func before(p, q wire.Place) bool {
	return p.Epoch < q.Epoch || p.Epoch == q.Epoch && p.Count < q.Count
}

// Unacknowledged counts envelopes and bytes of their bodies that are not acknowledged.
func (t *Transcript) Unacknowledged() (envelopes, bytes uint64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.here.envelopes - t.acked.envelopes, t.here.bytes - t.acked.bytes
}

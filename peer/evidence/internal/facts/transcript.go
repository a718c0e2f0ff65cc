package facts

import (
	"errors"
	"fmt"

	"sinete/wire"
)

// Transcript is that of one direction, followed from somewhere (protocol.md section 5.5).
type Transcript struct {
	Direction wire.Direction
	wire.Place
	last wire.Place // the end of the latest epoch before in which there was anything; Count 0: not known
}

// Add moves on over an envelope.
func (t *Transcript) Add(digest [32]byte) {
	t.T = wire.NextTranscript(t.T, digest)
	t.Count++
}

// In is the transcript at the beginning of a later epoch.
func (t Transcript) In(epoch uint64, th []byte) (Transcript, error) {
	if t.Count > 0 {
		t.last = t.Place
	}
	switch {
	case epoch <= t.Epoch:
		return t, fmt.Errorf("epoch %d after epoch %d", epoch, t.Epoch)
	case t.last.Count == 0:
		return t, errors.New("an epoch whose beginning is not known")
	case len(th) == 0 || len(th) > 255:
		return t, fmt.Errorf("epoch %d, of which nothing is known", epoch)
	}
	t.Place = wire.Place{Epoch: epoch, T: wire.FirstTranscript(th, 0, t.Direction, t.last.Count, t.last.T)}
	return t, nil
}

// Outer is the transcript of a lane of the hop in one direction, followed from somewhere.
type Outer struct{ wire.Place }

// Add moves on over an envelope.
func (o *Outer) Add(digest [32]byte) {
	o.T = wire.NextTranscript(o.T, digest)
	o.Count++
}

// Around moves on over an envelope around an inner one.
func (o *Outer) Around(inner [32]byte) { o.Add(o.Digest(inner)) }

// Digest is that of the next envelope, if it is one around an inner one.
func (o *Outer) Digest(inner [32]byte) [32]byte {
	h := wire.Header{Epoch: o.Epoch, Seq: o.Count, Type: wire.EnvelopeInner}
	return wire.OuterDigestOfInner(h.Append(nil), inner)
}

// Named reports whether a head of the relay's names this place: where a peer sent what leads here, the head acknowledges it.
func (o *Outer) Named(h *wire.Head, sent bool) bool {
	if h.Role != wire.RoleResponder {
		return false
	}
	if sent {
		return h.Yours == o.Place
	}
	return h.Mine != nil && *h.Mine == o.Place
}

package wire

import "slices"

// RekeyContext is the context of a rekeying's handshake (protocol.md section 3.2).
type RekeyContext struct {
	Channel [32]byte
	TH      []byte // of the epoch that ends
}

// Append appends the context.
func (c RekeyContext) Append(b []byte) []byte {
	return appendOpaque8(append(b, c.Channel[:]...), c.TH)
}

// ParseRekeyContext reads a rekeying's context. TH aliases b.
func ParseRekeyContext(b []byte) (RekeyContext, error) {
	r := &reader{what: "rekey context", b: b}
	c := RekeyContext{r.hash(), r.opaque8()}
	return c, r.done()
}

// LaneEnd says how many envelopes a lane had in the epoch that ends.
type LaneEnd struct {
	Lane uint64
	Last uint64 // at least 1: lanes without any are left out
}

// Switched says that its sender sends in a new epoch (section 9.3).
type Switched struct {
	Epoch uint64 // that begins
	Lanes []LaneEnd
	MAC   [32]byte
}

// Append appends the body of the switched frame.
func (s *Switched) Append(b []byte) []byte { return append(s.AppendUnsigned(b), s.MAC[:]...) }

// AppendUnsigned appends the body without its MAC: what the MAC covers behind the channel's id.
func (s *Switched) AppendUnsigned(b []byte) []byte {
	b = AppendVarint(b, s.Epoch)
	b = AppendVarint(b, uint64(len(s.Lanes)))
	for _, l := range s.Lanes {
		b = AppendVarint(AppendVarint(b, l.Lane), l.Last)
	}
	return b
}

// Last returns how many envelopes a lane had.
func (s *Switched) Last(lane uint64) uint64 {
	i := slices.IndexFunc(s.Lanes, func(l LaneEnd) bool { return l.Lane == lane })
	if i < 0 {
		return 0
	}
	return s.Lanes[i].Last
}

// ParseSwitched reads the body of a switched frame.
func ParseSwitched(b []byte) (*Switched, error) {
	r := &reader{what: "switched", b: b}
	s := &Switched{Epoch: r.varint()}
	n := r.varint()
	if n > MaxSwitchedLanes {
		r.fail("too many lanes")
		n = 0
	}
	for range n {
		l := LaneEnd{r.varint(), r.varint()}
		if r.err == nil && l.Last == 0 {
			r.fail("a lane without envelopes")
		}
		if k := len(s.Lanes); k > 0 && l.Lane <= s.Lanes[k-1].Lane {
			r.fail("lanes not in ascending order")
		}
		s.Lanes = append(s.Lanes, l)
	}
	s.MAC = r.hash()
	if err := r.done(); err != nil {
		return nil, err
	}
	return s, nil
}

// RekeyPlease is how the responder of a channel asks for a rekeying (section 9.1).
type RekeyPlease struct {
	Epoch uint64 // that is to end
	MAC   [32]byte
}

// Append appends the body of the rekey-please frame.
func (p RekeyPlease) Append(b []byte) []byte { return append(AppendVarint(b, p.Epoch), p.MAC[:]...) }

// ParseRekeyPlease reads the body of a rekey-please frame.
func ParseRekeyPlease(b []byte) (RekeyPlease, error) {
	r := &reader{what: "rekey-please", b: b}
	p := RekeyPlease{r.varint(), r.hash()}
	return p, r.done()
}

// RekeyMAC is the MAC of switched and rekey-please: over the channel's id and the body without its MAC (section 9.3).
func RekeyMAC(key *[32]byte, channel [32]byte, unsigned []byte) [32]byte {
	return HMAC(key, channel[:], unsigned)
}

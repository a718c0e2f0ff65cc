package wire

import "fmt"

// Role is a side of a channel (protocol.md section 2.4).
type Role uint8

const (
	RoleInitiator Role = 1
	RoleResponder Role = 2
)

// Other returns the other side.
func (r Role) Other() Role { return RoleInitiator + RoleResponder - r }

func (r Role) String() string {
	if r == RoleInitiator {
		return "initiator"
	}
	return "responder"
}

// Direction is one of the two directions of a lane, numbered as the role that sends in it.
type Direction uint8

// Sends returns the direction in which this side sends.
func (r Role) Sends() Direction { return Direction(r) }

// Place is a point of a transcript: after Count envelopes of an epoch (section 5.5).
type Place struct {
	Epoch uint64
	Count uint64
	T     [32]byte
}

// After reports whether p lies behind q.
func (p Place) After(q Place) bool {
	return p.Epoch > q.Epoch || p.Epoch == q.Epoch && p.Count > q.Count
}

// String gives the transcript's value shortened, for logs and people.
func (p Place) String() string {
	return fmt.Sprintf("%d envelopes of epoch %d (%x…)", p.Count, p.Epoch, p.T[:8])
}

// Head is the statement which both sides of a lane seal (section 5.5).
type Head struct {
	Channel [32]byte
	Lane    uint64
	Role    Role   // the signer's
	Mine    *Place // nil in a head that only acknowledges
	Yours   Place
}

// Contradicts reports whether the two heads are of one side of one lane and have different values for one place: of mine, or of yours.
func (h Head) Contradicts(o Head) (mine, yours bool) {
	if h.Channel != o.Channel || h.Lane != o.Lane || h.Role != o.Role {
		return false, false
	}
	differ := func(p, q Place) bool { return p.Epoch == q.Epoch && p.Count == q.Count && p.T != q.T }
	return h.Mine != nil && o.Mine != nil && differ(*h.Mine, *o.Mine), differ(h.Yours, o.Yours)
}

// Append appends the statement's bytes.
func (h Head) Append(b []byte) []byte {
	b = append(b, h.Channel[:]...)
	b = AppendVarint(b, h.Lane)
	b = append(b, byte(h.Role))
	b = appendFlag(b, h.Mine != nil)
	if h.Mine != nil {
		b = h.Mine.append(b)
	}
	return h.Yours.append(b)
}

// Len returns the length of the statement in bytes.
func (h Head) Len() int {
	n := 32 + VarintLen(h.Lane) + 2 + h.Yours.len()
	if h.Mine != nil {
		n += h.Mine.len()
	}
	return n
}

// ParseHead reads exactly one head.
func ParseHead(b []byte) (Head, error) {
	r := &reader{what: "head", b: b}
	h := r.head()
	return h, r.done()
}

func (r *reader) head() Head {
	h := Head{Channel: r.hash(), Lane: r.varint(), Role: Role(r.u8())}
	if r.err == nil && h.Role != RoleInitiator && h.Role != RoleResponder {
		r.fail("no such role")
	}
	if r.flag() {
		p := r.place()
		h.Mine = &p
	}
	h.Yours = r.place()
	return h
}

func (p Place) append(b []byte) []byte {
	b = AppendVarint(b, p.Epoch)
	b = AppendVarint(b, p.Count)
	return append(b, p.T[:]...)
}

func (p Place) len() int { return VarintLen(p.Epoch) + VarintLen(p.Count) + 32 }

func (r *reader) place() Place {
	return Place{Epoch: r.varint(), Count: r.varint(), T: r.hash()}
}

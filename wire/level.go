package wire

import (
	"encoding/binary"
	"slices"
	"strconv"
	"strings"
)

// Level is a clearance or a label: a rank and a set of compartments (protocol.md section 7.1).
type Level struct {
	Rank         uint16
	Compartments []string // ascending, each once; 1 to 32 bytes of a-z, 0-9 and -
}

// Equal reports whether both are the same level.
func (l Level) Equal(m Level) bool {
	return l.Rank == m.Rank && slices.Equal(l.Compartments, m.Compartments)
}

// Dominates reports whether the level is at least the other: in rank, and with every one of the other's compartments (section 8).
func (l Level) Dominates(m Level) bool {
	for _, c := range m.Compartments {
		if !slices.Contains(l.Compartments, c) {
			return false
		}
	}
	return l.Rank >= m.Rank
}

// String is the rank, followed by the compartments if there are any: 3 or 3{crypto,ops}.
func (l Level) String() string {
	s := strconv.Itoa(int(l.Rank))
	if len(l.Compartments) > 0 {
		s += "{" + strings.Join(l.Compartments, ",") + "}"
	}
	return s
}

// ParseLevel reads what String writes, whatever the order of the compartments; ok is false where it is no level.
func ParseLevel(s string) (l Level, ok bool) {
	rank, in, braced := strings.Cut(s, "{")
	n, err := strconv.ParseUint(rank, 10, 16)
	if err != nil {
		return Level{}, false
	}
	l.Rank = uint16(n)
	if braced {
		if in, ok = strings.CutSuffix(in, "}"); !ok {
			return Level{}, false
		}
		l.Compartments = strings.Split(in, ",")
		slices.Sort(l.Compartments)
	}
	return l, l.Valid()
}

// Valid reports whether the level can be encoded.
func (l Level) Valid() bool {
	if len(l.Compartments) > MaxCompartments {
		return false
	}
	for i, c := range l.Compartments {
		if !validCompartment(c) || i > 0 && c <= l.Compartments[i-1] {
			return false
		}
	}
	return true
}

func validCompartment(c string) bool {
	return len(c) >= 1 && len(c) <= MaxCompartment && strings.Trim(c, "abcdefghijklmnopqrstuvwxyz0123456789-") == ""
}

// Append appends u16 rank, u8 count, text8 each. The level must be Valid.
func (l Level) Append(b []byte) []byte {
	b = binary.BigEndian.AppendUint16(b, l.Rank)
	b = append(b, byte(len(l.Compartments)))
	for _, c := range l.Compartments {
		b = appendOpaque8(b, []byte(c))
	}
	return b
}

func (r *reader) level() Level {
	l := Level{Rank: r.u16()}
	for range r.count(0, MaxCompartments) {
		l.Compartments = append(l.Compartments, r.text8(MaxCompartment))
	}
	if r.err == nil && !l.Valid() {
		r.fail("compartments not valid or not in ascending order")
	}
	return l
}

package channel

import (
	"slices"

	"sinete/wire"
)

// PlainHello reports whether a hello offers only what this version of the protocol knows: itself, its suites, and a share of the right length
// for each group of them, at most. What it cannot know says nothing where a direction is closed (protocol.md section 8.4).
func PlainHello(h *wire.Hello) bool {
	for _, s := range h.Shares {
		offered := slices.ContainsFunc(h.Suites, func(o wire.Suite) bool { return o.Known() && suites[o].group == s.Group })
		if !offered || len(s.Data) != shareLen(s.Group, wire.RoleInitiator) {
			return false
		}
	}
	return slices.Equal(h.Versions, []uint16{wire.Version}) && allKnown(h.Suites)
}

// PlainAnswer is PlainHello of an answer whose suite is known.
func PlainAnswer(a *wire.Answer) bool {
	group := suites[a.Suite].group
	return a.Version == wire.Version && allKnown(a.Suites) && a.Share.Group == group && len(a.Share.Data) == shareLen(group, wire.RoleResponder)
}

func allKnown(s []wire.Suite) bool {
	return !slices.ContainsFunc(s, func(s wire.Suite) bool { return !s.Known() })
}

// shareLen is the length of a share that a role sends (section 3.1).
func shareLen(g wire.Group, r wire.Role) int {
	const point, x25519 = 65, 32
	switch {
	case g == wire.GroupP256:
		return point
	case g == wire.GroupX25519:
		return x25519
	case r == wire.RoleInitiator:
		return encapsulationKeyLen + x25519
	}
	return ciphertextLen + x25519
}

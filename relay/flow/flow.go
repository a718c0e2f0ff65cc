// Package flow decides who may write to whom: the flow policies of protocol.md section 8, after Bell and LaPadula.
//
// ParsePolicy turns the configuration's word into a Policy; Policy.MayWrite decides on a message and Policy.MayConnect on a
// conversation. The package is pure, and a Policy that is none of the three allows nothing.
package flow

import (
	"fmt"
	"slices"

	"sinete/wire"
)

// Policy is the rule in force for a deployment. Its zero value is NoWriteUp.
type Policy uint8

const (
	// NoWriteUp lets a sender write to those whose rank is at most its own. Compartments play no part.
	NoWriteUp Policy = iota
	// NoWriteDown lets a sender write to those whose level dominates its own: a rank at least as high and every one of its
	// compartments. This is the *-property as published.
	NoWriteDown
	// Equal lets a sender write within its own level only: neither up nor down, and in the same compartments.
	Equal
)

var names = [...]string{"no-write-up", "no-write-down", "equal"}

// Names lists the words that ParsePolicy knows, the default first.
func Names() []string { return slices.Clone(names[:]) }

// String is the configuration's word for the policy.
func (p Policy) String() string {
	if int(p) < len(names) {
		return names[p]
	}
	return fmt.Sprintf("policy-%d", uint8(p))
}

// UnknownPolicyError says that a word names no policy.
type UnknownPolicyError struct{ Name string }

func (e *UnknownPolicyError) Error() string {
	return fmt.Sprintf("no flow policy is called %q", e.Name)
}

// ParsePolicy finds a policy by its word. Any other word is an *UnknownPolicyError.
func ParsePolicy(name string) (Policy, error) {
	i := slices.Index(names[:], name)
	if i < 0 {
		return 0, &UnknownPolicyError{name}
	}
	return Policy(i), nil
}

// MayWrite reports whether a message may go from a sender of one level to a recipient of the other.
func (p Policy) MayWrite(sender, recipient wire.Level) bool {
	switch p {
	case NoWriteUp:
		return recipient.Rank <= sender.Rank
	case NoWriteDown:
		return dominates(recipient, sender)
	case Equal:
		return recipient.Equal(sender)
	default:
		return false
	}
}

// MayConnect reports whether two people may have a conversation: where at least one may write to the other.
func (p Policy) MayConnect(a, b wire.Level) bool { return p.MayWrite(a, b) || p.MayWrite(b, a) }

func dominates(high, low wire.Level) bool {
	for _, c := range low.Compartments {
		if !slices.Contains(high.Compartments, c) {
			return false
		}
	}
	return high.Rank >= low.Rank
}

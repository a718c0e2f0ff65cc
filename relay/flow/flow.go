// Package flow decides who may write to whom: the flow policies of protocol.md section 8, after Bell and LaPadula.
//
// ParsePolicy turns the configuration's word into a Policy; Policy.MayLabel decides on a message and Policy.MayConnect on a
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

// Subject is a person as the policy sees them.
type Subject struct {
	Level wire.Level
	// LabelsBelow: they may label messages below their level.
	LabelsBelow bool
}

// Equal reports whether the policy sees no difference between the two.
func (s Subject) Equal(t Subject) bool {
	return s.Level.Equal(t.Level) && s.LabelsBelow == t.LabelsBelow
}

// MayLabel reports whether a message of that label may go from an author to a recipient of a level. The label is the author's level, or
// below it where the author may do that; and both the author's level and the label must be ones that the policy lets through.
func (p Policy) MayLabel(author Subject, label, recipient wire.Level) bool {
	if !p.MayWrite(author.Level, recipient) {
		return false
	}
	return label.Equal(author.Level) || author.LabelsBelow && author.Level.Dominates(label) && p.MayWrite(label, recipient)
}

// Cleared reports whether somebody of one level may know of somebody of the other, where not everybody may: the other's rank is no higher
// and all of the other's compartments are their own.
func Cleared(viewer, other wire.Level) bool { return viewer.Dominates(other) }

// MayWrite reports whether the direction from a sender of one level to a recipient of the other is open.
func (p Policy) MayWrite(sender, recipient wire.Level) bool {
	switch p {
	case NoWriteUp:
		return recipient.Rank <= sender.Rank
	case NoWriteDown:
		return recipient.Dominates(sender)
	case Equal:
		return recipient.Equal(sender)
	default:
		return false
	}
}

// MayConnect reports whether two people may have a conversation: where at least one may write to the other.
func (p Policy) MayConnect(a, b wire.Level) bool { return p.MayWrite(a, b) || p.MayWrite(b, a) }

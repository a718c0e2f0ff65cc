package flow

import (
	"errors"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"sinete/wire"
)

func level(rank uint16, compartments ...string) wire.Level {
	return wire.Level{Rank: rank, Compartments: compartments}
}

// TestMatrix is the whole decision as a table: for each pair of levels, what each policy says to a message from the first to
// the second, and to one back.
func TestMatrix(t *testing.T) {
	const yes, no = true, false
	type both struct{ there, back bool }
	for _, c := range []struct {
		a, b                     wire.Level
		writeUp, writeDown, same both
	}{
		{level(0), level(0), both{yes, yes}, both{yes, yes}, both{yes, yes}},
		{level(2), level(1), both{yes, no}, both{no, yes}, both{no, no}},
		{level(65535), level(0), both{yes, no}, both{no, yes}, both{no, no}},
		// A compartment that only one of them is in closes the way out of it.
		{level(1, "ops"), level(1), both{yes, yes}, both{no, yes}, both{no, no}},
		{level(1, "ops"), level(1, "ops"), both{yes, yes}, both{yes, yes}, both{yes, yes}},
		{level(1, "ops"), level(1, "crypto"), both{yes, yes}, both{no, no}, both{no, no}},
		{level(1, "ops"), level(1, "crypto", "ops"), both{yes, yes}, both{yes, no}, both{no, no}},
		// A higher rank is no way out of a compartment, and a compartment none out of a rank.
		{level(1, "ops"), level(2), both{no, yes}, both{no, no}, both{no, no}},
		{level(1, "ops"), level(2, "crypto", "ops"), both{no, yes}, both{yes, no}, both{no, no}},
		{level(2, "ops"), level(1, "crypto", "ops"), both{yes, no}, both{no, no}, both{no, no}},
	} {
		for _, p := range []struct {
			policy Policy
			want   both
		}{{NoWriteUp, c.writeUp}, {NoWriteDown, c.writeDown}, {Equal, c.same}, {Equal + 1, both{no, no}}} {
			if got := (both{p.policy.MayWrite(c.a, c.b), p.policy.MayWrite(c.b, c.a)}); got != p.want {
				t.Errorf("%v: %v to %v and back: %v, not %v", p.policy, c.a, c.b, got, p.want)
			}
			want := p.want.there || p.want.back
			if p.policy.MayConnect(c.a, c.b) != want || p.policy.MayConnect(c.b, c.a) != want {
				t.Errorf("%v: %v and %v: a conversation must be %v", p.policy, c.a, c.b, want)
			}
		}
	}
}

func TestNames(t *testing.T) {
	for i, want := range []string{"no-write-up", "no-write-down", "equal"} {
		p, err := ParsePolicy(want)
		if err != nil || p != Policy(i) || p.String() != want || Names()[i] != want {
			t.Errorf("%q is %v, %v", want, p, err)
		}
	}
	var unknown *UnknownPolicyError
	if _, err := ParsePolicy("NO-WRITE-UP"); !errors.As(err, &unknown) || unknown.Name != "NO-WRITE-UP" {
		t.Errorf("%v is no UnknownPolicyError with the word in it", err)
	}
	if _, err := ParsePolicy(""); err == nil {
		t.Error("an empty word is a policy")
	}
}

func anyLevel() *rapid.Generator[wire.Level] {
	return rapid.Custom(func(t *rapid.T) wire.Level {
		c := rapid.SliceOfNDistinct(rapid.SampledFrom([]string{"a", "b", "c"}), 0, 3, rapid.ID).Draw(t, "compartments")
		slices.Sort(c)
		return level(rapid.Uint16Range(0, 3).Draw(t, "rank"), c...)
	})
}

// TestLattice holds every policy to what makes it one: everybody may write to his own level; what may go from a to b and from
// b to c may go from a to c, so that no chain of people is a way around; and Equal is never laxer than the other two.
func TestLattice(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a, b, c := anyLevel().Draw(t, "a"), anyLevel().Draw(t, "b"), anyLevel().Draw(t, "c")
		for _, p := range []Policy{NoWriteUp, NoWriteDown, Equal} {
			if !p.MayWrite(a, a) {
				t.Errorf("%v: %v may not write to its own level", p, a)
			}
			if p.MayWrite(a, b) && p.MayWrite(b, c) && !p.MayWrite(a, c) {
				t.Errorf("%v: %v to %v to %v is a way around", p, a, b, c)
			}
		}
		if Equal.MayWrite(a, b) && !(NoWriteUp.MayWrite(a, b) && NoWriteDown.MayWrite(a, b)) {
			t.Errorf("equal lets %v write to %v, another policy does not", a, b)
		}
		if NoWriteDown.MayWrite(a, b) && NoWriteDown.MayWrite(b, a) != a.Equal(b) {
			t.Errorf("no-write-down: %v and %v may write both ways", a, b)
		}
	})
}

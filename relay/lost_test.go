package relay

import (
	"fmt"
	"testing"
	"time"

	"sinete/cardauth"
	"sinete/cardauth/seal"
	"sinete/internal/link"
)

func lostOther(identity string, signer byte) *link.Other {
	return &link.Other{Party: &cardauth.Party{Identity: identity}, Signer: seal.Signer{Digest: [32]byte{signer}}, Delegated: true}
}

// What is remembered of lost sessions is bounded, in time and in number, however often one is lost and comes back.
func TestLostSessions(t *testing.T) {
	l := newDirectory(3, time.Minute, false).lost
	now := time.Unix(1_000_000, 0)
	wants := func(o *link.Other, at time.Time, want bool) {
		t.Helper()
		if l.has(o, at) != want {
			t.Errorf("%s may come back after %v: %v", o.Identity, at.Sub(now), !want)
		}
	}
	a := lostOther("a", 1)
	l.add(a, now)
	wants(a, now.Add(time.Minute-1), true)
	wants(a, now.Add(time.Minute), false)
	wants(lostOther("a", 2), now, false)
	wants(lostOther("b", 1), now, false)
	l.add(lostOther("a", 2), now)
	wants(a, now, false)
	l.forget("a")
	wants(lostOther("a", 2), now, false)

	for i := range 10 {
		l.add(lostOther(fmt.Sprint(i), 1), now)
	}
	if len(l.signers) != 3 || len(l.order) != 3 {
		t.Errorf("%d and %d are remembered", len(l.signers), len(l.order))
	}
	wants(lostOther("9", 1), now, true)
	wants(lostOther("6", 1), now, false)
	for i := range 10 { // lost, back and lost again
		l.forget("flapping")
		l.add(lostOther("flapping", byte(i)), now)
	}
	if len(l.signers) > 3 || len(l.order) != 3 {
		t.Errorf("%d and %d are remembered", len(l.signers), len(l.order))
	}
	l.add(a, now.Add(2*time.Minute))
	if len(l.signers) != 1 || len(l.order) != 1 {
		t.Errorf("%d and %d are remembered when all but one are over", len(l.signers), len(l.order))
	}
	never := newDirectory(3, 0, false).lost
	if never.add(a, now); never.has(a, now) {
		t.Error("one may come back where none may")
	}
}

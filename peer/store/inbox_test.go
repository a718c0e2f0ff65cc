package store

import (
	"fmt"
	"slices"
	"testing"
)

// Texts that come again are recognised as long as not too many others have come, in this life of the store and the next; ids do not pile up.
func TestRemembered(t *testing.T) {
	dir := t.TempDir()
	s := opened(t, dir)
	bob := s.Contact("bob", "Bob")
	talk := begin(bob)
	receive := func(first, n int) (came uint64) {
		t.Helper()
		before := bob.Came()
		var texts []string
		for i := range n {
			texts = append(texts, fmt.Sprint(first+i))
		}
		to, err := talk.Receive(from(uint64(first), texts...))
		must(t, err)
		shown(bob, to)
		return to - before
	}
	const flight = 1000
	total := 0
	for total < 3*maxRemembered {
		if came := receive(total, flight); came != flight {
			t.Fatalf("%d of %d new texts have come", came, flight)
		}
		total += flight
		oldest := max(0, total-maxRemembered)
		if came := receive(oldest, 1) + receive(total-1, 1); came != 0 {
			t.Fatalf("%d texts have come again behind %d", came, total)
		}
		if n := len(bob.in.known); n > maxRemembered {
			t.Fatalf("%d ids are known", n)
		}
	}
	s = reopened(t, s, dir)
	defer s.Close()
	bob = s.Known("bob")
	talk = begin(bob)
	if ids := bob.in.ids; len(ids) != maxRemembered || slices.Contains(ids, [16]byte{}) {
		t.Fatalf("%d ids outlive", len(ids))
	}
	if came := receive(total-maxRemembered, maxRemembered/2) + receive(total-maxRemembered/2, maxRemembered/2); came != 0 {
		t.Fatalf("%d texts have come again after a restart", came)
	}
}

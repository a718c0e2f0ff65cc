package store

import (
	"bytes"
	"slices"
	"testing"

	"sinete/wire"
)

// passages are those of a store, as far as it knows the relay: where an own one stands, true.
func passages(t *testing.T, s *Store) (own []bool) {
	t.Helper()
	for e, err := range s.Evidence() {
		must(t, err)
		if e.Passage == nil {
			continue
		}
		if e.Own != e.Passage.Own || e.Channel.Relay.Name != "relay.example" || !slices.EqualFunc(e.Channel.Relay.Chain, [][]byte{{7}}, bytes.Equal) {
			t.Errorf("a passage through %+v", e.Channel.Relay)
		}
		own = append(own, e.Passage.Own)
	}
	return own
}

// What the relay has sealed outlives the program, goes with the last flight of its channel, and moves where the flights move.
func TestPassages(t *testing.T) {
	dir := t.TempDir()
	s := opened(t, dir)
	bob := s.Contact("bob", "Bob")
	id := [32]byte{99}
	talk := bob.Talk(Channel{ID: id, Role: wire.RoleInitiator, TH: make([]byte, 48), Relay: Relay{"relay.example", [][]byte{{7}}}})
	flight := from(0, "theirs")
	flight.Channel = id
	to, err := talk.Receive(flight)
	must(t, err)
	show(bob, to)
	talk.Passed(&Passage{Channel: id, Own: true, Steps: []Step{{Count: 1}}, Seal: someSeal()})
	talk.Passed(&Passage{Channel: id, Steps: []Step{{Count: 1}}, Seal: someSeal()})
	s = reopened(t, s, dir)
	want := func(s *Store, want ...bool) {
		t.Helper()
		if got := passages(t, s); !slices.Equal(got, want) {
			t.Fatalf("passages: %v", got)
		}
	}
	want(s, true, false)

	empty := opened(t, t.TempDir())
	_, err = empty.Import(bytes.NewReader(export(t, s)), secret)
	must(t, err)
	want(empty, true, false)
	other := opened(t, t.TempDir())
	begin(other.Contact("bob", "Bob"))
	_, err = other.Known("bob").Add("another")
	must(t, err)
	_, err = other.Import(bytes.NewReader(export(t, s)), secret)
	must(t, err)
	want(other, false) // what proves the owner's stays behind

	begin(s.Known("bob"))
	_, err = s.Delete(Query{})
	must(t, err)
	want(s)
}

package peer

import (
	"slices"
	"testing"

	"sinete/peer/store"
	"sinete/wire"
)

// place is one of the hop's lane, whose transcript names it.
func place(epoch, count uint64) wire.Place {
	return wire.Place{Epoch: epoch, Count: count, T: [32]byte{1, byte(epoch), byte(count)}}
}

// What a head of the relay's answers for, beginning with the first flight that carries a message, and nothing through which keys changed.
func TestPassing(t *testing.T) {
	type step = store.Step
	texts := func(first uint64, n uint32) step { return step{First: first, Count: n} }
	for _, test := range []struct {
		name   string
		goes   func(p *passing, flight func(closing wire.Place, messages ...uint64))
		at     wire.Place
		before wire.Place // nothing is proved where it is zero
		steps  []step     // without digests
	}{
		{"one flight", func(_ *passing, flight func(wire.Place, ...uint64)) {
			flight(place(0, 1), 0)
		}, place(0, 1), place(0, 0), []step{texts(0, 1)}},
		{"several behind a handshake, and one whose answer is still to come", func(_ *passing, flight func(wire.Place, ...uint64)) {
			flight(place(0, 1))
			flight(place(0, 3), 0, 1)
			flight(place(0, 4))
			flight(place(0, 5), 2)
			flight(place(0, 6), 3)
		}, place(0, 5), place(0, 1), []step{texts(0, 2), {}, texts(2, 1)}},
		{"an answer that comes again", func(p *passing, flight func(wire.Place, ...uint64)) {
			flight(place(0, 1), 0)
			p.answered(place(0, 1))
		}, place(0, 1), wire.Place{}, nil},
		{"an answer that names no flight's end", func(_ *passing, flight func(wire.Place, ...uint64)) {
			flight(place(0, 2), 0, 1)
		}, place(0, 3), wire.Place{}, nil},
		{"no message", func(_ *passing, flight func(wire.Place, ...uint64)) {
			flight(place(0, 1))
		}, place(0, 1), wire.Place{}, nil},
		{"new keys between flights", func(_ *passing, flight func(wire.Place, ...uint64)) {
			flight(place(0, 1), 0)
			flight(place(1, 1), 1)
		}, place(1, 1), place(1, 0), []step{texts(1, 1)}},
		{"new keys within a flight", func(_ *passing, flight func(wire.Place, ...uint64)) {
			flight(place(0, 1), 0)
			flight(place(1, 1), 1, 2)
			flight(place(1, 2), 3)
		}, place(1, 2), place(1, 1), []step{texts(3, 1)}},
		{"new keys behind a flight", func(_ *passing, flight func(wire.Place, ...uint64)) {
			flight(place(1, 0), 0)
		}, place(1, 0), wire.Place{}, nil},
	} {
		t.Run(test.name, func(t *testing.T) {
			p := &passing{}
			test.goes(p, func(closing wire.Place, messages ...uint64) {
				f := p.begin(closing, place(closing.Epoch, 0))
				for _, m := range messages {
					f.content(wire.Place{Count: m}, 1)
				}
				if messages == nil {
					f.other(wire.EnvelopeHandshake, nil)
				}
				p.add(f)
			})
			got := p.answered(test.at)
			if got == nil {
				got = &store.Passage{}
			}
			equal := func(a, b step) bool { return a.First == b.First && a.Count == b.Count }
			if got.Before != test.before || !slices.EqualFunc(got.Steps, test.steps, equal) {
				t.Errorf("%+v", got)
			}
		})
	}
}

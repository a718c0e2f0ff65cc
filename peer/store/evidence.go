package store

import (
	"crypto/sha256"
	"iter"
	"time"

	"sinete/peer/store/internal/journal"
	"sinete/peer/store/internal/record"
	"sinete/wire"
)

// Evidence is one thing that the store holds in proof of messages (protocol.md section 12): a flight, a receipt for the owner's, or what the relay
// has sealed of them.
type Evidence struct {
	Channel *Known
	At      time.Time // when a flight was stored
	Own     bool      // the owner's flight
	Flight  *Flight   // Text is set in its envelopes that have one
	Receipt *wire.SealEntry
	Passage *Passage // by which the relay says when it had flights; they may come before it or after
}

// Known is what the store knows of a channel.
type Known struct {
	Channel
	At     time.Time         // when it was made
	With   string            // identity of the contact
	Epochs map[uint64][]byte // TH of each
	// Trimmed: flights were deleted, so that others may not go on where the ones before them that are there end.
	Trimmed bool
}

// gathering is what evidence refers to.
type gathering struct {
	store    *Store
	blobs    map[[32]byte][]byte
	channels map[[32]byte]*Known
	records  map[[32]byte]*record.Channel
	hops     map[[32]byte]*record.Hop
	texts    map[uint32]map[uint64]journal.Position // of the owner's
}

// Evidence gives what is stored, in that order. Errors: *IOError, ErrClosed.
func (s *Store) Evidence() iter.Seq2[Evidence, error] {
	return func(yield func(Evidence, error) bool) {
		if s.disk == nil {
			return
		}
		g := &gathering{s, map[[32]byte][]byte{}, map[[32]byte]*Known{}, map[[32]byte]*record.Channel{}, map[[32]byte]*record.Hop{},
			map[uint32]map[uint64]journal.Position{}}
		_, err := s.disk.journal.Scan(journal.Mark{}, g.gather)
		if err == nil {
			g.complete()
			_, err = s.disk.journal.Scan(journal.Mark{}, func(_ journal.Position, b []byte) error {
				if e, ok := g.evidence(b); ok && !yield(e, nil) {
					return errEnough
				}
				return nil
			})
		}
		if err != nil && err != errEnough {
			yield(Evidence{}, err)
		}
	}
}

func (g *gathering) gather(at journal.Position, b []byte) error {
	switch record.Kind(b[0]) {
	case record.KindSent, record.KindReceived, record.KindPassed:
		return nil
	}
	r, err := record.Parse(b)
	if err != nil {
		return nil
	}
	switch r := r.(type) {
	case *record.Blob:
		g.blobs[sha256.Sum256(r.Bytes)] = r.Bytes
	case *record.Channel:
		g.records[r.Channel] = r
		g.known(r.Channel)
	case *record.Epoch:
		g.known(r.Channel).Epochs[r.Epoch] = r.TH
	case *record.Hop:
		g.hops[r.Channel] = r
	case *record.Queued:
		if g.texts[r.Contact] == nil {
			g.texts[r.Contact] = map[uint64]journal.Position{}
		}
		g.texts[r.Contact][r.Text.Number] = at
	}
	return nil
}

func (g *gathering) known(channel [32]byte) *Known {
	k := g.channels[channel]
	if k == nil {
		k = &Known{Epochs: map[uint64][]byte{}}
		g.channels[channel] = k
	}
	return k
}

// complete gives the channels what stands in blobs.
func (g *gathering) complete() {
	for id, r := range g.records {
		k := g.channels[id]
		k.Trimmed, k.At, k.With = r.Trimmed, r.At, g.store.byNumber(r.Contact).Identity
		k.Channel = Channel{ID: id, Role: r.Role, Suite: r.Suite, TH: k.Epochs[0], Own: g.credentials(r.Own), Other: g.credentials(r.Other)}
		if hop := g.hops[id]; hop != nil {
			k.Relay = Relay{hop.Relay, g.credentials(record.Credentials{Chain: hop.Chain}).Chain}
		}
	}
}

// credentials are what hashes stand for. What is lost is missing.
func (g *gathering) credentials(hashes record.Credentials) (c wire.Credentials) {
	for _, h := range hashes.Chain {
		c.Chain = append(c.Chain, g.blobs[h])
	}
	for _, h := range hashes.Staples {
		c.Staples = append(c.Staples, g.blobs[h])
	}
	for _, h := range hashes.Delegation {
		c.Delegation, _ = record.ParseDelegation(g.blobs[h]) // what is lost is missing
	}
	return c
}

func (g *gathering) evidence(b []byte) (e Evidence, ok bool) {
	r, err := record.Parse(b)
	if err != nil {
		return e, false
	}
	switch r := r.(type) {
	case *record.Sent:
		for i := range r.Flight.Envelopes {
			if env := &r.Flight.Envelopes[i]; env.Is == IsOwnText {
				env.Text = g.own(r.Contact, env.Number)
			}
		}
		e = Evidence{At: r.At, Own: true, Flight: &r.Flight, Channel: g.channels[r.Flight.Channel]}
	case *record.Received:
		for i := range r.Flight.Envelopes {
			if env := &r.Flight.Envelopes[i]; env.Is != IsGone {
				_ = env.Read() // it was read before it was stored
			}
		}
		e = Evidence{At: r.At, Flight: &r.Flight, Channel: g.channels[r.Flight.Channel]}
	case *record.Marks:
		if r.Receipt == nil {
			return e, false
		}
		e = Evidence{Receipt: r.Receipt, Channel: g.channels[r.Receipt.Head.Channel]}
	case *record.Passed:
		e = Evidence{Own: r.Passage.Own, Passage: &r.Passage, Channel: g.channels[r.Passage.Channel]}
	}
	return e, e.Channel != nil
}

// own is a text of the owner's, nil where it is lost.
func (g *gathering) own(contact uint32, number uint64) *Text {
	at, ok := g.texts[contact][number]
	if !ok {
		return nil
	}
	b, err := g.store.disk.journal.Read(at)
	if err != nil {
		return nil
	}
	if r, err := record.Parse(b); err == nil {
		if q, ok := r.(*record.Queued); ok {
			return &q.Text
		}
	}
	return nil
}

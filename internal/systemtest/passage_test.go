package systemtest

import (
	"fmt"
	"testing"
	"time"

	"sinete/peer"
	"sinete/peer/evidence"
	"sinete/peer/evidence/export"
	"sinete/peer/evidence/held"
	"sinete/peer/store"
	"sinete/peer/store/storetest"
	"sinete/wire"
)

// The relay's own seals prove when it had each message: to the author when it took it, to the recipient when it handed it on. Rekeyings of the
// conversation and of the hop change nothing, and nothing else is proved by them.
func TestRelayStatesTimes(t *testing.T) {
	simulated(t, nil, func(t *testing.T, w *world) {
		alice, bob := w.born(w.config(w.card("alice")), storetest.NewDisk()), w.born(w.config(w.card("bob")), storetest.NewDisk())
		a, b := connect(t, alice.Session, bob.Session)
		for e := range uint64(3) {
			for i := range 5 {
				talk(t, a, b, fmt.Sprint("to bob ", e, i))
				time.Sleep(time.Minute)
			}
			n, err := b.SendAll(t.Context(), "to alice", "and more", "in a flight")
			must(t, err)
			for range 3 {
				next[*peer.Message](t, a)
			}
			delivered(t, b, n+2)
			if e == 1 {
				alice.Rekey()
				bob.Rekey()
				time.Sleep(time.Second)
				if alice.Epoch() != 1 || bob.Epoch() != 1 {
					t.Fatal("the hops have no new keys")
				}
				continue
			}
			a.Rekey()
			rekeyed(t, 1+e/2, a, b)
		}
		must(t, a.Disconnect(t.Context()))
		time.Sleep(time.Second) // all is written
		for name, s := range map[string]*store.Store{"alice": alice.cfg.Store, "bob": bob.cfg.Store} {
			r, err := held.Check(s.Evidence(), w.policy)
			must(t, err)
			texts, passages := timed(t, s)
			if len(r.Faults) > 0 || r.Passages != passages || texts != 24 {
				t.Errorf("%s's evidence: %+v, %d texts in %d passages", name, r, texts, passages)
			}
			provesTimes(t, w, s)
		}

		for what, alter := range map[string]func(k *store.Known, p *store.Passage){
			"another beginning":           func(_ *store.Known, p *store.Passage) { p.Before.T[0] ^= 1 },
			"another place":               func(_ *store.Known, p *store.Passage) { p.Before.Count++ },
			"fewer envelopes":             func(_ *store.Known, p *store.Passage) { p.Steps = nil },
			"another envelope":            func(_ *store.Known, p *store.Passage) { p.Steps = []store.Step{{Digest: [32]byte{1}}} },
			"another signature":           func(_ *store.Known, p *store.Passage) { p.Seal.Seal.Signature[9] ^= 1 },
			"another time":                func(_ *store.Known, p *store.Passage) { p.Seal.Seal.Time-- },
			"another statement":           func(_ *store.Known, p *store.Passage) { p.Seal.Statement[0] ^= 1 },
			"the other direction":         func(_ *store.Known, p *store.Passage) { p.Own = !p.Own },
			"another relay":               func(k *store.Known, _ *store.Passage) { k.Relay.Name = "elsewhere.example" },
			"a person in place of it":     func(k *store.Known, _ *store.Passage) { k.Relay.Chain = k.Other.Chain },
			"a relay without certificate": func(k *store.Known, _ *store.Passage) { k.Relay.Chain = nil },
			"a person's own head": func(_ *store.Known, p *store.Passage) {
				p.Seal.Head.Role = wire.RoleInitiator
				p.Seal.Statement = p.Seal.Head.Append(nil)
			},
		} {
			r, err := held.Check(altered(alice.cfg.Store.Evidence(), func(e *store.Evidence) {
				k, p := *e.Channel, e.Passage
				if p == nil { // what first tells of the channel says what is known of it
					p = &store.Passage{Seal: wire.SealEntry{Statement: make([]byte, 1), Seal: wire.Seal{Signature: make([]byte, 16)}}}
				}
				alter(&k, p)
				e.Channel = &k
			}), w.policy)
			must(t, err)
			if len(r.Faults) == 0 || r.Passages > 0 {
				t.Errorf("%s is not noticed: %+v", what, r)
			}
		}
	})
}

// provesTimes wants a bundle of all messages of a store, and of one in the midst of them, in which the relay states when it had each.
func provesTimes(t *testing.T, w *world, s *store.Store) {
	t.Helper()
	with := s.Contacts()[0].Identity
	for want, some := range map[int][]export.Range{24: nil, 2: {{Own: true, First: 4, Last: 4}, {Own: false, First: 4, Last: 4}}} {
		x, err := export.Export(t.Context(), s, w.policy, export.Wanted{With: with, Messages: some})
		must(t, err)
		if len(x.Report.Messages) != want {
			t.Fatalf("%d messages are shown", len(x.Report.Messages))
		}
		if _, err := evidence.Verify(x.Bundle, w.policy.Anchors); err != nil {
			t.Fatal(err)
		}
		for _, m := range x.Report.Messages {
			if m.Relayed == nil || m.Relayed.At-m.Sealed.At > 1 || x.Report.Relays[m.Relayed.Relay].Name != relayName {
				t.Errorf("message %d, sealed at %d: %+v", m.Number, m.Sealed.At, m.Relayed)
			}
		}
	}
}

// timed counts the texts of a store whose time the relay states, each once, and the passages that do. The times are those at which they were stored.
func timed(t *testing.T, s *store.Store) (texts, passages int) {
	t.Helper()
	type place struct {
		own           bool
		epoch, number uint64
	}
	at := map[place]time.Time{}
	for e, err := range s.Evidence() {
		must(t, err)
		if e.Passage == nil {
			continue
		}
		passages++
		for _, step := range e.Passage.Steps {
			for i := range uint64(step.Count) {
				at[place{e.Own, step.Epoch, step.First + i}] = time.Unix(int64(e.Passage.Seal.Seal.Time), 0)
			}
		}
	}
	for e, err := range s.Evidence() {
		must(t, err)
		if e.Flight == nil {
			continue
		}
		for i := range e.Flight.Envelopes {
			if e.Flight.Envelopes[i].Text == nil {
				continue
			}
			stated, ok := at[place{e.Own, e.Flight.Epoch, e.Flight.First + uint64(i)}]
			if apart := stated.Sub(e.At).Abs(); ok && apart > 2*time.Second {
				t.Errorf("stored at %v, and the relay states %v", e.At, stated)
			}
			if ok {
				texts++
			}
		}
	}
	return texts, passages
}

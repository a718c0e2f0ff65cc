package systemtest

import (
	"bytes"
	"fmt"
	"iter"
	"testing"
	"time"

	"sinete/peer"
	"sinete/peer/evidence"
	"sinete/peer/evidence/export"
	"sinete/peer/evidence/held"
	"sinete/peer/store"
	"sinete/peer/store/storetest"
)

// altered is evidence that somebody has changed on its way.
func altered(all iter.Seq2[store.Evidence, error], alter func(*store.Evidence)) iter.Seq2[store.Evidence, error] {
	return func(yield func(store.Evidence, error) bool) {
		for e, err := range all {
			alter(&e)
			if !yield(e, err) {
				return
			}
		}
	}
}

// What both sides have stored proves every message, across rekeyings, to whoever trusts the anchor; and nothing else is proved by it.
func TestEvidence(t *testing.T) {
	for _, sign := range []peer.Signing{peer.SignCard, peer.SignDelegated} {
		t.Run(string(sign), func(t *testing.T) {
			simulated(t, nil, func(t *testing.T, w *world) {
				cfg := w.config(w.card("alice"))
				cfg.Sign = sign
				alice, bob := w.born(cfg, storetest.NewDisk()), w.born(w.config(w.card("bob")), storetest.NewDisk())
				a, b := connect(t, alice.Session, bob.Session)
				for e := range uint64(3) {
					for i := range 10 {
						talk(t, a, b, fmt.Sprint("to bob ", e, i))
					}
					n, err := b.SendAll(t.Context(), "to alice", "and more", "in a flight")
					must(t, err)
					for range 3 {
						next[*peer.Message](t, a)
					}
					delivered(t, b, n+2)
					a.Rekey()
					rekeyed(t, e+1, a, b)
				}
				must(t, a.Disconnect(t.Context()))
				time.Sleep(time.Second) // all is written
				for name, s := range map[string]*store.Store{"alice": alice.cfg.Store, "bob": bob.cfg.Store} {
					r, err := held.Check(s.Evidence(), w.policy)
					must(t, err)
					if len(r.Faults) > 0 || r.Sent+r.Received != 39 || r.Receipts == 0 {
						t.Errorf("%s's evidence: %+v", name, r)
					}
				}
				showsAlone(t, w, bob.cfg.Store, w.identity(alice.cfg.Card), "and more", "to alice", "in a flight")
				shows(t, w, alice.cfg.Store, w.identity(bob.cfg.Card), 39)
				shows(t, w, bob.cfg.Store, w.identity(alice.cfg.Card), 39)
				proves := func(what string, alter func(*store.Evidence)) {
					t.Helper()
					r, err := held.Check(altered(alice.cfg.Store.Evidence(), alter), w.policy)
					must(t, err)
					if len(r.Faults) == 0 {
						t.Errorf("%s is not noticed: %+v", what, r)
					}
				}
				text := func(e *store.Evidence, change func(*store.Envelope)) {
					if e.Flight == nil {
						return
					}
					for i := range e.Flight.Envelopes {
						if e.Flight.Envelopes[i].Text != nil {
							change(&e.Flight.Envelopes[i])
						}
					}
				}
				proves("another text", func(e *store.Evidence) {
					text(e, func(env *store.Envelope) {
						if env.Content != nil {
							env.Content[len(env.Content)-1] ^= 1
						}
					})
				})
				proves("another text of one's own", func(e *store.Evidence) {
					text(e, func(env *store.Envelope) { env.Text.Text += "." })
				})
				proves("another ciphertext", func(e *store.Evidence) {
					text(e, func(env *store.Envelope) { env.Ciphertext[0] ^= 1 })
				})
				proves("another transcript", func(e *store.Evidence) {
					if e.Flight != nil {
						e.Flight.Before[0] ^= 1
					}
				})
				proves("another channel", func(e *store.Evidence) {
					k := *e.Channel
					k.ID[0] ^= 1
					e.Channel = &k
				})
				proves("another signature", func(e *store.Evidence) {
					if e.Flight != nil {
						e.Flight.Seal.Seal.Signature[0] ^= 1
					}
				})
				proves("another receipt", func(e *store.Evidence) {
					if e.Receipt != nil {
						e.Receipt.Head.Yours.T[0] ^= 1
						e.Receipt.Statement = e.Receipt.Head.Append(nil)
					}
				})
				proves("another person's certificate", func(e *store.Evidence) {
					k := *e.Channel
					k.Own, k.Other = k.Other, k.Own
					e.Channel = &k
				})
				proves("another epoch", func(e *store.Evidence) {
					k := *e.Channel
					k.Epochs = map[uint64][]byte{0: make([]byte, 48), 1: make([]byte, 48), 2: make([]byte, 48), 3: make([]byte, 48)}
					e.Channel = &k
				})
			})
		})
	}
}

// showsAlone wants evidence of one message, in which there is nothing of others that shared its envelope. Texts may have come more than once.
func showsAlone(t *testing.T, w *world, s *store.Store, with, text string, others ...string) {
	t.Helper()
	found := false
	for e, err := range s.Evidence() {
		must(t, err)
		if !e.Own || e.Flight == nil {
			continue
		}
		for i := range e.Flight.Envelopes {
			env := &e.Flight.Envelopes[i]
			if env.Text == nil || env.Text.Text != text {
				continue
			}
			found = true
			var neighbours [][]byte // what would open or show those that shared its envelope
			for j := range e.Flight.Envelopes {
				if n := &e.Flight.Envelopes[j]; j != i && n.Ciphertext == env.Ciphertext {
					neighbours = append(neighbours, fmt.Appendf(nil, "%x", n.Opening), fmt.Appendf(nil, "%x", n.Header), []byte(n.Text.Text))
				}
			}
			if len(neighbours) != 3*len(others) {
				t.Errorf("%q shares its envelope with %d others, not %d", text, len(neighbours)/3, len(others))
			}
			x, err := export.Export(t.Context(), s, w.policy, export.Wanted{With: with, Messages: []export.Range{{Own: true, First: env.Text.Number, Last: env.Text.Number}}})
			must(t, err)
			r, err := evidence.Verify(x.Bundle, w.policy.Anchors)
			must(t, err)
			if len(r.Messages) != 1 || r.Messages[0].Text != text || r.Messages[0].Delivered == nil {
				t.Errorf("the bundle proves %+v", r.Messages)
			}
			for _, of := range neighbours {
				if bytes.Contains(x.Bundle, of) {
					t.Errorf("the bundle of %q says %q, too", text, of)
				}
			}
		}
	}
	if !found {
		t.Errorf("nothing is known of %q", text)
	}
}

// shows wants evidence of every message with somebody to be made and to be genuine, with the receipts of those that were sent.
func shows(t *testing.T, w *world, s *store.Store, with string, messages int) {
	t.Helper()
	x, err := export.Export(t.Context(), s, w.policy, export.Wanted{With: with})
	must(t, err)
	r, err := evidence.Verify(x.Bundle, w.policy.Anchors)
	must(t, err)
	for _, m := range r.Messages {
		if sent := r.People[m.From].Identity != with; sent && m.Delivered == nil {
			t.Errorf("no receipt of %q", m.Text)
		}
	}
	if len(x.Left) > 0 || len(r.Messages) != messages {
		t.Errorf("evidence of %d messages, and not of %v", len(r.Messages), x.Left)
	}
}

package systemtest

import (
	"testing"
	"testing/synctest"

	"sinete/cardauth"
	"sinete/peer"
	"sinete/peer/store"
	"sinete/wire"
)

// from is a login from a machine of that name.
func (w *world) from(c cardauth.Card, kept *store.Store, name string) *peer.Session {
	w.t.Helper()
	cfg := w.config(c)
	cfg.Store, cfg.Machine = kept, &peer.Machine{Facts: []byte(name), Description: "machine " + name}
	return w.loginWith(cfg)
}

// wantStatement takes what is said of the other's machine.
func wantStatement(t *testing.T, c *peer.Conversation, known peer.Known, description, before string) {
	t.Helper()
	if m := next[*peer.MachineStatement](t, c); *m != (peer.MachineStatement{Known: known, Description: description, Before: before}) {
		t.Errorf("the other speaks from %+v", *m)
	}
}

// wantNotice takes everything up to a text of the other's, and wants exactly these notices among it.
func wantNotice(t *testing.T, c, other *peer.Conversation, notices ...string) {
	t.Helper()
	sendText(t, other, "and now a text")
	for {
		e, err := c.Next(t.Context())
		must(t, err)
		switch e := e.(type) {
		case *peer.MachineChangeNoticed:
			if len(notices) == 0 || e.Before != notices[0] {
				t.Fatalf("noticed: %q, where %q was due", e.Before, notices)
			}
			notices = notices[1:]
		case *peer.Message:
			if len(notices) > 0 {
				t.Fatalf("not noticed: %q", notices)
			}
			return
		case *peer.Closed:
			t.Fatal(e.Number)
		}
	}
}

// Whoever speaks from another machine is noticed, once, and learns it with what was known before; so the owner of a card learns of whoever used it meanwhile.
func TestMachineChangeNoticed(t *testing.T) {
	simulated(t, nil, func(t *testing.T, w *world) {
		card := w.card("alice")
		bob := w.login(w.card("bob"))
		for _, c := range []struct {
			machine, before string
			known           peer.Known
			notices         []string
		}{
			{"home", "", peer.MachineNew, nil},
			{"home", "", peer.MachineKnown, nil},
			{"thief's", "machine home", peer.MachineChanged, []string{"machine home"}},
			{"thief's", "", peer.MachineKnown, nil},
			{"home", "machine thief's", peer.MachineChanged, []string{"machine thief's"}},
		} {
			alice := w.from(card, nil, c.machine)
			a, b := connect(t, alice, bob)
			wantStatement(t, b, c.known, "machine "+c.machine, c.before)
			wantStatement(t, a, peer.MachineNew, "a test machine", "")
			wantNotice(t, a, b, c.notices...)
			wantNotice(t, b, a)
			must(t, alice.Close(t.Context()))
		}
	})
}

// Where a direction is closed each learns all the same that their change was noticed: one by the MAC of a frame, the other by content that is allowed.
func TestMachineChangeNoticedInClosedDirection(t *testing.T) {
	simulated(t, nil, func(t *testing.T, w *world) {
		low, high := w.card("low"), w.card("high")
		w.grants(w.identity(high), wire.Level{Rank: 1}, false)
		keptLow, keptHigh := store.NewMemory(), store.NewMemory()
		for i, c := range []struct{ low, high peer.Known }{{peer.MachineNew, peer.MachineNew}, {peer.MachineChanged, peer.MachineChanged}, {peer.MachineKnown, peer.MachineKnown}} {
			name := "home"
			if i > 0 {
				name = "away"
			}
			lowly, mighty := w.from(low, keptLow, name), w.from(high, keptHigh, name)
			a, b := connect(t, lowly, mighty) // b may write
			before := map[peer.Known]string{peer.MachineChanged: "machine home"}
			wantStatement(t, a, c.high, "machine "+name, before[c.high])
			wantStatement(t, b, c.low, "", "")
			if c.low == peer.MachineChanged {
				if n := next[*peer.MachineChangeNoticed](t, b); n.Before != "" {
					t.Errorf("%+v", n)
				}
				if n := next[*peer.MachineChangeNoticed](t, a); n.Before != "" {
					t.Errorf("%+v", n)
				}
			}
			wantNotice(t, a, b)
			synctest.Wait()
			must(t, mighty.Close(t.Context()))
			for {
				e, err := b.Next(t.Context())
				must(t, err)
				if _, again := e.(*peer.MachineChangeNoticed); again {
					t.Error("noticed twice, or without a change")
				}
				if _, end := e.(*peer.Closed); end {
					break
				}
			}
			must(t, lowly.Close(t.Context()))
		}
	})
}

// A notice that does not arrive is made again in the next conversation, as long as it is true.
func TestNoticeThatWasLost(t *testing.T) {
	simulated(t, nil, func(t *testing.T, w *world) {
		card, kept := w.card("bob"), store.NewMemory()
		alice := w.card("alice")
		bob := w.from(card, kept, "bob's")
		session := w.from(alice, nil, "home")
		connect(t, session, bob)
		synctest.Wait()
		must(t, session.Close(t.Context()))
		// Of the second machine the store learns in a conversation that ends before anything can be sent in it.
		kept.Known(w.identity(alice)).SpeaksFrom(store.Machine{Hash: wire.MachineHash(w.identity(alice), w.identity(card), []byte("away")), Description: "machine away"})
		synctest.Wait()
		a, b := connect(t, w.from(alice, nil, "away"), bob)
		wantStatement(t, b, peer.MachineKnown, "machine away", "")
		wantNotice(t, a, b, "machine home")
	})
}

// A statement, or a notice, comes once in a conversation; a notice about another machine than this one is passed over.
func TestStatementsComeOnce(t *testing.T) {
	for name, c := range map[string]struct {
		say    []wire.ContentType
		number wire.Code
	}{
		"statements": {[]wire.ContentType{wire.ContentMachine, wire.ContentMachine}, wire.CodeUnexpected},
		"notices":    {[]wire.ContentType{wire.ContentMachine, wire.ContentNoticed, wire.ContentNoticed}, wire.CodeUnexpected},
		"one each":   {[]wire.ContentType{wire.ContentMachine, wire.ContentNoticed}, 0},
	} {
		t.Run(name, func(t *testing.T) {
			simulated(t, nil, func(t *testing.T, w *world) {
				bob := w.login(w.card("bob"))
				mallory := w.evilPeer(t, w.card("mallory"))
				m := mallory.connect(w, bob.Identity())
				b := opened(t, bob)
				for _, kind := range c.say {
					content := wire.Content{Parties: wire.Parties(m.own.Identity, m.own.KeyHash, m.other.Identity, m.other.KeyHash), Type: kind,
						Machine: wire.Machine{Hash: [32]byte{1}, Description: "x"}}
					m.put(forgery{}, m.inner.Seal(nil, m.open.Level, content.Append(nil)).Body)
					m.close(forgery{})
				}
				wantStatement(t, b, peer.MachineNew, "x", "")
				if c.number != 0 {
					if closed := next[*peer.Closed](t, b); closed.Number != c.number {
						t.Errorf("ended with %v", closed.Number)
					}
					return
				}
				m.say("text", forgery{})
				for {
					e, err := b.Next(t.Context())
					must(t, err)
					if n, noticed := e.(*peer.MachineChangeNoticed); noticed {
						t.Errorf("%+v of another machine", n)
					}
					if _, is := e.(*peer.Message); is {
						return
					}
				}
			})
		})
	}
}

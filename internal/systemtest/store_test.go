package systemtest

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"testing"
	"time"

	"sinete/peer"
	"sinete/peer/evidence/held"
	"sinete/peer/presence"
	"sinete/peer/store"
	"sinete/peer/store/storetest"
	"sinete/wire"
)

// life is a program of a person's, from its start to its being killed.
type life struct {
	*peer.Session
	w    *world
	cfg  peer.Config
	disk *storetest.Disk
	at   net.Addr
}

// born logs a card in with a store on a disk.
func (w *world) born(cfg peer.Config, disk *storetest.Disk) *life {
	w.t.Helper()
	l := &life{w: w, cfg: cfg, disk: disk}
	l.cfg.Store = disk.Open(w.t)
	l.Session, l.at = w.loginAt(l.cfg)
	return l
}

// killed ends the program without a word, and starts the next.
func (l *life) killed() *life {
	l.w.t.Helper()
	disk := l.disk.Kill()
	l.w.network.Cut(l.at)
	return l.w.born(l.cfg, disk)
}

// history is what a store has, as "state text".
func history(t *testing.T, s *store.Store) (entries []string) {
	t.Helper()
	for e, err := range s.History(store.Query{}) {
		must(t, err)
		entries = append(entries, string(e.State)+" "+e.Text.Text)
	}
	return entries
}

func wantHistory(t *testing.T, s *store.Store, want ...string) {
	t.Helper()
	if got := history(t, s); !slices.Equal(got, want) {
		t.Fatalf("the history is %q, not %q", got, want)
	}
}

func isFull(err error) bool {
	_, full := errors.AsType[*store.FullError](err)
	return full
}

// The author's program is killed before its messages went out: the next life sends them, under their numbers, once.
func TestAuthorKilled(t *testing.T) {
	simulated(t, nil, func(t *testing.T, w *world) {
		alice, bob := w.born(w.config(w.card("alice")), storetest.NewDisk()), w.login(w.card("bob"))
		a, b := connect(t, alice.Session, bob)
		talk(t, a, b, "zero")
		time.Sleep(time.Second) // the mark of its receipt is written
		w.network.Cut(alice.at)
		n, err := a.SendAll(t.Context(), "one", "two")
		must(t, err)
		alice = alice.killed()
		a, b = connect(t, alice.Session, bob)
		if m := next[*peer.MachineStatement](t, a); m.Known != peer.MachineKnown {
			t.Errorf("bob's machine is %v", m.Known)
		}
		for i, text := range []string{"one", "two"} {
			if m := next[*peer.Message](t, b); m.Text != text || m.Number != n+uint64(i) {
				t.Fatalf("bob received %+v", m)
			}
		}
		delivered(t, a, n+1)
		talk(t, a, b, "three")
		wantHistory(t, alice.cfg.Store, "delivered zero", "delivered one", "delivered two", "delivered three")
	})
}

// comesBack has a program come for the next event, where there is none: it has shown what it has taken.
func comesBack(t *testing.T, c *peer.Conversation) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
	defer cancel()
	if e, err := c.Next(ctx); err == nil {
		t.Fatalf("%#v", e)
	}
}

// The recipient's program is killed when it has shown one message, has taken another and not the others: the next life hands those out, before
// anything new, and what the author sends again is known.
func TestRecipientKilled(t *testing.T) {
	simulated(t, nil, func(t *testing.T, w *world) {
		alice, bob := w.login(w.card("alice")), w.born(w.config(w.card("bob")), storetest.NewDisk())
		a, b := connect(t, alice, bob.Session)
		talk(t, a, b, "shown")
		comesBack(t, b)
		_, err := a.SendAll(t.Context(), "taken", "stored", "stored too")
		must(t, err)
		time.Sleep(time.Second)
		if m := next[*peer.Message](t, b); m.Text != "taken" {
			t.Fatalf("bob takes %+v", m)
		}
		time.Sleep(time.Second)
		bob = bob.killed()
		for _, text := range []string{"taken", "stored", "stored too"} {
			m := sessionNext[*peer.Missed](t, bob.Session)
			if m.Message.Text != text || m.Identity != alice.Identity() || m.Name != alice.Name() {
				t.Fatalf("bob missed %+v", m)
			}
			m.Shown()
		}
		a, b = connect(t, alice, bob.Session)
		if m := next[*peer.MachineStatement](t, b); m.Known != peer.MachineKnown {
			t.Errorf("alice's machine is %v", m.Known)
		}
		talk(t, a, b, "new")
		comesBack(t, b)
		wantHistory(t, bob.cfg.Store, "received shown", "received taken", "received stored", "received stored too", "received new")
		time.Sleep(time.Second)
		bob = bob.killed() // and nothing was missed
		a, b = connect(t, alice, bob.Session)
		talk(t, a, b, "newer")
	})
}

// A recipient whose disk is full is told, acknowledges and shows nothing, and goes on when there is room; others wait for nothing.
func TestRecipientFull(t *testing.T) {
	simulated(t, nil, func(t *testing.T, w *world) {
		alice, bob := w.login(w.card("alice")), w.born(w.config(w.card("bob")), storetest.NewDisk())
		a, b := connect(t, alice, bob.Session)
		talk(t, a, b, "before")
		bob.disk.Fill(true)
		n := sendText(t, a, "waits for room")
		if warning := next[*peer.Warning](t, b); warning.Code != "store-full" {
			t.Fatalf("bob is warned of %v", warning)
		}
		time.Sleep(45 * time.Second) // longer than any deadline of the hop
		if _, err := b.Send(t.Context(), "refused"); !isFull(err) {
			t.Fatalf("with a full disk Send says %v", err)
		}
		if got := history(t, bob.cfg.Store); len(got) != 1 {
			t.Fatalf("bob's history is %q", got)
		}
		bob.disk.Fill(false)
		if m := next[*peer.Message](t, b); m.Text != "waits for room" || m.Number != n {
			t.Fatalf("bob is shown %+v", m)
		}
		delivered(t, a, n)
		talk(t, b, a, "there is room")
		wantHistory(t, bob.cfg.Store, "received before", "received waits for room", "delivered there is room")
	})
}

// What is waiting when the flow policy has come to forbid it fails, visibly.
func TestQueuedAndForbidden(t *testing.T) {
	simulated(t, nil, func(t *testing.T, w *world) {
		card := w.card("bob")
		alice, bob := w.born(w.config(w.card("alice")), storetest.NewDisk()), w.login(card)
		a, b := connect(t, alice.Session, bob)
		talk(t, a, b, "allowed")
		time.Sleep(time.Second)
		w.network.Cut(alice.at)
		_, err := a.SendAll(t.Context(), "too late", "later still")
		must(t, err)
		w.grants(w.identity(card), wire.Level{Rank: 2}, false)
		must(t, bob.Close(t.Context()))
		bob = w.login(card)
		alice = alice.killed()
		a, _ = connect(t, alice.Session, bob)
		p := nextThat(t, a, func(p *peer.Progress) bool { return p.State == store.Failed })
		if p.First != 1 || p.Last != 2 || p.Reason != wire.CodeFlowDenied {
			t.Fatalf("failed: %+v", p)
		}
		wantHistory(t, alice.cfg.Store, "delivered allowed", "failed too late", "failed later still")
	})
}

// A program that comes back makes its conversations again: those that were open, and those for which messages wait, however long the other
// person is away.
func TestComesBackWithItsStore(t *testing.T) {
	simulated(t, nil, func(t *testing.T, w *world) {
		disk := storetest.NewDisk()
		card, bobs := w.card("alice"), w.card("bob")
		cfg := w.config(card)
		cfg.Store = disk.Open(t)
		alice := w.dwell(t, presence.Config{Config: cfg})
		bob, at := w.loginAt(w.config(bobs))
		a, b := connect(t, alice.Session(), bob)
		sendText(t, a, "hello")
		if m := next[*peer.Message](t, b); m.Text != "hello" {
			t.Fatalf("bob received %+v", m)
		}
		alice.until("the receipt", func() bool { return alice.confirmed[bob.Name()] == 1 })
		w.network.Cut(at)
		_, err := a.Send(t.Context(), "for later")
		must(t, err)
		after := disk.Kill()
		alice.cut()
		cfg.Store = after.Open(t)
		alice = w.dwell(t, presence.Config{Config: cfg})
		time.Sleep(30 * time.Minute) // twice as long as somebody is looked for otherwise
		if n, _ := cfg.Store.Known(w.identity(bobs)).Waiting(); n != 1 {
			t.Fatalf("%d messages wait", n)
		}
		bob = w.login(bobs)
		c := opened(t, bob)
		if m := next[*peer.Message](t, c); m.Text != "for later" || m.Number != 1 {
			t.Fatalf("bob received %+v", m)
		}
		alice.until("the receipt", func() bool { return alice.confirmed[bob.Name()] == 2 })
	})
}

// A store survives a new card of the same person's: what waited goes out, and both are proved by their own certificates.
func TestStoreSurvivesARenewedCard(t *testing.T) {
	simulated(t, nil, func(t *testing.T, w *world) {
		alice, bob := w.born(w.config(w.card("alice")), storetest.NewDisk()), w.born(w.config(w.card("bob")), storetest.NewDisk())
		a, b := connect(t, alice.Session, bob.Session)
		talk(t, a, b, "with the old card")
		time.Sleep(time.Second)
		w.network.Cut(alice.at)
		_, err := a.Send(t.Context(), "in between")
		must(t, err)
		alice.cfg.Card = w.card("alice")
		alice = alice.killed()
		a, b = connect(t, alice.Session, bob.Session)
		if m := next[*peer.Message](t, b); m.Text != "in between" || m.Number != 1 {
			t.Fatalf("bob received %+v", m)
		}
		talk(t, a, b, "with the new card")
		time.Sleep(time.Second)
		wantHistory(t, alice.cfg.Store, "delivered with the old card", "delivered in between", "delivered with the new card")
		for _, s := range []*store.Store{alice.cfg.Store, bob.cfg.Store} {
			r, err := held.Check(s.Evidence(), w.policy)
			must(t, err)
			if len(r.Faults) > 0 || r.Sent+r.Received < 3 {
				t.Errorf("evidence: %+v", r)
			}
		}
	})
}

// A byte that rots costs what it stands in, is named, and nothing else: the two go on, and nothing comes twice.
func TestRottenStore(t *testing.T) {
	simulated(t, nil, func(t *testing.T, w *world) {
		alice, bob := w.login(w.card("alice")), w.born(w.config(w.card("bob")), storetest.NewDisk())
		a, b := connect(t, alice, bob.Session)
		for i := range 30 {
			talk(t, a, b, fmt.Sprint("text ", i))
		}
		comesBack(t, b)
		time.Sleep(time.Second)
		disk := bob.disk.Kill()
		disk.Damage(0.5)
		w.network.Cut(bob.at)
		bob = w.born(bob.cfg, disk)
		damage := bob.cfg.Store.Damage()
		if len(damage) != 1 || damage[0].Records != 1 {
			t.Fatalf("damage: %v", damage)
		}
		if n := len(history(t, bob.cfg.Store)); n < 29 {
			t.Fatalf("%d texts are left", n)
		}
		a, b = connect(t, alice, bob.Session)
		talk(t, a, b, "and on")
		talk(t, b, a, "and back")
	})
}

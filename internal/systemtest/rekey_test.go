package systemtest

import (
	"context"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"sinete/cardauth/cardtest"
	"sinete/peer"
	"sinete/relay"
	"sinete/transport/transporttest"
	"sinete/wire"
)

// rekeyed waits for a conversation's next new keys.
func rekeyed(t *testing.T, epoch uint64, cs ...*peer.Conversation) {
	t.Helper()
	for _, c := range cs {
		if e := next[*peer.Rekeyed](t, c); e.Epoch != epoch || c.Epoch() != epoch {
			t.Fatalf("epoch %d (%d), where %d was due", e.Epoch, c.Epoch(), epoch)
		}
	}
}

// both says something in either direction and waits until it is delivered.
func both(t *testing.T, a, b *peer.Conversation, text string) {
	t.Helper()
	for _, way := range [][2]*peer.Conversation{{a, b}, {b, a}} {
		n := sendText(t, way[0], text)
		if m := next[*peer.Message](t, way[1]); m.Text != text {
			t.Fatalf("%q", m.Text)
		}
		delivered(t, way[0], n)
	}
}

// New keys come by time, on every hop and in the conversation, over a bad network.
func TestRekeyByTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, transporttest.New(t, transporttest.Options{Latency: 300 * time.Millisecond, Loss: 0.02, Seed: 3}), nil)
		alice, rui := w.login(w.card("alice")), w.login(w.card("rui"))
		a, b := connect(t, alice, rui)
		both(t, a, b, "before")
		for e := range uint64(3) {
			time.Sleep(850 * time.Second) // virtual
			rekeyed(t, e+1, a, b)
			both(t, a, b, "after")
		}
		time.Sleep(time.Minute) // virtual
		for _, s := range []*peer.Session{alice, rui} {
			if s.Epoch() < 2 {
				t.Errorf("%d rekeyings of a hop in three of a conversation", s.Epoch())
			}
		}
	})
}

// Messages by the thousand, with new keys after every few hundred, on the hops and in the conversation: all come, once, in order.
func TestRekeyUnderLoad(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		limits := wire.RekeyLimits{Messages: 800, Seconds: 900}
		w := newWorld(t, transporttest.New(t, transporttest.Options{Latency: 5 * time.Millisecond}), func(c *relay.Config) { c.Limits = limits })
		cfg := w.config(w.card("alice"))
		cfg.Limits = limits
		alice, rui := w.loginWith(cfg), w.login(w.card("rui"))
		a, b := connect(t, alice, rui)
		const n = 10_000
		go func() {
			for i := range n {
				for {
					if _, err := a.Send(context.Background(), fmt.Sprint(i)); err == nil {
						break
					}
					time.Sleep(100 * time.Millisecond) // virtual: too much waits
				}
			}
		}()
		for i := range n {
			if m := next[*peer.Message](t, b); m.Text != fmt.Sprint(i) || m.Number != uint64(i) {
				t.Fatalf("%q where %d was due", m.Text, i)
			}
		}
		delivered(t, a, n-1)
		if a.Epoch() < 3 || alice.Epoch() < 3 {
			t.Errorf("%d rekeyings of the conversation, %d of the hop", a.Epoch(), alice.Epoch())
		}
		both(t, a, b, "after")
	})
}

// Both people want new keys at once, again and again; either may have asked for the conversation.
func TestRekeyByBothAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, transporttest.New(t, transporttest.Options{Latency: 5 * time.Millisecond}), nil)
		alice, rui := w.login(w.card("alice")), w.login(w.card("rui"))
		a, b := connect(t, alice, rui)
		for e := range uint64(100) {
			a.Rekey()
			b.Rekey()
			alice.Rekey()
			rekeyed(t, e+1, a, b)
			time.Sleep(2 * time.Second) // virtual
		}
		both(t, a, b, "after")
	})
}

// A card of two seconds signs its rekeyings beside what goes on.
func TestRekeyWithSlowCard(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, transporttest.New(t, transporttest.Options{Latency: 5 * time.Millisecond}), nil)
		card := cardtest.NewFake(w.card("alice"), 2*time.Second)
		alice, rui := w.login(card), w.login(w.card("rui"))
		a, b := connect(t, rui, alice) // the slow card's owner answers
		for e := range uint64(5) {
			a.Rekey()
			alice.Rekey()
			for range 5 {
				both(t, a, b, "meanwhile")
			}
			time.Sleep(30 * time.Second) // virtual
			if a.Epoch() != e+1 || b.Epoch() != e+1 || alice.Epoch() != e+1 {
				t.Fatalf("epochs %d, %d, %d after %d rekeyings", a.Epoch(), b.Epoch(), alice.Epoch(), e+1)
			}
		}
		both(t, a, b, "after")
	})
}

// Conversations end while the hops of both take new keys, over a network that loses much, so that what says one overtakes what says the
// other: the sessions do not mind.
func TestRekeyWhileConversationsEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		network := transporttest.New(t, transporttest.Options{Latency: 5 * time.Millisecond, Seed: 1})
		w := newWorld(t, network, nil)
		alice, rui := w.login(w.card("alice")), w.login(w.card("rui"))
		for n := range 40 {
			a, b := connect(t, alice, rui)
			both(t, a, b, "text")
			network.SetLoss(0.2)
			alice.Rekey()
			rui.Rekey()
			time.Sleep(time.Duration(n) * time.Millisecond) // virtual: somewhere in the rekeying
			_ = a.Disconnect(t.Context())
			<-b.Ended()
			network.SetLoss(0)
			time.Sleep(5 * time.Second)
			if !alice.Alive() || !rui.Alive() {
				t.Fatalf("after %d conversations: %v, %v", n, alice.Alive(), rui.Alive())
			}
		}
	})
}

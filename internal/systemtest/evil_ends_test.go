package systemtest

import (
	"testing"
	"time"

	"sinete/peer"
	"sinete/wire"
)

// closing takes a conversation's events up to its last.
func closing(t *testing.T, c *peer.Conversation) *peer.Closed {
	t.Helper()
	return next[*peer.Closed](t, c)
}

// A relay that ends a conversation at one side only, and lets that side come back, must not have what the old conversation took counted as
// delivered in the new one.
func TestOldConversationCountsNothing(t *testing.T) {
	inLair(t, func(t *testing.T, w *lair) {
		card := w.card("bob")
		left, old := w.calls(t, card)
		bob, fresh := w.calls(t, card)
		if c := closing(t, old); c.Number != wire.CodeCut {
			t.Errorf("the old conversation closed with %v", c.Number)
		}
		const texts = 8
		var last uint64
		for range texts {
			last = sendText(t, fresh, "all of them here")
		}
		if got := bob.hear(last); got.Number != last {
			t.Fatalf("bob heard number %d last, not %d", got.Number, last)
		}
		if n := w.relay.count(func(a *arrival) bool { return a.stream == left.lane.ID && isContent(a) }); n > 1 { // the machine statement
			t.Errorf("%d contents went to the old conversation", n)
		}
		bob.confirm(nil)
		delivered(t, fresh, last)
	})
}

// A relay that says that the other left, where they have not said bye, has cut the conversation; one that closes the session in order has
// cut it, too.
func TestRelayCuts(t *testing.T) {
	inLair(t, func(t *testing.T, w *lair) {
		bob, a := w.calls(t, w.card("bob"))
		chat(t, bob, a)
		closed := wire.Closed{Conversation: bob.open.Conversation, Number: wire.CodePeerLeft}
		w.relay.send(w.relay.control, wire.EnvelopeControl, closed.Append(nil))
		if c := closing(t, a); c.Number != wire.CodeCut {
			t.Errorf("without bye the conversation closed with %v", c.Number)
		}
		w.relay.conn.Close(wire.CodeBye)
		for {
			e, err := w.victim.Next(t.Context())
			must(t, err)
			if end, ok := e.(*peer.SessionClosed); ok {
				if wire.CodeOf(end.Err) != wire.CodeCut {
					t.Errorf("the session ended with %v", end.Err)
				}
				return
			}
		}
	})
}

// A text that was never taken when its conversation ended comes again in the next, and is not acknowledged before it is taken.
func TestUntakenComesAgain(t *testing.T) {
	simulated(t, nil, func(t *testing.T, w *world) {
		alice, bob := w.login(w.card("alice")), w.login(w.card("bob"))
		a, b := connect(t, alice, bob)
		n := sendText(t, a, "taken late")
		nextThat(t, a, func(r *peer.Receipt) bool { return r.Stage == peer.StageRelay })
		time.Sleep(time.Second) // virtual: it is with bob's program, which does not take it
		must(t, b.Disconnect(t.Context()))
		if c := closing(t, a); c.Queued != 1 {
			t.Fatalf("alice's conversation closed with %d queued", c.Queued)
		}
		a, again := connect(t, alice, bob)
		if m := next[*peer.Message](t, again); m.Text != "taken late" || m.Number != n {
			t.Fatalf("bob is shown %+v", m)
		}
		delivered(t, a, n)
		if c := closing(t, b); c.Number != wire.CodeBye { // what still stood in the old one has been shown
			t.Fatalf("bob's old conversation closed with %v", c.Number)
		}
	})
}

package systemtest

import (
	"testing"
	"testing/synctest"

	"sinete/peer"
)

// compared wants both sides to have the same code, for the same envelopes, and returns it.
func compared(t *testing.T, a, b *peer.Conversation) peer.Comparison {
	t.Helper()
	synctest.Wait()
	x, y := a.Compare(), b.Compare()
	if x.Code != y.Code || x.Sent != y.Received || x.Received != y.Sent || x.Waiting+y.Waiting > 0 {
		t.Errorf("one side has %+v, the other %+v", x, y)
	}
	return x
}

// The code to compare is the same on both sides whenever nothing is under way, changes with every message and in every conversation, and not by
// new keys alone.
func TestCompare(t *testing.T) {
	simulated(t, nil, func(t *testing.T, w *world) {
		alice, bob := w.login(w.card("alice")), w.login(w.card("bob"))
		a, b := connect(t, alice, bob)
		both(t, a, b, "said")
		first := compared(t, a, b)
		if first.Sent != 2 || first.Received != 2 { // the statement about the machine, and the text
			t.Errorf("%+v", first)
		}
		a.Rekey()
		rekeyed(t, 1, a, b)
		if again := compared(t, a, b); again != first {
			t.Errorf("new keys changed %+v to %+v", first, again)
		}
		both(t, a, b, "said")
		if second := compared(t, a, b); second.Code == first.Code || second.Sent != 3 || second.Received != 3 {
			t.Errorf("after %+v: %+v", first, second)
		}
		must(t, a.Disconnect(t.Context()))
		next[*peer.Closed](t, b)
		a, b = connect(t, alice, bob)
		both(t, a, b, "said")
		if other := compared(t, a, b); other.Code == first.Code || other.Sent != first.Sent {
			t.Errorf("another conversation after %+v: %+v", first, other)
		}
	})
}

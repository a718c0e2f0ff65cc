package systemtest

import (
	"context"
	"testing"
	"time"

	"sinete/peer"
	"sinete/wire"
)

// One message each way, with both receipts, and an orderly end.
func TestTalk(t *testing.T) {
	w := newWorld(t, nil, nil)
	alice, bob := w.login(w.card("alice")), w.login(w.card("bob"))
	a, b := connect(t, alice, bob)

	n := sendText(t, a, "Olá, Bob")
	m := next[*peer.Message](t, b)
	if m.Text != "Olá, Bob" || m.Number != n {
		t.Fatalf("bob received %+v", m)
	}
	nextThat(t, a, func(r *peer.Receipt) bool { return r.Stage == peer.StageRelay && r.Number == n })
	delivered(t, a, n)

	n = sendText(t, b, "Olá, Alice")
	if m := next[*peer.Message](t, a); m.Text != "Olá, Alice" || m.Number != n {
		t.Fatalf("alice received %+v", m)
	}
	delivered(t, b, n)

	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	must(t, a.Disconnect(ctx))
	if c := next[*peer.Closed](t, b); c.Number != wire.CodePeerLeft || c.Queued != 0 {
		t.Fatalf("bob's conversation closed with %+v", c)
	}
	if c := next[*peer.Closed](t, a); c.Number != wire.CodeBye || c.Queued != 0 {
		t.Fatalf("alice's conversation closed with %+v", c)
	}
	must(t, alice.Close(ctx))
	must(t, bob.Close(ctx))
}

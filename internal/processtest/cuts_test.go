//go:build cgo

package processtest

import (
	"fmt"
	"strings"
	"syscall"
	"testing"

	"sinete/internal/program"
)

// A relay that is stopped tells its people, and all programs end. Who may not go on has failed, and is told what to do.
func TestRelayStopped(t *testing.T) {
	t.Parallel()
	r, alice, bruno := friends(t)
	r.signal(syscall.SIGTERM)
	for _, p := range []person{alice, bruno} {
		p.event("warning", "code", "going-away")
		p.event("conversation", "state", "closed", "id", p.other, "reason", "going-away")
		advised(t, p.event("error", "code", "going-away"), "Log in again in a while")
		p.event("session", "state", "closed", "reason", "going-away")
		p.ends(1)
	}
	r.ends(0)
}

// The relay dies in the middle of everything: nobody hangs, nothing that was on its way is called delivered, and there is a way on.
func TestRelayKilled(t *testing.T) {
	r, alice, bruno := friends(t)
	r.signal(syscall.SIGKILL)
	r.ends(-1)
	for _, p := range []person{alice, bruno} {
		p.says("send##" + p.other + "##into the void")
	}
	t.Parallel() // only now: while both programs wait for the relay, the other tests can run
	for _, p := range []person{alice, bruno} {
		e, err := p.Next()
		must(t, err)
		if !e.Is("conversation", "state", "closed", "id", p.other, "reason", "cut") {
			t.Fatalf("%s says %v", p.Name, e)
		}
		advised(t, p.event("error", "code", "cut"), "Log in again when the network is back")
		p.event("session", "state", "closed", "reason", "cut")
		p.ends(1)
	}
	r = startRelay(t, trial)
	alice, bruno = connected(t, login(t, r, soft("alice")), login(t, r, soft("bruno")), "Alice", "Bruno")
	talk(t, alice, bruno, "here we are again")
}

func advised(t *testing.T, e program.Event, advice string) {
	t.Helper()
	if !strings.Contains(fmt.Sprint(e["text"]), advice) {
		t.Errorf("%q does not say %q", e["text"], advice)
	}
}

//go:build cgo

package processtest

import (
	"strings"
	"syscall"
	"testing"
	"time"
)

// friends are Alice and Bruno, connected over a relay of their own, after a first message each way.
func friends(t *testing.T) (r *relay, alice, bruno person) {
	t.Helper()
	r = startRelay(t, trial)
	alice, bruno = connected(t, login(t, r, soft("alice")), login(t, r, soft("bruno")), "Alice", "Bruno")
	talk(t, alice, bruno, "before")
	return r, alice, bruno
}

// soon is far below the 45 seconds after which a relay gives up a silent connection, so that nobody can owe a login to that.
const soon = 25 * time.Second

func TestSecondLoginWhileTheFirstIsAlive(t *testing.T) {
	t.Parallel()
	r, alice, bruno := friends(t)
	again := chat(t, r.address, soft("alice"), nil)
	again.event("error", "code", "card-in-use")
	again.ends(3)
	talk(t, alice, bruno, "undisturbed")
	alice.leave()
	bruno.leave()
	r.stop()
}

func TestFrozenSessionIsSuperseded(t *testing.T) {
	t.Parallel()
	r, alice, bruno := friends(t)
	alice.signal(syscall.SIGSTOP)
	began := time.Now()
	again := login(t, r, soft("alice"))
	if took := time.Since(began); took > soon {
		t.Errorf("the login took %v", took)
	}
	bruno.event("conversation", "state", "closed", "reason", "superseded")

	a, b := connected(t, again, bruno.process, "Alice", "Bruno")
	talk(t, a, b, "me again")

	// And is told what happened meanwhile, whether the relay's close reaches it or it finds the other session when it comes back.
	alice.signal(syscall.SIGCONT)
	alice.event("session", "state", "closed", "reason", "superseded")
	alice.ends(3)
	talk(t, a, b, "undisturbed")
}

func TestLoginAfterACrash(t *testing.T) {
	t.Parallel()
	r, alice, bruno := friends(t)
	alice.signal(syscall.SIGKILL)
	began := time.Now()
	again := login(t, r, soft("alice"))
	if took := time.Since(began); took > soon {
		t.Errorf("the login took %v", took)
	}
	bruno.event("conversation", "state", "closed", "reason", "superseded")
	a, b := connected(t, again, bruno.process, "Alice", "Bruno")
	talk(t, a, b, "me again")
	alice.ends(-1)
}

func TestLoginAfterDisconnect(t *testing.T) {
	t.Parallel()
	r, alice, bruno := friends(t)
	for range 3 {
		alice.leave()
		bruno.event("conversation", "state", "closed", "reason", "peer-left")
		alice, bruno = connected(t, login(t, r, soft("alice")), bruno.process, "Alice", "Bruno")
		talk(t, alice, bruno, "me again")
	}
	if strings.Contains(r.Stderr(), "superseded") {
		t.Errorf("a login had to wait for a session that was over:\n%s", r.Stderr())
	}
}

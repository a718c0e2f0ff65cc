//go:build cgo

package processtest

import (
	"syscall"
	"testing"
	"time"
)

// A relay that is stopped tells its people, who are back by themselves when it is, with what they typed meanwhile.
func TestRelayStopped(t *testing.T) {
	t.Parallel()
	r, alice, bruno := friends(t)
	r.signal(syscall.SIGTERM)
	for _, p := range []person{alice, bruno} {
		p.event("warning", "code", "going-away")
		p.event("conversation", "state", "closed", "id", p.other, "reason", "going-away")
		p.event("session", "state", "closed", "reason", "going-away", "again", true)
	}
	r.ends(0)
	refused(t, alice.process, "list", "away", "It is being tried again")
	alice.says("send##" + alice.other + "##typed meanwhile")
	r = startRelayAt(t, trial, r.address)
	for _, p := range []person{alice, bruno} {
		p.event("session", "state", "open")
		p.event("conversation", "state", "open", "name", map[person]string{alice: "Bruno", bruno: "Alice"}[p])
	}
	bruno.event("message", "text", "typed meanwhile", "seq", 1)
	alice.leave()
	bruno.leave()
	r.stop()
}

// The relay dies in the middle of everything and is started again: that is noticed at the first packet, nothing that was on its way is called
// delivered, and all of it arrives.
func TestRelayKilled(t *testing.T) {
	t.Parallel()
	r, alice, bruno := friends(t)
	r.signal(syscall.SIGKILL)
	r.ends(-1)
	for _, p := range []person{alice, bruno} {
		p.says("send##"+p.other+"##into the void", "send##"+p.other+"##and once more")
	}
	r = startRelayAt(t, trial, r.address)
	began := time.Now()
	for _, p := range []person{alice, bruno} {
		e, err := p.Next()
		must(t, err)
		if !e.Is("conversation", "state", "closed", "id", p.other, "reason", "cut") {
			t.Fatalf("%s says %v", p.Name, e)
		}
		p.event("session", "state", "closed", "reason", "cut", "again", true)
		if took := time.Since(began); took > soon {
			t.Errorf("%s noticed after %v", p.Name, took)
		}
	}
	for _, p := range []person{alice, bruno} {
		p.event("session", "state", "open")
		p.event("conversation", "state", "open")
		p.event("message", "text", "into the void", "seq", 1)
		p.event("message", "text", "and once more", "seq", 2)
	}
	alice.leave()
	bruno.leave()
	r.stop()
}

// Who is to leave while there is no relay leaves at once.
func TestLeavingWhileTheRelayIsAway(t *testing.T) {
	t.Parallel()
	r, alice, bruno := friends(t)
	r.signal(syscall.SIGTERM)
	for _, p := range []person{alice, bruno} {
		p.event("session", "state", "closed", "reason", "going-away", "again", true)
	}
	r.ends(0)
	alice.signal(syscall.SIGTERM)
	bruno.says("disconnect")
	for _, p := range []person{alice, bruno} {
		began := time.Now()
		p.event("session", "state", "closed", "reason", "bye")
		p.ends(0)
		if took := time.Since(began); took > soon {
			t.Errorf("%s took %v to leave", p.Name, took)
		}
	}
}

//go:build cgo

package processtest

import (
	"fmt"
	"path/filepath"
	"testing"

	"sinete/internal/program"
)

// transcript asks for the code to compare with the other one.
func (p person) transcript() program.Event {
	p.t.Helper()
	p.says("transcript#" + p.other)
	return p.event("transcript", "id", p.other)
}

// Somebody who comes back from the same machine is known, from another one is noticed on both sides, and all of it stands in whois and in the history.
func TestAnotherMachine(t *testing.T) {
	t.Parallel()
	r := startRelay(t, trial)
	stored := t.TempDir()
	bruno := chat(t, r.address, soft("bruno"), nil, "--store", stored, "--store-key", "nothing")
	bruno.event("session", "state", "open")
	home, away := t.TempDir(), t.TempDir()
	for i, c := range []struct {
		folder, machine string
		changes         int
	}{{home, "new", 0}, {home, "known", 0}, {away, "changed", 1}, {away, "known", 1}, {home, "changed", 2}} {
		// The usual file lies in the folder of configurations: a new one makes another machine.
		alice := login(t, r, soft("alice"), "XDG_CONFIG_HOME="+c.folder)
		a := person{alice, alice.idOf("Bruno")}
		a.says("connect#" + a.other)
		a.event("conversation", "state", "open", "id", a.other)
		seen := bruno.event("conversation", "state", "open", "machine", c.machine)
		b := person{bruno, fmt.Sprint(seen["id"])}
		if c.machine == "changed" {
			b.event("warning", "code", "machine-changed", "id", b.other)
			a.event("warning", "code", "machine-change-noticed", "id", a.other)
		}
		talk(t, a, b, fmt.Sprintf("from a machine, %d", i))
		talk(t, b, a, fmt.Sprintf("and back, %d", i)) // by then each has acknowledged what the other said of machines
		x, y := a.transcript(), b.transcript()
		if x["sent"] == y["received"] && x["received"] == y["sent"] && x["code"] != y["code"] {
			t.Errorf("codes to compare: %v, %v", x, y)
		}
		b.says("whois#" + b.other)
		b.event("whois", "id", b.other, "machine_changes", c.changes, "conversation", "open", "signing", "card", "revocation", "unchecked")
		alice.leave()
		bruno.event("conversation", "state", "closed", "reason", "peer-left")
	}
	bruno.says("history#Alice")
	for range 2 {
		bruno.event("history-machine", "name", "Alice")
	}
	bruno.event("history")
	bruno.leave()
	out := start(t, "peer history", filepath.Join(bin, "peer"), nil, "history", "--store", stored, "--json")
	for range 2 {
		out.event("history-machine", "name", "Alice")
	}
	out.event("history", "entries", 20)
	out.ends(0)
	r.stop()
}

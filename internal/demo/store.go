package main

import (
	"encoding/json"
	"fmt"
	"path/filepath"
	"strings"

	"sinete/internal/program"
)

// killedAndBack kills Bruno's program in the middle of a conversation, has Alice write to him, and starts it again.
func killedAndBack(w *world) error {
	const text = "Ainda aí estás?"
	_, entry, err := w.idOf("alice", "Bruno")
	if err != nil {
		return err
	}
	w.people["bruno"].Kill()
	if err := w.people["alice"].Say(fmt.Sprintf("send##%s##%s", entry["identity"], text)); err != nil {
		return err
	}
	queued, err := w.people["alice"].Event("state", "state", "queued")
	if err != nil {
		return err
	}
	if err := w.loginWithin("bruno", 4*patience); err != nil { // the relay makes sure first that the killed one is gone
		return err
	}
	if _, err := w.people["bruno"].Event("message", "text", text, "seq", queued["first"]); err != nil {
		return err
	}
	_, err = w.people["alice"].Event("receipt", "stage", "peer", "seq", queued["first"])
	return err
}

// histories reads both stores and compares: each message is there once, and what proves it holds.
func histories(w *world) error {
	var seen [2]map[string]bool
	for i, person := range []struct{ name, other string }{{"alice", "bruno"}, {"bruno", "alice"}} {
		out, err := run(w.path("peer"), "history", "--store", w.store(person.name), "--json")
		if err != nil {
			return err
		}
		seen[i] = map[string]bool{}
		for line := range strings.Lines(out) {
			var e program.Event
			if err := json.Unmarshal([]byte(line), &e); err != nil {
				return fmt.Errorf("%w: %s", errJudged, line)
			}
			if !e.Is("history-entry") || !strings.HasPrefix(strings.ToLower(fmt.Sprint(e["name"])), person.other) {
				continue
			}
			author, sure := person.name, e.Is("history-entry", "state", "delivered", "verification", "confirmed")
			if e["direction"] == "in" {
				author, sure = person.other, e.Is("history-entry", "state", "received", "verification", "verified")
			}
			message := fmt.Sprintf("%s, %v: %v", author, e["message"], e["text"])
			if seen[i][message] || !sure {
				return fmt.Errorf("%w: %s has %v", errJudged, person.name, e)
			}
			seen[i][message] = true
		}
		if _, err := run(w.path("peer"), "store", "check", w.store(person.name), "--trust", filepath.Join(w.dir, "trust")); err != nil {
			return err
		}
	}
	if fmt.Sprint(seen[0]) != fmt.Sprint(seen[1]) || len(seen[0]) < 5 {
		return fmt.Errorf("%w: Alice has %v, Bruno %v", errJudged, seen[0], seen[1])
	}
	return nil
}

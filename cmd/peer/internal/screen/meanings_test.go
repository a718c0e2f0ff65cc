package screen

import (
	"strings"
	"testing"

	"sinete/cmd/peer/internal/terminal"
	"sinete/peer"
)

// Each thing is explained below its first event and not again; what is not understood by itself has its words.
func TestExplaining(t *testing.T) {
	var out strings.Builder
	s := &Explaining{Screen: newLines(&terminal.Terminal{Stdout: &out})}
	relay, theirs := Receipt{Stage: peer.StageRelay, Person: "Rui"}, Receipt{Stage: peer.StagePeer, Person: "Rui"}
	for _, e := range []Event{Session{State: "open"}, Conversation{State: "open", ID: 7, MayWrite: true}, relay, theirs, relay, theirs,
		Message{person: "Rui"}, Message{person: "Rui"}, Refused{Code: "unknown-command"}, Refused{Code: "flow-denied"},
		Conversation{State: "closed"}, Session{State: "closed"}} {
		s.Show(e)
	}
	for _, once := range []string{"have shown each other who you are", "send##7##Hello", "It cannot read what you wrote.", "The relay could not have made it up.",
		"sealed exactly these words", "A message is typed as send##ID##TEXT", "erased the conversation's keys"} {
		if strings.Count(out.String(), once) != 1 {
			t.Errorf("not once %q:\n%s", once, out.String())
		}
	}
	if !strings.Contains(out.String(), "says the relay's seal\n  This means: the relay has checked") {
		t.Errorf("not below its event:\n%s", out.String())
	}
	silent := &Explaining{Screen: newLines(&terminal.Terminal{Stdout: &out})}
	out.Reset()
	silent.Show(Conversation{State: "open", ID: 7})
	if strings.Contains(out.String(), "Write to them") {
		t.Errorf("invited to write where the policy forbids it:\n%s", out.String())
	}
}

package main

import (
	"strings"
	"testing"
	"testing/synctest"

	"sinete/peer"
	"sinete/wire"
)

// The first command may come from the command line. It is obeyed before the input is.
func TestBegin(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newFakeSession()
		s.connect = func(id uint32, _ []wire.Suite) error {
			s.opens(0, known(peer.MachineNew))
			return nil
		}
		c := newChat(s, &jsonScreen{w: t.Output()}, nil)
		c.begin = "connect#Rui"
		in := newInput(strings.NewReader("send##2##hello\n"))
		if status := c.run(t.Context(), t.Context(), in); status != 0 || len(s.opened) != 1 || len(s.opened[0].sent) != 1 {
			t.Errorf("status %d, conversations %+v", status, s.opened)
		}
	})
}

// Each thing is explained below its first event and not again; what is not understood by itself has its words.
func TestExplaining(t *testing.T) {
	var out strings.Builder
	s := &explaining{screen: newLines(&program{stdout: &out})}
	relay, theirs := receiptEvent{Stage: peer.StageRelay, person: "Rui"}, receiptEvent{Stage: peer.StagePeer, person: "Rui"}
	for _, e := range []event{sessionEvent{State: "open"}, conversationEvent{State: "open", ID: 7, mayWrite: true}, relay, theirs, relay, theirs,
		messageEvent{person: "Rui"}, messageEvent{person: "Rui"}, refusedEvent{Code: "unknown-command"}, refusedEvent{Code: "flow-denied"},
		conversationEvent{State: "closed"}, sessionEvent{State: "closed"}} {
		s.show(e)
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
	silent := &explaining{screen: newLines(&program{stdout: &out})}
	out.Reset()
	silent.show(conversationEvent{State: "open", ID: 7})
	if strings.Contains(out.String(), "Write to them") {
		t.Errorf("invited to write where the policy forbids it:\n%s", out.String())
	}
}

package main

import (
	"strings"
	"testing"
	"testing/synctest"

	"sinete/cmd/peer/internal/screen"
	"sinete/cmd/peer/internal/terminal"
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
		c := newChat(s, screen.New(&terminal.Terminal{Stdout: t.Output()}, true), nil)
		c.begin = "connect#Rui"
		in := terminal.NewInput(strings.NewReader("send##2##hello\n"))
		if status := c.run(t.Context(), t.Context(), in); status != 0 || len(s.opened) != 1 || len(s.opened[0].sent) != 1 {
			t.Errorf("status %d, conversations %+v", status, s.opened)
		}
	})
}

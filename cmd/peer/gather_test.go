package main

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"sinete/cmd/peer/internal/screen"
	"sinete/cmd/peer/internal/terminal"
	"sinete/peer"
	"sinete/wire"
)

// Messages to one person that wait in the input are sent at once, and what stands between them keeps its place.
func TestMessagesThatWaitAreTakenTogether(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var typed, want strings.Builder
		for i := range 1000 {
			fmt.Fprintf(&typed, "send##Rui##%d\n", i)
			fmt.Fprintf(&want, "%d ", i)
			switch i {
			case 500:
				typed.WriteString("\nsend##Rui##\nsend##9##lost\nciphers\n")
			case 600: // their labels keep them apart
				typed.WriteString("sendas##Rui##0##low\nsendas##Rui##0##low too\nsendas##Rui##1##higher\n")
				want.WriteString("0:low 0:low too 1:higher ")
			case 700: // refused for itself, and not what waits beside it
				typed.WriteString("send##Rui##" + strings.Repeat("x", wire.MaxText+1) + "\n")
			}
		}
		s := newFakeSession()
		c := s.opens(0, known(peer.MachineNew))
		s.connect = func(uint32, []wire.Suite) error { return nil }
		var out lockedBuffer
		chat := newChat(s, screen.New(&terminal.Terminal{Stdout: &out}, true), nil)
		go chat.follow()
		synctest.Wait()
		in := terminal.NewInput(strings.NewReader(typed.String()))
		for chat.obey(t.Context(), in) {
		}
		if got := strings.Join(slices.DeleteFunc(slices.Clone(c.sent), func(s string) bool { return len(s) > wire.MaxText }), " ") + " "; got != want.String() {
			t.Errorf("sent %s", got)
		}
		if c.calls > 12 {
			t.Errorf("%d calls", c.calls)
		}
		refused := 0
		for _, l := range out.take() {
			if strings.HasPrefix(string(l), `{"event":"refused","command":"send"`) {
				refused++
			}
		}
		if refused != 2 {
			t.Errorf("%d were refused", refused)
		}
		_ = s.Close(t.Context())
		<-chat.over
	})
}

package presence

import (
	"context"
	"testing"

	"sinete/peer"
	"sinete/wire"
)

// A conversation that has just been made again may break before the goroutine that asked for it has put its pen down: it is asked for anew.
func TestBreaksWhileAsked(t *testing.T) {
	for _, test := range []struct {
		number      wire.Code
		broke, asks bool
	}{
		{wire.CodeBye, true, true},
		{wire.CodeBye, false, false},        // it is there
		{wire.CodeUnknownPeer, true, false}, // in vain: left to the person
	} {
		p := &Presence{events: make(chan peer.Event, 1), wanted: map[string]*wanted{}}
		p.ctx, p.cancel = context.WithCancel(t.Context())
		s := &peer.Session{}
		w := p.want(peer.Person{Identity: "bob"})
		w.asking = s
		p.mu.Lock()
		if test.broke {
			p.rebuild(s, w)
		}
		p.mu.Unlock()
		p.asked(s, w, test.number)
		p.mu.Lock()
		if asks := w.asking == s; asks != test.asks {
			t.Errorf("after %v, broken %v: asked for again %v", test.number, test.broke, asks)
		}
		p.mu.Unlock()
		p.cancel()
		p.running.Wait()
	}
}

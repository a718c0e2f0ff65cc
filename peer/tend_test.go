package peer

import (
	"net/netip"
	"testing"
	"time"
)

// A sign of life is due at every third look, after sleep, and when the way to the relay has changed; a gap in it is no change.
func TestLooks(t *testing.T) {
	home, away, none := netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("198.51.100.1"), netip.Addr{}
	now := time.Now()
	looks := tended{route: home, looked: now}
	for i, look := range []struct {
		after, slept time.Duration // since the look before: by the clock that stands still during sleep, and what it missed
		route        netip.Addr
		moved, due   bool
	}{
		{lookEvery, 0, home, false, false},
		{lookEvery, 0, home, false, false},
		{lookEvery, 0, home, false, true},
		{lookEvery, time.Hour, home, false, true},
		{lookEvery, 0, none, false, false},
		{lookEvery, 0, home, false, false},
		{lookEvery, 0, none, false, true},
		{lookEvery, 0, away, true, true},
		{lookEvery, 0, away, false, false},
		{time.Minute, 0, away, false, true},         // the process was stopped
		{lookEvery, -time.Hour, away, false, false}, // the clock was put back
		{lookEvery, 0, away, false, false},
		{lookEvery, 0, away, false, true},
	} {
		now = now.Add(look.after + look.slept)
		if moved, due := looks.look(now, look.route); moved != look.moved || due != look.due {
			t.Errorf("look %d: moved %v, due %v", i, moved, due)
		}
	}
}

package peer

import (
	"context"
	"net/netip"
	"time"

	"sinete/transport"
)

const (
	lookEvery  = 5 * time.Second // at the way to the relay, and at the clock
	aliveEvery = 3               // looks: 15 seconds (protocol.md section 2.5)
	answerIn   = 2 * time.Second // at a new address
)

// tend keeps the connection usable while the world around it changes: the relay may have been restarted, the machine may have slept, the
// network may be another one.
func (s *Session) tend() {
	t := tended{route: s.link.Conn.Route(), looked: time.Now()}
	looks := time.NewTicker(lookEvery)
	defer looks.Stop()
	for {
		select {
		case <-looks.C:
		case <-s.link.Context().Done():
			return
		}
		moved, due := t.look(time.Now(), s.link.Conn.Route())
		if moved {
			s.cfg.Logger.Info("the way to the relay has changed")
			migrate(s.link.Context(), s.link.Conn)
		}
		if due {
			_ = s.link.Alive() // whatever ends the link says so itself
		}
	}
}

// migrate leaves it at an attempt: what is sent next brings the relay along as well.
func migrate(ctx context.Context, conn *transport.Conn) {
	ctx, cancel := context.WithTimeout(ctx, answerIn)
	defer cancel()
	_ = conn.Migrate(ctx)
}

// tended is what the last look found.
type tended struct {
	route  netip.Addr // the last that there was
	looked time.Time
	silent int // looks since a sign of life was due
}

// look reports whether the way to the relay has changed, and whether a sign of life is due: at its time, and when the machine has slept,
// which is when the clock on the wall has gone further than the one that times looks, or this look comes late.
func (t *tended) look(now time.Time, route netip.Addr) (moved, due bool) {
	if route.IsValid() {
		moved = t.route.IsValid() && route != t.route
		t.route = route
	}
	slept := now.Round(0).Sub(t.looked.Round(0)) >= 2*lookEvery
	t.looked = now
	t.silent++
	if due = moved || slept || t.silent == aliveEvery; due {
		t.silent = 0
	}
	return moved, due
}

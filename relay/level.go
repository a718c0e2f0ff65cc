package relay

import (
	"context"
	"maps"
	"slices"

	"sinete/relay/audit"
	"sinete/relay/flow"
	"sinete/wire"
)

// level is the session's, now.
func (s *session) level() wire.Level { return s.who.Load().Level }

// sees reports whether o exists for s (protocol.md section 8).
func (s *session) sees(o *session) bool {
	return o != s && (!s.relay.cfg.Cleared || flow.Cleared(s.level(), o.level()))
}

// followLevels takes over what changes in people's levels.
func (r *Relay) followLevels(ctx context.Context) {
	for {
		select {
		case <-r.cfg.Changed:
		case <-ctx.Done():
			return
		}
		r.changes.Add(1)
		for _, s := range r.people.all() {
			s.relevel()
		}
	}
}

// relevel takes over what the session's person is to the policy now. Conversations last as long as both levels: those that there are end, and are made
// again under the new level where the policy allows it (section 8).
func (s *session) relevel() {
	now, known := s.relay.cfg.Level(s.other.Identity)
	if !known {
		s.link.Fail(wire.Errorf(wire.CodeFlowDenied, "an identity that has no level here any more"))
		return
	}
	s.mu.Lock()
	before := s.who.Load()
	if now.Equal(*before) {
		s.mu.Unlock()
		return
	}
	s.who.Store(&now)
	legs := slices.Collect(maps.Values(s.legs))
	s.mu.Unlock()
	changed := s.about(audit.LevelChanged)
	changed.Before, changed.Level = before.Level.String(), now.Level.String()
	_ = s.relay.record(changed) // a level that was taken away is not left to somebody for want of disk
	s.relay.cfg.Logger.Info("level changed", "peer", s.id, "from", before.Level.String(), "to", now.Level.String())
	if err := s.link.Send(wire.OwnLevel{Level: now.Level}); err != nil {
		s.link.Fail(err)
	}
	for _, l := range legs {
		number := wire.CodeLevelChanged
		if !s.relay.cfg.Flow.MayConnect(now.Level, l.other().session.level()) {
			number = wire.CodeFlowDenied
		}
		l.conversation.end(nil, number, number)
	}
}

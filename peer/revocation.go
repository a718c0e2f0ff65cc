package peer

import (
	"context"
	"time"

	"sinete/cardauth"
	"sinete/internal/link"
	"sinete/wire"
)

// stapleWait is how long a login waits for what it can show of its own card. The other side asks for itself where nothing is shown.
const stapleWait = 3 * time.Second

// ownStaples is what the login can show of this user's own certificates.
func ownStaples(ctx context.Context, cfg *Config, own *cardauth.Party) [][]byte {
	ctx, cancel := context.WithTimeout(ctx, stapleWait)
	defer cancel()
	return cfg.Policy.Staples(ctx, own, cfg.Card.Chain())
}

// refreshStaples keeps it fresh for the conversations to come.
func (s *Session) refreshStaples() {
	link.Refresh(s.link.Context(), s.cfg.Policy, s.own, s.cfg.Card.Chain(), s.cfg.Recheck,
		func(staples [][]byte) { s.self.staples.Store(&staples) })
}

// shown is what this user shows of themselves in a handshake.
func (s *sealing) shown() wire.Credentials {
	c := s.credentials
	if staples := s.staples.Load(); staples != nil {
		c.Staples = *staples
	}
	return c
}

// recheck ends the session when the relay's certificate no longer holds (protocol.md section 3.10). stop must be called.
func (s *Session) recheck() (stop func()) {
	return link.Recheck(s.link.Context(), s.cfg.Policy, s.relay.Party, s.cfg.Recheck, func(err error) {
		s.relay.Forget(s.verifier)
		s.link.Fail(err)
	})
}

// recheck ends the conversation when the other person's certificate no longer holds, whatever the relay thinks of it. stop must be called.
func (c *Conversation) recheck() (stop func()) {
	s := c.session
	return link.Recheck(c.ctx, s.cfg.Policy, c.other.Party, s.cfg.Recheck, func(err error) {
		c.other.Forget(s.verifier)
		c.found.Store(uint32(wire.CodeOf(err)))
		c.fail(err)
	})
}

package relay

import (
	"context"

	"sinete/internal/link"
	"sinete/wire"
)

// recheck ends a session whose card no longer holds (protocol.md section 3.10). stop must be called.
func (r *Relay) recheck(s *session) (stop func()) {
	return link.Recheck(s.link.Context(), r.cfg.Policy, s.other.Party, r.cfg.Recheck, func(err error) {
		s.other.Forget(r.verifier)
		s.link.Fail(err)
	})
}

// refreshStaples keeps what the relay shows of its own certificates.
func (r *Relay) refreshStaples(ctx context.Context) {
	chain := r.cfg.Card.Chain()
	self, err := r.cfg.Policy.VerifySelf(chain)
	if err != nil { // its authority may be none that issues cards: then peers ask for themselves
		r.cfg.Logger.Debug("nothing to staple", "err", err)
		return
	}
	link.Refresh(ctx, r.cfg.Policy, self, chain, r.cfg.Recheck, func(staples [][]byte) { r.staples.Store(&staples) })
}

// credentials are what the relay shows of itself.
func (r *Relay) credentials() wire.Credentials {
	c := wire.Credentials{Chain: r.cfg.Card.Chain()}
	if s := r.staples.Load(); s != nil {
		c.Staples = *s
	}
	return c
}

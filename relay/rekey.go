package relay

import (
	"context"

	"sinete/cardauth"
	"sinete/internal/link"
	"sinete/wire"
)

// rekeys is what the rekeyings of a session's hop need (protocol.md section 9). inForce are the limits told in accept.
func (s *session) rekeys(who link.Acquaintance, o *link.Other, inForce wire.RekeyLimits) link.Rekeys {
	r := s.relay
	who.Meet = func(_ context.Context, c wire.Credentials) (*cardauth.Party, error) { // the delegation is the session's: the channel compares it
		return r.cfg.Policy.VerifyPerson(c.Chain, c.Staples)
	}
	return link.Rekeys{Acquaintance: who, Other: o, Credentials: wire.Credentials{Chain: r.cfg.Card.Chain()}, Limits: r.cfg.Limits, InForce: inForce,
		Waits: func(w link.RekeyWait) {
			r.cfg.Logger.Warn("a session waits for new keys", "peer", s.id, "own", w.Own, "stopped", w.Stopped)
		}}
}

// rekeys follows the hello of a conversation's rekeying. The conversation's mutex is held.
func (l *leg) rekeys() error {
	c := l.conversation
	if !c.mayRekey() {
		return wire.Errorf(wire.CodeLimitExceeded, "too many rekeyings of a conversation")
	}
	return l.ownCertificate(c.observer.Hello().Credentials)
}

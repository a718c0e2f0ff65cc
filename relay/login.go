package relay

import (
	"context"
	"crypto/rand"
	"time"

	"sinete/cardauth"
	"sinete/internal/link"
	"sinete/transport"
	"sinete/transport/channel"
	"sinete/wire"
)

// login runs the responder's side of the hop's handshake and registers the session. proved is who it is, where it fails after that.
func (r *Relay) login(conn *transport.Conn) (_ *session, proved string, _ error) {
	ctx := conn.Context()
	control, err := conn.AcceptStream(ctx)
	if err != nil {
		return nil, "", err
	}
	binding, err := conn.Binding()
	if err != nil {
		return nil, "", err
	}
	s := &session{relay: r, legs: map[[16]byte]*leg{}, probes: make(chan [8]byte, 1), done: make(chan struct{})}
	var place *place
	returns := false // with a delegation made before
	var inForce wire.RekeyLimits
	var changes uint64 // of levels, when this one's was looked up
	who := link.Acquaintance{Verifier: r.verifier, Now: time.Now, Meet: r.meet, Settle: r.cfg.Policy.Settle}
	_, _, err = link.Respond(ctx, link.OnStream{Stream: control}, link.Response{
		Config: channel.Config{Kind: wire.KindHop, Suites: r.cfg.Suites, Credentials: r.credentials(),
			Limits: r.cfg.Limits},
		Acquaintance: who,
		Context: func(h *wire.Hello) (string, error) {
			returns = h.Delegation != nil
			return r.checkContext(h, binding)
		},
		Answered: func() { conn.ExtendLogin(wire.CardSeconds * time.Second) },
		Admit: func(ctx context.Context, o *link.Other, h *wire.Hello) (parameters []byte, err error) {
			proved = o.Identity
			if o.Delegated && r.cfg.CardOnly {
				return nil, wire.Errorf(wire.CodeSigningRefused, "a delegated key, and this relay wants the card itself")
			}
			changes = r.changes.Load()
			who, known := r.cfg.Level(o.Identity)
			if !known {
				return nil, wire.Errorf(wire.CodeFlowDenied, "an identity that has no level here")
			}
			if place, err = r.people.reserve(ctx, o, returns); err != nil {
				return nil, err
			}
			s.who.Store(&who)
			s.chain = o.Shown(h.Chain)
			s.suites = wire.SuitesAtLeast(h.Suites, r.cfg.MinSuite)
			inForce = h.Limits.Smaller(r.cfg.Limits)
			p := wire.HopParameters{Limits: inForce, Level: who.Level, Relay: r.cfg.Name}
			rand.Read(p.Session[:])
			return p.Append(nil), nil
		},
		Seal: func(ctx context.Context, th3 []byte) (wire.Seal, error) {
			return link.SealHandshake(ctx, r.sealer, wire.PurposeResponder, th3, false)
		},
		Accept: func(ch *channel.Channel, o *link.Other, send func() error) error {
			s.other = o
			s.link = link.New(link.Config{Conn: conn, Control: control, Channel: ch, Role: wire.RoleResponder, Other: o.Signer,
				Patient: !o.Delegated, Sealer: r.sealer, Class: func() string { return s.level().String() }, Verifier: r.verifier,
				Rekeys: s.rekeys(who, o, inForce)}, s)
			if err := s.logsIn(conn.RemoteAddr().String()); err != nil {
				return err
			}
			return place.take(s, send)
		},
	})
	if err != nil {
		if s.link != nil {
			s.link.Discard()
		}
		if place != nil {
			place.release()
		}
		return nil, proved, err
	}
	conn.LoggedIn()
	if r.changes.Load() != changes { // and was told only to those who were in already
		s.relevel()
	}
	return s, proved, nil
}

func (r *Relay) meet(_ context.Context, c wire.Credentials) (*cardauth.Party, error) {
	return r.cfg.Policy.VerifyPerson(c.Chain, c.Staples)
}

// checkContext compares the peer's view of the connection with this relay's (section 3.2) and returns the name it meant.
func (r *Relay) checkContext(h *wire.Hello, binding [32]byte) (name string, err error) {
	c, err := wire.ParseHopContext(h.Context)
	if err != nil {
		return "", err
	}
	if c.Binding != binding {
		return "", wire.Errorf(wire.CodeWrongContext, "a proof for another connection")
	}
	if err := r.cfg.Card.Certificate().VerifyHostname(c.Relay); err != nil {
		return "", wire.Errorf(wire.CodeWrongContext, "the peer means another relay: %w", err)
	}
	return c.Relay, nil
}

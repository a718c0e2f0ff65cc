// Package relay is the server: it authenticates peers, tells them of each other, and passes envelopes that it cannot read from
// one to the other, each sealed, permitted by the flow policy, and acknowledged.
//
// Most readers need Config and Serve.
package relay

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"sinete/cardauth"
	"sinete/cardauth/revocation"
	"sinete/cardauth/seal"
	"sinete/internal/link"
	"sinete/relay/audit"
	"sinete/relay/flow"
	"sinete/transport"
	"sinete/transport/channel"
	"sinete/wire"
)

// Config is what a relay needs. Certificate, Card, Policy and Level must be set.
type Config struct {
	Name        string          // display name
	Certificate tls.Certificate // for TLS
	Card        cardauth.Card   // the same certificate's key, for handshakes and seals
	Policy      *cardauth.Policy
	Flow        flow.Policy
	// Level says who somebody is to the policy; false where nobody of that identity may log in.
	Level func(identity string) (flow.Subject, bool)
	// Changed, if not nil, says that Level may answer otherwise than before: sessions and conversations take it over at once.
	Changed <-chan struct{}
	// Cleared has people see only those whose level theirs dominates: to them nobody else exists (protocol.md section 8).
	Cleared     bool
	CardOnly    bool         // refuse delegations, of sessions and in conversations
	Suites      []wire.Suite // offered on the hop; empty: all
	MinSuite    wire.Suite   // the weakest on the hop and in conversations that pass through; 0: any
	MaxSessions int          // 0: 10,000
	Limits      wire.RekeyLimits
	Recheck     time.Duration // how long after its card was revoked a session ends at the latest; 0: 15 minutes
	Logger      *slog.Logger  // nil: none
	// DelegationGrace is how long after the loss of a session's connection its delegation may come back (protocol.md section 7.6); 0: never.
	DelegationGrace time.Duration
	// Audit, if not nil, is where logins, refusals and changes of levels are recorded. It is the caller's to close.
	Audit *audit.Log
	// Unaudited lets people log in while Audit cannot be written.
	Unaudited bool
	// ResetKey lets peers notice at once that the relay was restarted: see transport.ServerConfig.
	ResetKey [32]byte
	// Capture, if not nil, sees every verified flight that a peer sends, with its identity. It must not change anything, and keep nothing but copies.
	Capture func(identity string, stream uint64, f *link.Received)
}

// Relay is a running relay.
type Relay struct {
	cfg      Config
	sealer   *seal.Sealer
	verifier *seal.Verifier
	people   *directory
	running  sync.WaitGroup

	mu        sync.Mutex
	byChannel map[[32]byte]*conversation
	closed    pairs

	strangers auditPace

	staples atomic.Pointer[[][]byte] // of the relay's own chain
	changes atomic.Uint64            // of levels
}

const defaultMaxSessions = 10_000

// Serve runs a relay on a socket until ctx ends, then tells the peers, waits wire.ByeSeconds for them to leave, and closes. ready,
// if not nil, is called once peers can connect.
func Serve(ctx context.Context, socket net.PacketConn, cfg Config, ready func()) error {
	if cfg.Card == nil || cfg.Policy == nil || cfg.Level == nil {
		return errors.New("relay: Card, Policy and Level must be set")
	}
	if len(cfg.Suites) == 0 {
		cfg.Suites = channel.Suites()
	}
	if cfg.Suites = wire.SuitesAtLeast(cfg.Suites, cfg.MinSuite); len(cfg.Suites) == 0 {
		return errors.New("relay: MinSuite leaves no suite")
	}
	if cfg.MaxSessions == 0 {
		cfg.MaxSessions = defaultMaxSessions
	}
	if cfg.Limits == (wire.RekeyLimits{}) {
		cfg.Limits = wire.RekeyLimits{Messages: wire.DefaultRekeyCount, Seconds: wire.DefaultRekeyAfter}
	}
	if cfg.Recheck == 0 {
		cfg.Recheck = revocation.DefaultRecheck
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	server := transport.ServerConfig{Certificate: cfg.Certificate, ResetKey: cfg.ResetKey, Logger: cfg.Logger}
	if !cfg.Card.Software() {
		d, err := newDesk(cfg.Certificate, cfg.Logger)
		if err != nil {
			return err
		}
		server.Certificate.PrivateKey, server.MaxHandshakes = deskSigner{d}, d.handshakes
		cfg.Card = deskCard{cfg.Card, d}
	}
	listener, err := transport.Listen(socket, server)
	if err != nil {
		return err
	}
	r := &Relay{cfg: cfg, verifier: seal.NewVerifier(1 << 16), people: newDirectory(cfg.MaxSessions, cfg.DelegationGrace, cfg.Cleared),
		sealer:    seal.NewSealer(cfg.Card, wire.SignerHash(cfg.Card.Certificate().Raw, nil), seal.Config{}),
		byChannel: map[[32]byte]*conversation{}, closed: pairs{}}
	refreshing, stop := context.WithCancel(context.Background())
	defer stop()
	r.running.Go(func() { r.refreshStaples(refreshing) })
	r.running.Go(func() { r.followLevels(refreshing) })
	if err := r.beginAudit(refreshing); err != nil {
		listener.Close()
		stop()
		r.running.Wait()
		r.sealer.Close()
		return err
	}
	if ready != nil {
		ready()
	}
	err = r.accept(ctx, listener)
	stop()
	r.shutDown(listener)
	return err
}

// accept serves whoever connects, until ctx ends (nil) or the socket fails.
func (r *Relay) accept(ctx context.Context, listener *transport.Listener) error {
	for {
		conn, err := listener.Accept(ctx)
		if ctx.Err() != nil {
			return nil
		}
		if err != nil {
			return fmt.Errorf("relay: no more connections: %w", err)
		}
		r.running.Go(func() { r.serve(conn) })
	}
}

// shutDown tells the peers, gives them time to leave, and closes what is left.
func (r *Relay) shutDown(listener *transport.Listener) {
	listener.Drain()
	for _, s := range r.people.all() {
		_ = s.link.Send(wire.GoingAway{Seconds: wire.ByeSeconds}) // a session that cannot be told ends by itself
	}
	gone := make(chan struct{})
	go func() {
		r.running.Wait()
		close(gone)
	}()
	select {
	case <-gone:
	case <-time.After(wire.ByeSeconds * time.Second):
	}
	for _, s := range r.people.all() {
		s.link.Fail(wire.Errorf(wire.CodeGoingAway, "the relay shuts down"))
	}
	listener.Close()
	<-gone
	r.endAudit()
	r.sealer.Close()
}

// serve has a stranger log in, and then keeps the session.
func (r *Relay) serve(conn *transport.Conn) {
	log := r.cfg.Logger.With("remote", conn.RemoteAddr().String())
	s, proved, err := r.login(conn)
	if err != nil {
		log.Info("login refused", "code", wire.CodeOf(err).String(), "err", err)
		r.refusal(&r.strangers, audit.Record{Event: audit.LoginRefused, Identity: proved, From: conn.RemoteAddr().String()}, wire.CodeOf(err))
		conn.Close(wire.CodeOf(err))
		return
	}
	log = log.With("peer", s.id) // identities are personal data: the levels file and the list have them, the log does not
	log.Info("login", "level", s.level().String(), "delegated", s.other.Delegated)
	// In a goroutine of its own, whose stack has not grown for certificates.
	r.running.Go(func() { r.keep(s, log) })
}

// keep is a session's life.
func (r *Relay) keep(s *session, log *slog.Logger) {
	expiry := time.AfterFunc(time.Until(s.other.Until()), func() {
		s.link.Fail(wire.Errorf(wire.CodeCertificateExpired, "the certificate or delegation ended during the session"))
	})
	stop := r.recheck(s)
	err := s.link.Run(context.Background())
	expiry.Stop()
	stop()
	r.part(s, log, err)
}

// part is keep's end. In keep it would take 800 bytes of each session's stack, too many for Go to halve that again after it has grown for a
// request: 4.5 KiB a session.
func (r *Relay) part(s *session, log *slog.Logger, err error) {
	s.ended(err)
	ended := s.about(audit.Ended)
	ended.Code = link.EndCode(err).String()
	_ = r.record(ended) // it has ended all the same
	log.Info("session ended", "code", link.EndCode(err).String(), "err", err)
}

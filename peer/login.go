package peer

import (
	"context"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"sinete/cardauth"
	"sinete/cardauth/seal"
	"sinete/internal/link"
	"sinete/transport"
	"sinete/transport/channel"
	"sinete/wire"
)

// sealing is who seals for the person during a session.
type sealing struct {
	signing     Signing
	sealer      *seal.Sealer
	credentials wire.Credentials
	staples     atomic.Pointer[[][]byte] // of the chain in credentials
	standing    *Standing                // nil while the card seals
	waiting     *waiting
}

func (s *sealing) close() {
	if s.waiting != nil {
		s.waiting.forCard(false)
	}
	if s.sealer != nil {
		s.sealer.Close()
	}
}

// waiting repeats to the relay that the card takes its time, so that it does not give up.
type waiting struct {
	mu    sync.Mutex
	link  *link.Link // nil before login
	timer *time.Timer
}

const waitingAgain = 10 * time.Second

// forCard is told when a signature begins to take long, and when it is done.
func (w *waiting) forCard(begun bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.timer != nil {
		w.timer.Stop()
		w.timer = nil
	}
	if begun {
		w.announce()
	}
}

// announce says it and comes back. w.mu is held.
func (w *waiting) announce() {
	if w.link != nil {
		_ = w.link.Waiting(wire.WaitingForCard) // a link that fails says so elsewhere
	}
	var t *time.Timer
	t = time.AfterFunc(waitingAgain, func() {
		w.mu.Lock()
		defer w.mu.Unlock()
		if w.timer == t {
			w.announce()
		}
	})
	w.timer = t
}

func (w *waiting) through(l *link.Link) {
	w.mu.Lock()
	w.link = l
	w.mu.Unlock()
}

// Login connects to the relay, proves who both are, and starts the session. ctx ends the attempt, not the session. Errors: *AddressError,
// *OwnCertificateError, those of transport.Dial, *cardauth.CertificateError, card errors, and *transport.CloseError with the number by which the relay refused.
func Login(ctx context.Context, cfg Config) (*Session, error) {
	if err := cfg.complete(); err != nil {
		return nil, err
	}
	own, err := cfg.Policy.VerifyPerson(cfg.Card.Chain(), nil)
	if err != nil {
		return nil, &OwnCertificateError{err}
	}
	staples := ownStaples(ctx, &cfg, own)
	conn, err := dial(ctx, &cfg)
	if err != nil {
		return nil, err
	}
	s := &Session{cfg: cfg, own: own, events: newQueue(), verifier: seal.NewVerifier(1024),
		requests: map[uint64]chan wire.Control{}, conversations: map[[16]byte]*Conversation{},
		byChannel: map[[32]byte]*Conversation{}, attempts: map[string]*attempt{},
		bye: make(chan struct{}), done: make(chan struct{})}
	s.self.staples.Store(&staples)
	if err := s.handshake(ctx, conn); err != nil {
		if ctx.Err() != nil {
			err = context.Cause(ctx)
		} else if closed := conn.Err(); closed != nil {
			err = closed // the relay's number says more than what the broken stream does
		}
		conn.Close(wire.CodeOf(err))
		s.self.close()
		return nil, err
	}
	for _, c := range s.cfg.Store.Contacts() {
		if to := c.CameBefore(); c.Untaken(to) {
			s.events.putTexts(&texts{contact: c, to: to, missed: true}, nil)
		}
	}
	go s.run()
	return s, nil
}

// OwnCertificateError says that the card's own certificate is refused by the policy, so that nobody else would take it either.
type OwnCertificateError struct{ Err error }

func (e *OwnCertificateError) Error() string { return "your card's certificate: " + e.Err.Error() }
func (e *OwnCertificateError) Unwrap() error { return e.Err }

func dial(ctx context.Context, cfg *Config) (*transport.Conn, error) {
	socket := cfg.Socket
	if socket == nil {
		socket = func() (net.PacketConn, net.Addr, error) {
			addr, err := net.ResolveUDPAddr("udp", cfg.Relay)
			if err != nil {
				return nil, nil, &AddressError{cfg.Relay, err}
			}
			pc, err := net.ListenUDP("udp", nil)
			return pc, addr, err
		}
	}
	pc, addr, err := socket()
	if err != nil {
		return nil, err
	}
	return transport.Dial(ctx, pc, addr, transport.ClientConfig{ServerName: cfg.RelayName,
		VerifyServer: func(chain [][]byte) error {
			_, err := cfg.Policy.VerifyRelay(chain, nil, cfg.RelayName)
			return err
		}})
}

func (s *Session) handshake(ctx context.Context, conn *transport.Conn) error {
	stop := context.AfterFunc(ctx, func() { conn.Close(wire.CodeTimeout) })
	defer stop()
	control, err := conn.OpenStream(ctx)
	if err != nil {
		return err
	}
	binding, err := conn.Binding()
	if err != nil {
		return err
	}
	s.self.waiting = &waiting{}
	own := s.sealers()
	who := link.Acquaintance{Verifier: s.verifier, Now: time.Now, Settle: s.cfg.Policy.Settle,
		Meet: func(_ context.Context, c wire.Credentials) (*cardauth.Party, error) {
			if c.Delegation != nil {
				return nil, wire.Errorf(wire.CodeUnexpected, "a relay that seals with a delegated key")
			}
			return s.cfg.Policy.VerifyRelay(c.Chain, c.Staples, s.cfg.RelayName)
		}}
	ch, relay, parameters, err := link.Initiate(ctx, link.OnStream{Stream: control}, link.Initiation{
		Config: channel.Config{Kind: wire.KindHop, Suites: s.cfg.Suites, Credentials: s.self.shown(), Limits: s.cfg.Limits,
			Context: wire.HopContext{Binding: binding, Relay: s.cfg.RelayName}.Append(nil)},
		Acquaintance: who,
		Seal: func(ctx context.Context, th2 []byte) (wire.Seal, *wire.SealedDelegation, error) {
			return own(ctx, th2)
		},
	})
	if err != nil {
		return err
	}
	if s.params, err = wire.ParseHopParameters(parameters); err != nil {
		return err
	}
	if s.params.Limits != s.params.Limits.Smaller(s.cfg.Limits) {
		return wire.Errorf(wire.CodeIntegrity, "rekey limits beyond those proposed")
	}
	s.suite, s.relay = ch.Suite, relay
	s.link = link.New(link.Config{Conn: conn, Control: control, Channel: ch, Role: wire.RoleInitiator, Other: relay.Signer,
		Sealer: s.self.sealer, Verifier: s.verifier, Rekeys: s.hopRekeys(who)}, s)
	s.self.waiting.through(s.link)
	return nil
}

// loginSeal seals TH2, and makes the delegation where the card delegates at this login.
type loginSeal func(ctx context.Context, th2 []byte) (wire.Seal, *wire.SealedDelegation, error)

// sealers decides who seals from the beginning, and returns who seals the login: the delegated key with which this program comes back, or the card.
func (s *Session) sealers() loginSeal {
	config := seal.Config{Waiting: s.self.waiting.forCard}
	s.self.credentials = wire.Credentials{Chain: s.cfg.Card.Chain()}
	if s.cfg.Standing != nil {
		s.delegated(s.cfg.Standing, config)
		return func(ctx context.Context, th2 []byte) (wire.Seal, *wire.SealedDelegation, error) {
			own, err := link.SealHandshake(ctx, s.self.sealer, wire.PurposeInitiator, th2, false)
			return own, nil, err
		}
	}
	card := seal.NewSealer(s.cfg.Card, wire.SignerHash(s.own.Certificate.Raw, nil), config)
	s.self.sealer, s.self.signing = card, SignCard
	return func(ctx context.Context, th2 []byte) (wire.Seal, *wire.SealedDelegation, error) {
		return s.sealLogin(ctx, card, th2, config)
	}
}

// sealLogin seals TH2 with the card, and in the same batch a delegation where one is wanted. From there on the delegated key seals.
func (s *Session) sealLogin(ctx context.Context, card *seal.Sealer, th2 []byte, config seal.Config) (wire.Seal, *wire.SealedDelegation, error) {
	statements := []seal.Statement{{Purpose: wire.PurposeInitiator, Bytes: th2}}
	var delegate *cardauth.Delegate
	if s.cfg.Sign == SignDelegated {
		var err error
		delegate, err = cardauth.NewDelegate(s.cfg.RelayName, time.Now().Add(wire.MaxDelegation*time.Second))
		if err != nil {
			return wire.Seal{}, nil, err
		}
		statements = append(statements, seal.Statement{Purpose: wire.PurposeDelegation, Bytes: delegate.Statement()})
	}
	seals, err := card.Seal(ctx, link.Handshakes, func() []seal.Statement { return statements })
	if err != nil {
		return wire.Seal{}, nil, err
	}
	if delegate == nil {
		return seals[0], nil, nil
	}
	card.Close()
	made := &wire.SealedDelegation{Statement: delegate.Statement(), Seal: seals[1]}
	s.delegated(&Standing{delegate, made}, config)
	return seals[0], made, nil
}

// delegated has a delegated key seal from now on.
func (s *Session) delegated(by *Standing, config seal.Config) {
	s.self.signing, s.self.standing = SignDelegated, by
	s.self.credentials.Delegation = by.made
	s.self.sealer = seal.NewSealer(by.delegate, wire.SignerHash(s.own.Certificate.Raw, by.made.Statement), config)
}

// Standing is what a card delegated to at a login. With it the same program comes back after its connection was lost, and the card is not
// asked again (protocol.md section 7.6). It never leaves the process.
type Standing struct {
	delegate *cardauth.Delegate
	made     *wire.SealedDelegation
}

// Erase forgets the delegated key, where nobody will come back with it. Nothing is done for a nil Standing.
func (s *Standing) Erase() {
	if s != nil {
		s.delegate.Erase()
	}
}

// Until is when the delegation ends.
func (s *Standing) Until() time.Time { return time.Unix(int64(s.delegate.Delegation().NotAfter), 0) }

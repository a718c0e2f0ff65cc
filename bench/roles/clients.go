package roles

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net"
	"sync"
	"time"

	"sinete/bench/bare"
	"sinete/cardauth"
)

// clients come to a server, and leave at once or stay. All are in one process, with a socket each, as from so many computers.
type clients struct {
	setup   Setup
	enter   func(ctx context.Context, card int) (leave func() error, err error)
	entered uint64

	mu      sync.Mutex
	present []func() error // ends each of those who are there
}

func startClients(s Setup) (role, error) {
	r := &clients{setup: s}
	if s.System == Bare {
		roots, err := s.roots()
		r.enter = func(ctx context.Context, i int) (func() error, error) { return r.greet(ctx, s.Cards[i], roots) }
		return r, err
	}
	// Each has what a program of its own would remember of the logins before, and no more. Of those who stay it is the server's memory that
	// counts: they share it, and come twice as fast.
	policies := make([]*cardauth.Policy, len(s.Cards))
	for i := range policies {
		if s.Settings.Job == Idle && i > 0 {
			policies[i] = policies[0]
			continue
		}
		var err error
		if policies[i], err = s.policy(); err != nil {
			return nil, err
		}
	}
	r.enter = func(ctx context.Context, i int) (func() error, error) { return r.login(ctx, s.Cards[i], policies[i]) }
	return r, nil
}

func (s *Setup) roots() (*x509.CertPool, error) {
	anchor, err := x509.ParseCertificate(s.Anchor)
	if err != nil {
		return nil, err
	}
	roots := x509.NewCertPool()
	roots.AddCert(anchor)
	return roots, nil
}

// login is a whole login, and leaving in order.
func (r *clients) login(ctx context.Context, c Card, policy *cardauth.Policy) (leave func() error, err error) {
	session, err := r.setup.login(ctx, c, policy)
	if err != nil {
		return nil, err
	}
	return func() error { return session.Close(ctx) }, nil
}

// greet is a connection with mutual TLS, and a stream in both directions.
func (r *clients) greet(ctx context.Context, c Card, roots *x509.CertPool) (leave func() error, err error) {
	certificate, err := c.certificate()
	if err != nil {
		return nil, err
	}
	conn, err := bare.Dial(ctx, r.setup.Address, &tls.Config{ServerName: RelayName, RootCAs: roots, Certificates: []tls.Certificate{certificate}})
	if err != nil {
		return nil, err
	}
	return conn.Close, nil
}

func (r *clients) count(c *Counts) error {
	c.Received = r.entered
	return nil
}

// run lets clients come, as many at once as the window says. Those of Idle bring cards that are not there yet.
func (r *clients) run(ctx context.Context, p Plan, _ *Run) ([]time.Duration, error) {
	first := len(r.present)
	if first+p.N > len(r.setup.Cards) {
		return nil, fmt.Errorf("%d cards, and %d clients to come", len(r.setup.Cards)-first, p.N)
	}
	took := make([]time.Duration, p.N)
	err := several(r.setup.Settings.Window, p.N, func(i int) error {
		start := time.Now()
		leave, err := r.enter(ctx, first+i)
		took[i] = time.Since(start)
		if err != nil {
			return fmt.Errorf("client %d: %w", first+i, err)
		}
		r.mu.Lock()
		r.present = append(r.present, leave)
		r.mu.Unlock()
		return nil
	})
	r.entered += uint64(p.N)
	return took, err
}

// settle has them leave who do not stay.
func (r *clients) settle() error {
	if r.setup.Settings.Job == Idle {
		return nil
	}
	err := several(r.setup.Settings.Window, len(r.present), func(i int) error { return r.present[i]() })
	r.present = nil
	return err
}

type bareServer struct{ passive }

func startBare(ctx context.Context, s Setup) (role, string, error) {
	certificate, err := s.Cards[0].certificate()
	if err != nil {
		return nil, "", err
	}
	roots, err := s.roots()
	if err != nil {
		return nil, "", err
	}
	socket, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		return nil, "", err
	}
	config := &tls.Config{Certificates: []tls.Certificate{certificate}, ClientCAs: roots, ClientAuth: tls.RequireAndVerifyClientCert}
	go func() { tell(bare.Serve(ctx, socket, config)) }()
	return bareServer{}, socket.LocalAddr().String(), nil
}

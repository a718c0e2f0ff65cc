package roles

import (
	"context"
	"crypto"
	"crypto/x509"
	"net"
	"net/netip"
	"sync/atomic"

	"sinete/cardauth"
	"sinete/cardauth/revocation"
	"sinete/cardauth/softcard"
	"sinete/peer"
	"sinete/peer/store"
	"sinete/relay"
	"sinete/relay/flow"
	"sinete/wire"
)

// policy is that of a process. Logins are measured with staples, as they should be; what passes afterwards does not depend on them.
func (s *Setup) policy() (*cardauth.Policy, error) {
	anchor, err := x509.ParseCertificate(s.Anchor)
	if err != nil {
		return nil, err
	}
	p := &cardauth.Policy{Anchors: []*x509.Certificate{anchor}, Revocation: cardauth.RevocationOff}
	if s.Settings.Job != Messages {
		p.Revocation, err = revocation.New(revocation.Config{Allowed: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}})
	}
	return p, err
}

// counted counts the relay's signatures; peers count their own.
type counted struct {
	cardauth.Card
	signatures atomic.Uint64
}

func (c *counted) SealRoot(ctx context.Context, in wire.SealInput) ([]byte, error) {
	c.signatures.Add(1)
	return c.Card.SealRoot(ctx, in)
}

type relayRole struct {
	passive
	card *counted
}

func (r *relayRole) count(c *Counts) error {
	c.Signatures = r.card.signatures.Load()
	return nil
}

func startRelay(ctx context.Context, s Setup) (role, string, error) {
	certificate, err := s.Cards[0].certificate()
	if err != nil {
		return nil, "", err
	}
	card, err := softcard.FromKey(certificate.PrivateKey.(crypto.Signer), s.Cards[0].Chain, 0)
	if err != nil {
		return nil, "", err
	}
	policy, err := s.policy()
	if err != nil {
		return nil, "", err
	}
	suites, err := s.Settings.Suites()
	if err != nil {
		return nil, "", err
	}
	socket, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		return nil, "", err
	}
	r := &relayRole{card: &counted{Card: card}}
	ready, failed := make(chan struct{}), make(chan error, 1)
	go func() {
		failed <- relay.Serve(ctx, socket, relay.Config{Name: "Relay under load", Certificate: certificate, Card: r.card, Policy: policy,
			Flow: flow.NoWriteUp, Suites: suites, Limits: s.Settings.limits(), Level: func(string) (flow.Subject, bool) { return flow.Subject{}, true }}, func() { close(ready) })
	}()
	select {
	case <-ready:
		return r, socket.LocalAddr().String(), nil
	case err := <-failed:
		return nil, "", err
	}
}

// login logs one card in.
func (s *Setup) login(ctx context.Context, c Card, policy *cardauth.Policy) (*peer.Session, error) {
	card, err := s.open(ctx, c)
	if err != nil {
		return nil, err
	}
	suites, err := s.Settings.Suites()
	if err != nil {
		return nil, err
	}
	kept, err := s.store(policy, c)
	if err != nil {
		return nil, err
	}
	return peer.Login(ctx, peer.Config{Store: kept, Relay: s.Address, RelayName: RelayName, Card: card, Policy: policy, Suites: suites,
		Sign: s.Settings.Sign, Limits: s.Settings.limits(), Machine: &peer.Machine{Facts: []byte("load"), Description: "bench/load"}})
}

// store is what the card's owner keeps; nil in memory. It ends with the process.
func (s *Setup) store(policy *cardauth.Policy, c Card) (*store.Store, error) {
	if s.Settings.Store != OnDisk {
		return nil, nil
	}
	own, err := policy.VerifyPerson(c.Chain, nil)
	if err != nil {
		return nil, err
	}
	return store.Open(store.Options{Dir: s.Settings.Dir, Owner: store.Owner{Identity: own.Identity, Name: own.Name},
		Protection: store.Protection{Kind: store.Unprotected}})
}

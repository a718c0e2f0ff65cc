package roles

import (
	"context"
	"crypto"
	"crypto/tls"
	"crypto/x509"
	"sync"
	"time"

	"sinete/cardauth"
	"sinete/cardauth/pkcs11card"
	"sinete/cardauth/softcard"
	"sinete/wire"
)

// RelayName is in the relay's certificate.
const RelayName = "relay.example"

// PIN is that of the tokens of SoftHSM2.
const PIN = "4711"

// Card is a key and its chain, handed to the process that signs with it.
type Card struct {
	Key   []byte // PKCS #8
	Chain [][]byte
	URI   string // of the key in a token, in place of Key and Chain
}

// certificate is that of a key in a file, for TLS.
func (c Card) certificate() (tls.Certificate, error) {
	key, err := x509.ParsePKCS8PrivateKey(c.Key)
	if err != nil {
		return tls.Certificate{}, err
	}
	leaf, err := x509.ParseCertificate(c.Chain[0])
	return tls.Certificate{Certificate: c.Chain, PrivateKey: key, Leaf: leaf}, err
}

// open opens a person's card.
func (s *Setup) open(ctx context.Context, c Card) (card cardauth.Card, err error) {
	if c.URI != "" {
		card, err = pkcs11card.Open(ctx, c.URI, func(context.Context, cardauth.PINRequest) (string, error) { return PIN, nil })
	} else {
		var key any
		if key, err = x509.ParsePKCS8PrivateKey(c.Key); err == nil {
			card, err = softcard.FromKey(key.(crypto.Signer), c.Chain, 0)
		}
	}
	if err == nil && s.Settings.CardTime > 0 {
		card = &slowCard{Card: card, takes: s.Settings.CardTime}
	}
	return card, err
}

// slowCard takes its time, as chips do: one signature after the other, and nothing of this processor.
type slowCard struct {
	cardauth.Card
	takes time.Duration
	mu    sync.Mutex
}

func (c *slowCard) Software() bool { return false }

func (c *slowCard) SealRoot(ctx context.Context, in wire.SealInput) ([]byte, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	timer := time.NewTimer(c.takes)
	defer timer.Stop()
	select {
	case <-timer.C:
		return c.Card.SealRoot(ctx, in)
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

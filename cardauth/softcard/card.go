// Package softcard is a card in a file, for trying things out and for tests. The key is encrypted under a PIN, which is
// far weaker than a chip that counts wrong ones.
//
//	err := softcard.Create("alice.card", key, chain, pin, softcard.Options{})
//	card, err := softcard.Open(ctx, "alice.card", prompt)
package softcard

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"sync/atomic"

	"sinete/cardauth"
	"sinete/cardauth/seal"
	"sinete/wire"
)

// Card is a card whose key lies in this process.
type Card struct {
	chain  [][]byte
	cert   *x509.Certificate
	scheme wire.Scheme
	key    atomic.Pointer[crypto.Signer]
	checks bool // what the key signed: it is none of Go's own
}

var _ cardauth.Card = (*Card)(nil)

// FromKey makes a card of a key and its chain (DER, the person's certificate first). Scheme 0 is the default for the key,
// which for RSA is PKCS #1 v1.5.
func FromKey(key crypto.Signer, chain [][]byte, s wire.Scheme) (*Card, error) {
	if len(chain) == 0 || len(chain) > wire.MaxChain {
		return nil, fmt.Errorf("softcard: a chain of %d certificates", len(chain))
	}
	cert, err := x509.ParseCertificate(chain[0])
	if err != nil {
		return nil, fmt.Errorf("softcard: %w", err)
	}
	if s == 0 {
		if s, err = seal.DefaultScheme(cert.PublicKey); err != nil {
			return nil, fmt.Errorf("softcard: %w", err)
		}
	}
	if seal.CheckKey(cert.PublicKey, s) != nil {
		return nil, fmt.Errorf("softcard: %v does not fit the certificate's key", s)
	}
	if pub, ok := cert.PublicKey.(interface{ Equal(crypto.PublicKey) bool }); !ok || !pub.Equal(key.Public()) {
		return nil, errors.New("softcard: the certificate speaks of another key")
	}
	c := &Card{chain: chain, cert: cert, scheme: s, checks: !own(key)}
	c.key.Store(&key)
	return c, nil
}

// own reports whether signing is this process's own arithmetic. That is not checked once more, which with P-256 takes three times as long as the
// signature: crypto/rsa refuses to hand out a faulty one, which would give the key away, and crypto/ecdsa never takes the same nonce twice, so that a
// faulty one gives away nothing that a right one would not and only ends a session.
func own(key crypto.Signer) bool {
	switch key.(type) {
	case *rsa.PrivateKey, *ecdsa.PrivateKey:
		return true
	}
	return false
}

// Certificate is the person's own.
func (c *Card) Certificate() *x509.Certificate { return c.cert }

// Chain is as it was given or stood in the file.
func (c *Card) Chain() [][]byte { return c.chain }

// Scheme is the one that FromKey or Create was given, or the key's default.
func (c *Card) Scheme() wire.Scheme { return c.scheme }

// Software is true.
func (c *Card) Software() bool { return true }

// SealRoot signs in.Append(nil). It takes well under a millisecond for elliptic curves and a few for RSA.
func (c *Card) SealRoot(ctx context.Context, in wire.SealInput) ([]byte, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	key := c.key.Load()
	if key == nil {
		return nil, cardauth.ErrClosed
	}
	message := in.Append(nil)
	sig, err := crypto.SignMessage(*key, rand.Reader, message, seal.SignOptions(c.scheme))
	if err != nil {
		return nil, fmt.Errorf("softcard: %w", err)
	}
	if !c.checks {
		return sig, nil
	}
	if err := seal.VerifySignature(c.cert.PublicKey, c.scheme, message, sig); err != nil {
		return nil, fmt.Errorf("softcard: the key made a signature that does not verify: %w", err)
	}
	return sig, nil
}

// Close forgets the key. Go's types for keys cannot be cleared: it goes to the garbage collector.
func (c *Card) Close() error {
	c.key.Store(nil)
	return nil
}

// Format shows the person's name, and never the key.
func (c *Card) Format(f fmt.State, _ rune) {
	_, _ = io.WriteString(f, "soft card of "+c.cert.Subject.CommonName)
}

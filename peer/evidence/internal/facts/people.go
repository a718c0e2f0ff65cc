// Package facts is what proofs and stores are both verified by: who seals, whom a conversation is between, and the transcripts that heads are over.
// It knows neither how a proof is written nor how a store keeps it.
package facts

import (
	"bytes"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"time"

	"sinete/cardauth"
	"sinete/cardauth/seal"
	"sinete/wire"
)

// Person is somebody whose certificates are verified. A relay is one without an identity.
type Person struct {
	*cardauth.Party
	from, until uint64 // when all certificates of the chain are valid, in Unix seconds; both belong to it
}

// PersonOf is somebody whom a policy has verified.
func PersonOf(p *cardauth.Party) *Person {
	from, until := p.Validity()
	return &Person{p, uint64(max(from.Unix(), 0)), uint64(max(until.Unix(), 0))}
}

// NewPerson verifies the chain of a person's, which must be exactly this one, up to that anchor. Revocation is not asked about.
func NewPerson(chain []*x509.Certificate, anchor *x509.Certificate) (*Person, error) {
	return verified(chain, anchor, func(p *cardauth.Policy, shown [][]byte) (*cardauth.Party, error) { return p.VerifyPerson(shown, nil) })
}

// NewRelay verifies that of a relay of that name.
func NewRelay(name string, chain []*x509.Certificate, anchor *x509.Certificate) (*Person, error) {
	return verified(chain, anchor, func(p *cardauth.Policy, shown [][]byte) (*cardauth.Party, error) {
		return p.VerifyRelay(shown, nil, name)
	})
}

func verified(chain []*x509.Certificate, anchor *x509.Certificate, by func(*cardauth.Policy, [][]byte) (*cardauth.Party, error)) (*Person, error) {
	shown := make([][]byte, len(chain))
	at := anchor.NotBefore
	for i, c := range chain {
		shown[i] = c.Raw
		if c.NotBefore.After(at) {
			at = c.NotBefore
		}
	}
	policy := cardauth.Policy{Anchors: []*x509.Certificate{anchor}, Revocation: cardauth.RevocationOff, Now: func() time.Time { return at }}
	party, err := by(&policy, shown)
	switch {
	case err != nil:
		return nil, err
	case !party.Anchor.Equal(anchor) || !slices.EqualFunc(party.Chain, shown, bytes.Equal):
		return nil, errors.New("not the way from the certificate to the anchor")
	}
	return PersonOf(party), nil
}

// RelayName is a name in a relay's certificate, as it stands there, by which somebody meant the relay; empty where there is none that can be a word.
func RelayName(c *x509.Certificate, meant string) string {
	for _, name := range c.DNSNames {
		if strings.EqualFold(name, meant) && strings.Trim(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-") == "" {
			return name
		}
	}
	for _, ip := range c.IPAddresses {
		if ip.Equal(net.ParseIP(meant)) {
			return ip.String()
		}
	}
	return ""
}

// Delegation is what a person's card has sealed for a key.
type Delegation struct {
	wire.Delegation
	statement []byte
	sealed    uint64 // Unix seconds
}

// NewDelegation reads a statement that was sealed at that time.
func NewDelegation(statement []byte, at uint64) (*Delegation, error) {
	d, err := wire.ParseDelegation(statement)
	switch {
	case err != nil:
		return nil, err
	case d.NotAfter < at || d.NotAfter-at > wire.MaxDelegation:
		return nil, fmt.Errorf("a delegation longer than %d seconds, or over before it begins", wire.MaxDelegation)
	}
	return &Delegation{d, statement, at}, nil
}

// Signer is who seals: a person's card, or the key to which it has delegated.
type Signer struct {
	*Person
	By *Delegation // nil: the card
}

// As gives the key that seals under a scheme.
func (s *Signer) As(scheme wire.Scheme) (seal.Signer, error) {
	if s.By == nil {
		return s.Party.Signer(scheme, nil)
	}
	return s.Party.Signer(scheme, s.By.statement)
}

// skew is by how much a seal may seem older than the delegation behind it: clocks are set back.
const skew = 300

// At refuses a seal from outside the time of the certificates and the delegation.
func (s *Signer) At(time uint64) error {
	switch {
	case time < s.from || time > s.until:
		return errors.New("sealed when a certificate of its signer was not valid")
	case s.By != nil && (time+skew < s.By.sealed || time > s.By.NotAfter):
		return errors.New("sealed out of the delegation's time")
	}
	return nil
}

// Verify checks that s sealed the statement.
func (s *Signer) Verify(v *seal.Verifier, p wire.Purpose, statement []byte, sl *wire.Seal) error {
	if err := s.At(sl.Time); err != nil {
		return err
	}
	as, err := s.As(sl.Scheme)
	if err != nil {
		return err
	}
	return v.Verify(as, p, statement, *sl)
}

// Ed25519Key is a delegated key as SubjectPublicKeyInfo (RFC 8410 section 4).
func Ed25519Key(key [32]byte) []byte {
	return append([]byte{0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00}, key[:]...)
}

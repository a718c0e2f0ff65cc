package evidence

import (
	"bytes"
	"crypto/x509"
	"errors"
	"fmt"
	"slices"
	"time"

	"sinete/cardauth"
	"sinete/cardauth/seal"
	"sinete/wire"
)

// person is somebody whose certificates are verified. A relay is one without an identity.
type person struct {
	*cardauth.Party
	from, until uint64 // when all certificates of the chain are valid, in Unix seconds; both belong to it
}

// kind is the line that defines them, and the name there.
func (p *person) kind() (kind, name string) {
	if p.Identity == "" {
		return "relay", p.Name
	}
	return "person", p.Identity
}

func personOf(p *cardauth.Party) *person {
	from, until := p.Validity()
	return &person{p, uint64(max(from.Unix(), 0)), uint64(max(until.Unix(), 0))}
}

// newPerson verifies the chain of a person's, which must be exactly this one, up to that anchor. Revocation is not asked about.
func newPerson(chain []*x509.Certificate, anchor *x509.Certificate) (*person, error) {
	return verified(chain, anchor, func(p *cardauth.Policy, shown [][]byte) (*cardauth.Party, error) { return p.VerifyPerson(shown, nil) })
}

// newRelay verifies that of a relay of that name.
func newRelay(name string, chain []*x509.Certificate, anchor *x509.Certificate) (*person, error) {
	return verified(chain, anchor, func(p *cardauth.Policy, shown [][]byte) (*cardauth.Party, error) {
		return p.VerifyRelay(shown, nil, name)
	})
}

func verified(chain []*x509.Certificate, anchor *x509.Certificate, by func(*cardauth.Policy, [][]byte) (*cardauth.Party, error)) (*person, error) {
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
	return personOf(party), nil
}

// delegation is what a person's card has sealed for a key.
type delegation struct {
	wire.Delegation
	statement []byte
	sealed    uint64 // Unix seconds
}

// newDelegation reads a statement that was sealed at that time.
func newDelegation(statement []byte, at uint64) (*delegation, error) {
	d, err := wire.ParseDelegation(statement)
	switch {
	case err != nil:
		return nil, err
	case d.NotAfter < at || d.NotAfter-at > wire.MaxDelegation:
		return nil, fmt.Errorf("a delegation longer than %d seconds, or over before it begins", wire.MaxDelegation)
	}
	return &delegation{d, statement, at}, nil
}

// signer is who seals: a person's card, or the key to which it has delegated.
type signer struct {
	*person
	by *delegation // nil: the card
}

// as gives the key that seals under a scheme.
func (s *signer) as(scheme wire.Scheme) (seal.Signer, error) {
	if s.by == nil {
		return s.Party.Signer(scheme, nil)
	}
	return s.Party.Signer(scheme, s.by.statement)
}

// skew is by how much a seal may seem older than the delegation behind it: clocks are set back.
const skew = 300

// at refuses a seal from outside the time of the certificates and the delegation.
func (s *signer) at(time uint64) error {
	switch {
	case time < s.from || time > s.until:
		return errors.New("sealed when a certificate of its signer was not valid")
	case s.by != nil && (time+skew < s.by.sealed || time > s.by.NotAfter):
		return errors.New("sealed out of the delegation's time")
	}
	return nil
}

// verify checks that s sealed the statement.
func (s *signer) verify(v *seal.Verifier, p wire.Purpose, statement []byte, sl *wire.Seal) error {
	if err := s.at(sl.Time); err != nil {
		return err
	}
	as, err := s.as(sl.Scheme)
	if err != nil {
		return err
	}
	return v.Verify(as, p, statement, *sl)
}

// ed25519Key is a delegated key as SubjectPublicKeyInfo (RFC 8410 section 4).
func ed25519Key(key [32]byte) []byte {
	return append([]byte{0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00}, key[:]...)
}

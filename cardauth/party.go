package cardauth

import (
	"bytes"
	"crypto"
	"crypto/ed25519"
	"crypto/sha256"
	"crypto/x509"
	"slices"
	"time"

	"sinete/cardauth/seal"
	"sinete/wire"
)

// Party is somebody whose certificates a Policy has accepted.
type Party struct {
	Name            string // a person's display name; the name by which a relay was meant
	Identity        string // empty for a relay
	Certificate     *x509.Certificate
	Chain           [][]byte // as verified: DER, the party's own first, the anchor left out
	CertificateHash [32]byte // SHA-256 of the certificate's DER
	KeyHash         [32]byte // SHA-256 of its SubjectPublicKeyInfo
	Anchor          *x509.Certificate

	verified []*x509.Certificate // from leaf to anchor
	staples  [][]byte            // of verified; nil once Settle has seen them
}

func newParty(chain []*x509.Certificate, staples [][]byte) *Party {
	leaf, anchor := chain[0], chain[len(chain)-1]
	p := &Party{
		Name:            DisplayName(leaf),
		Certificate:     leaf,
		CertificateHash: sha256.Sum256(leaf.Raw),
		KeyHash:         sha256.Sum256(leaf.RawSubjectPublicKeyInfo),
		Anchor:          anchor,
		verified:        chain,
		staples:         staples,
	}
	for _, c := range chain[:len(chain)-1] {
		p.Chain = append(p.Chain, c.Raw)
	}
	return p
}

// Shown returns the chain that the party showed, with the bytes that it shares with others who have the same issuers where it can.
func (p *Party) Shown(chain [][]byte) [][]byte {
	own := make([][]byte, len(chain))
	for i, der := range chain {
		at := slices.IndexFunc(p.Chain, func(c []byte) bool { return bytes.Equal(c, der) })
		if at < 0 {
			own[i] = slices.Clone(der)
		} else {
			own[i] = p.Chain[at]
		}
	}
	return own
}

// Signer returns who seals for the party under that scheme: its card where delegation is nil, or the key in a delegation's
// statement. It checks only that key and scheme fit (protocol.md section 3.8); a delegation that came from outside must go
// through VerifyDelegation.
func (p *Party) Signer(scheme wire.Scheme, delegation []byte) (seal.Signer, error) {
	s := seal.Signer{
		Key:    crypto.PublicKey(p.Certificate.PublicKey),
		Scheme: scheme,
		Digest: wire.SignerHash(p.Certificate.Raw, delegation),
	}
	if delegation != nil {
		d, err := wire.ParseDelegation(delegation)
		if err != nil {
			return seal.Signer{}, err
		}
		s.Key, s.Delegation = ed25519.PublicKey(d.Key[:]), &d
	}
	if err := seal.CheckKey(s.Key, scheme); err != nil {
		return seal.Signer{}, err
	}
	return s, nil
}

// Validity is when all certificates of the chain, the anchor's included, are valid: both ends belong to it. until lies before from where that is never.
func (p *Party) Validity() (from, until time.Time) {
	from, until = p.Anchor.NotBefore, p.Anchor.NotAfter
	for _, c := range p.verified {
		if c.NotBefore.After(from) {
			from = c.NotBefore
		}
		if c.NotAfter.Before(until) {
			until = c.NotAfter
		}
	}
	return from, until
}

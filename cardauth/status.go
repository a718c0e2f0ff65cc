package cardauth

import (
	"context"
	"crypto/x509"
	"errors"
	"slices"
	"time"

	"sinete/wire"
)

// Revocation decides whether the certificates of a chain still hold, in two steps (protocol.md section 3.10): a stranger is judged by
// what they show, and costs a look at the network only once they have proved who they are. Errors that have no wire code of their own
// count as revocation-unknown.
type Revocation interface {
	// Judge looks at what was stapled and at what is known already, without network. A staple that is bad, or says that a
	// certificate is revoked, suspended or unknown, refuses; one that is missing does not.
	Judge(c Claim) error
	// Settle decides, with the network where it has to. An answer that this side fetched longer ago than within is fetched again,
	// and staples do not count; 0 takes any that is valid, as a handshake does.
	Settle(ctx context.Context, c Claim, within time.Duration) error
	// Staples returns a good OCSP response for each certificate of one's own chain (from the leaf to the anchor), nil where there is none.
	Staples(ctx context.Context, chain []*x509.Certificate) [][]byte
}

// Claim is a chain that verifies otherwise, and what came with it.
type Claim struct {
	Chain   []*x509.Certificate // from the leaf to the anchor
	Staples [][]byte            // as long as Chain: an OCSP response for each certificate, or nil
	Now     time.Time
}

// RevocationOff accepts revoked and stolen cards like any other. It is for trials only, never for production.
var RevocationOff Revocation = revocationOff{}

type revocationOff struct{}

func (revocationOff) Judge(Claim) error                                     { return nil }
func (revocationOff) Settle(context.Context, Claim, time.Duration) error    { return nil }
func (revocationOff) Staples(context.Context, []*x509.Certificate) [][]byte { return nil }

// Settle decides whether the certificates of a party that this policy has verified still hold, and may ask the network. Nobody
// seals or does anything for a party before. It is called once, and what the party has stapled is forgotten then: thousands of bytes, which are no
// use in a session.
func (p *Policy) Settle(ctx context.Context, party *Party) error {
	staples := party.staples
	party.staples = nil
	return p.settle(ctx, party, staples, 0)
}

// Recheck is Settle during a session: what this side learned longer ago than within is asked again.
func (p *Policy) Recheck(ctx context.Context, party *Party, within time.Duration) error {
	return p.settle(ctx, party, nil, within)
}

func (p *Policy) settle(ctx context.Context, party *Party, staples [][]byte, within time.Duration) error {
	if p.Revocation == nil {
		return noRevocation(party.Certificate)
	}
	if staples == nil {
		staples = make([][]byte, len(party.verified))
	}
	return coded(party.Certificate, p.Revocation.Settle(ctx, Claim{party.verified, staples, p.now()}, within))
}

// Staples returns what a party, which this side is itself, can show of its chain: element i speaks of element i of chain, as it is sent.
func (p *Policy) Staples(ctx context.Context, self *Party, chain [][]byte) [][]byte {
	if p.Revocation == nil {
		return nil
	}
	var staples [][]byte
	good := p.Revocation.Staples(ctx, self.verified)
	for i, der := range chain {
		at := slices.IndexFunc(self.verified, func(c *x509.Certificate) bool { return string(c.Raw) == string(der) })
		if at < 0 || at >= len(good) || len(good[at]) == 0 || len(good[at]) > wire.MaxStaple {
			continue
		}
		for len(staples) < i { // the last one is never empty
			staples = append(staples, nil)
		}
		staples = append(staples, good[at])
	}
	return staples
}

func (p *Policy) judge(c Claim) error {
	if p.Revocation == nil {
		return noRevocation(c.Chain[0])
	}
	return coded(c.Chain[0], p.Revocation.Judge(c))
}

func noRevocation(leaf *x509.Certificate) error {
	return refuse(leaf, wire.CodeRevocationUnknown, "no policy for revocation is configured")
}

func coded(leaf *x509.Certificate, err error) error {
	var has interface{ Code() wire.Code }
	if err != nil && !errors.As(err, &has) {
		return refuse(leaf, wire.CodeRevocationUnknown, "%v", err)
	}
	return err
}

// align puts staples beside the certificates of the chain as built, which may have another order and other members than the one sent.
func align(chain, sent []*x509.Certificate, staples [][]byte) [][]byte {
	aligned := make([][]byte, len(chain))
	for i, staple := range staples {
		if at := slices.IndexFunc(chain, sent[i].Equal); at >= 0 && len(staple) > 0 {
			aligned[at] = slices.Clone(staple) // not to hold on to the message that it came in
		}
	}
	return aligned
}

package cardauth

import (
	"cmp"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/x509"
	"encoding/asn1"
	"errors"
	"fmt"
	"slices"
	"time"

	"sinete/wire"
)

// Policy decides whose certificates are accepted (protocol.md section 3.8). Its zero value refuses everything. It must not
// be modified while in use, and may then be used concurrently.
type Policy struct {
	Anchors       []*x509.Certificate // where chains must end; of several that fit, the first counts
	Intermediates []*x509.Certificate // help to build chains where the other side sent too few
	Now           func() time.Time    // nil means time.Now
	Revocation    Revocation          // nil refuses everything
}

// VerifyPerson accepts a person's chain: DER, the person's own certificate first. Element i of staples speaks of
// certificate i; one that is missing refuses nobody yet: Settle must follow before anything is done for the person. The error
// is a *CertificateError or *IdentityError, or what Revocation returned.
func (p *Policy) VerifyPerson(chain, staples [][]byte) (*Party, error) {
	var identity string
	verified, aligned, err := p.verify(chain, staples, func(leaf, anchor *x509.Certificate) (err error) {
		if slices.Contains(leaf.ExtKeyUsage, x509.ExtKeyUsageServerAuth) {
			return refuse(leaf, wire.CodeCertificateInvalid, "a server's certificate where a person's must be")
		}
		identity, err = Identity(leaf, anchor)
		return err
	})
	if err != nil {
		return nil, err
	}
	party := newParty(verified, aligned)
	party.Identity = identity
	return party, nil
}

// VerifySelf accepts one's own chain, whatever it is for: to ask about its own revocation.
func (p *Policy) VerifySelf(chain [][]byte) (*Party, error) {
	verified, aligned, err := p.verify(chain, nil, func(_, _ *x509.Certificate) error { return nil })
	if err != nil {
		return nil, err
	}
	return newParty(verified, aligned), nil
}

// VerifyRelay accepts the chain of the relay of that name, a DNS name or an IP address. Otherwise it is like VerifyPerson.
func (p *Policy) VerifyRelay(chain, staples [][]byte, name string) (*Party, error) {
	verified, aligned, err := p.verify(chain, staples, func(leaf, _ *x509.Certificate) error {
		if !slices.Contains(leaf.ExtKeyUsage, x509.ExtKeyUsageServerAuth) {
			return refuse(leaf, wire.CodeCertificateInvalid, "no server's certificate")
		}
		if err := leaf.VerifyHostname(name); err != nil {
			return refuse(leaf, wire.CodeCertificateInvalid, "%v", err)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	party := newParty(verified, aligned)
	party.Name = name
	return party, nil
}

// verify returns the chain from leaf to anchor, and the staples in the same order. usage is what persons and relays differ in.
func (p *Policy) verify(chain, staples [][]byte, usage func(leaf, anchor *x509.Certificate) error) (_ []*x509.Certificate, aligned [][]byte, err error) {
	certs, err := parseChain(chain, staples)
	if err != nil {
		return nil, nil, err
	}
	now := p.now()
	built, err := p.build(certs, now)
	if err != nil {
		return nil, nil, err
	}
	var first error
	for _, c := range built {
		err := checkChain(c)
		if err == nil {
			err = CheckUsage(c[0])
		}
		if err == nil {
			err = usage(c[0], c[len(c)-1])
		}
		if err == nil {
			issuers.share(certs[1:], c)
			aligned := align(c, certs, staples)
			return c, aligned, p.judge(Claim{c, aligned, now})
		}
		first = cmp.Or(first, err)
	}
	return nil, nil, first
}

func (p *Policy) now() time.Time {
	if p.Now != nil {
		return p.Now()
	}
	return time.Now()
}

// parseChain refuses what is too large before it reads it.
func parseChain(chain, staples [][]byte) ([]*x509.Certificate, error) {
	switch {
	case len(chain) == 0 || len(chain) > wire.MaxChain:
		return nil, refuse(nil, wire.CodeCertificateInvalid, "a chain of %d certificates", len(chain))
	case len(staples) > len(chain):
		return nil, refuse(nil, wire.CodeCertificateInvalid, "%d staples for %d certificates", len(staples), len(chain))
	}
	for _, s := range staples {
		if len(s) > wire.MaxStaple {
			return nil, refuse(nil, wire.CodeCertificateInvalid, "a staple of %d bytes", len(s))
		}
	}
	var certs []*x509.Certificate
	for _, der := range chain {
		if len(der) > wire.MaxCertificate {
			return nil, refuse(nil, wire.CodeCertificateInvalid, "a certificate of %d bytes", len(der))
		}
		c, err := issuers.parse(der)
		if err != nil {
			return nil, refuse(nil, wire.CodeCertificateInvalid, "%v", err)
		}
		// Before anything is computed with it.
		if err := CheckPublicKey(c); err != nil {
			return nil, err
		}
		certs = append(certs, c)
	}
	return certs, nil
}

var oidQCStatements = asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 1, 3}

// parseCertificate knows QCStatements, which cards carry as critical and which say nothing that matters here.
func parseCertificate(der []byte) (*x509.Certificate, error) {
	c, err := x509.ParseCertificate(der)
	if err == nil {
		c.UnhandledCriticalExtensions = slices.DeleteFunc(c.UnhandledCriticalExtensions, oidQCStatements.Equal)
	}
	return c, err
}

// build finds the ways from the leaf to anchors: those to the first anchor first, so that somebody with two ways up has one
// identity, and shorter ones before longer ones.
func (p *Policy) build(certs []*x509.Certificate, now time.Time) ([][]*x509.Certificate, error) {
	if built := ways.from(p, certs, now); len(built) > 0 {
		return built, nil
	}
	// Pools of our own: the system's authorities have no say here. They also drop what is given twice.
	o := x509.VerifyOptions{
		Roots: x509.NewCertPool(), Intermediates: x509.NewCertPool(), CurrentTime: now,
		// Usages are checked by usage and checkChain: the default is a web server's, and cards carry many others.
		KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageAny},
	}
	for _, c := range p.Anchors {
		o.Roots.AddCert(c)
	}
	for _, c := range slices.Concat(p.Intermediates, certs[1:]) {
		o.Intermediates.AddCert(c)
	}
	built, err := certs[0].Verify(o)
	if err != nil {
		var invalid x509.CertificateInvalidError
		if errors.As(err, &invalid) && invalid.Reason == x509.Expired {
			return nil, refuse(invalid.Cert, wire.CodeCertificateExpired, "%v", err)
		}
		return nil, refuse(certs[0], wire.CodeCertificateInvalid, "%v", err)
	}
	rank := func(c []*x509.Certificate) int { return slices.IndexFunc(p.Anchors, c[len(c)-1].Equal) }
	slices.SortStableFunc(built, func(a, b []*x509.Certificate) int {
		return cmp.Or(cmp.Compare(rank(a), rank(b)), cmp.Compare(len(a), len(b)))
	})
	ways.remember(p, certs, built, now)
	return built, nil
}

// checkChain looks at what crypto/x509 leaves to its callers.
func checkChain(chain []*x509.Certificate) error {
	if n := len(chain) - 1; n < 1 || n > wire.MaxChain {
		return refuse(chain[0], wire.CodeCertificateInvalid, "a way of %d certificates to the anchor", n)
	}
	for _, c := range chain {
		if err := CheckPublicKey(c); err != nil {
			return err
		}
	}
	for _, c := range chain[1:] {
		if !c.BasicConstraintsValid || !c.IsCA || c.KeyUsage&x509.KeyUsageCertSign == 0 {
			return refuse(c, wire.CodeCertificateInvalid, "an issuer that is no certification authority")
		}
	}
	return nil
}

// CheckUsage refuses the certificate of somebody that is not made for authentication (protocol.md section 3.8). Policy does so too.
func CheckUsage(leaf *x509.Certificate) error {
	switch {
	case leaf.IsCA:
		return refuse(leaf, wire.CodeCertificateInvalid, "an authority's certificate where a person's or relay's must be")
	case leaf.KeyUsage&x509.KeyUsageDigitalSignature == 0:
		return refuse(leaf, wire.CodeCertificateInvalid, "a key that is not for digital signatures")
	case leaf.KeyUsage&x509.KeyUsageContentCommitment != 0:
		return refuse(leaf, wire.CodeCertificateInvalid, "a key for legally binding signatures")
	}
	return nil
}

// CheckPublicKey refuses a certificate whose key is too weak, too large or of another kind than protocol.md section 3.8 allows.
func CheckPublicKey(c *x509.Certificate) error {
	kind := fmt.Sprintf("%T", c.PublicKey)
	switch k := c.PublicKey.(type) {
	case *rsa.PublicKey:
		n := k.N.BitLen()
		if n >= 2048 && n <= 4096 {
			return nil
		}
		kind = fmt.Sprintf("RSA of %d bits", n)
	case *ecdsa.PublicKey:
		if k.Curve == elliptic.P256() || k.Curve == elliptic.P384() || k.Curve == elliptic.P521() {
			return nil
		}
		kind = k.Curve.Params().Name
	}
	return refuse(c, wire.CodeCertificateInvalid, "a key that is not allowed: %s", kind)
}

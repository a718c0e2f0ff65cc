package cardauth_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"math/big"
	"net"
	"testing"
	"time"

	"go.uber.org/goleak"

	"sinete/cardauth"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var testNow = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// authority issues certificates.
type authority struct {
	t    testing.TB
	cert *x509.Certificate
	key  crypto.Signer
}

func p256(t testing.TB) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

var serial int64

// issue signs a template for that public key. Self-signed where a is nil.
func issue(t testing.TB, a *authority, template *x509.Certificate, public crypto.PublicKey, self crypto.Signer) *x509.Certificate {
	t.Helper()
	serial++
	template.SerialNumber = big.NewInt(serial)
	if template.NotBefore.IsZero() {
		template.NotBefore, template.NotAfter = testNow.AddDate(-1, 0, 0), testNow.AddDate(1, 0, 0)
	}
	parent, signer := template, self
	if a != nil {
		parent, signer = a.cert, a.key
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, public, signer)
	if err != nil {
		t.Fatal(err)
	}
	c, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

type change func(c *x509.Certificate)

// newAuthority makes a root where parent is nil.
func newAuthority(t testing.TB, parent *authority, name string, changes ...change) *authority {
	t.Helper()
	key := p256(t)
	template := &x509.Certificate{
		Subject: pkix.Name{CommonName: name}, IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
	}
	for _, f := range changes {
		f(template)
	}
	return &authority{t, issue(t, parent, template, &key.PublicKey, key), key}
}

func (a *authority) issue(template *x509.Certificate, public crypto.PublicKey, changes []change) *x509.Certificate {
	a.t.Helper()
	for _, f := range changes {
		f(template)
	}
	if public == nil {
		public = &p256(a.t).PublicKey
	}
	return issue(a.t, a, template, public, nil)
}

func personTemplate() *x509.Certificate {
	return &x509.Certificate{
		Subject:  pkix.Name{CommonName: "Conceição Estêvão", SerialNumber: "BI12345678"},
		KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageKeyAgreement,
	}
}

func (a *authority) person(changes ...change) *x509.Certificate {
	a.t.Helper()
	return a.issue(personTemplate(), nil, changes)
}

func (a *authority) relay(changes ...change) *x509.Certificate {
	a.t.Helper()
	return a.issue(&x509.Certificate{
		Subject:     pkix.Name{CommonName: "The relay", SerialNumber: "1"},
		KeyUsage:    x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		DNSNames:    []string{"relay.example.org"}, IPAddresses: []net.IP{net.ParseIP("192.0.2.1"), net.ParseIP("2001:db8::1")},
	}, nil, changes)
}

// world is a root, a sub-authority, and a policy that trusts the root.
type world struct {
	root, sub *authority
	policy    *cardauth.Policy
}

func newWorld(t testing.TB) *world {
	t.Helper()
	root := newAuthority(t, nil, "Root")
	return &world{root, newAuthority(t, root, "Sub"), &cardauth.Policy{
		Anchors:    []*x509.Certificate{root.cert},
		Now:        func() time.Time { return testNow },
		Revocation: cardauth.RevocationOff,
	}}
}

func ders(certs ...*x509.Certificate) (chain [][]byte) {
	for _, c := range certs {
		chain = append(chain, c.Raw)
	}
	return chain
}

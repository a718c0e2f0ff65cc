package revocation

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"math/big"
	"net/netip"
	"testing"
	"time"

	"sinete/cardauth"
	"sinete/cardauth/cardtest"
	"sinete/wire"
)

// authority is one with its key, and whatever certificates a test wants of it.
type authority struct {
	cert *x509.Certificate
	key  crypto.Signer
}

var loopback = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func newKey(t testing.TB) crypto.Signer {
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(t, err)
	return k
}

func newAuthority(t testing.TB) *authority {
	a := &authority{key: newKey(t)}
	c := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "Authentication CA"}, NotBefore: time.Now().AddDate(-1, 0, 0),
		NotAfter: time.Now().AddDate(9, 0, 0), IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageCRLSign}
	der, err := x509.CreateCertificate(rand.Reader, c, c, a.key.Public(), a.key)
	must(t, err)
	a.cert, err = x509.ParseCertificate(der)
	must(t, err)
	return a
}

// issue makes a certificate; edit may be nil.
func (a *authority) issue(t testing.TB, edit func(c *x509.Certificate)) (*x509.Certificate, crypto.Signer) {
	t.Helper()
	key := newKey(t)
	serial := make([]byte, 8)
	rand.Read(serial)
	serial[0] = 0x41
	c := &x509.Certificate{SerialNumber: new(big.Int).SetBytes(serial), Subject: pkix.Name{CommonName: "Zulmira"}, NotBefore: time.Now().Add(-time.Hour),
		NotAfter: time.Now().AddDate(1, 0, 0), KeyUsage: x509.KeyUsageDigitalSignature}
	if edit != nil {
		edit(c)
	}
	der, err := x509.CreateCertificate(rand.Reader, c, a.cert, key.Public(), a.key)
	must(t, err)
	cert, err := x509.ParseCertificate(der)
	must(t, err)
	return cert, key
}

func (a *authority) delegate(t testing.TB, edit func(c *x509.Certificate)) (*x509.Certificate, crypto.Signer) {
	return a.issue(t, func(c *x509.Certificate) {
		c.Subject = pkix.Name{CommonName: "Responder"}
		c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageOCSPSigning}
		if edit != nil {
			edit(c)
		}
	})
}

func newChecker(t testing.TB, edit func(*Config)) *Checker {
	t.Helper()
	cfg := Config{Allowed: loopback}
	if edit != nil {
		edit(&cfg)
	}
	k, err := New(cfg)
	must(t, err)
	return k
}

func claim(now time.Time, staple []byte, chain ...*x509.Certificate) cardauth.Claim {
	c := cardauth.Claim{Chain: chain, Staples: make([][]byte, len(chain)), Now: now}
	c.Staples[0] = staple
	return c
}

// wants checks the code of a refusal, 0 for none.
func wants(t *testing.T, what string, err error, code wire.Code) {
	t.Helper()
	if code == 0 {
		if err != nil {
			t.Errorf("%s: %v", what, err)
		}
		return
	}
	var refused *cardauth.CertificateError
	if !errors.As(err, &refused) || refused.Number != code {
		t.Errorf("%s: %v, want %v", what, err, code)
	}
}

const (
	isRevoked = wire.CodeCertificateRevoked
	isUnknown = wire.CodeRevocationUnknown
)

// openSSL is a responder of the authority, signing by a responder that it delegated to.
func (a *authority) openSSL(t testing.TB, address string, index ...string) cardtest.OpenSSL {
	cert, key := a.delegate(t, nil)
	return cardtest.OpenSSL{Address: address, CA: a.cert, Signer: cert, SignerKey: key, Index: index, Args: []string{"-ndays", "1"}}
}

package revocation

import (
	"bytes"
	"context"
	"crypto/x509"
	"errors"
	"strings"
	"testing"
	"time"

	"sinete/cardauth/cardtest"
	"sinete/wire"
)

// Everything that an independent responder can say, and everything that can be wrong with who says it.
func TestAgainstOpenSSL(t *testing.T) {
	a, other := newAuthority(t), newAuthority(t)
	address := cardtest.FreeAddress(t)
	leaf := func() *x509.Certificate {
		c, _ := a.issue(t, func(c *x509.Certificate) { c.OCSPServer = []string{"http://" + address} })
		return c
	}
	cert, citizen := leaf(), leaf()
	citizenKey := newKey(t)
	citizen, citizenKey = a.issue(t, nil)
	delegate := func(edit func(c *x509.Certificate)) func(*cardtest.OpenSSL) {
		return func(o *cardtest.OpenSSL) { o.Signer, o.SignerKey = a.delegate(t, edit) }
	}
	now := time.Now
	shifted := func(by time.Duration) func() time.Time { return func() time.Time { return time.Now().Add(by) } }
	valid := cardtest.Valid(cert)
	for name, c := range map[string]struct {
		index string
		edit  func(o *cardtest.OpenSSL)
		clock func() time.Time
		want  wire.Code
	}{
		"good":                 {valid, nil, now, 0},
		"revoked":              {cardtest.Revoked(cert, "keyCompromise"), nil, now, isRevoked},
		"suspended":            {cardtest.Revoked(cert, "certificateHold"), nil, now, isRevoked},
		"unknown":              {cardtest.Valid(leaf()), nil, now, isUnknown},
		"signed by the issuer": {valid, func(o *cardtest.OpenSSL) { o.Signer, o.SignerKey = a.cert, a.key }, now, 0},
		"issuer without its own": {valid, func(o *cardtest.OpenSSL) {
			o.Signer, o.SignerKey = a.cert, a.key
			o.Args = append(o.Args, "-resp_no_certs")
		}, now, 0},
		"named by its key":    {valid, func(o *cardtest.OpenSSL) { o.Args = append(o.Args, "-resp_key_id") }, now, 0},
		"another card holder": {valid, func(o *cardtest.OpenSSL) { o.Signer, o.SignerKey = citizen, citizenKey }, now, isUnknown},
		"responder for web servers": {valid, delegate(func(c *x509.Certificate) { c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth} }),
			now, isUnknown},
		"responder of any usage":         {valid, delegate(func(c *x509.Certificate) { c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageAny} }), now, isUnknown},
		"responder that may not sign":    {valid, delegate(func(c *x509.Certificate) { c.KeyUsage = x509.KeyUsageKeyEncipherment }), now, isUnknown},
		"responder expired":              {valid, delegate(func(c *x509.Certificate) { c.NotAfter = time.Now().Add(-time.Minute) }), now, isUnknown},
		"responder not yet":              {valid, delegate(func(c *x509.Certificate) { c.NotBefore = time.Now().Add(time.Hour) }), now, isUnknown},
		"responder of another authority": {valid, func(o *cardtest.OpenSSL) { o.Signer, o.SignerKey = other.delegate(t, nil) }, now, isUnknown},
		"responder left out":             {valid, func(o *cardtest.OpenSSL) { o.Args = append(o.Args, "-resp_no_certs") }, now, isUnknown},
		"bad signature":                  {valid, func(o *cardtest.OpenSSL) { o.Args = append(o.Args, "-badsig") }, now, isUnknown},
		"for another issuer":             {valid, func(o *cardtest.OpenSSL) { o.CA = other.cert }, now, isUnknown},
		"expired":                        {valid, nil, shifted(48 * time.Hour), isUnknown},
		"of the future":                  {valid, nil, shifted(-30 * time.Minute), isUnknown},
		"undated":                        {valid, func(o *cardtest.OpenSSL) { o.Args = nil }, now, 0},
		"undated and old":                {valid, func(o *cardtest.OpenSSL) { o.Args = nil }, shifted(2 * time.Hour), isUnknown},
	} {
		t.Run(name, func(t *testing.T) {
			o := a.openSSL(t, address, c.index)
			if c.edit != nil {
				c.edit(&o)
			}
			stop := o.Start(t)
			k := newChecker(t, func(cfg *Config) { cfg.Now = c.clock })
			wants(t, "settled", k.Settle(t.Context(), claim(c.clock(), nil, cert, a.cert), 0), c.want)

			// The same answer, stapled: judged without any network.
			raw, err := fetchRaw(t.Context(), k, cert, a.cert, address)
			stop()
			if err != nil {
				t.Fatal(err)
			}
			k = newChecker(t, func(cfg *Config) { cfg.Now = c.clock })
			if said, err := readOCSP(raw, subject{cert, a.cert}, nil); err == nil {
				staple, err := plain(said)
				must(t, err)
				if !bytes.Equal(raw, staple) { // the issuer's own certificate stands beside the signature
					wants(t, "judged as it came", k.Judge(claim(c.clock(), raw, cert, a.cert)), isUnknown)
				}
				raw = staple
			}
			wants(t, "judged", k.Judge(claim(c.clock(), raw, cert, a.cert)), c.want)
			if c.want == 0 {
				wants(t, "settled by its staple", k.Settle(t.Context(), claim(c.clock(), raw, cert, a.cert), 0), 0)
			}
		})
	}
}

func fetchRaw(ctx context.Context, k *Checker, cert, issuer *x509.Certificate, address string) ([]byte, error) {
	der, _, err := request(subject{cert, issuer})
	if err != nil {
		return nil, err
	}
	return k.get(ctx, "http://"+address, der, "application/ocsp-response", maxResponse)
}

// The nonce reaches the responder and comes back.
func TestNonceAgainstOpenSSL(t *testing.T) {
	a := newAuthority(t)
	cert, _ := a.issue(t, nil)
	o := a.openSSL(t, cardtest.FreeAddress(t), cardtest.Valid(cert))
	o.Start(t)
	k := newChecker(t, nil)
	s := subject{cert, a.cert}
	got, err := k.askOCSP(t.Context(), s, "http://"+o.Address)
	must(t, err)
	if len(got.nonce) != 32 {
		t.Errorf("a nonce of %d bytes came back", len(got.nonce))
	}
}

// Which certificate, which address, why: for a doctor to tell. And nobody's name.
func TestReasonsNameTheAddressAndNoPerson(t *testing.T) {
	a := newAuthority(t)
	address := "http://" + cardtest.FreeAddress(t)
	cert, _ := a.issue(t, func(c *x509.Certificate) { c.OCSPServer = []string{address} })
	err := newChecker(t, nil).Settle(t.Context(), claim(time.Now(), nil, cert, a.cert), 0)
	wants(t, "nobody listens", err, isUnknown)
	var nobody *UnavailableError
	if !errors.As(err, &nobody) || len(nobody.Tried) != 1 || nobody.Tried[0].Address != address {
		t.Errorf("%#v", err)
	}
	if text := err.Error(); !strings.Contains(text, address) || !strings.Contains(text, "refused") || strings.Contains(text, "Zulmira") {
		t.Error(text)
	}
}

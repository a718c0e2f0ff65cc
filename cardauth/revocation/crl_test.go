package revocation

import (
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"math/big"
	"net/http"
	"testing"
	"time"

	"golang.org/x/crypto/ocsp"

	"sinete/wire"
)

const listURL = "http://crl.example/ca.crl"

// crl signs a list with these entries.
func (a *authority) crl(t testing.TB, edit func(*x509.RevocationList), entries ...x509.RevocationListEntry) []byte {
	l := &x509.RevocationList{Number: big.NewInt(1), ThisUpdate: time.Now().Add(-time.Hour), NextUpdate: time.Now().Add(time.Hour), RevokedCertificateEntries: entries}
	if edit != nil {
		edit(l)
	}
	der, err := x509.CreateRevocationList(rand.Reader, l, a.cert, a.key)
	must(t, err)
	return der
}

func entry(c *x509.Certificate, reason int) x509.RevocationListEntry {
	return x509.RevocationListEntry{SerialNumber: c.SerialNumber, RevocationTime: time.Now().Add(-2 * time.Hour), ReasonCode: reason}
}

// pointing makes the extension IssuingDistributionPoint.
func pointing(t testing.TB, url string, user, ca, indirect bool) func(*x509.RevocationList) {
	type point struct {
		Full []asn1.RawValue `asn1:"optional,tag:0"`
	}
	v := struct {
		Point    point `asn1:"optional,tag:0"`
		Users    bool  `asn1:"optional,tag:1"`
		CAs      bool  `asn1:"optional,tag:2"`
		Indirect bool  `asn1:"optional,tag:4"`
	}{Users: user, CAs: ca, Indirect: indirect}
	if url != "" {
		v.Point.Full = []asn1.RawValue{{Class: asn1.ClassContextSpecific, Tag: 6, Bytes: []byte(url)}}
	}
	der, err := asn1.Marshal(v)
	must(t, err)
	return func(l *x509.RevocationList) {
		l.ExtraExtensions = []pkix.Extension{{Id: oidIssuingDistributionPoint, Critical: true, Value: der}}
	}
}

func TestRevocationLists(t *testing.T) {
	r, _ := newResponder(t)
	other := newAuthority(t)
	cert, _ := r.issue(t, func(c *x509.Certificate) { c.CRLDistributionPoints = []string{listURL} })
	bystander, _ := r.issue(t, nil)
	delta := func(l *x509.RevocationList) {
		l.ExtraExtensions = []pkix.Extension{{Id: asn1.ObjectIdentifier{2, 5, 29, 27}, Critical: true, Value: []byte{2, 1, 1}}}
	}
	quietly := func(l *x509.RevocationList) { delta(l); l.ExtraExtensions[0].Critical = false }
	relative := func(l *x509.RevocationList) { // distributionPoint [0] { nameRelativeToCRLIssuer [1] { CN=1 } }
		name, err := asn1.Marshal(pkix.AttributeTypeAndValue{Type: asn1.ObjectIdentifier{2, 5, 4, 3}, Value: "1"})
		must(t, err)
		wrapped := func(tag int, b []byte) []byte {
			der, err := asn1.Marshal(asn1.RawValue{Class: asn1.ClassContextSpecific, Tag: tag, IsCompound: true, Bytes: b})
			must(t, err)
			return der
		}
		der, err := asn1.Marshal(asn1.RawValue{Tag: asn1.TagSequence, IsCompound: true, Bytes: wrapped(0, wrapped(1, name))})
		must(t, err)
		l.ExtraExtensions = []pkix.Extension{{Id: oidIssuingDistributionPoint, Critical: true, Value: der}}
	}
	for name, c := range map[string]struct {
		list []byte
		want wire.Code
	}{
		"empty":                  {r.crl(t, nil), 0},
		"another is in it":       {r.crl(t, nil, entry(bystander, 1)), 0},
		"revoked":                {r.crl(t, nil, entry(bystander, 1), entry(cert, 1)), isRevoked},
		"revoked, for no reason": {r.crl(t, nil, entry(cert, 0)), isRevoked},
		"suspended":              {r.crl(t, nil, entry(cert, ocsp.CertificateHold)), isRevoked},
		"no longer suspended":    {r.crl(t, nil, entry(cert, ocsp.RemoveFromCRL)), 0},
		"ended":                  {r.crl(t, func(l *x509.RevocationList) { l.NextUpdate = time.Now().Add(-10 * time.Minute) }), isUnknown},
		"of the future":          {r.crl(t, func(l *x509.RevocationList) { l.ThisUpdate = time.Now().Add(10 * time.Minute) }), isUnknown},
		"of another authority":   {other.crl(t, nil), isUnknown},
		"delta":                  {r.crl(t, delta), isUnknown},
		"delta, not critical":    {r.crl(t, quietly), isUnknown},
		"of a point by its name": {r.crl(t, relative), isUnknown},
		"for people":             {r.crl(t, pointing(t, "", true, false, false)), 0},
		"for authorities":        {r.crl(t, pointing(t, "", false, true, false)), isUnknown},
		"indirect":               {r.crl(t, pointing(t, "", false, false, true)), isUnknown},
		"of its own address":     {r.crl(t, pointing(t, listURL, false, false, false)), 0},
		"of another address":     {r.crl(t, pointing(t, listURL+"2", false, false, false)), isUnknown},
		"garbage":                {[]byte("-----BEGIN"), isUnknown},
		"giant":                  {make([]byte, maxList+1), isUnknown},
	} {
		r.serves(func(q *http.Request, _ []byte) (*http.Response, error) {
			if q.Method != http.MethodGet || q.URL.String() != listURL {
				t.Errorf("%s %v", q.Method, q.URL)
			}
			return reply(200, "application/x-pkcs7-crl", c.list), nil
		})
		settle(t, name, r.checker(nil), r, cert, 0, c.want)
	}
}

// A list is asked where the responder fails, once for all certificates that it speaks of, and kept over a restart.
func TestListInPlaceOfAResponder(t *testing.T) {
	r, _ := newResponder(t)
	issue := func() *x509.Certificate {
		c, _ := r.issue(t, func(c *x509.Certificate) {
			c.OCSPServer, c.CRLDistributionPoints = []string{"http://ocsp.example"}, []string{listURL}
		})
		return c
	}
	cert, second, third := issue(), issue(), issue()
	list := r.crl(t, nil, entry(second, 1))
	lists := 0
	r.serves(func(q *http.Request, _ []byte) (*http.Response, error) {
		if q.Method == http.MethodPost {
			return nil, errDown
		}
		lists++
		return reply(200, "application/pkix-crl", list), nil
	})
	dir := t.TempDir()
	kept := func(c *Config) { c.Dir = dir }
	k := r.checker(kept)
	settle(t, "good", k, r, cert, 0, 0)
	settle(t, "revoked", k, r, second, 0, isRevoked)
	if lists != 1 {
		t.Errorf("fetched %d times", lists)
	}
	r.down()
	settle(t, "after a restart", r.checker(kept), r, third, 0, 0)
	settle(t, "revoked, after a restart", r.checker(kept), r, second, 0, isRevoked)
}

func FuzzList(f *testing.F) {
	a := newAuthority(f)
	cert, _ := a.issue(f, nil)
	now := time.Now()
	for _, edit := range []func(*x509.RevocationList){nil, pointing(f, listURL, true, false, false)} {
		f.Add(a.crl(f, edit, entry(cert, 1), entry(a.cert, ocsp.CertificateHold)))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		if l, err := parseCRL(raw, a.cert, now); err == nil {
			if _, err := l.about(subject{cert, a.cert}, listURL); err != nil {
				t.Log(err)
			}
		}
	})
}

func FuzzResponse(f *testing.F) {
	r, cert := newResponder(f)
	now := time.Now()
	plain := r.sign(ocsp.Response{SerialNumber: cert.SerialNumber})
	delegated, key := r.delegate(f, nil)
	other, err := ocsp.CreateResponse(r.cert, delegated, ocsp.Response{SerialNumber: cert.SerialNumber, ThisUpdate: now, Certificate: delegated}, key)
	must(f, err)
	for _, raw := range [][]byte{plain, r.withNonce(plain, make([]byte, 32)), other, ocsp.TryLaterErrorResponse} {
		f.Add(raw)
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		if a, err := parseOCSP(raw, subject{cert, r.cert}, now); err == nil && a.status != good {
			t.Errorf("forged: %v", a.status) // no seed says anything else, and no fuzzer signs
		}
	})
}

package revocation

import (
	"bytes"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"errors"
	"io"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/crypto/ocsp"

	"sinete/wire"
)

func TestWhatNoStockResponderSays(t *testing.T) {
	r, cert := newResponder(t)
	other := newAuthority(t)
	now := time.Now()
	dated := ocsp.Response{SerialNumber: cert.SerialNumber, ThisUpdate: now, NextUpdate: now.Add(time.Hour)}
	with := func(edit func(*ocsp.Response)) ocsp.Response { d := dated; edit(&d); return d }
	// An authority may sign about another authority's certificate that has the same serial number.
	elsewhere, err := ocsp.CreateResponse(other.cert, r.cert, dated, r.key)
	must(t, err)
	weakly, err := rsa.GenerateKey(rand.Reader, 2048)
	must(t, err)
	sha1 := &authority{key: weakly}
	c := *r.cert
	c.SignatureAlgorithm, c.PublicKey = 0, weakly.Public()
	der, err := x509.CreateCertificate(rand.Reader, &c, &c, weakly.Public(), weakly)
	must(t, err)
	sha1.cert, err = x509.ParseCertificate(der)
	must(t, err)
	weak, err := ocsp.CreateResponse(sha1.cert, sha1.cert, with(func(d *ocsp.Response) { d.SignatureAlgorithm = x509.SHA1WithRSA }), weakly)
	must(t, err)
	for name, c := range map[string]struct {
		raw    []byte
		issuer *x509.Certificate
		want   error
	}{
		"SHA-256 names":          {r.sign(with(func(d *ocsp.Response) { d.IssuerHash = crypto.SHA256 })), r.cert, nil},
		"SHA-1 names":            {r.sign(dated), r.cert, nil},
		"SHA-512 names":          {r.sign(with(func(d *ocsp.Response) { d.IssuerHash = crypto.SHA512 })), r.cert, &AnswerError{}},
		"issuer embeds itself":   {r.sign(with(func(d *ocsp.Response) { d.Certificate = r.cert })), r.cert, nil},
		"same serial elsewhere":  {elsewhere, r.cert, &AnswerError{}},
		"another serial":         {r.sign(with(func(d *ocsp.Response) { d.SerialNumber = other.cert.SerialNumber })), r.cert, &AnswerError{}},
		"signed with SHA-1":      {weak, sha1.cert, &AnswerError{}},
		"try later":              {ocsp.TryLaterErrorResponse, r.cert, &AnswerError{}},
		"not authorised":         {ocsp.UnauthorizedErrorResponse, r.cert, &AnswerError{}},
		"nothing":                {nil, r.cert, &AnswerError{}},
		"something behind it":    {append(r.sign(dated), 0), r.cert, &AnswerError{}},
		"giant":                  {make([]byte, maxResponse+1), r.cert, &AnswerError{}},
		"critical extension":     {r.sign(with(func(d *ocsp.Response) { d.ExtraExtensions = criticalOnes })), r.cert, &AnswerError{}},
		"as young as skew lets":  {r.sign(with(func(d *ocsp.Response) { d.ThisUpdate = now.Add(skew - time.Minute) })), r.cert, nil},
		"younger than skew lets": {r.sign(with(func(d *ocsp.Response) { d.ThisUpdate = now.Add(skew + time.Minute) })), r.cert, &AnswerError{}},
		"as old as skew lets":    {r.sign(with(func(d *ocsp.Response) { d.NextUpdate = now.Add(time.Minute - skew) })), r.cert, nil},
		"older than skew lets":   {r.sign(with(func(d *ocsp.Response) { d.NextUpdate = now.Add(-time.Minute - skew) })), r.cert, &AnswerError{}},
	} {
		_, err := parseOCSP(c.raw, subject{cert, c.issuer}, now)
		var answer *AnswerError
		if c.want == nil && err != nil || c.want != nil && !errors.As(err, &answer) {
			t.Errorf("%s: %v", name, err)
		}
	}
	// Every shorter response is refused, and whatever byte is another.
	good := r.sign(dated)
	for i := range good {
		if _, err := parseOCSP(good[:i], subject{cert, r.cert}, now); err == nil {
			t.Errorf("took the first %d bytes", i)
		}
		flipped := bytes.Clone(good)
		flipped[i] ^= 0x10
		if a, err := parseOCSP(flipped, subject{cert, r.cert}, now); err == nil && a.status != status(0) {
			t.Errorf("byte %d flipped: %v", i, a.status)
		}
	}
}

// A staple is bound to no question, so its age is bounded whatever it says itself.
func TestStaplesAgeIsBounded(t *testing.T) {
	r, cert := newResponder(t)
	k := r.checker(nil)
	now := time.Now()
	for name, c := range map[string]struct {
		age  time.Duration
		want wire.Code
	}{"a day": {stapleLife - time.Minute, 0}, "more than a day": {stapleLife + time.Minute, isUnknown}} {
		raw := r.sign(ocsp.Response{SerialNumber: cert.SerialNumber, ThisUpdate: now.Add(-c.age), NextUpdate: now.Add(72 * time.Hour)})
		wants(t, name, k.Judge(claim(now, raw, cert, r.cert)), c.want)
	}
	wants(t, "none", k.Judge(claim(now, nil, cert, r.cert)), 0)
	wants(t, "garbage", k.Judge(claim(now, []byte("good, honestly"), cert, r.cert)), isUnknown)
	r.wantAsked(t, 0)
}

func TestEchoedNonceMustBeOurs(t *testing.T) {
	for name, c := range map[string]struct {
		nonce func(asked []byte) []byte
		want  wire.Code
	}{
		"ours":     {func(asked []byte) []byte { return asked }, 0},
		"another":  {func([]byte) []byte { return make([]byte, 32) }, isUnknown},
		"an empty": {func([]byte) []byte { return []byte{} }, isUnknown},
	} {
		r, cert := newResponder(t)
		r.serves(func(q *http.Request, body []byte) (*http.Response, error) {
			at := bytes.Index(body, []byte{0x04, 0x22, 0x04, 0x20}) // the value of the one extension
			if at < 0 {
				t.Fatalf("%s: no nonce of 32 bytes in % x", name, body)
			}
			plain := r.sign(ocsp.Response{SerialNumber: cert.SerialNumber})
			return reply(200, "application/ocsp-response", r.withNonce(plain, c.nonce(body[at+4:at+36]))), nil
		})
		wants(t, name, r.checker(nil).Settle(t.Context(), claim(time.Now(), nil, cert, r.cert), 0), c.want)
	}
}

// Whatever a responder does instead of answering: hard refuses, and within the time of a fetch.
func TestRespondersThatFail(t *testing.T) {
	for name, serve := range map[string]func(q *http.Request, _ []byte) (*http.Response, error){
		"unreachable": func(*http.Request, []byte) (*http.Response, error) { return nil, errors.New("no route to host") },
		"slow": func(q *http.Request, _ []byte) (*http.Response, error) {
			<-q.Context().Done()
			return nil, q.Context().Err()
		},
		"drips": func(q *http.Request, _ []byte) (*http.Response, error) {
			r := reply(200, "application/ocsp-response", nil)
			r.Body = drip{q}
			return r, nil
		},
		"garbage": func(*http.Request, []byte) (*http.Response, error) {
			return reply(200, "application/ocsp-response", []byte("<html>")), nil
		},
		"another type": func(*http.Request, []byte) (*http.Response, error) {
			return reply(200, "text/html", []byte("<html>")), nil
		},
		"an error": func(*http.Request, []byte) (*http.Response, error) { return reply(503, "text/plain", nil), nil },
		"giant": func(*http.Request, []byte) (*http.Response, error) {
			r := reply(200, "application/ocsp-response", nil)
			r.Body = io.NopCloser(endless{})
			return r, nil
		},
		"a redirect to elsewhere": func(q *http.Request, _ []byte) (*http.Response, error) {
			if q.URL.Host != "ocsp.example" {
				t.Errorf("went to %v", q.URL)
			}
			r := reply(307, "text/plain", nil)
			r.Header.Set("Location", "http://169.254.169.254/latest/meta-data")
			return r, nil
		},
	} {
		synctest.Test(t, func(t *testing.T) {
			r, cert := newResponder(t)
			r.serves(serve)
			began := time.Now()
			wants(t, name, r.checker(nil).Settle(t.Context(), claim(began, nil, cert, r.cert), 0), isUnknown)
			if took := time.Since(began); took > fetchTime {
				t.Errorf("%s: took %v", name, took)
			}
		})
	}
}

type drip struct{ q *http.Request }

func (d drip) Read(b []byte) (int, error) {
	select {
	case <-time.After(100 * time.Millisecond):
		b[0] = 0x30
		return 1, nil
	case <-d.q.Context().Done():
		return 0, d.q.Context().Err()
	}
}
func (drip) Close() error { return nil }

type endless struct{}

func (endless) Read(b []byte) (int, error) { clear(b); return len(b), nil }

func TestAddressesThatAreNotAsked(t *testing.T) {
	for _, url := range []string{"ftp://ocsp.example", "file:///etc/passwd", "http://", "ldap://x", "http://user:secret@ocsp.example/", "%"} {
		if checkURL(url) == nil {
			t.Errorf("would ask %s", url)
		}
	}
	for address, public := range map[string]bool{
		"127.0.0.1:80": false, "[::1]:80": false, "10.1.2.3:80": false, "192.168.0.1:80": false, "172.16.5.5:80": false, "169.254.169.254:80": false,
		"0.0.0.0:80": false, "100.64.0.1:80": false, "224.0.0.1:80": false, "255.255.255.255:80": false, "[fe80::1%eth0]:80": false,
		"[fc00::1]:80": false, "[::ffff:127.0.0.1]:80": false, "[64:ff9b::7f00:1]:80": false, "[::]:80": false, "[2002:7f00:1::]:80": false,
		"193.136.1.1:80": true, "[2a00:1450::1]:80": true, "nonsense": false,
	} {
		if err := checkAddress(address, nil); (err == nil) != public {
			t.Errorf("%s: %v", address, err)
		}
	}
	if err := checkAddress("127.0.0.1:80", loopback); err != nil {
		t.Error(err)
	}
	if checkAddress("10.0.0.1:80", loopback) == nil {
		t.Error("one allowed network allows another")
	}
}

// The rule is applied where the connection is made, whatever the name resolved to.
func TestPrivateAddressIsRefusedAtTheDial(t *testing.T) {
	a := newAuthority(t)
	cert, _ := a.issue(t, func(c *x509.Certificate) { c.OCSPServer = []string{"http://localhost:1/"} })
	k := newChecker(t, func(c *Config) { c.Allowed = nil })
	err := k.Settle(t.Context(), claim(time.Now(), nil, cert, a.cert), 0)
	wants(t, "localhost", err, isUnknown)
	var refused *AddressError
	if !errors.As(err, &refused) {
		t.Errorf("%v", err)
	}
}

var criticalOnes = []pkix.Extension{{Id: asn1.ObjectIdentifier{1, 2, 3}, Critical: true, Value: []byte{5, 0}}}

package revocation

import (
	"bytes"
	"crypto"
	"crypto/x509"
	"encoding/asn1"
	"io"
	"net/http"
	"sync"
	"testing"
	"time"

	"golang.org/x/crypto/ocsp"
)

// responder stands in place of the network: no sockets, so it works in virtual time.
type responder struct {
	*authority
	t     testing.TB
	serve func(r *http.Request, body []byte) (*http.Response, error)

	mu    sync.Mutex
	asked int
}

func (r *responder) RoundTrip(q *http.Request) (*http.Response, error) {
	var body []byte
	if q.Body != nil {
		body, _ = io.ReadAll(q.Body)
	}
	r.mu.Lock()
	r.asked++
	serve := r.serve
	r.mu.Unlock()
	return serve(q, body)
}

func (r *responder) wantAsked(t *testing.T, n int) {
	t.Helper()
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.asked != n {
		t.Errorf("asked %d times, want %d", r.asked, n)
	}
}

// says makes the responder give that status from now on.
func (r *responder) says(template ocsp.Response) {
	r.serves(func(q *http.Request, body []byte) (*http.Response, error) {
		request, err := ocsp.ParseRequest(body)
		if err != nil {
			return reply(200, "application/ocsp-response", ocsp.MalformedRequestErrorResponse), nil
		}
		template := template
		template.SerialNumber = request.SerialNumber
		return reply(200, "application/ocsp-response", r.sign(template)), nil
	})
}

func (r *responder) serves(f func(q *http.Request, body []byte) (*http.Response, error)) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.serve = f
}

// sign makes a response that the issuer signs itself, and that holds for an hour from now if it does not say.
func (r *responder) sign(template ocsp.Response) []byte {
	if template.ThisUpdate.IsZero() {
		template.ThisUpdate, template.NextUpdate = time.Now(), time.Now().Add(time.Hour)
	}
	der, err := ocsp.CreateResponse(r.cert, r.cert, template, r.key)
	must(r.t, err)
	return der
}

func reply(status int, kind string, body []byte) *http.Response {
	return &http.Response{StatusCode: status, Header: http.Header{"Content-Type": {kind}}, Body: io.NopCloser(bytes.NewReader(body))}
}

// newResponder makes an authority that answers for itself, and a certificate of it that names it.
func newResponder(t testing.TB) (*responder, *x509.Certificate) {
	r := &responder{authority: newAuthority(t), t: t}
	cert, _ := r.issue(t, func(c *x509.Certificate) { c.OCSPServer = []string{"http://ocsp.example"} })
	r.says(ocsp.Response{})
	return r, cert
}

func (r *responder) checker(edit func(*Config)) *Checker {
	return newChecker(r.t, func(c *Config) {
		c.Transport = r
		if edit != nil {
			edit(c)
		}
	})
}

// withNonce puts a nonce into a signed response, which is signed anew.
func (r *responder) withNonce(der, nonce []byte) []byte {
	type basic struct {
		Data         asn1.RawValue
		Algorithm    asn1.RawValue
		Signature    asn1.BitString
		Certificates asn1.RawValue `asn1:"optional"`
	}
	var outer struct {
		Status   asn1.Enumerated
		Response struct {
			Type asn1.ObjectIdentifier
			Body []byte
		} `asn1:"explicit,tag:0"`
	}
	_, err := asn1.Unmarshal(der, &outer)
	must(r.t, err)
	var b basic
	_, err = asn1.Unmarshal(outer.Response.Body, &b)
	must(r.t, err)
	value, err := asn1.Marshal(nonce)
	must(r.t, err)
	extension, err := asn1.Marshal([]struct {
		ID    asn1.ObjectIdentifier
		Value []byte
	}{{oidNonce, value}})
	must(r.t, err)
	tagged, err := asn1.Marshal(asn1.RawValue{Class: asn1.ClassContextSpecific, Tag: 1, IsCompound: true, Bytes: extension})
	must(r.t, err)
	data, err := asn1.Marshal(asn1.RawValue{Tag: asn1.TagSequence, IsCompound: true, Bytes: append(bytes.Clone(b.Data.Bytes), tagged...)})
	must(r.t, err)
	signature, err := r.key.Sign(nil, digest(crypto.SHA256, data), crypto.SHA256)
	must(r.t, err)
	b.Data, b.Signature = asn1.RawValue{FullBytes: data}, asn1.BitString{Bytes: signature, BitLength: 8 * len(signature)}
	outer.Response.Body, err = asn1.Marshal(b)
	must(r.t, err)
	der, err = asn1.Marshal(outer)
	must(r.t, err)
	return der
}

package trialpki

import (
	"bytes"
	"crypto"
	"crypto/rand"
	_ "crypto/sha1" // most questions name their issuer so
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"io"
	"math/big"
	"net/http"
	"strings"
	"time"

	"golang.org/x/crypto/ocsp"
)

// answerLife is how long an answer of the responder holds, and a list.
const answerLife = time.Hour

// Responder answers for all authorities of a world: OCSP for whatever is posted to it, and the list of each authority at /NAME.crl. It
// looks anew at each question, so a revocation holds at once. Each authority delegates to a key of the responder's own.
type Responder struct {
	// Edit, if not nil, changes answers before they are signed, for tests that want a strange one.
	Edit func(r *ocsp.Response)
	// Signer, if not nil, signs in place of the responders that the authorities delegated to: for tests of forgery.
	Signer *Issued

	world   *World
	signers map[string]*Issued // by the authority's file
}

var oidNoCheck = asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 48, 1, 5}

// Responder makes one.
func (w *World) Responder() (*Responder, error) {
	r := &Responder{world: w, signers: map[string]*Issued{}}
	for _, l := range levels {
		key, err := P256.Generate()
		if err != nil {
			return nil, err
		}
		cert, err := sign(&x509.Certificate{
			Subject:   pkix.Name{CommonName: l.name.CommonName + " OCSP", Organization: l.name.Organization, Country: l.name.Country},
			NotBefore: w.now().Add(-time.Hour), NotAfter: w.now().AddDate(0, 1, 0), BasicConstraintsValid: true,
			KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageOCSPSigning},
			ExtraExtensions: []pkix.Extension{{Id: oidNoCheck, Value: asn1.NullBytes}},
		}, key.Public(), *l.of(w))
		if err != nil {
			return nil, err
		}
		r.signers[l.file] = &Issued{Certificate: cert, Key: key}
	}
	return r, nil
}

func (r *Responder) ServeHTTP(out http.ResponseWriter, q *http.Request) {
	kind, answer := "application/ocsp-response", []byte(nil)
	var err error
	switch {
	case q.Method == http.MethodPost:
		var body []byte
		if body, err = io.ReadAll(http.MaxBytesReader(out, q.Body, 64<<10)); err == nil {
			answer, err = r.answer(body)
		}
	case q.Method == http.MethodGet && strings.HasSuffix(q.URL.Path, ".crl"):
		kind = "application/pkix-crl"
		answer, err = r.list(strings.TrimSuffix(q.URL.Path[strings.LastIndex(q.URL.Path, "/")+1:], ".crl"))
	}
	switch {
	case err != nil:
		http.Error(out, err.Error(), http.StatusInternalServerError)
	case answer == nil:
		http.NotFound(out, q)
	default:
		out.Header().Set("Content-Type", kind)
		_, _ = out.Write(answer) // whoever asked may have gone
	}
}

// answer takes a request apart and signs what the world knows.
func (r *Responder) answer(body []byte) ([]byte, error) {
	q, err := ocsp.ParseRequest(body)
	if err != nil {
		return ocsp.MalformedRequestErrorResponse, nil
	}
	l := r.authority(q)
	if l == nil {
		return ocsp.UnauthorizedErrorResponse, nil
	}
	issuer, signer := l.of(r.world).Certificate, r.signers[l.file]
	if r.Signer != nil {
		signer = r.Signer
	}
	now := r.world.now()
	template := ocsp.Response{SerialNumber: q.SerialNumber, IssuerHash: q.HashAlgorithm, Certificate: signer.Certificate,
		ThisUpdate: now, NextUpdate: now.Add(answerLife)}
	if template.Status, template.RevokedAt, template.RevocationReason, err = r.status(issuer, q.SerialNumber); err != nil {
		return nil, err
	}
	if r.Edit != nil {
		r.Edit(&template)
	}
	der, err := ocsp.CreateResponse(issuer, signer.Certificate, template, signer.Key)
	if err != nil {
		return nil, err
	}
	return withNonce(der, nonceOf(body), signer.Key)
}

// status is that of a certificate of the issuer.
func (r *Responder) status(issuer *x509.Certificate, serial *big.Int) (status int, at time.Time, reason int, err error) {
	c, err := r.world.issued(serial)
	if err != nil || c == nil || !bytes.Equal(c.RawIssuer, issuer.RawSubject) {
		return ocsp.Unknown, time.Time{}, 0, err
	}
	revocation, err := r.world.revocationOf(serial)
	if err != nil || revocation == nil {
		return ocsp.Good, time.Time{}, 0, err
	}
	return ocsp.Revoked, revocation.at, revocation.reason, nil
}

// authority finds the one that a question means.
func (r *Responder) authority(q *ocsp.Request) *level {
	if !q.HashAlgorithm.Available() {
		return nil
	}
	sum := func(b []byte) []byte {
		h := q.HashAlgorithm.New()
		h.Write(b)
		return h.Sum(nil)
	}
	for _, l := range levels {
		c := l.of(r.world).Certificate
		var spki struct {
			Algorithm pkix.AlgorithmIdentifier
			Key       asn1.BitString
		}
		if _, err := asn1.Unmarshal(c.RawSubjectPublicKeyInfo, &spki); err != nil {
			continue
		}
		if bytes.Equal(q.IssuerNameHash, sum(c.RawSubject)) && bytes.Equal(q.IssuerKeyHash, sum(spki.Key.RightAlign())) {
			return &l
		}
	}
	return nil
}

// list signs the revocation list of an authority, nil where there is none of that name.
func (r *Responder) list(name string) ([]byte, error) {
	for _, l := range levels {
		if l.file != name {
			continue
		}
		a := l.of(r.world)
		entries, err := r.world.allRevoked(a.Certificate)
		if err != nil {
			return nil, err
		}
		now := r.world.now()
		return x509.CreateRevocationList(rand.Reader, &x509.RevocationList{Number: big.NewInt(now.UnixNano()), ThisUpdate: now,
			NextUpdate: now.Add(answerLife), RevokedCertificateEntries: entries}, a.Certificate, a.Key)
	}
	return nil, nil
}

var oidNonce = asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 48, 1, 2}

// nonceOf returns the extension with the nonce of a request, nil where there is none.
func nonceOf(request []byte) *pkix.Extension {
	var q struct {
		TBS struct {
			Version    int           `asn1:"explicit,tag:0,default:0,optional"`
			Requestor  asn1.RawValue `asn1:"explicit,tag:1,optional"`
			List       asn1.RawValue
			Extensions []pkix.Extension `asn1:"explicit,tag:2,optional"`
		}
	}
	if _, err := asn1.Unmarshal(request, &q); err != nil {
		return nil
	}
	for _, e := range q.TBS.Extensions {
		if e.Id.Equal(oidNonce) {
			return &e
		}
	}
	return nil
}

// withNonce puts an extension into a response, for which golang.org/x/crypto/ocsp has no place, and signs it anew with a key on P-256.
func withNonce(der []byte, nonce *pkix.Extension, key crypto.Signer) ([]byte, error) {
	if nonce == nil {
		return der, nil
	}
	var outer struct {
		Status   asn1.Enumerated
		Response struct {
			Type asn1.ObjectIdentifier
			Body []byte
		} `asn1:"explicit,tag:0"`
	}
	var inner struct {
		Data         asn1.RawValue
		Algorithm    asn1.RawValue
		Signature    asn1.BitString
		Certificates asn1.RawValue `asn1:"optional"`
	}
	if _, err := asn1.Unmarshal(der, &outer); err != nil {
		return nil, err
	}
	if _, err := asn1.Unmarshal(outer.Response.Body, &inner); err != nil {
		return nil, err
	}
	extensions, err := asn1.MarshalWithParams([]pkix.Extension{*nonce}, "explicit,tag:1")
	if err != nil {
		return nil, err
	}
	data, err := asn1.Marshal(asn1.RawValue{Tag: asn1.TagSequence, IsCompound: true, Bytes: append(bytes.Clone(inner.Data.Bytes), extensions...)})
	if err != nil {
		return nil, err
	}
	sum := sha256.Sum256(data)
	signature, err := key.Sign(rand.Reader, sum[:], crypto.SHA256)
	if err != nil {
		return nil, err
	}
	inner.Data, inner.Signature = asn1.RawValue{FullBytes: data}, asn1.BitString{Bytes: signature, BitLength: 8 * len(signature)}
	if outer.Response.Body, err = asn1.Marshal(inner); err != nil {
		return nil, err
	}
	return asn1.Marshal(outer)
}

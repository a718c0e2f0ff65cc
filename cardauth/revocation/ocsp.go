package revocation

import (
	"bytes"
	"crypto"
	"crypto/rand"
	_ "crypto/sha1" // CertID of most responders
	_ "crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"math/big"
	"slices"
	"time"

	"golang.org/x/crypto/ocsp"

	"sinete/cardauth"
)

var (
	oidNonce = asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 48, 1, 2}
	oidSHA1  = asn1.ObjectIdentifier{1, 3, 14, 3, 2, 26}
	oidSHA2  = asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 2, 1}
)

// request asks about a certificate, with a nonce (RFC 9654).
func request(s subject) (der, nonce []byte, err error) {
	plain, err := ocsp.CreateRequest(s.cert, s.issuer, nil)
	if err != nil {
		return nil, nil, err
	}
	var r struct {
		TBS struct {
			List       asn1.RawValue
			Extensions []pkix.Extension `asn1:"explicit,tag:2,optional"`
		}
	}
	if _, err := asn1.Unmarshal(plain, &r); err != nil {
		return nil, nil, err
	}
	nonce = make([]byte, 32)
	rand.Read(nonce)
	value, err := asn1.Marshal(nonce)
	if err != nil {
		return nil, nil, err
	}
	r.TBS.Extensions = []pkix.Extension{{Id: oidNonce, Value: value}}
	der, err = asn1.Marshal(r)
	return der, nonce, err
}

// Read verifies an OCSP response in which the issuer of a certificate said once that it was good, and tells for when. It is for evidence: whether that
// was long ago does not matter.
func Read(raw []byte, cert, issuer *x509.Certificate) (from, until time.Time, err error) {
	s := subject{cert, issuer}
	a, err := readOCSP(raw, s, nil)
	if err == nil {
		err = a.checkResponder(a.this)
	}
	if err != nil {
		return from, until, err
	}
	return a.this, a.next, a.refusal(s)
}

// parseOCSP verifies a response about s that holds now.
func parseOCSP(raw []byte, s subject, now time.Time) (*answer, error) {
	a, err := readOCSP(raw, s, nil)
	if err != nil {
		return nil, err
	}
	return a, a.inTime(now)
}

// readOCSP verifies a response about s but for all times, the responder's included. responders, if not nil, are remembered.
// golang.org/x/crypto/ocsp checks signatures and the serial number; all else is done here (protocol.md section 3.10).
func readOCSP(raw []byte, s subject, responders *memory[struct{}]) (*answer, error) {
	if len(raw) == 0 || len(raw) > maxResponse {
		return nil, bad("%d bytes", len(raw))
	}
	// Without an issuer: the library would refuse an issuer that puts its own certificate beside its signature.
	r, err := ocsp.ParseResponseForCert(raw, s.cert, nil)
	if err != nil {
		return nil, bad("%v", err)
	}
	responder, err := checkSigner(r, s.issuer, responders)
	if err != nil {
		return nil, err
	}
	nonce, err := checkEntries(r.TBSResponseData, s)
	if err != nil {
		return nil, err
	}
	a := &answer{status: statusOf(r), this: r.ThisUpdate, next: r.NextUpdate, raw: raw, nonce: nonce, responder: responder, source: "an OCSP response"}
	if a.status == revoked || a.status == suspended {
		a.ending = ending{r.RevokedAt, r.RevocationReason}
	}
	if r.NextUpdate.IsZero() {
		a.next = r.ThisUpdate.Add(undatedLife)
	}
	return a, nil
}

func statusOf(r *ocsp.Response) status {
	switch {
	case r.Status == ocsp.Good:
		return good
	case r.Status == ocsp.Revoked && r.RevocationReason == ocsp.CertificateHold:
		return suspended
	case r.Status == ocsp.Revoked:
		return revoked
	}
	return unknown
}

// checkSigner wants the signature to be that of the certificate's very issuer, or of a responder to whom that issuer gave the right, whose
// time it returns. Anybody else with a certificate of the issuer, every card holder that is, could forge answers otherwise.
func checkSigner(r *ocsp.Response, issuer *x509.Certificate, known *memory[struct{}]) (holds period, err error) {
	if weak(r.SignatureAlgorithm) {
		return holds, bad("signed with %v", r.SignatureAlgorithm)
	}
	c := r.Certificate
	if c == nil {
		if err := r.CheckSignatureFrom(issuer); err != nil {
			return holds, bad("signature: %v", err)
		}
		return holds, nil
	}
	// The library has verified the signature with the embedded certificate's key.
	if bytes.Equal(c.RawSubjectPublicKeyInfo, issuer.RawSubjectPublicKeyInfo) {
		return holds, nil
	}
	id := subject{c, issuer}.with(nil)
	if known != nil {
		if _, ok := known.get(id); ok {
			return period{c.NotBefore, c.NotAfter}, nil
		}
	}
	switch {
	case !bytes.Equal(c.RawIssuer, issuer.RawSubject) || weak(c.SignatureAlgorithm) ||
		issuer.CheckSignature(c.SignatureAlgorithm, c.RawTBSCertificate, c.Signature) != nil:
		return holds, bad("signed by a responder of another authority")
	case !slices.Contains(c.ExtKeyUsage, x509.ExtKeyUsageOCSPSigning):
		return holds, bad("signed by somebody without the usage OCSPSigning")
	case c.KeyUsage != 0 && c.KeyUsage&(x509.KeyUsageDigitalSignature|x509.KeyUsageContentCommitment) == 0:
		return holds, bad("signed by a responder whose key is not for signatures")
	case len(c.UnhandledCriticalExtensions) > 0:
		return holds, bad("signed by a responder with an unknown critical extension")
	}
	if err := cardauth.CheckPublicKey(c); err != nil {
		return holds, bad("signed by a responder with %v", err)
	}
	if known != nil {
		known.put(id, struct{}{})
	}
	return period{c.NotBefore, c.NotAfter}, nil
}

func weak(a x509.SignatureAlgorithm) bool {
	return slices.Contains([]x509.SignatureAlgorithm{x509.MD2WithRSA, x509.MD5WithRSA, x509.SHA1WithRSA, x509.DSAWithSHA1, x509.ECDSAWithSHA1}, a)
}

type certID struct {
	Hash      pkix.AlgorithmIdentifier
	Name, Key []byte
	Serial    *big.Int
}

// responseData is what the authority signed.
type responseData struct {
	Version    int `asn1:"optional,default:0,explicit,tag:0"`
	Responder  asn1.RawValue
	Produced   time.Time             `asn1:"generalized"`
	Responses  []struct{ ID certID } // and what the library has read
	Extensions []pkix.Extension      `asn1:"optional,explicit,tag:1"`
}

// checkEntries wants exactly one entry of the serial number, and that it names the issuer: serial numbers alone are those of many
// authorities. It returns the nonce.
func checkEntries(tbs []byte, s subject) (nonce []byte, err error) {
	var data responseData
	if rest, err := asn1.Unmarshal(tbs, &data); err != nil || len(rest) > 0 {
		return nil, bad("its entries cannot be read")
	}
	found := 0
	for _, r := range data.Responses {
		if r.ID.Serial.Cmp(s.cert.SerialNumber) != 0 {
			continue
		}
		if found++; found > 1 {
			return nil, bad("two entries of one serial number")
		}
		if !r.ID.of(s.issuer) {
			return nil, bad("it speaks of a certificate of another authority")
		}
	}
	if found == 0 {
		return nil, bad("it speaks of another certificate")
	}
	for _, e := range data.Extensions {
		switch {
		case e.Id.Equal(oidNonce):
			if rest, err := asn1.Unmarshal(e.Value, &nonce); err != nil || len(rest) > 0 {
				nonce = e.Value // responders that have never heard of the octet string inside
			}
		case e.Critical:
			return nil, bad("an unknown critical extension")
		}
	}
	return nonce, nil
}

// of reports whether the hashes are those of the issuer's name and key.
func (id certID) of(issuer *x509.Certificate) bool {
	var h crypto.Hash
	switch {
	case id.Hash.Algorithm.Equal(oidSHA1):
		h = crypto.SHA1
	case id.Hash.Algorithm.Equal(oidSHA2):
		h = crypto.SHA256
	default:
		return false
	}
	var spki struct {
		Algorithm pkix.AlgorithmIdentifier
		Key       asn1.BitString
	}
	if _, err := asn1.Unmarshal(issuer.RawSubjectPublicKeyInfo, &spki); err != nil {
		return false
	}
	return bytes.Equal(id.Name, digest(h, issuer.RawSubject)) && bytes.Equal(id.Key, digest(h, spki.Key.RightAlign()))
}

func digest(h crypto.Hash, b []byte) []byte {
	d := h.New()
	d.Write(b)
	return d.Sum(nil)
}

package revocation

import (
	"bytes"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"slices"
	"time"

	"golang.org/x/crypto/ocsp"
)

var (
	oidDeltaCRLIndicator        = asn1.ObjectIdentifier{2, 5, 29, 27}
	oidIssuingDistributionPoint = asn1.ObjectIdentifier{2, 5, 29, 28}
)

// list is a revocation list whose signature has been verified.
type list struct {
	issuer     []byte // hash of its SubjectPublicKeyInfo
	this, next time.Time
	fetched    time.Time
	scope      scope
	entries    map[string]listed // by serial number; absent: good
}

// listed is what a list says of a certificate.
type listed struct {
	status
	ending
}

// scope is the extension IssuingDistributionPoint: which certificates the list speaks of (RFC 5280 section 5.2.5).
type scope struct {
	Point struct {
		Full     []asn1.RawValue `asn1:"optional,tag:0"`
		Relative asn1.RawValue   `asn1:"optional,tag:1"`
	} `asn1:"optional,tag:0"`
	Users      bool           `asn1:"optional,tag:1"`
	CAs        bool           `asn1:"optional,tag:2"`
	Some       asn1.BitString `asn1:"optional,tag:3"`
	Indirect   bool           `asn1:"optional,tag:4"`
	Attributes bool           `asn1:"optional,tag:5"`
}

// parseCRL verifies a complete revocation list of the issuer.
func parseCRL(raw []byte, issuer *x509.Certificate, now time.Time) (*list, error) {
	if len(raw) > maxList {
		return nil, bad("a list of more than %d bytes", maxList)
	}
	r, err := x509.ParseRevocationList(raw)
	if err != nil {
		return nil, bad("%v", err)
	}
	if weak(r.SignatureAlgorithm) || !bytes.Equal(r.RawIssuer, issuer.RawSubject) || r.CheckSignatureFrom(issuer) != nil {
		return nil, bad("a list of another authority")
	}
	l := &list{issuer: keyOf(issuer), this: r.ThisUpdate, next: r.NextUpdate, entries: make(map[string]listed, len(r.RevokedCertificateEntries))}
	if r.NextUpdate.IsZero() {
		return nil, bad("a list that never ends")
	}
	if err := (&answer{this: l.this, next: l.next}).checkTimes(now); err != nil {
		return nil, err
	}
	for _, e := range r.Extensions {
		switch {
		case e.Id.Equal(oidIssuingDistributionPoint):
			if rest, err := asn1.Unmarshal(e.Value, &l.scope); err != nil || len(rest) > 0 {
				return nil, bad("a list whose scope cannot be read")
			}
		case e.Id.Equal(oidDeltaCRLIndicator): // it says only what changed
			return nil, bad("a list that does not tell all")
		case e.Critical:
			return nil, bad("a list with an unknown critical extension")
		}
	}
	if l.scope.Point.Relative.FullBytes != nil || l.scope.Indirect || l.scope.Attributes || l.scope.Some.BitLength > 0 {
		return nil, bad("a list that does not tell all")
	}
	for _, e := range r.RevokedCertificateEntries {
		if slices.ContainsFunc(e.Extensions, critical) {
			return nil, bad("a list with an entry of unknown meaning")
		}
		st := revoked
		switch e.ReasonCode {
		case ocsp.CertificateHold:
			st = suspended
		case ocsp.RemoveFromCRL: // it was suspended, and is no longer
			st = good
		}
		l.entries[string(e.SerialNumber.Bytes())] = listed{st, ending{e.RevocationTime, e.ReasonCode}}
	}
	return l, nil
}

// about is what the list says of one certificate.
func (l *list) about(s subject, address string) (*answer, error) {
	if !bytes.Equal(l.issuer, keyOf(s.issuer)) {
		return nil, bad("a list of another authority")
	}
	if l.scope.Users && s.cert.IsCA || l.scope.CAs && !s.cert.IsCA {
		return nil, bad("a list for other certificates")
	}
	if full := l.scope.Point.Full; len(full) > 0 && !slices.ContainsFunc(full, func(v asn1.RawValue) bool {
		const uri = 6
		return v.Class == asn1.ClassContextSpecific && v.Tag == uri && slices.Contains(s.cert.CRLDistributionPoints, string(v.Bytes))
	}) {
		return nil, bad("a list for certificates that name another")
	}
	e := l.entries[string(s.cert.SerialNumber.Bytes())]
	return &answer{status: e.status, ending: e.ending, this: l.this, next: l.next, fetched: l.fetched, source: address}, nil
}

func critical(e pkix.Extension) bool { return e.Critical }

package revocation

import (
	"bytes"
	"crypto/x509/pkix"
	"encoding/asn1"
)

// An OCSP response has much room for what its authority did not mean: certificates beside the signature, which it does not cover, parameters of
// algorithms, bytes at the end of sequences; and what whoever asked has chosen, and the authority has signed: entries of other serial numbers, a nonce of
// any length. Staples travel in directions in which nothing else may be said (protocol.md section 8.4), so a staple is plain: plain puts an answer into
// that form.

// maxNonce is how long a nonce of an answer is that serves as a staple: as long as those of request.
const maxNonce = 32

type responseDER struct {
	Status   asn1.Enumerated
	Response struct {
		Type asn1.ObjectIdentifier
		Body []byte
	} `asn1:"explicit,tag:0"`
}

type basicDER struct {
	Data         asn1.RawValue
	Algorithm    pkix.AlgorithmIdentifier
	Signature    asn1.BitString
	Certificates []asn1.RawValue `asn1:"explicit,tag:0,optional,omitempty"`
}

// signedDER is a certificate, of which the outer algorithm must be the inner one.
type signedDER struct {
	Data      asn1.RawValue
	Algorithm asn1.RawValue
	Signature asn1.BitString
}

var (
	oidRSA = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 1}
	null   = asn1.RawValue{Tag: asn1.TagNull, FullBytes: []byte{asn1.TagNull, 0}}
)

func layers(raw []byte) (outer responseDER, inner basicDER, err error) {
	if _, err = asn1.Unmarshal(raw, &outer); err == nil {
		_, err = asn1.Unmarshal(outer.Response.Body, &inner)
	}
	if err != nil {
		err = bad("%v", err)
	}
	return outer, inner, err
}

// plain is a response that has been verified without anything that its signature does not cover, but for the certificate of a responder who is not the
// issuer. It says the same.
func plain(a *answer) ([]byte, error) {
	outer, inner, err := layers(a.raw)
	if err != nil {
		return nil, err
	}
	inner.Algorithm.Parameters = asn1.RawValue{}
	if oid := inner.Algorithm.Algorithm; len(oid) > len(oidRSA) && oid[:len(oidRSA)].Equal(oidRSA) {
		inner.Algorithm.Parameters = null
	}
	inner.Signature = whole(inner.Signature)
	if a.responder == (period{}) {
		inner.Certificates = nil
	}
	if len(inner.Certificates) > 0 {
		if inner.Certificates, err = plainCertificate(inner.Certificates[0].FullBytes); err != nil {
			return nil, err
		}
	}
	if outer.Response.Body, err = asn1.Marshal(inner); err != nil {
		return nil, bad("%v", err)
	}
	b, err := asn1.Marshal(outer)
	if err != nil {
		return nil, bad("%v", err)
	}
	return b, nil
}

// plainCertificate is a responder's certificate as its issuer signed it.
func plainCertificate(der []byte) ([]asn1.RawValue, error) {
	var signed signedDER
	if _, err := asn1.Unmarshal(der, &signed); err != nil {
		return nil, bad("%v", err)
	}
	signed.Signature = whole(signed.Signature)
	b, err := asn1.Marshal(signed)
	if err != nil {
		return nil, bad("%v", err)
	}
	return []asn1.RawValue{{FullBytes: b}}, nil
}

// whole is a signature in whole bytes.
func whole(s asn1.BitString) asn1.BitString {
	b := s.RightAlign()
	return asn1.BitString{Bytes: b, BitLength: 8 * len(b)}
}

// checkPlain wants a response that has been verified to be plain, and that whoever asked for it had little to choose: one entry, and a short nonce.
func checkPlain(a *answer) error {
	b, err := plain(a)
	if err != nil {
		return err
	}
	_, inner, err := layers(b)
	if err != nil {
		return err
	}
	var data responseData
	if _, err := asn1.Unmarshal(inner.Data.FullBytes, &data); err != nil {
		return bad("%v", err)
	}
	switch {
	case !bytes.Equal(b, a.raw):
		return bad("more than its authority signed")
	case len(a.nonce) > maxNonce:
		return bad("a nonce of %d bytes", len(a.nonce))
	case len(data.Responses) > 1:
		return bad("%d entries", len(data.Responses))
	}
	if p := data.Responses[0].ID.Hash.Parameters.FullBytes; len(p) > 0 && !bytes.Equal(p, null.FullBytes) {
		return bad("parameters of a hash")
	}
	return nil
}

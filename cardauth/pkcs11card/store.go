//go:build cgo

package pkcs11card

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/asn1"
	"errors"
	"fmt"
	"math/big"
	"slices"

	"github.com/miekg/pkcs11"

	"sinete/cardauth"
)

// Store makes a key on the one token that the URI names, has it certified and writes key, certificate and issuers to the
// token, for trials. The key is generated on the token, or imported where the token cannot generate such a one. It returns
// the certificate's URI. What had the same CKA_ID is deleted once the new certificate has been issued.
//
// Errors are those of Open, and what Issue returned.
func Store(ctx context.Context, uri string, prompt cardauth.Prompt, r StoreRequest) (string, error) {
	return store(ctx, uri, prompt, r, true)
}

func store(ctx context.Context, uri string, prompt cardauth.Prompt, r StoreRequest, generate bool, extra ...*pkcs11.Attribute) (string, error) {
	if r.Label == "" {
		r.Label = "CITIZEN AUTHENTICATION"
	}
	if len(r.ID) == 0 {
		r.ID = []byte{0x45}
	}
	u, err := ParseURI(uri)
	if err != nil {
		return "", err
	}
	tokens, listErr := list(ctx, u.modules(), u.matchesToken)
	switch {
	case len(tokens) == 0:
		return "", withCause(&NotFoundError{URI: u.String(), Reason: "there is no such token"}, listErr)
	case len(tokens) > 1:
		e := &AmbiguousError{}
		for _, t := range tokens {
			e.URIs = append(e.URIs, URI{Token: t.Label, Serial: t.Serial, ModulePath: t.Module}.String())
		}
		return "", e
	}
	c, err := newCard(ctx, u, &tokens[0], prompt, pkcs11.CKF_SERIAL_SESSION|pkcs11.CKF_RW_SESSION)
	if err != nil {
		return "", err
	}
	w := &writer{card: c, StoreRequest: r, extra: extra}
	err = w.store(ctx, generate)
	if err := errors.Join(err, c.Close()); err != nil {
		return "", err
	}
	return w.token.uri(&Certificate{Label: w.Label + " CERTIFICATE", ID: w.ID}), nil
}

// writer puts one key with its certificates onto a token.
type writer struct {
	*card
	StoreRequest
	extra []*pkcs11.Attribute // of the private key

	old, made []pkcs11.ObjectHandle
}

func (w *writer) store(ctx context.Context, generate bool) error {
	pub, err := call(ctx, w.m, func(p *pkcs11.Ctx) (pub crypto.PublicKey, err error) {
		if w.old, err = w.m.find(p, w.session, pkcs11.NewAttribute(pkcs11.CKA_ID, w.ID)); err != nil {
			return nil, err
		}
		if generate && w.canGenerate(p) {
			return w.generate(p)
		}
		return w.importKey(p)
	})
	var certs []*x509.Certificate
	if err == nil {
		certs, err = w.certify(pub)
	}
	// Even where ctx has ended meanwhile, since half a card is worse than none.
	_, err = call(context.WithoutCancel(ctx), w.m, func(p *pkcs11.Ctx) (struct{}, error) {
		if err == nil {
			err = w.writeChain(p, certs)
		}
		doomed := w.old
		if err != nil {
			doomed = w.made
		}
		for _, o := range doomed {
			err = errors.Join(err, w.m.failed("C_DestroyObject", p.DestroyObject(w.session, o)))
		}
		return struct{}{}, err
	})
	return err
}

func (w *writer) certify(pub crypto.PublicKey) ([]*x509.Certificate, error) {
	chain, err := w.Issue(pub)
	if err != nil {
		return nil, err
	}
	if len(chain) == 0 {
		return nil, errors.New("pkcs11card: no certificate was issued")
	}
	var certs []*x509.Certificate
	for _, der := range chain {
		c, err := x509.ParseCertificate(der)
		if err != nil {
			return nil, err
		}
		certs = append(certs, c)
	}
	return certs, nil
}

func (w *writer) canGenerate(p *pkcs11.Ctx) bool {
	list, err := p.GetMechanismList(w.slot)
	return err == nil && slices.ContainsFunc(list, func(m *pkcs11.Mechanism) bool { return m.Mechanism == w.generator() })
}

func (w *writer) generator() uint {
	if w.Curve == nil {
		return pkcs11.CKM_RSA_PKCS_KEY_PAIR_GEN
	}
	return pkcs11.CKM_EC_KEY_PAIR_GEN
}

// common are the attributes that all objects of the card share.
func (w *writer) common(class uint, label string, more ...*pkcs11.Attribute) []*pkcs11.Attribute {
	return append([]*pkcs11.Attribute{
		pkcs11.NewAttribute(pkcs11.CKA_CLASS, class),
		pkcs11.NewAttribute(pkcs11.CKA_TOKEN, true),
		pkcs11.NewAttribute(pkcs11.CKA_ID, w.ID),
		pkcs11.NewAttribute(pkcs11.CKA_LABEL, label),
	}, more...)
}

func (w *writer) private(more ...*pkcs11.Attribute) []*pkcs11.Attribute {
	a := w.common(pkcs11.CKO_PRIVATE_KEY, w.Label+" KEY",
		pkcs11.NewAttribute(pkcs11.CKA_PRIVATE, true),
		pkcs11.NewAttribute(pkcs11.CKA_SENSITIVE, true),
		pkcs11.NewAttribute(pkcs11.CKA_EXTRACTABLE, false),
		pkcs11.NewAttribute(pkcs11.CKA_SIGN, true))
	return slices.Concat(a, w.extra, more)
}

func (w *writer) public(more ...*pkcs11.Attribute) []*pkcs11.Attribute {
	a := w.common(pkcs11.CKO_PUBLIC_KEY, w.Label+" KEY", pkcs11.NewAttribute(pkcs11.CKA_VERIFY, true))
	return append(a, more...)
}

var exponent = []byte{1, 0, 1}

func (w *writer) generate(p *pkcs11.Ctx) (crypto.PublicKey, error) {
	var kind []*pkcs11.Attribute
	if w.Curve == nil {
		kind = []*pkcs11.Attribute{pkcs11.NewAttribute(pkcs11.CKA_MODULUS_BITS, w.RSABits), pkcs11.NewAttribute(pkcs11.CKA_PUBLIC_EXPONENT, exponent)}
	} else {
		params, err := curveParams(w.Curve)
		if err != nil {
			return nil, err
		}
		kind = []*pkcs11.Attribute{pkcs11.NewAttribute(pkcs11.CKA_EC_PARAMS, params)}
	}
	pub, priv, err := p.GenerateKeyPair(w.session, []*pkcs11.Mechanism{pkcs11.NewMechanism(w.generator(), nil)}, w.public(kind...), w.private())
	if err != nil {
		return nil, w.m.failed("C_GenerateKeyPair", err)
	}
	w.made = append(w.made, pub, priv)
	return w.readPublic(p, pub)
}

func (w *writer) readPublic(p *pkcs11.Ctx, o pkcs11.ObjectHandle) (crypto.PublicKey, error) {
	if w.Curve == nil {
		n, ok := attribute(p, w.session, o, pkcs11.CKA_MODULUS)
		if !ok {
			return nil, &UnsupportedError{"the token does not show the key that it made"}
		}
		return &rsa.PublicKey{N: new(big.Int).SetBytes(n), E: 65537}, nil
	}
	v, ok := attribute(p, w.session, o, pkcs11.CKA_EC_POINT)
	if !ok {
		return nil, &UnsupportedError{"the token does not show the key that it made"}
	}
	var point []byte
	if rest, err := asn1.Unmarshal(v, &point); err != nil || len(rest) > 0 {
		point = v // some tokens leave the OCTET STRING out
	}
	return ecdsa.ParseUncompressedPublicKey(w.Curve, point)
}

func (w *writer) importKey(p *pkcs11.Ctx) (crypto.PublicKey, error) {
	var pub crypto.PublicKey
	var public, private []*pkcs11.Attribute
	if w.Curve == nil {
		k, err := rsa.GenerateKey(rand.Reader, w.RSABits)
		if err != nil {
			return nil, err
		}
		pub = &k.PublicKey
		public = []*pkcs11.Attribute{
			pkcs11.NewAttribute(pkcs11.CKA_KEY_TYPE, pkcs11.CKK_RSA),
			pkcs11.NewAttribute(pkcs11.CKA_MODULUS, k.N.Bytes()),
			pkcs11.NewAttribute(pkcs11.CKA_PUBLIC_EXPONENT, exponent),
		}
		private = append(slices.Clone(public),
			pkcs11.NewAttribute(pkcs11.CKA_PRIVATE_EXPONENT, k.D.Bytes()),
			pkcs11.NewAttribute(pkcs11.CKA_PRIME_1, k.Primes[0].Bytes()),
			pkcs11.NewAttribute(pkcs11.CKA_PRIME_2, k.Primes[1].Bytes()),
			pkcs11.NewAttribute(pkcs11.CKA_EXPONENT_1, k.Precomputed.Dp.Bytes()),
			pkcs11.NewAttribute(pkcs11.CKA_EXPONENT_2, k.Precomputed.Dq.Bytes()),
			pkcs11.NewAttribute(pkcs11.CKA_COEFFICIENT, k.Precomputed.Qinv.Bytes()))
	} else {
		k, err := ecdsa.GenerateKey(w.Curve, rand.Reader)
		if err != nil {
			return nil, err
		}
		pub = &k.PublicKey
		params, err := curveParams(w.Curve)
		if err != nil {
			return nil, err
		}
		secret, err := k.Bytes()
		if err != nil {
			return nil, err
		}
		raw, err := k.PublicKey.Bytes()
		if err != nil {
			return nil, err
		}
		point, err := asn1.Marshal(raw)
		if err != nil {
			return nil, err
		}
		kind := []*pkcs11.Attribute{pkcs11.NewAttribute(pkcs11.CKA_KEY_TYPE, pkcs11.CKK_EC), pkcs11.NewAttribute(pkcs11.CKA_EC_PARAMS, params)}
		public = append(slices.Clone(kind), pkcs11.NewAttribute(pkcs11.CKA_EC_POINT, point))
		private = append(kind, pkcs11.NewAttribute(pkcs11.CKA_VALUE, secret))
	}
	if err := w.create(p, w.private(private...)); err != nil {
		return nil, err
	}
	return pub, w.create(p, w.public(public...))
}

func (w *writer) create(p *pkcs11.Ctx, template []*pkcs11.Attribute) error {
	o, err := p.CreateObject(w.session, template)
	if err != nil {
		return w.m.failed("C_CreateObject", err)
	}
	w.made = append(w.made, o)
	return nil
}

// writeChain writes the certificate, and those above it that are not there yet.
func (w *writer) writeChain(p *pkcs11.Ctx, certs []*x509.Certificate) error {
	for i, c := range certs {
		id, label := w.ID, w.Label+" CERTIFICATE"
		if i > 0 {
			id, label = c.SubjectKeyId, c.Subject.CommonName
			there, err := w.m.find(p, w.session, pkcs11.NewAttribute(pkcs11.CKA_CLASS, pkcs11.CKO_CERTIFICATE), pkcs11.NewAttribute(pkcs11.CKA_VALUE, c.Raw))
			if err != nil {
				return err
			}
			if len(there) > 0 {
				continue
			}
		}
		serial, err := asn1.Marshal(c.SerialNumber)
		if err != nil {
			return err
		}
		err = w.create(p, []*pkcs11.Attribute{
			pkcs11.NewAttribute(pkcs11.CKA_CLASS, pkcs11.CKO_CERTIFICATE),
			pkcs11.NewAttribute(pkcs11.CKA_CERTIFICATE_TYPE, pkcs11.CKC_X_509),
			pkcs11.NewAttribute(pkcs11.CKA_TOKEN, true),
			pkcs11.NewAttribute(pkcs11.CKA_PRIVATE, false),
			pkcs11.NewAttribute(pkcs11.CKA_ID, id),
			pkcs11.NewAttribute(pkcs11.CKA_LABEL, label),
			pkcs11.NewAttribute(pkcs11.CKA_SUBJECT, c.RawSubject),
			pkcs11.NewAttribute(pkcs11.CKA_ISSUER, c.RawIssuer),
			pkcs11.NewAttribute(pkcs11.CKA_SERIAL_NUMBER, serial),
			pkcs11.NewAttribute(pkcs11.CKA_VALUE, c.Raw),
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// curveParams is the curve's name as CKA_EC_PARAMS has it (RFC 5480 section 2.1.1.1).
func curveParams(c elliptic.Curve) ([]byte, error) {
	switch c {
	case elliptic.P256():
		return asn1.Marshal(asn1.ObjectIdentifier{1, 2, 840, 10045, 3, 1, 7})
	case elliptic.P384():
		return asn1.Marshal(asn1.ObjectIdentifier{1, 3, 132, 0, 34})
	}
	return nil, &UnsupportedError{fmt.Sprintf("keys on %v", c)}
}

// Package store writes a key with its certificates to a token, for trials.
package store

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

	"sinete/cardauth/pkcs11card/internal/cryptoki"
	"sinete/cardauth/pkcs11card/internal/login"
)

// Request is a key to be made on a token, and who certifies it.
type Request struct {
	Curve   elliptic.Curve // P-256 or P-384; nil for RSA
	RSABits int            // where Curve is nil
	// Issue returns the chain for the key, DER, the person's certificate first.
	Issue func(crypto.PublicKey) (chain [][]byte, err error)
	Label string // of the objects, before " CERTIFICATE" and " KEY"; CITIZEN AUTHENTICATION if empty
	ID    []byte // CKA_ID, 45 (hexadecimal) if empty; what had it is replaced
	// Import has the key made here and written to the token even where the token could make it.
	Import bool
	// Extra are attributes of the private key beside the usual ones, or in their place.
	Extra []cryptoki.Attribute
}

// Write makes the key, has it certified and writes it all to the token of a Holder that has begun a read-write session. What had
// the same CKA_ID is deleted once the new certificate has been issued. r.Label and r.ID are set.
func Write(ctx context.Context, h *login.Holder, r Request) error {
	w := &writer{Holder: h, Request: r}
	return w.store(ctx)
}

// writer puts one key with its certificates onto a token.
type writer struct {
	*login.Holder
	Request

	old, made []uint64 // objects
}

func (w *writer) store(ctx context.Context) error {
	old, err := w.Session.Find(ctx, nil, cryptoki.Bytes(cryptoki.AttrID, w.ID))
	if err != nil {
		return err
	}
	for _, o := range old {
		w.old = append(w.old, o.Handle)
	}
	var pub crypto.PublicKey
	if !w.Import && w.canGenerate(ctx) {
		pub, err = w.generate(ctx)
	} else {
		pub, err = w.importKey(ctx)
	}
	var certs []*x509.Certificate
	if err == nil {
		certs, err = w.certify(pub)
	}
	// Even where ctx has ended meanwhile, since half a card is worse than none.
	ctx = context.WithoutCancel(ctx)
	if err == nil {
		err = w.writeChain(ctx, certs)
	}
	doomed := w.old
	if err != nil {
		doomed = w.made
	}
	for _, o := range doomed {
		_, derr := w.Session.Do(ctx, &cryptoki.Request{Op: cryptoki.OpDestroy, Object: o})
		err = errors.Join(err, derr)
	}
	return err
}

func (w *writer) certify(pub crypto.PublicKey) ([]*x509.Certificate, error) {
	chain, err := w.Issue(pub)
	if err != nil {
		return nil, err
	}
	if len(chain) == 0 {
		return nil, errors.New("store: no certificate was issued")
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

func (w *writer) canGenerate(ctx context.Context) bool {
	list, err := w.Mechanisms(ctx)
	return err == nil && slices.Contains(list, w.generator())
}

func (w *writer) generator() uint64 {
	if w.Curve == nil {
		return cryptoki.MechRSAGenerate
	}
	return cryptoki.MechECGenerate
}

// common are the attributes that all objects of the card share.
func (w *writer) common(class uint64, label string, more ...cryptoki.Attribute) []cryptoki.Attribute {
	return append([]cryptoki.Attribute{
		cryptoki.Number(cryptoki.AttrClass, class),
		cryptoki.Bool(cryptoki.AttrToken, true),
		cryptoki.Bytes(cryptoki.AttrID, w.ID),
		cryptoki.Bytes(cryptoki.AttrLabel, []byte(label)),
	}, more...)
}

func (w *writer) private(more ...cryptoki.Attribute) []cryptoki.Attribute {
	a := w.common(cryptoki.ClassPrivateKey, w.Label+" KEY",
		cryptoki.Bool(cryptoki.AttrPrivate, true),
		cryptoki.Bool(cryptoki.AttrSensitive, true),
		cryptoki.Bool(cryptoki.AttrExtractable, false),
		cryptoki.Bool(cryptoki.AttrSign, true))
	for _, e := range w.Extra {
		a = slices.DeleteFunc(a, func(o cryptoki.Attribute) bool { return o.Type == e.Type })
	}
	return slices.Concat(a, w.Extra, more)
}

func (w *writer) public(more ...cryptoki.Attribute) []cryptoki.Attribute {
	a := w.common(cryptoki.ClassPublicKey, w.Label+" KEY", cryptoki.Bool(cryptoki.AttrVerify, true))
	return append(a, more...)
}

var exponent = []byte{1, 0, 1}

func (w *writer) generate(ctx context.Context) (crypto.PublicKey, error) {
	var kind []cryptoki.Attribute
	if w.Curve == nil {
		kind = []cryptoki.Attribute{cryptoki.Number(cryptoki.AttrModulusBits, uint64(w.RSABits)), cryptoki.Bytes(cryptoki.AttrPublicExponent, exponent)}
	} else {
		params, err := curveParams(w.Curve)
		if err != nil {
			return nil, err
		}
		kind = []cryptoki.Attribute{cryptoki.Bytes(cryptoki.AttrECParams, params)}
	}
	a, err := w.Session.Do(ctx, &cryptoki.Request{Op: cryptoki.OpGenerate, Mechanism: w.generator(), Template: w.public(kind...), Private: w.private()})
	if err != nil {
		return nil, err
	}
	for _, o := range a.Objects {
		w.made = append(w.made, o.Handle)
	}
	made, err := w.Session.Find(ctx, []uint64{cryptoki.AttrModulus, cryptoki.AttrECPoint},
		cryptoki.Number(cryptoki.AttrClass, cryptoki.ClassPublicKey), cryptoki.Bytes(cryptoki.AttrID, w.ID))
	if err != nil {
		return nil, err
	}
	i := slices.IndexFunc(made, func(o cryptoki.Object) bool { return slices.Contains(w.made, o.Handle) })
	if i < 0 {
		return nil, &login.UnsupportedError{What: "the token does not show the key that it made"}
	}
	return w.readPublic(&made[i])
}

func (w *writer) readPublic(o *cryptoki.Object) (crypto.PublicKey, error) {
	if w.Curve == nil {
		n, ok := o.Get(cryptoki.AttrModulus)
		if !ok {
			return nil, &login.UnsupportedError{What: "the token does not show the key that it made"}
		}
		return &rsa.PublicKey{N: new(big.Int).SetBytes(n), E: 65537}, nil
	}
	v, ok := o.Get(cryptoki.AttrECPoint)
	if !ok {
		return nil, &login.UnsupportedError{What: "the token does not show the key that it made"}
	}
	var point []byte
	if rest, err := asn1.Unmarshal(v, &point); err != nil || len(rest) > 0 {
		point = v // some tokens leave the OCTET STRING out
	}
	return ecdsa.ParseUncompressedPublicKey(w.Curve, point)
}

func (w *writer) importKey(ctx context.Context) (crypto.PublicKey, error) {
	var pub crypto.PublicKey
	var public, private []cryptoki.Attribute
	if w.Curve == nil {
		k, err := rsa.GenerateKey(rand.Reader, w.RSABits)
		if err != nil {
			return nil, err
		}
		pub = &k.PublicKey
		public = []cryptoki.Attribute{
			cryptoki.Number(cryptoki.AttrKeyType, cryptoki.KeyRSA),
			cryptoki.Bytes(cryptoki.AttrModulus, k.N.Bytes()),
			cryptoki.Bytes(cryptoki.AttrPublicExponent, exponent),
		}
		private = append(slices.Clone(public),
			cryptoki.Bytes(cryptoki.AttrPrivateExponent, k.D.Bytes()),
			cryptoki.Bytes(cryptoki.AttrPrime1, k.Primes[0].Bytes()),
			cryptoki.Bytes(cryptoki.AttrPrime2, k.Primes[1].Bytes()),
			cryptoki.Bytes(cryptoki.AttrExponent1, k.Precomputed.Dp.Bytes()),
			cryptoki.Bytes(cryptoki.AttrExponent2, k.Precomputed.Dq.Bytes()),
			cryptoki.Bytes(cryptoki.AttrCoefficient, k.Precomputed.Qinv.Bytes()))
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
		kind := []cryptoki.Attribute{cryptoki.Number(cryptoki.AttrKeyType, cryptoki.KeyEC), cryptoki.Bytes(cryptoki.AttrECParams, params)}
		public = append(slices.Clone(kind), cryptoki.Bytes(cryptoki.AttrECPoint, point))
		private = append(kind, cryptoki.Bytes(cryptoki.AttrValue, secret))
	}
	if err := w.create(ctx, w.private(private...)); err != nil {
		return nil, err
	}
	return pub, w.create(ctx, w.public(public...))
}

func (w *writer) create(ctx context.Context, template []cryptoki.Attribute) error {
	a, err := w.Session.Do(ctx, &cryptoki.Request{Op: cryptoki.OpCreate, Template: template})
	if err != nil {
		return err
	}
	w.made = append(w.made, a.Handle)
	return nil
}

// writeChain writes the certificate, and those above it that are not there yet.
func (w *writer) writeChain(ctx context.Context, certs []*x509.Certificate) error {
	for i, c := range certs {
		id, label := w.ID, w.Label+" CERTIFICATE"
		if i > 0 {
			id, label = c.SubjectKeyId, c.Subject.CommonName
			there, err := w.Session.Find(ctx, nil, cryptoki.Number(cryptoki.AttrClass, cryptoki.ClassCertificate), cryptoki.Bytes(cryptoki.AttrValue, c.Raw))
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
		err = w.create(ctx, []cryptoki.Attribute{
			cryptoki.Number(cryptoki.AttrClass, cryptoki.ClassCertificate),
			cryptoki.Number(cryptoki.AttrCertificateType, cryptoki.CertificateX509),
			cryptoki.Bool(cryptoki.AttrToken, true),
			cryptoki.Bool(cryptoki.AttrPrivate, false),
			cryptoki.Bytes(cryptoki.AttrID, id),
			cryptoki.Bytes(cryptoki.AttrLabel, []byte(label)),
			cryptoki.Bytes(cryptoki.AttrSubject, c.RawSubject),
			cryptoki.Bytes(cryptoki.AttrIssuer, c.RawIssuer),
			cryptoki.Bytes(cryptoki.AttrSerialNumber, serial),
			cryptoki.Bytes(cryptoki.AttrValue, c.Raw),
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
	return nil, &login.UnsupportedError{What: fmt.Sprintf("keys on %v", c)}
}

//go:build cgo

package pkcs11card

import (
	"context"
	"crypto/ecdsa"
	_ "crypto/sha256" // for the hash of a scheme
	_ "crypto/sha512"
	"errors"
	"fmt"
	"math/big"
	"slices"

	"github.com/miekg/pkcs11"
	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"

	"sinete/cardauth"
	"sinete/cardauth/seal"
	"sinete/wire"
)

// digestInfo is what stands before a SHA-256 in the DigestInfo of RFC 8017 section 9.2.
var digestInfo = []byte{0x30, 0x31, 0x30, 0x0d, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x01, 0x05, 0x00, 0x04, 0x20}

// choose is the best mechanism on the list for a key whose default scheme is s, and the scheme that it makes. One that takes the
// message stands before one that takes a DigestInfo, since some cards hash by themselves or not at all; PSS stands last, for
// tokens that have given up PKCS #1 v1.5.
func choose(list []*pkcs11.Mechanism, s wire.Scheme) (uint, wire.Scheme, bool) {
	type choice struct {
		mechanism uint
		scheme    wire.Scheme
	}
	wanted := []choice{{pkcs11.CKM_ECDSA, s}}
	if s == wire.SchemeRSAPKCS1 {
		wanted = []choice{{pkcs11.CKM_SHA256_RSA_PKCS, s}, {pkcs11.CKM_RSA_PKCS, s},
			{pkcs11.CKM_SHA256_RSA_PKCS_PSS, wire.SchemeRSAPSS}, {pkcs11.CKM_RSA_PKCS_PSS, wire.SchemeRSAPSS}}
	}
	for _, w := range wanted {
		if slices.ContainsFunc(list, func(m *pkcs11.Mechanism) bool { return m.Mechanism == w.mechanism }) {
			return w.mechanism, w.scheme, true
		}
	}
	return 0, 0, false
}

// chooseMechanism sets the card's mechanism and scheme.
func (c *card) chooseMechanism(p *pkcs11.Ctx) error {
	s, err := seal.DefaultScheme(c.cert.PublicKey)
	if err != nil {
		return err
	}
	list, err := p.GetMechanismList(c.slot)
	if err != nil {
		return c.m.failed("C_GetMechanismList", err)
	}
	var ok bool
	if c.mech, c.scheme, ok = choose(list, s); !ok {
		return &UnsupportedError{fmt.Sprintf("the token %q has no mechanism for %v", c.token.Label, s)}
	}
	return nil
}

// SealRoot signs in.Append(nil) on the token and verifies the signature. A key that wants the PIN at each signature asks for it,
// one signature at a time. Errors besides those of cardauth.Card: RemovedError, ModuleError, cardauth.PINError, or
// what the prompt returned.
func (c *card) SealRoot(ctx context.Context, in wire.SealInput) ([]byte, error) {
	message := in.Append(nil)
	sig, err := c.sealMessage(ctx, message)
	if err != nil {
		return nil, err
	}
	if err := seal.VerifySignature(c.cert.PublicKey, c.scheme, message, sig); err != nil {
		return nil, c.m.failed("C_Sign", fmt.Errorf("a signature that does not verify: %w", err))
	}
	return sig, nil
}

func (c *card) sealMessage(ctx context.Context, message []byte) ([]byte, error) {
	if !c.always {
		return call(ctx, c.m, func(p *pkcs11.Ctx) ([]byte, error) { return c.signOrReconnect(p, message, "") })
	}
	select {
	case c.asking <- struct{}{}:
		defer func() { <-c.asking }()
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	if c.closed.Load() {
		return nil, cardauth.ErrClosed
	}
	return c.withPIN(ctx, func(p *pkcs11.Ctx, pin string) ([]byte, error) { return c.signOrReconnect(p, message, pin) })
}

// signOrReconnect tries once more from a fresh session where the old one, or its login, was lost.
func (c *card) signOrReconnect(p *pkcs11.Ctx, message []byte, pin string) ([]byte, error) {
	if c.closed.Load() {
		return nil, cardauth.ErrClosed
	}
	sig, err := c.sign(p, message, pin)
	if !gone(err) {
		return sig, err
	}
	if err := c.reconnect(p); err != nil {
		return nil, err
	}
	if sig, err = c.sign(p, message, pin); gone(err) {
		return nil, &RemovedError{c.token.Label, err}
	}
	return sig, err
}

// sign makes the calls of one signature, between which nothing may come.
func (c *card) sign(p *pkcs11.Ctx, message []byte, pin string) ([]byte, error) {
	input := message
	if c.mech != pkcs11.CKM_SHA256_RSA_PKCS && c.mech != pkcs11.CKM_SHA256_RSA_PKCS_PSS {
		h := seal.SignOptions(c.scheme).HashFunc().New()
		h.Write(message)
		input = h.Sum(nil)
	}
	if c.mech == pkcs11.CKM_RSA_PKCS {
		input = slices.Concat(digestInfo, input)
	}
	var parameters any
	if c.scheme == wire.SchemeRSAPSS {
		const saltLength = 32 // of rsa_pss_rsae_sha256: as long as the hash
		parameters = pkcs11.NewPSSParams(pkcs11.CKM_SHA256, pkcs11.CKG_MGF1_SHA256, saltLength)
	}
	if err := p.SignInit(c.session, []*pkcs11.Mechanism{pkcs11.NewMechanism(c.mech, parameters)}, c.key); err != nil {
		return nil, c.m.failed("C_SignInit", err)
	}
	if c.always {
		if err := c.login(p, pkcs11.CKU_CONTEXT_SPECIFIC, pin); err != nil {
			// The session would stay in its unfinished signature. What the login said is what matters.
			if rerr := c.reconnect(p); rerr != nil {
				return nil, errors.Join(err, rerr)
			}
			return nil, err
		}
	}
	raw, err := p.Sign(c.session, input)
	if err != nil {
		return nil, c.m.failed("C_Sign", err)
	}
	pub, ok := c.cert.PublicKey.(*ecdsa.PublicKey)
	if !ok {
		return raw, nil
	}
	sig, err := encodeECDSA(raw, (pub.Params().BitSize+7)/8)
	return sig, c.m.failed("C_Sign", err)
}

// encodeECDSA turns r and s of n bytes each into the ASN.1 that X.509 and TLS have.
func encodeECDSA(raw []byte, n int) ([]byte, error) {
	if len(raw) != 2*n {
		return nil, fmt.Errorf("a signature of %d bytes where %d are due", len(raw), 2*n)
	}
	var b cryptobyte.Builder
	b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddASN1BigInt(new(big.Int).SetBytes(raw[:n]))
		b.AddASN1BigInt(new(big.Int).SetBytes(raw[n:]))
	})
	return b.Bytes()
}

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
	"time"

	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"

	"sinete/cardauth"
	"sinete/cardauth/pkcs11card/internal/cryptoki"
	"sinete/cardauth/pkcs11card/internal/login"
	"sinete/cardauth/seal"
	"sinete/wire"
)

// afterFunc is time.AfterFunc; tests put their own.
var afterFunc = time.AfterFunc

// noticeable is how long a signature takes before the person is told that the card is waited for.
const noticeable = time.Second

// digestInfo is what stands before a SHA-256 in the DigestInfo of RFC 8017 section 9.2.
var digestInfo = []byte{0x30, 0x31, 0x30, 0x0d, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x01, 0x05, 0x00, 0x04, 0x20}

// mechanism is the best on the list for a key whose default scheme is s, and the scheme that it makes. One that takes the
// message stands before one that takes a DigestInfo, since some cards hash by themselves or not at all; PSS stands last, for
// tokens that have given up PKCS #1 v1.5. Where right holds any, one that is not among them is passed over.
func mechanism(list, right []uint64, s wire.Scheme) (uint64, wire.Scheme, bool) {
	type choice struct {
		mechanism uint64
		scheme    wire.Scheme
	}
	wanted := []choice{{cryptoki.MechECDSA, s}}
	if s == wire.SchemeRSAPKCS1 {
		wanted = []choice{{cryptoki.MechSHA256RSA, s}, {cryptoki.MechRSAPKCS, s},
			{cryptoki.MechSHA256RSAPSS, wire.SchemeRSAPSS}, {cryptoki.MechRSAPSS, wire.SchemeRSAPSS}}
	}
	for _, w := range wanted {
		if slices.Contains(list, w.mechanism) && (right == nil || slices.Contains(right, w.mechanism)) {
			return w.mechanism, w.scheme, true
		}
	}
	return 0, 0, false
}

// chooseMechanism sets the card's mechanism and scheme.
func (c *card) chooseMechanism(ctx context.Context) error {
	s, err := seal.DefaultScheme(c.cert.PublicKey)
	if err != nil {
		return err
	}
	list, err := c.Mechanisms(ctx)
	if err != nil {
		return err
	}
	var ok bool
	if c.mech, c.scheme, ok = mechanism(list, c.info.Profile.Mechanisms, s); !ok {
		return &UnsupportedError{What: fmt.Sprintf("the token %q has no mechanism for %v", c.info.Label, s)}
	}
	return nil
}

// SealRoot signs in.Append(nil) on the token, one signature at a time, and verifies the signature. It asks for the PIN where the
// key wants it at each signature, and where the login was lost with the card, the module or idleness.
//
// Errors besides those of cardauth.Card: cardauth.AbsentError, cardauth.PINError, CancelledError, ModuleError, or what the
// prompt returned.
func (c *card) SealRoot(ctx context.Context, in wire.SealInput) ([]byte, error) {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	defer context.AfterFunc(c.Ending, stop)()
	select {
	case c.Turn <- struct{}{}:
		defer func() { <-c.Turn }()
	case <-ctx.Done():
		return nil, ended(c.Holder, ctx.Err())
	}
	if c.Closed() {
		return nil, cardauth.ErrClosed
	}
	message := in.Append(nil)
	sig, err := c.persevere(ctx, message)
	if err != nil {
		return nil, ended(c.Holder, err)
	}
	if c.idle != nil {
		c.idle.Reset(c.options.Idle)
	}
	if err := seal.VerifySignature(c.cert.PublicKey, c.scheme, message, sig); err != nil {
		return nil, &ModuleError{Module: c.Module.Path(), Call: cryptoki.OpSign.String(), Err: fmt.Errorf("a signature that does not verify: %w", err)}
	}
	return sig, nil
}

// ended is err, or what it means where Close broke in.
func ended(h *login.Holder, err error) error {
	if h.Closed() && errors.Is(err, context.Canceled) {
		return cardauth.ErrClosed
	}
	return err
}

// persevere tries once more, from a fresh session or a fresh child, after what that helps against.
func (c *card) persevere(ctx context.Context, message []byte) ([]byte, error) {
	sig, err := c.attempt(ctx, message)
	switch {
	case login.Lost(err):
		err = c.Drop(ctx)
	case login.Broken(err):
		c.Session = nil
		err = c.Module.Restart(ctx, c.Life)
	default:
		return sig, err
	}
	if err != nil {
		return nil, err
	}
	if sig, err = c.attempt(ctx, message); login.Lost(err) {
		if _, gone := c.Present(ctx); gone != nil {
			return nil, gone
		}
	}
	return sig, err
}

// attempt signs once, in the session that is there or a fresh one.
func (c *card) attempt(ctx context.Context, message []byte) (sig []byte, err error) {
	if c.Session == nil {
		if err := c.resume(ctx); err != nil {
			return nil, errors.Join(err, c.Drop(context.WithoutCancel(ctx)))
		}
	}
	if c.always {
		err = c.WithPIN(ctx, func(pin []byte) (err error) {
			if sig, err = c.sign(ctx, message, pin); login.Refused(err) {
				err = errors.Join(err, c.renew(ctx)) // the session would stay in its unfinished signature
			}
			return err
		})
		return sig, err
	}
	if c.info.Profile.Dialog {
		c.notify(NoticeDialog)
	}
	sig, err = c.sign(ctx, message, nil)
	switch {
	case cryptoki.Has(err, cryptoki.PINLocked):
		return nil, c.Locked(ctx)
	case cryptoki.Has(err, cryptoki.FunctionCanceled, cryptoki.FunctionRejected):
		return nil, &CancelledError{Card: c.info.Label}
	case cryptoki.Has(err, cryptoki.PINIncorrect):
		return nil, c.PINError(PINUntouched)
	}
	return sig, err
}

// renew replaces the session by a fresh one that shares its login.
func (c *card) renew(ctx context.Context) error {
	old := c.Session
	s, err := login.OpenSession(ctx, c.Module, c.Token.Slot, false)
	if err != nil {
		return err
	}
	c.Session, c.Life = s, s.Life
	return errors.Join(c.findKey(ctx), old.Close(ctx))
}

// sign makes the calls of one signature.
func (c *card) sign(ctx context.Context, message, pin []byte) ([]byte, error) {
	input := message
	if c.mech != cryptoki.MechSHA256RSA && c.mech != cryptoki.MechSHA256RSAPSS {
		h := seal.SignOptions(c.scheme).HashFunc().New()
		h.Write(message)
		input = h.Sum(nil)
	}
	if c.mech == cryptoki.MechRSAPKCS {
		input = slices.Concat(digestInfo, input)
	}
	if c.options.Notify != nil {
		defer afterFunc(noticeable, func() { c.notify(NoticeWaiting) }).Stop()
	}
	a, err := c.Session.Do(ctx, &cryptoki.Request{Op: cryptoki.OpSign, Object: c.key, Mechanism: c.mech, PSS: c.scheme == wire.SchemeRSAPSS,
		Data: input, Context: c.always, PIN: pin})
	if err != nil {
		return nil, err
	}
	pub, ok := c.cert.PublicKey.(*ecdsa.PublicKey)
	if !ok {
		return a.Data, nil
	}
	sig, err := encodeECDSA(a.Data, (pub.Params().BitSize+7)/8)
	if err != nil {
		return nil, &ModuleError{Module: c.Module.Path(), Call: cryptoki.OpSign.String(), Err: err}
	}
	return sig, nil
}

func (c *card) notify(n Notice) {
	if c.options.Notify != nil {
		c.options.Notify(c.info.Label, n)
	}
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

package pkcs11card

import (
	"bytes"
	"context"
	"crypto/x509"
	"errors"
	"slices"
	"time"

	"sinete/cardauth"
	"sinete/cardauth/pkcs11card/internal/cryptoki"
	"sinete/cardauth/pkcs11card/internal/login"
	"sinete/wire"
)

// card is a certificate on a token, with a session while it needs one. The token's login is shared with all other sessions of the
// program. It is a cardauth.Removable, a cardauth.Lockable and a cardauth.Demanding.
type card struct {
	*login.Holder
	uri     URI
	options Options
	info    Token // as it was listed, without certificates

	cert   *x509.Certificate
	chain  [][]byte
	id     []byte
	scheme wire.Scheme
	mech   uint64
	always bool   // the key wants the PIN at each signature
	key    uint64 // in session

	idle *time.Timer // nil: never
}

// Open opens the card that the URI names, and asks for its PIN where the token wants one at login: at most three times,
// and never without the person being asked anew. The PIN in a URI is tried once, and not at all where a wrong one would lock
// the card, unless the URI says pin-last-try=yes. The card is a cardauth.Removable, a cardauth.Lockable and a cardauth.Demanding.
//
// Errors: URIError, NotFoundError, AmbiguousError, UnsupportedError, ExportableError, CancelledError, ModuleError,
// cardauth.AbsentError, cardauth.PINError, or what prompt returned.
func Open(ctx context.Context, uri string, prompt cardauth.Prompt) (cardauth.Card, error) {
	return OpenWith(ctx, uri, prompt, Options{})
}

// OpenWith is Open with options.
func OpenWith(ctx context.Context, uri string, prompt cardauth.Prompt, o Options) (cardauth.Card, error) {
	u, err := ParseURI(uri)
	if err != nil {
		return nil, err
	}
	modules, err := Modules(uri)
	if err != nil {
		return nil, err
	}
	tokens, held, listErr := list(ctx, modules, u.matchesToken)
	defer held.release()
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	t, err := u.choose(tokens, o)
	if err != nil {
		return nil, withCause(err, listErr)
	}
	h, err := hold(u, t, prompt, o, false)
	if err != nil {
		return nil, err
	}
	c := &card{Holder: h, uri: u, options: o, info: *t}
	c.info.Certificates = nil
	if err = c.Begin(ctx); err == nil {
		err = c.bind(ctx)
	}
	if err != nil {
		return nil, errors.Join(err, c.Close())
	}
	if o.Idle > 0 {
		c.idle = afterFunc(o.Idle, c.Lock)
	}
	return c, nil
}

// withCause puts what went wrong with some module beside a finding that may be due to it.
func withCause(err, cause error) error {
	if nf, ok := errors.AsType[*NotFoundError](err); ok {
		nf.Err = cause
	}
	return err
}

// hold acquires the token's module; Close gives it back.
func hold(u URI, t *Token, prompt cardauth.Prompt, o Options, write bool) (*login.Holder, error) {
	m, err := acquire(t.Module)
	if err != nil {
		return nil, err
	}
	w := login.Wishes{Prompt: prompt, Given: u.pin, LastTry: u.LastTry, Write: write}
	if o.Notify != nil {
		w.OnPad = func() { o.Notify(t.Label, NoticePad) }
	}
	return login.New(m, login.Token{Label: t.Label, Serial: t.Serial, Maker: t.Manufacturer, Model: t.Model, Slot: uint64(t.Slot),
		Required: t.Login, CAN: t.Profile.CAN, StaticReaders: t.Profile.StaticReaders}, w), nil
}

// bind chooses the certificate and finds its key, after login.
func (c *card) bind(ctx context.Context) error {
	t := c.info
	if err := readObjects(ctx, c.Session, &t); err != nil {
		return err
	}
	found, _ := preferred(c.uri.candidates([]Token{t}), c.options)
	switch {
	case len(found) == 0:
		return &NotFoundError{URI: c.uri.String(), Reason: refusals([]Token{t})}
	case len(found) > 1:
		return ambiguous(found)
	}
	c.info.Profile = t.Profile
	c.cert, c.id = found[0].cert.Certificate, found[0].cert.ID
	c.chain = chainOf(c.cert, t.Certificates, wire.MaxChain)
	if err := c.chooseMechanism(ctx); err != nil {
		return err
	}
	return c.findKey(ctx)
}

// keyAttributes are what is looked at in a private key.
var keyAttributes = []uint64{cryptoki.AttrAlwaysAuthenticate, cryptoki.AttrExtractable, cryptoki.AttrSensitive}

// exportable reports whether a private key can be copied out of its token.
func exportable(key *cryptoki.Object) bool {
	copied, _ := key.True(cryptoki.AttrExtractable)
	secret, known := key.True(cryptoki.AttrSensitive)
	return copied || known && !secret
}

// findKey finds the private key of the certificate in the session.
func (c *card) findKey(ctx context.Context) error {
	keys, err := c.Session.Find(ctx, keyAttributes, isPrivateKey, cryptoki.Bytes(cryptoki.AttrID, c.id))
	if err != nil {
		return err
	}
	if len(keys) != 1 {
		return &NotFoundError{URI: c.uri.String(), Reason: "there is not exactly one private key of the certificate's CKA_ID"}
	}
	if exportable(&keys[0]) && !c.uri.Exportable {
		return &ExportableError{c.info.Label}
	}
	c.key = keys[0].Handle
	c.always, _ = keys[0].True(cryptoki.AttrAlwaysAuthenticate)
	return nil
}

// resume opens a session on the token, wherever it is now, with its login and key. It asks for the PIN anew: none is ever kept.
func (c *card) resume(ctx context.Context) error {
	if err := c.Seek(ctx); err != nil {
		return err
	}
	if err := c.same(ctx); err != nil { // before somebody gives a PIN to another card
		return err
	}
	if err := c.Begin(ctx); err != nil {
		return err
	}
	if err := c.findKey(ctx); err != nil {
		if _, ok := errors.AsType[*NotFoundError](err); ok {
			return &cardauth.AbsentError{Card: c.info.Label, Other: true}
		}
		return err
	}
	return nil
}

// same checks that the token shows the certificate that it had, or, as tokens that hide theirs until login, none.
func (c *card) same(ctx context.Context) (err error) {
	s, err := login.OpenSession(ctx, c.Module, c.Token.Slot, false)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.Close(ctx)) }()
	certs, err := s.Find(ctx, []uint64{cryptoki.AttrValue}, isCertificate...)
	if err != nil || len(certs) == 0 {
		return err
	}
	if !slices.ContainsFunc(certs, func(o cryptoki.Object) bool {
		der, _ := o.Get(cryptoki.AttrValue)
		return bytes.Equal(der, c.cert.Raw)
	}) {
		return &cardauth.AbsentError{Card: c.info.Label, Other: true}
	}
	return nil
}

// Certificate is the person's own.
func (c *card) Certificate() *x509.Certificate { return c.cert }

// Chain is the certificate and those of its issuers that are on the token.
func (c *card) Chain() [][]byte { return c.chain }

// Scheme is PKCS #1 v1.5 for RSA, where the token has that.
func (c *card) Scheme() wire.Scheme { return c.scheme }

// Software is false.
func (c *card) Software() bool { return false }

// PINEachTime reports whether the key, or the dialog of the card's own software, wants the PIN at each signature.
func (c *card) PINEachTime() bool { return c.always || c.info.Profile.EachTime }

// Close ends what the card is doing, and its session, and with the program's last session on the token its login.
func (c *card) Close() error {
	if c.idle != nil {
		c.idle.Stop()
	}
	return c.Holder.Close()
}

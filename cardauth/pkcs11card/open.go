//go:build cgo

package pkcs11card

import (
	"context"
	"crypto/x509"
	"errors"
	"slices"
	"sync/atomic"
	"time"

	"github.com/miekg/pkcs11"

	"sinete/cardauth"
	"sinete/wire"
)

// closeWait is how long Close waits for a module that sits in a dialog of its own.
const closeWait = 2 * time.Second

// card is a certificate on a token with a session of its own. The token's login is shared with all other sessions of the process.
type card struct {
	m      *module
	uri    URI
	prompt cardauth.Prompt
	asking chan struct{} // held by whoever asks for the PIN of a signature
	closed atomic.Bool

	cert     *x509.Certificate
	chain    [][]byte
	id       []byte
	scheme   wire.Scheme
	mech     uint
	always   bool  // the key wants the PIN at each signature
	token    Token // without certificates
	pinState func(*pkcs11.Ctx) (pinState, error)

	// Touched by the module's calls alone.
	slot    uint
	flags   uint // of new sessions
	session pkcs11.SessionHandle
	open    bool
	key     pkcs11.ObjectHandle
}

// Open opens the card that the URI names, and asks for its PIN where the token wants one at login: at most three times,
// and never without the person being asked anew. The PIN in a URI is tried once, and not at all where a wrong one would lock
// the card.
//
// Errors: URIError, NotFoundError, AmbiguousError, UnsupportedError, RemovedError, ModuleError, cardauth.PINError, or
// what prompt returned.
func Open(ctx context.Context, uri string, prompt cardauth.Prompt) (cardauth.Card, error) {
	u, err := ParseURI(uri)
	if err != nil {
		return nil, err
	}
	modules, err := Modules(uri)
	if err != nil {
		return nil, err
	}
	tokens, listErr := list(ctx, modules, u.matchesToken)
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	t, err := u.choose(tokens)
	if err != nil {
		return nil, withCause(err, listErr)
	}
	c, err := newCard(ctx, u, t, prompt, pkcs11.CKF_SERIAL_SESSION)
	if err != nil {
		return nil, err
	}
	_, err = call(ctx, c.m, func(p *pkcs11.Ctx) (struct{}, error) { return struct{}{}, c.bind(p) })
	if err != nil {
		c.Close()
		return nil, err
	}
	return c, nil
}

// withCause puts what went wrong with some module beside a finding that may be due to it.
func withCause(err, cause error) error {
	var nf *NotFoundError
	if errors.As(err, &nf) {
		nf.Err = cause
	}
	return err
}

// newCard opens a session on the token and logs in.
func newCard(ctx context.Context, u URI, t *Token, prompt cardauth.Prompt, flags uint) (*card, error) {
	m, err := load(t.Module)
	if err != nil {
		return nil, err
	}
	c := &card{m: m, uri: u, asking: make(chan struct{}, 1), token: *t, slot: t.Slot, flags: flags}
	c.token.Certificates = nil
	c.pinState = c.tokenPINState
	c.prompt = c.promptOrURI(prompt)
	login, err := call(ctx, m, func(p *pkcs11.Ctx) (bool, error) {
		var err error
		if c.session, err = p.OpenSession(c.slot, c.flags); err != nil {
			return false, m.failed("C_OpenSession", err)
		}
		c.open = true
		return t.Login && !loggedIn(p, c.session), nil
	})
	if err == nil && login {
		_, err = c.withPIN(ctx, func(p *pkcs11.Ctx, pin string) ([]byte, error) {
			return nil, c.login(p, pkcs11.CKU_USER, pin)
		})
	}
	if err != nil {
		c.Close()
		return nil, err
	}
	return c, nil
}

// bind chooses the certificate and finds its key, after login.
func (c *card) bind(p *pkcs11.Ctx) error {
	t := c.token
	t.Slot = c.slot
	if err := c.m.readObjects(p, c.session, &t); err != nil {
		return err
	}
	found := c.uri.candidates([]Token{t})
	switch {
	case len(found) == 0:
		return &NotFoundError{URI: c.uri.String(), Reason: refusals([]Token{t})}
	case len(found) > 1:
		return ambiguous(found)
	}
	c.cert, c.id = found[0].cert.Certificate, found[0].cert.ID
	c.chain = chainOf(c.cert, t.Certificates, wire.MaxChain)
	err := c.chooseMechanism(p)
	if err != nil {
		return err
	}
	if c.key, err = c.findKey(p, c.session); err != nil {
		return err
	}
	v, ok := attribute(p, c.session, c.key, pkcs11.CKA_ALWAYS_AUTHENTICATE)
	c.always = ok && len(v) == 1 && v[0] != 0
	return nil
}

func (c *card) findKey(p *pkcs11.Ctx, sh pkcs11.SessionHandle) (pkcs11.ObjectHandle, error) {
	keys, err := c.m.find(p, sh, pkcs11.NewAttribute(pkcs11.CKA_CLASS, pkcs11.CKO_PRIVATE_KEY), pkcs11.NewAttribute(pkcs11.CKA_ID, c.id))
	if err != nil {
		return 0, err
	}
	if len(keys) != 1 {
		return 0, &NotFoundError{URI: c.uri.String(), Reason: "there is not exactly one private key of the certificate's CKA_ID"}
	}
	return keys[0], nil
}

// reconnect replaces the session by a fresh one on the same token with the same certificate, wherever it is now. It does not log in: a
// PIN is never kept. A RemovedError says that it cannot be done.
func (c *card) reconnect(p *pkcs11.Ctx) error {
	slots, err := p.GetSlotList(true)
	if err != nil {
		return &RemovedError{c.token.Label, err}
	}
	i := slices.IndexFunc(slots, func(s uint) bool {
		t, err := c.m.token(p, s)
		return err == nil && t != nil && t.Present && t.Label == c.token.Label && t.Serial == c.token.Serial &&
			t.Manufacturer == c.token.Manufacturer && t.Model == c.token.Model
	})
	if i < 0 {
		return &RemovedError{Card: c.token.Label}
	}
	sh, err := p.OpenSession(slots[i], c.flags)
	if err != nil {
		return &RemovedError{c.token.Label, err}
	}
	key, err := c.sameKey(p, sh)
	if err != nil {
		p.CloseSession(sh)
		return &RemovedError{c.token.Label, err}
	}
	// The old session goes last: with the token's last session its login would go.
	p.CloseSession(c.session)
	c.slot, c.session, c.key = slots[i], sh, key
	return nil
}

func (c *card) sameKey(p *pkcs11.Ctx, sh pkcs11.SessionHandle) (pkcs11.ObjectHandle, error) {
	if c.token.Login && !loggedIn(p, sh) {
		return 0, errors.New("its login is lost")
	}
	certs, err := c.m.find(p, sh, pkcs11.NewAttribute(pkcs11.CKA_CLASS, pkcs11.CKO_CERTIFICATE), pkcs11.NewAttribute(pkcs11.CKA_VALUE, c.cert.Raw))
	if err != nil {
		return 0, err
	}
	if len(certs) == 0 {
		return 0, errors.New("another certificate is in its place")
	}
	return c.findKey(p, sh)
}

// Certificate is the person's own.
func (c *card) Certificate() *x509.Certificate { return c.cert }

// Chain is the certificate and those of its issuers that are on the token.
func (c *card) Chain() [][]byte { return c.chain }

// Scheme is PKCS #1 v1.5 for RSA.
func (c *card) Scheme() wire.Scheme { return c.scheme }

// Software is false.
func (c *card) Software() bool { return false }

// Close ends the session, and with the process's last session on the token its login.
func (c *card) Close() error {
	if c.closed.Swap(true) {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), closeWait)
	done := make(chan error, 1)
	go func() {
		_, err := call(context.Background(), c.m, func(p *pkcs11.Ctx) (struct{}, error) {
			if !c.open {
				return struct{}{}, nil
			}
			c.open = false
			if err := p.CloseSession(c.session); err != nil && !gone(err) {
				return struct{}{}, c.m.failed("C_CloseSession", err)
			}
			return struct{}{}, nil
		})
		done <- err
	}()
	defer cancel()
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
		return nil // the module ends the session when its dialog is over
	}
}

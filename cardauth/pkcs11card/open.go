package pkcs11card

import (
	"bytes"
	"context"
	"crypto/x509"
	"errors"
	"slices"
	"sync/atomic"
	"time"

	"sinete/cardauth"
	"sinete/cardauth/pkcs11card/internal/child"
	"sinete/cardauth/pkcs11card/internal/cryptoki"
	"sinete/wire"
)

// closeWait is how long Close waits for a module that sits in a dialog of its own.
const closeWait = 2 * time.Second

// card is a certificate on a token, with a session while it needs one. The token's login is shared with all other sessions of the
// program. It is a cardauth.Removable and a cardauth.Demanding.
type card struct {
	*holder

	cert   *x509.Certificate
	chain  [][]byte
	id     []byte
	scheme wire.Scheme
	mech   uint64
	always bool   // the key wants the PIN at each signature
	key    uint64 // in session

	idle *time.Timer // nil: never
}

// holder is a token with a session on it, and who may be asked for its PIN.
type holder struct {
	m       *child.Module
	uri     URI
	options Options
	prompt  cardauth.Prompt
	write   bool // wants read-write sessions
	token   Token

	turn   chan struct{} // held for the length of an operation; guards what follows
	closed atomic.Bool
	ending context.Context // ends with Close
	end    context.CancelFunc

	session *session   // nil: none
	life    child.Life // of the last session
	slot    uint64
	refused bool // the PIN in the URI was refused, and is not tried again
}

// Open opens the card that the URI names, and asks for its PIN where the token wants one at login: at most three times,
// and never without the person being asked anew. The PIN in a URI is tried once, and not at all where a wrong one would lock
// the card, unless the URI says pin-last-try=yes. The card is a cardauth.Removable and a cardauth.Demanding.
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
	c := &card{holder: h}
	if err = c.begin(ctx); err == nil {
		err = c.bind(ctx)
	}
	if err != nil {
		return nil, errors.Join(err, c.Close())
	}
	if o.Idle > 0 {
		c.idle = afterFunc(o.Idle, c.rest)
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

// hold acquires the token's module; close gives it back.
func hold(u URI, t *Token, prompt cardauth.Prompt, o Options, write bool) (*holder, error) {
	m, err := acquire(t.Module)
	if err != nil {
		return nil, err
	}
	h := &holder{m: m, uri: u, options: o, prompt: prompt, write: write, token: *t, turn: make(chan struct{}, 1), slot: uint64(t.Slot)}
	h.token.Certificates = nil
	h.ending, h.end = context.WithCancel(context.Background())
	return h, nil
}

// begin opens a session on the token and logs in where it wants that.
func (h *holder) begin(ctx context.Context) error {
	s, err := openSession(ctx, h.m, h.slot, h.write)
	if err != nil {
		return err
	}
	old := h.session
	h.session, h.life = s, s.life
	if old != nil {
		// The old session goes last: with the token's last session its login would go.
		defer old.close(ctx)
	}
	if !h.token.Login {
		return nil
	}
	if in, err := s.loggedIn(ctx); err != nil || in {
		return err
	}
	return h.withPIN(ctx, func(pin []byte) error { return h.session.login(ctx, pin) })
}

// bind chooses the certificate and finds its key, after login.
func (c *card) bind(ctx context.Context) error {
	t := c.token
	if err := c.session.readObjects(ctx, &t); err != nil {
		return err
	}
	found := preferred(c.uri.candidates([]Token{t}), c.options)
	switch {
	case len(found) == 0:
		return &NotFoundError{URI: c.uri.String(), Reason: refusals([]Token{t})}
	case len(found) > 1:
		return ambiguous(found)
	}
	c.token.Profile = t.Profile
	c.cert, c.id = found[0].cert.Certificate, found[0].cert.ID
	c.chain = chainOf(c.cert, t.Certificates, wire.MaxChain)
	if err := c.chooseMechanism(ctx); err != nil {
		return err
	}
	return c.findKey(ctx)
}

// findKey finds the private key of the certificate in the session.
func (c *card) findKey(ctx context.Context) error {
	keys, err := c.session.find(ctx, []uint64{cryptoki.AttrAlwaysAuthenticate, cryptoki.AttrExtractable, cryptoki.AttrSensitive},
		isPrivateKey, cryptoki.Bytes(cryptoki.AttrID, c.id))
	if err != nil {
		return err
	}
	if len(keys) != 1 {
		return &NotFoundError{URI: c.uri.String(), Reason: "there is not exactly one private key of the certificate's CKA_ID"}
	}
	if copied, _ := keys[0].True(cryptoki.AttrExtractable); copied && !c.uri.Exportable {
		return &ExportableError{c.token.Label}
	}
	if secret, known := keys[0].True(cryptoki.AttrSensitive); known && !secret && !c.uri.Exportable {
		return &ExportableError{c.token.Label}
	}
	c.key = keys[0].Handle
	c.always, _ = keys[0].True(cryptoki.AttrAlwaysAuthenticate)
	return nil
}

// resume opens a session on the token, wherever it is now, with its login and key. It asks for the PIN anew: none is ever kept.
func (c *card) resume(ctx context.Context) error {
	if err := c.seek(ctx); err != nil {
		return err
	}
	if err := c.same(ctx); err != nil { // before somebody gives a PIN to another card
		return err
	}
	if err := c.begin(ctx); err != nil {
		return err
	}
	if err := c.findKey(ctx); err != nil {
		if _, ok := errors.AsType[*NotFoundError](err); ok {
			return &cardauth.AbsentError{Card: c.token.Label, Other: true}
		}
		return err
	}
	return nil
}

// seek finds the slot that the token is in now. An AbsentError says that it is in none.
func (h *holder) seek(ctx context.Context) error {
	_, err := h.present(ctx)
	if absent, ok := errors.AsType[*cardauth.AbsentError](err); ok && !absent.Other && staticReaders(h.m.Path()) {
		if rerr := h.m.Refresh(ctx); rerr != nil {
			return rerr
		}
		_, err = h.present(ctx)
	}
	return err
}

// present describes the token where it is now, and notes its slot.
func (h *holder) present(ctx context.Context) (*cryptoki.Slot, error) {
	slots, err := slotsOf(ctx, h.m)
	if err != nil {
		return nil, err
	}
	i := slices.IndexFunc(slots, func(s cryptoki.Slot) bool {
		return s.Present && s.Label == h.token.Label && s.Serial == h.token.Serial && s.Maker == h.token.Manufacturer && s.Model == h.token.Model
	})
	if i < 0 {
		other := slices.ContainsFunc(slots, func(s cryptoki.Slot) bool { return s.ID == h.slot && (s.Present || s.Unknown) })
		return nil, &cardauth.AbsentError{Card: h.token.Label, Other: other}
	}
	h.slot = slots[i].ID
	return &slots[i], nil
}

// same checks that the token shows the certificate that it had, or, as tokens that hide theirs until login, none.
func (c *card) same(ctx context.Context) (err error) {
	s, err := openSession(ctx, c.m, c.slot, false)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.close(ctx)) }()
	certs, err := s.find(ctx, []uint64{cryptoki.AttrValue}, isCertificate...)
	if err != nil || len(certs) == 0 {
		return err
	}
	if !slices.ContainsFunc(certs, func(o cryptoki.Object) bool {
		der, _ := o.Get(cryptoki.AttrValue)
		return bytes.Equal(der, c.cert.Raw)
	}) {
		return &cardauth.AbsentError{Card: c.token.Label, Other: true}
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
func (c *card) PINEachTime() bool { return c.always || c.token.Profile.EachTime }

// Close ends what the card is doing, and its session, and with the program's last session on the token its login.
func (c *card) Close() error {
	if c.idle != nil {
		c.idle.Stop()
	}
	return c.close()
}

func (h *holder) close() error {
	if h.closed.Swap(true) {
		return nil
	}
	h.end()
	defer h.m.Release()
	ctx, cancel := context.WithTimeout(context.Background(), closeWait)
	defer cancel()
	select {
	case h.turn <- struct{}{}:
		defer func() { <-h.turn }()
	case <-ctx.Done():
		return nil
	}
	err := h.drop(ctx)
	if ctx.Err() != nil {
		return nil // the module sits in a dialog, and is ended with its last card
	}
	return err
}

// drop closes the session, if there is one.
func (h *holder) drop(ctx context.Context) error {
	s := h.session
	if h.session = nil; s == nil {
		return nil
	}
	if err := s.close(ctx); err != nil && !errors.Is(err, ErrCrashed) && !errors.Is(err, ErrHung) {
		return err
	}
	return nil
}

package pkcs11card

import (
	"bytes"
	"context"
	"crypto/x509"
	"errors"
	"slices"

	"sinete/cardauth/pkcs11card/internal/child"
	"sinete/cardauth/pkcs11card/internal/cryptoki"
	"sinete/cardauth/pkcs11card/internal/login"
	"sinete/cardauth/seal"
)

// List shows the readers and tokens of the modules at these paths, those of ModulePaths if nil. It asks for no PIN, so on a
// token that hides its private keys until login a certificate without one is not refused. With the tokens that could be
// read it returns what went wrong with others.
func List(modules []string) ([]Token, error) {
	if modules == nil {
		modules = ModulePaths()
	}
	tokens, held, err := list(context.Background(), modules, func(*Token) bool { return true })
	held.release()
	return tokens, err
}

// held are modules whose children shall not end meanwhile.
type held []*child.Module

func (h held) release() {
	for _, m := range h {
		m.Release()
	}
}

func list(ctx context.Context, modules []string, match func(*Token) bool) (tokens []Token, h held, err error) {
	for _, path := range modules {
		m, lerr := acquire(path)
		if lerr != nil {
			err = errors.Join(err, lerr)
			continue
		}
		h = append(h, m)
		some, lerr := tokensOf(ctx, m, match)
		tokens, err = append(tokens, some...), errors.Join(err, lerr)
	}
	return tokens, h, err
}

// tokensOf lists the module's readers; certificates are read where match wants the token.
func tokensOf(ctx context.Context, m *child.Module, match func(*Token) bool) ([]Token, error) {
	if staticReaders(m.Path()) {
		if err := m.Refresh(ctx); err != nil {
			return nil, err
		}
	}
	slots, err := login.Slots(ctx, m)
	if err != nil {
		return nil, err
	}
	var tokens []Token
	var failed error
	for _, s := range slots {
		if s.Fault != nil {
			failed = errors.Join(failed, &ModuleError{Module: m.Path(), Call: s.Fault.Call, Err: s.Fault.Cause()})
		}
		t := tokenOf(m.Path(), &s)
		if s.Fault != nil || s.Unknown || !match(&t) {
			continue
		}
		if t.Present {
			failed = errors.Join(failed, readCertificates(ctx, m, &t))
		}
		tokens = append(tokens, t)
	}
	return tokens, failed
}

// tokenOf describes a slot.
func tokenOf(module string, s *cryptoki.Slot) Token {
	t := Token{Module: module, Slot: uint(s.ID), Reader: s.Reader, Present: s.Present}
	if s.Present {
		t.Label, t.Serial, t.Manufacturer, t.Model = s.Label, s.Serial, s.Maker, s.Model
		t.Login = s.TokenFlags&cryptoki.FlagLoginRequired != 0
		t.Pad = s.TokenFlags&cryptoki.FlagProtectedPath != 0
		t.PIN = login.TriesOf(s.TokenFlags)
	}
	return t
}

func readCertificates(ctx context.Context, m *child.Module, t *Token) error {
	s, err := login.OpenSession(ctx, m, uint64(t.Slot), false)
	if err != nil {
		return err
	}
	return errors.Join(readObjects(ctx, s, t), s.Close(ctx))
}

// readObjects fills in the certificates of a token as the session shows them.
func readObjects(ctx context.Context, s *login.Session, t *Token) error {
	certs, err := s.Find(ctx, []uint64{cryptoki.AttrValue, cryptoki.AttrLabel, cryptoki.AttrID}, isCertificate...)
	if err != nil {
		return err
	}
	keys, err := s.Find(ctx, []uint64{cryptoki.AttrID, cryptoki.AttrExtractable, cryptoki.AttrSensitive}, isPrivateKey)
	if err != nil {
		return err
	}
	hidden := false
	if t.Login {
		in, err := s.LoggedIn(ctx)
		if err != nil {
			return err
		}
		hidden = !in
	}
	t.Certificates = nil
	for _, o := range certs {
		der, _ := o.Get(cryptoki.AttrValue)
		cert, err := x509.ParseCertificate(der)
		if err != nil {
			continue // one strange certificate must not hide the others
		}
		label, _ := o.Get(cryptoki.AttrLabel)
		id, _ := o.Get(cryptoki.AttrID)
		c := Certificate{Certificate: cert, Label: string(label), ID: id, Refuse: refuseUsage(cert)}
		c.URI = t.uri(&c)
		if _, err := seal.DefaultScheme(cert.PublicKey); err != nil && c.Refuse == "" {
			c.Refuse = err.Error()
		}
		key := slices.IndexFunc(keys, func(k cryptoki.Object) bool {
			kid, ok := k.Get(cryptoki.AttrID)
			return ok && bytes.Equal(kid, id)
		})
		if key >= 0 {
			c.Exportable = exportable(&keys[key])
		} else if c.Refuse == "" && !hidden {
			c.Refuse = "its private key is not on the token"
		}
		t.Certificates = append(t.Certificates, c)
	}
	t.Profile = recognise(t)
	return nil
}

var (
	isCertificate = []cryptoki.Attribute{cryptoki.Number(cryptoki.AttrClass, cryptoki.ClassCertificate),
		cryptoki.Number(cryptoki.AttrCertificateType, cryptoki.CertificateX509)}
	isPrivateKey = cryptoki.Number(cryptoki.AttrClass, cryptoki.ClassPrivateKey)
)

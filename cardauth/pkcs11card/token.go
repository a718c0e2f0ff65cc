//go:build cgo

package pkcs11card

import (
	"context"
	"crypto/x509"
	"errors"
	"slices"

	"github.com/miekg/pkcs11"

	"sinete/cardauth/seal"
)

// List shows the readers and tokens of the modules at these paths, those of ModulePaths if nil. It asks for no PIN, so on a
// token that hides its private keys until login a certificate without one is not refused. With the tokens that could be
// read it returns what went wrong with others.
func List(modules []string) ([]Token, error) {
	if modules == nil {
		modules = ModulePaths()
	}
	return list(context.Background(), modules, func(*Token) bool { return true })
}

func list(ctx context.Context, modules []string, match func(*Token) bool) (tokens []Token, err error) {
	for _, path := range modules {
		m, lerr := load(path)
		if lerr != nil {
			err = errors.Join(err, lerr)
			continue
		}
		some, lerr := call(ctx, m, func(p *pkcs11.Ctx) ([]Token, error) { return m.tokens(p, match) })
		tokens, err = append(tokens, some...), errors.Join(err, lerr)
	}
	return tokens, err
}

// tokens lists the module's readers; certificates are read where match wants the token.
func (m *module) tokens(p *pkcs11.Ctx, match func(*Token) bool) ([]Token, error) {
	slots, err := p.GetSlotList(false)
	if err != nil {
		return nil, m.failed("C_GetSlotList", err)
	}
	var tokens []Token
	var failed error
	for _, slot := range slots {
		t, err := m.token(p, slot)
		if err != nil || t == nil || !match(t) {
			failed = errors.Join(failed, err)
			continue
		}
		if t.Present {
			failed = errors.Join(failed, m.readCertificates(p, t))
		}
		tokens = append(tokens, *t)
	}
	return tokens, failed
}

// token describes a slot. It is nil where the token is not initialised.
func (m *module) token(p *pkcs11.Ctx, slot uint) (*Token, error) {
	s, err := p.GetSlotInfo(slot)
	if err != nil {
		return nil, m.failed("C_GetSlotInfo", err)
	}
	t := &Token{Module: m.path, Slot: slot, Reader: s.SlotDescription}
	if s.Flags&pkcs11.CKF_TOKEN_PRESENT == 0 {
		return t, nil
	}
	info, err := p.GetTokenInfo(slot)
	switch {
	case hasCode(err, pkcs11.CKR_TOKEN_NOT_PRESENT, pkcs11.CKR_DEVICE_REMOVED):
		return t, nil
	case hasCode(err, pkcs11.CKR_TOKEN_NOT_RECOGNIZED):
		return nil, nil
	case err != nil:
		return nil, m.failed("C_GetTokenInfo", err)
	case info.Flags&pkcs11.CKF_TOKEN_INITIALIZED == 0:
		return nil, nil
	}
	t.Present = true
	t.Label, t.Serial, t.Manufacturer, t.Model = info.Label, info.SerialNumber, info.ManufacturerID, info.Model
	t.Login = info.Flags&pkcs11.CKF_LOGIN_REQUIRED != 0
	t.PIN = pinTries(info.Flags)
	return t, nil
}

func pinTries(flags uint) PINTries {
	switch {
	case flags&pkcs11.CKF_USER_PIN_LOCKED != 0:
		return PINLocked
	case flags&pkcs11.CKF_USER_PIN_FINAL_TRY != 0:
		return PINFinal
	case flags&pkcs11.CKF_USER_PIN_COUNT_LOW != 0:
		return PINLow
	}
	return PINUntouched
}

func (m *module) readCertificates(p *pkcs11.Ctx, t *Token) error {
	sh, err := p.OpenSession(t.Slot, pkcs11.CKF_SERIAL_SESSION)
	if err != nil {
		return m.failed("C_OpenSession", err)
	}
	defer p.CloseSession(sh)
	return m.readObjects(p, sh, t)
}

// readObjects fills in the certificates of a token as the session shows them.
func (m *module) readObjects(p *pkcs11.Ctx, sh pkcs11.SessionHandle, t *Token) error {
	certs, err := m.find(p, sh, pkcs11.NewAttribute(pkcs11.CKA_CLASS, pkcs11.CKO_CERTIFICATE),
		pkcs11.NewAttribute(pkcs11.CKA_CERTIFICATE_TYPE, pkcs11.CKC_X_509))
	if err != nil {
		return err
	}
	keys, err := m.find(p, sh, pkcs11.NewAttribute(pkcs11.CKA_CLASS, pkcs11.CKO_PRIVATE_KEY))
	if err != nil {
		return err
	}
	var keyIDs [][]byte
	for _, k := range keys {
		if id, ok := attribute(p, sh, k, pkcs11.CKA_ID); ok {
			keyIDs = append(keyIDs, id)
		}
	}
	hidden := t.Login && !loggedIn(p, sh)
	t.Certificates = nil
	for _, h := range certs {
		der, ok := attribute(p, sh, h, pkcs11.CKA_VALUE)
		if !ok {
			continue
		}
		cert, err := x509.ParseCertificate(der)
		if err != nil {
			continue // one strange certificate must not hide the others
		}
		label, _ := attribute(p, sh, h, pkcs11.CKA_LABEL)
		id, _ := attribute(p, sh, h, pkcs11.CKA_ID)
		c := Certificate{Certificate: cert, Label: string(label), ID: id, Refuse: refuseUsage(cert)}
		c.URI = t.uri(&c)
		if _, err := seal.DefaultScheme(cert.PublicKey); err != nil && c.Refuse == "" {
			c.Refuse = err.Error()
		}
		hasKey := slices.ContainsFunc(keyIDs, func(k []byte) bool { return slices.Equal(k, id) })
		if c.Refuse == "" && !hasKey && !hidden {
			c.Refuse = "its private key is not on the token"
		}
		t.Certificates = append(t.Certificates, c)
	}
	return nil
}

func (m *module) find(p *pkcs11.Ctx, sh pkcs11.SessionHandle, template ...*pkcs11.Attribute) ([]pkcs11.ObjectHandle, error) {
	if err := p.FindObjectsInit(sh, template); err != nil {
		return nil, m.failed("C_FindObjectsInit", err)
	}
	var all []pkcs11.ObjectHandle
	for {
		some, _, err := p.FindObjects(sh, 64)
		if err != nil {
			p.FindObjectsFinal(sh)
			return nil, m.failed("C_FindObjects", err)
		}
		if len(some) == 0 {
			return all, m.failed("C_FindObjectsFinal", p.FindObjectsFinal(sh))
		}
		all = append(all, some...)
	}
}

// attribute reads one attribute; ok is false where the object does not have it.
func attribute(p *pkcs11.Ctx, sh pkcs11.SessionHandle, o pkcs11.ObjectHandle, kind uint) (v []byte, ok bool) {
	a, err := p.GetAttributeValue(sh, o, []*pkcs11.Attribute{pkcs11.NewAttribute(kind, nil)})
	if err != nil || len(a) != 1 {
		return nil, false
	}
	return a[0].Value, true
}

func loggedIn(p *pkcs11.Ctx, sh pkcs11.SessionHandle) bool {
	i, err := p.GetSessionInfo(sh)
	return err == nil && (i.State == pkcs11.CKS_RO_USER_FUNCTIONS || i.State == pkcs11.CKS_RW_USER_FUNCTIONS)
}

package login

import (
	"context"

	"sinete/cardauth/pkcs11card/internal/child"
	"sinete/cardauth/pkcs11card/internal/cryptoki"
)

// Session is one with a token. It ends with the child that has it, or when the card is taken out.
type Session struct {
	m      *child.Module
	handle uint64
	Life   child.Life // of the child that has it
}

// OpenSession opens one on the token in a slot, read-write where write says so.
func OpenSession(ctx context.Context, m *child.Module, slot uint64, write bool) (*Session, error) {
	a, life, err := m.Do(ctx, 0, &cryptoki.Request{Op: cryptoki.OpOpenSession, Slot: slot, Write: write})
	if err != nil {
		return nil, err
	}
	return &Session{m, a.Handle, life}, nil
}

// Do asks the session for something.
func (s *Session) Do(ctx context.Context, r *cryptoki.Request) (*cryptoki.Response, error) {
	r.Session = s.handle
	a, _, err := s.m.Do(ctx, s.Life, r)
	return a, err
}

// Close ends the session, and with the program's last one on the token its login. That it has ended already is no error.
func (s *Session) Close(ctx context.Context) error {
	_, err := s.Do(ctx, &cryptoki.Request{Op: cryptoki.OpCloseSession})
	if Lost(err) {
		return nil
	}
	return err
}

// LoggedIn reports whether the user has logged in to the token, in whatever session.
func (s *Session) LoggedIn(ctx context.Context) (bool, error) {
	a, err := s.Do(ctx, &cryptoki.Request{Op: cryptoki.OpLoggedIn})
	return err == nil && a.Handle == 1, err
}

// Login logs in; that somebody else in the program already has is no error.
func (s *Session) Login(ctx context.Context, pin []byte) error {
	_, err := s.Do(ctx, &cryptoki.Request{Op: cryptoki.OpLogin, PIN: pin})
	if cryptoki.Has(err, cryptoki.UserAlreadyLoggedIn) {
		return nil
	}
	return err
}

// Find returns the objects that fit the template, with these attributes.
func (s *Session) Find(ctx context.Context, types []uint64, template ...cryptoki.Attribute) ([]cryptoki.Object, error) {
	a, err := s.Do(ctx, &cryptoki.Request{Op: cryptoki.OpFind, Types: types, Template: template})
	if err != nil {
		return nil, err
	}
	return a.Objects, nil
}

// Slots are the module's readers and what is in them.
func Slots(ctx context.Context, m *child.Module) ([]cryptoki.Slot, error) {
	a, _, err := m.Do(ctx, 0, &cryptoki.Request{Op: cryptoki.OpSlots})
	if err != nil {
		return nil, err
	}
	return a.Slots, nil
}

// Lost reports whether err is what modules say where the token was taken out, put back in or logged out: a fresh session helps,
// once the card is there.
func Lost(err error) bool {
	return cryptoki.Has(err, cryptoki.DeviceRemoved, cryptoki.SessionHandleInvalid, cryptoki.SessionClosed,
		cryptoki.ObjectHandleInvalid, cryptoki.KeyHandleInvalid, cryptoki.UserNotLoggedIn, cryptoki.TokenNotPresent,
		cryptoki.SlotIDInvalid, cryptoki.OperationNotInit, cryptoki.OperationActive)
}

// Broken reports whether err is what modules say that have lost themselves: only a fresh child helps.
func Broken(err error) bool {
	return cryptoki.Has(err, cryptoki.DeviceError, cryptoki.GeneralError, cryptoki.CryptokiNotInit)
}

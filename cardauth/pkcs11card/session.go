package pkcs11card

import (
	"context"

	"sinete/cardauth/pkcs11card/internal/child"
	"sinete/cardauth/pkcs11card/internal/cryptoki"
)

// ChildMain belongs first into the main of a program that opens cards, and into the TestMain of its tests: PKCS #11 modules are
// loaded by a child process, which is the same program started anew. It returns at once in the program and never in a child.
func ChildMain() { child.Main() }

// ErrCrashed and ErrHung are what a ModuleError wraps where the module did not answer. The next call finds it started anew.
var (
	ErrCrashed = child.ErrCrashed
	ErrHung    = child.ErrHung
)

// ModuleError says that a PKCS #11 module could not be used, or answered a call with an error.
type ModuleError = child.ModuleError

// acquire returns the module at path, which must be released.
func acquire(path string) (*child.Module, error) {
	m, err := child.Acquire(path, readsTerminal(path))
	if err == child.ErrNoCgo || err == child.ErrNoMain {
		return nil, &UnsupportedError{err.Error()}
	}
	return m, err
}

// session is one with a token. It ends with the child that has it, or when the card is taken out.
type session struct {
	m      *child.Module
	life   child.Life
	handle uint64
}

func openSession(ctx context.Context, m *child.Module, slot uint64, write bool) (*session, error) {
	a, life, err := m.Do(ctx, 0, &cryptoki.Request{Op: cryptoki.OpOpenSession, Slot: slot, Write: write})
	if err != nil {
		return nil, err
	}
	return &session{m, life, a.Handle}, nil
}

func (s *session) do(ctx context.Context, r *cryptoki.Request) (*cryptoki.Response, error) {
	r.Session = s.handle
	a, _, err := s.m.Do(ctx, s.life, r)
	return a, err
}

// close ends the session, and with the program's last one on the token its login. That it has ended already is no error.
func (s *session) close(ctx context.Context) error {
	_, err := s.do(ctx, &cryptoki.Request{Op: cryptoki.OpCloseSession})
	if lost(err) {
		return nil
	}
	return err
}

func (s *session) loggedIn(ctx context.Context) (bool, error) {
	a, err := s.do(ctx, &cryptoki.Request{Op: cryptoki.OpLoggedIn})
	return err == nil && a.Handle == 1, err
}

// login logs in; that somebody else in the program already has is no error.
func (s *session) login(ctx context.Context, pin []byte) error {
	_, err := s.do(ctx, &cryptoki.Request{Op: cryptoki.OpLogin, PIN: pin})
	if cryptoki.Has(err, cryptoki.UserAlreadyLoggedIn) {
		return nil
	}
	return err
}

// find returns the objects that fit the template, with these attributes.
func (s *session) find(ctx context.Context, types []uint64, template ...cryptoki.Attribute) ([]cryptoki.Object, error) {
	a, err := s.do(ctx, &cryptoki.Request{Op: cryptoki.OpFind, Types: types, Template: template})
	if err != nil {
		return nil, err
	}
	return a.Objects, nil
}

func slotsOf(ctx context.Context, m *child.Module) ([]cryptoki.Slot, error) {
	a, _, err := m.Do(ctx, 0, &cryptoki.Request{Op: cryptoki.OpSlots})
	if err != nil {
		return nil, err
	}
	return a.Slots, nil
}

// lost reports whether err is what modules say where the token was taken out, put back in or logged out: a fresh session helps,
// once the card is there.
func lost(err error) bool {
	return cryptoki.Has(err, cryptoki.DeviceRemoved, cryptoki.SessionHandleInvalid, cryptoki.SessionClosed,
		cryptoki.ObjectHandleInvalid, cryptoki.KeyHandleInvalid, cryptoki.UserNotLoggedIn, cryptoki.TokenNotPresent,
		cryptoki.SlotIDInvalid, cryptoki.OperationNotInit, cryptoki.OperationActive)
}

// broken reports whether err is what modules say that have lost themselves: only a fresh child helps.
func broken(err error) bool {
	return cryptoki.Has(err, cryptoki.DeviceError, cryptoki.GeneralError, cryptoki.CryptokiNotInit)
}

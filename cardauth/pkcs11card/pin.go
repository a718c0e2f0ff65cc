//go:build cgo

package pkcs11card

import (
	"context"
	"errors"

	"github.com/miekg/pkcs11"

	"sinete/cardauth"
)

const maxAsks = 3

// errFinalUnseen: the PIN was given by somebody who was not told that a wrong one locks the card.
var errFinalUnseen = errors.New("pkcs11card: the card came to its last try meanwhile")

type pinState struct{ final, locked, pad bool }

func (c *card) tokenPINState(p *pkcs11.Ctx) (pinState, error) {
	info, err := p.GetTokenInfo(c.slot)
	if err != nil {
		return pinState{}, &RemovedError{c.token.Label, err}
	}
	return pinState{
		final:  info.Flags&pkcs11.CKF_USER_PIN_FINAL_TRY != 0,
		locked: info.Flags&pkcs11.CKF_USER_PIN_LOCKED != 0,
		pad:    info.Flags&pkcs11.CKF_PROTECTED_AUTHENTICATION_PATH != 0,
	}, nil
}

func (c *card) pinError(s pinState) error {
	e := &cardauth.PINError{Card: c.token.Label, Tries: -1, Final: s.final, Locked: s.locked}
	switch {
	case s.locked:
		e.Tries = 0
	case s.final:
		e.Tries = 1
	}
	return e
}

// withPIN asks for the PIN and hands it to try, again only after the person has been told that it was wrong. Where the
// reader has a pad of its own nobody is asked here and there is one try.
func (c *card) withPIN(ctx context.Context, try func(p *pkcs11.Ctx, pin string) ([]byte, error)) ([]byte, error) {
	r := cardauth.PINRequest{Card: c.token.Label}
	for range maxAsks {
		state, err := call(ctx, c.m, c.pinState)
		if err != nil {
			return nil, err
		}
		if state.locked {
			return nil, c.pinError(state)
		}
		r.Final, r.Tries = state.final, -1
		if state.final {
			r.Tries = 1
		}
		var pin string
		if !state.pad {
			if pin, err = c.prompt(ctx, r); err != nil {
				return nil, err
			}
		}
		v, err := call(ctx, c.m, func(p *pkcs11.Ctx) ([]byte, error) {
			now, err := c.pinState(p)
			if err != nil {
				return nil, err
			}
			if now.final && !r.Final && !now.pad {
				return nil, errFinalUnseen
			}
			return try(p, pin)
		})
		switch {
		case errors.Is(err, errFinalUnseen):
		case hasCode(err, pkcs11.CKR_PIN_INCORRECT, pkcs11.CKR_PIN_INVALID, pkcs11.CKR_PIN_LEN_RANGE):
			r.Wrong = true
		case hasCode(err, pkcs11.CKR_PIN_LOCKED):
			// Modules say this of an empty reader as well.
			if _, err := call(ctx, c.m, c.pinState); err != nil {
				return nil, err
			}
			return nil, c.pinError(pinState{locked: true})
		default:
			return v, err
		}
		if state.pad {
			break
		}
	}
	state, err := call(ctx, c.m, c.pinState)
	if err != nil {
		return nil, err
	}
	return nil, c.pinError(state)
}

// promptOrURI is the prompt that gives the URI's PIN, if there is one, in the place of p.
func (c *card) promptOrURI(p cardauth.Prompt) cardauth.Prompt {
	return func(ctx context.Context, r cardauth.PINRequest) (string, error) {
		pin, given, err := c.uri.pin()
		switch {
		case err != nil:
			return "", err
		case given && (r.Wrong || r.Final):
			return "", c.pinError(pinState{final: r.Final})
		case given:
			return pin, nil
		case p == nil:
			return "", &UnsupportedError{"a PIN is wanted and nobody is there to be asked"}
		}
		return p(ctx, r)
	}
}

// login logs in; that somebody else in the process already has is no error.
func (c *card) login(p *pkcs11.Ctx, user uint, pin string) error {
	err := p.Login(c.session, user, pin)
	if hasCode(err, pkcs11.CKR_USER_ALREADY_LOGGED_IN) {
		return nil
	}
	return c.m.failed("C_Login", err)
}

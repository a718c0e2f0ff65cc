package login

import (
	"context"
	"fmt"

	"sinete/cardauth"
	"sinete/cardauth/pkcs11card/internal/cryptoki"
)

const maxAsks = 3

// PINError is the error of a token in that state.
func (h *Holder) PINError(t Tries) error {
	e := &cardauth.PINError{Card: h.Token.Label, Tries: -1, Final: t == Final, Locked: t == Locked}
	switch t {
	case Locked:
		e.Tries = 0
	case Final:
		e.Tries = 1
	}
	return e
}

// WithPIN asks for the PIN and hands it to try, which wipes it; again only after the person has been told that it was wrong. Where
// the reader has a pad of its own nobody is asked here and there is one try.
func (h *Holder) WithPIN(ctx context.Context, try func(pin []byte) error) error {
	r := cardauth.PINRequest{Card: h.Token.Label}
	for range maxAsks {
		slot, err := h.Present(ctx)
		if err != nil {
			return err
		}
		state, pad := TriesOf(slot.TokenFlags), slot.TokenFlags&cryptoki.FlagProtectedPath != 0
		if state == Locked {
			return h.PINError(state)
		}
		r.Final, r.Tries = state == Final, -1
		if r.Final {
			r.Tries = 1
		}
		var pin string
		if pad {
			h.onPad()
		} else if pin, err = h.ask(ctx, r); err != nil {
			return err
		}
		// Somebody else may have spent a try meanwhile, and this PIN was given by one who was not told that it is the last.
		if slot, err = h.Present(ctx); err != nil {
			return err
		}
		if TriesOf(slot.TokenFlags) == Final && !r.Final && !pad {
			r.Wrong = false
			continue
		}
		err = try([]byte(pin))
		switch {
		case Wrong(err):
			r.Wrong, h.refused = true, true
		case cryptoki.Has(err, cryptoki.PINLocked):
			return h.Locked(ctx)
		case cryptoki.Has(err, cryptoki.FunctionCanceled, cryptoki.FunctionRejected):
			return &CancelledError{h.Token.Label}
		default:
			return err
		}
		if pad {
			break
		}
	}
	slot, err := h.Present(ctx)
	if err != nil {
		return err
	}
	return h.PINError(TriesOf(slot.TokenFlags))
}

// Wrong reports whether err is what modules say of a wrong PIN.
func Wrong(err error) bool {
	return cryptoki.Has(err, cryptoki.PINIncorrect, cryptoki.PINInvalid, cryptoki.PINLenRange)
}

// Refused reports whether a login within a signature has failed, so that the signature is begun and not ended.
func Refused(err error) bool {
	return Wrong(err) || cryptoki.Has(err, cryptoki.PINLocked, cryptoki.FunctionCanceled, cryptoki.FunctionRejected)
}

// Locked is what CKR_PIN_LOCKED means: modules say that of an empty reader as well.
func (h *Holder) Locked(ctx context.Context) error {
	if _, err := h.Present(ctx); err != nil {
		return err
	}
	return h.PINError(Locked)
}

// ask asks the person, or the URI in their place.
func (h *Holder) ask(ctx context.Context, r cardauth.PINRequest) (string, error) {
	if h.Token.CAN {
		// Of the card with this habit only a contactless one wants a login, and what it wants is not the PIN.
		r.CAN = true
		if h.wishes.Prompt == nil {
			return "", &UnsupportedError{"the number on the card is wanted and nobody is there to be asked"}
		}
		return h.wishes.Prompt(ctx, r)
	}
	pin, given, err := h.given()
	switch {
	case err != nil:
		return "", err
	case given && (r.Wrong || h.refused || r.Final && !h.wishes.LastTry):
		state := Untouched
		if r.Final {
			state = Final
		}
		return "", h.PINError(state)
	case given:
		return pin, nil
	case h.wishes.Prompt == nil:
		return "", &UnsupportedError{"a PIN is wanted and nobody is there to be asked"}
	}
	return h.wishes.Prompt(ctx, r)
}

func (h *Holder) given() (pin string, given bool, err error) {
	if h.wishes.Given == nil {
		return "", false, nil
	}
	return h.wishes.Given()
}

func (h *Holder) onPad() {
	if h.wishes.OnPad != nil {
		h.wishes.OnPad()
	}
}

// Tries is what a token says of the tries that are left, without a number. Some say nothing before a PIN has been wrong.
type Tries string

const (
	Untouched Tries = ""       // all, or the token does not say
	Low       Tries = "low"    // a wrong PIN has been given since the last right one
	Final     Tries = "final"  // one more wrong PIN locks it
	Locked    Tries = "locked" // none
)

// TriesOf reads a token's flags.
func TriesOf(flags uint64) Tries {
	switch {
	case flags&cryptoki.FlagPINLocked != 0:
		return Locked
	case flags&cryptoki.FlagPINFinalTry != 0:
		return Final
	case flags&cryptoki.FlagPINCountLow != 0:
		return Low
	}
	return Untouched
}

// CancelledError says that the person did not give the PIN in the dialog of the card's own software, or at the reader.
type CancelledError struct{ Card string }

func (e *CancelledError) Error() string { return fmt.Sprintf("the PIN of %q was not given", e.Card) }

// UnsupportedError says what a token or this build cannot do.
type UnsupportedError struct{ What string }

func (e *UnsupportedError) Error() string { return "pkcs11card: " + e.What }

package pkcs11card

import (
	"context"

	"sinete/cardauth"
	"sinete/cardauth/pkcs11card/internal/cryptoki"
)

const maxAsks = 3

func (h *holder) pinError(t PINTries) error {
	e := &cardauth.PINError{Card: h.token.Label, Tries: -1, Final: t == PINFinal, Locked: t == PINLocked}
	switch t {
	case PINLocked:
		e.Tries = 0
	case PINFinal:
		e.Tries = 1
	}
	return e
}

// withPIN asks for the PIN and hands it to try, which wipes it; again only after the person has been told that it was wrong. Where
// the reader has a pad of its own nobody is asked here and there is one try.
func (h *holder) withPIN(ctx context.Context, try func(pin []byte) error) error {
	r := cardauth.PINRequest{Card: h.token.Label}
	for range maxAsks {
		slot, err := h.present(ctx)
		if err != nil {
			return err
		}
		state, pad := pinTries(slot.TokenFlags), slot.TokenFlags&cryptoki.FlagProtectedPath != 0
		if state == PINLocked {
			return h.pinError(state)
		}
		r.Final, r.Tries = state == PINFinal, -1
		if r.Final {
			r.Tries = 1
		}
		var pin string
		if pad {
			h.notify(NoticePad)
		} else if pin, err = h.ask(ctx, r); err != nil {
			return err
		}
		// Somebody else may have spent a try meanwhile, and this PIN was given by one who was not told that it is the last.
		if slot, err = h.present(ctx); err != nil {
			return err
		}
		if pinTries(slot.TokenFlags) == PINFinal && !r.Final && !pad {
			r.Wrong = false
			continue
		}
		err = try([]byte(pin))
		switch {
		case wrongPIN(err):
			r.Wrong, h.refused = true, true
		case cryptoki.Has(err, cryptoki.PINLocked):
			return h.locked(ctx)
		case cryptoki.Has(err, cryptoki.FunctionCanceled, cryptoki.FunctionRejected):
			return &CancelledError{h.token.Label}
		default:
			return err
		}
		if pad {
			break
		}
	}
	slot, err := h.present(ctx)
	if err != nil {
		return err
	}
	return h.pinError(pinTries(slot.TokenFlags))
}

func wrongPIN(err error) bool {
	return cryptoki.Has(err, cryptoki.PINIncorrect, cryptoki.PINInvalid, cryptoki.PINLenRange)
}

// refusedPIN reports whether a login within a signature has failed, so that the signature is begun and not ended.
func refusedPIN(err error) bool {
	return wrongPIN(err) || cryptoki.Has(err, cryptoki.PINLocked, cryptoki.FunctionCanceled, cryptoki.FunctionRejected)
}

// locked is what CKR_PIN_LOCKED means: modules say that of an empty reader as well.
func (h *holder) locked(ctx context.Context) error {
	if _, err := h.present(ctx); err != nil {
		return err
	}
	return h.pinError(PINLocked)
}

// ask asks the person, or the URI in their place.
func (h *holder) ask(ctx context.Context, r cardauth.PINRequest) (string, error) {
	if h.token.Profile.CAN {
		// Of the card with this habit only a contactless one wants a login, and what it wants is not the PIN.
		r.CAN = true
		if h.prompt == nil {
			return "", &UnsupportedError{"the number on the card is wanted and nobody is there to be asked"}
		}
		return h.prompt(ctx, r)
	}
	pin, given, err := h.uri.pin()
	switch {
	case err != nil:
		return "", err
	case given && (r.Wrong || h.refused || r.Final && !h.uri.LastTry):
		state := PINUntouched
		if r.Final {
			state = PINFinal
		}
		return "", h.pinError(state)
	case given:
		return pin, nil
	case h.prompt == nil:
		return "", &UnsupportedError{"a PIN is wanted and nobody is there to be asked"}
	}
	return h.prompt(ctx, r)
}

func (h *holder) notify(n Notice) {
	if h.options.Notify != nil {
		h.options.Notify(h.token.Label, n)
	}
}

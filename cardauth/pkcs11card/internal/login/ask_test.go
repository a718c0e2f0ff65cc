package login

import (
	"context"
	"errors"
	"testing"

	"sinete/cardauth"
)

// A PIN that was given beforehand never locks a card by itself, and is not given twice once it was wrong.
func TestGivenPINNeverLocks(t *testing.T) {
	person := func(context.Context, cardauth.PINRequest) (string, error) { return "the person's", nil }
	h := New(nil, Token{Label: "chip"}, Wishes{Prompt: person, Given: func() (string, bool, error) { return "1", true, nil }})
	var e *cardauth.PINError
	for _, r := range []cardauth.PINRequest{{Final: true}, {Wrong: true}} {
		if pin, err := h.ask(t.Context(), r); !errors.As(err, &e) || pin != "" || e.Final != r.Final {
			t.Errorf("%+v: %q, %v", r, pin, err)
		}
	}
	h.wishes.LastTry = true
	if pin, err := h.ask(t.Context(), cardauth.PINRequest{Final: true}); err != nil || pin != "1" {
		t.Errorf("with leave to: %q, %v", pin, err)
	}
	h.refused = true
	if pin, err := h.ask(t.Context(), cardauth.PINRequest{}); !errors.As(err, &e) || pin != "" {
		t.Errorf("once it was refused: %q, %v", pin, err)
	}
}

// Where the number on the card is wanted a PIN is not sent in its place.
func TestCAN(t *testing.T) {
	asked := cardauth.PINRequest{}
	h := New(nil, Token{Label: "chip", CAN: true}, Wishes{Given: func() (string, bool, error) { return "1234", true, nil }})
	var none *UnsupportedError
	if pin, err := h.ask(t.Context(), cardauth.PINRequest{}); !errors.As(err, &none) || pin != "" {
		t.Errorf("%q, %v", pin, err)
	}
	h.wishes.Prompt = func(_ context.Context, r cardauth.PINRequest) (string, error) {
		asked = r
		return "123456", nil
	}
	if pin, err := h.ask(t.Context(), cardauth.PINRequest{Card: "chip"}); err != nil || pin != "123456" || !asked.CAN {
		t.Errorf("%q, %v, asked %+v", pin, err, asked)
	}
}

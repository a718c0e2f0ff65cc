// Package login keeps a session with a token, logged in: Holder. It finds the token again where it is, and asks for the PIN,
// which nobody keeps, by the rules that keep a card from being locked.
package login

import (
	"context"
	"errors"
	"slices"
	"sync/atomic"
	"time"

	"sinete/cardauth"
	"sinete/cardauth/pkcs11card/internal/child"
	"sinete/cardauth/pkcs11card/internal/cryptoki"
)

// closeWait is how long Close waits for a module that sits in a dialog of its own.
const closeWait = 2 * time.Second

// Token is what a Holder knows its token by, and how that is logged in to.
type Token struct {
	Label, Serial, Maker, Model string

	Slot          uint64 // where it was seen
	Required      bool   // it wants a login
	CAN           bool   // which is not the PIN but the number printed on the card
	StaticReaders bool   // its module sees a reader plugged in later only where it is loaded anew
}

// Wishes are what the one who opens a token brings along.
type Wishes struct {
	Prompt cardauth.Prompt
	// Given is a PIN that somebody gave beforehand, if any: it is not tried again once it was wrong, and not at all where that would
	// lock the token, unless LastTry is set.
	Given   func() (pin string, given bool, err error)
	LastTry bool
	Write   bool   // read-write sessions
	OnPad   func() // called before the PIN is entered at the reader
}

// Holder is a token with a session on it. Its methods, but for Close, are for whoever has its Turn.
type Holder struct {
	Module *child.Module
	Token  Token
	Turn   chan struct{}   // of capacity one: held for the length of an operation
	Ending context.Context // ends with Close

	Session *Session   // nil: none
	Life    child.Life // of the last session

	wishes  Wishes
	end     context.CancelFunc
	closed  atomic.Bool
	refused bool // the PIN that was given beforehand was wrong
}

// New makes one for a module that was acquired for it; Close releases it.
func New(m *child.Module, t Token, w Wishes) *Holder {
	h := &Holder{Module: m, Token: t, wishes: w, Turn: make(chan struct{}, 1)}
	h.Ending, h.end = context.WithCancel(context.Background())
	return h
}

// Closed reports whether Close was called.
func (h *Holder) Closed() bool { return h.closed.Load() }

// Begin opens a session on the token and logs in where it wants that.
func (h *Holder) Begin(ctx context.Context) error {
	s, err := OpenSession(ctx, h.Module, h.Token.Slot, h.wishes.Write)
	if err != nil {
		return err
	}
	old := h.Session
	h.Session, h.Life = s, s.Life
	if old != nil {
		// The old session goes last: with the token's last session its login would go.
		defer old.Close(ctx)
	}
	if !h.Token.Required {
		return nil
	}
	if in, err := s.LoggedIn(ctx); err != nil || in {
		return err
	}
	return h.WithPIN(ctx, func(pin []byte) error { return h.Session.Login(ctx, pin) })
}

// Seek finds the slot that the token is in now. An AbsentError says that it is in none.
func (h *Holder) Seek(ctx context.Context) error {
	_, err := h.Present(ctx)
	if absent, ok := errors.AsType[*cardauth.AbsentError](err); ok && !absent.Other && h.Token.StaticReaders {
		if rerr := h.Module.Refresh(ctx); rerr != nil {
			return rerr
		}
		_, err = h.Present(ctx)
	}
	return err
}

// Present describes the token where it is now, and notes its slot.
func (h *Holder) Present(ctx context.Context) (*cryptoki.Slot, error) {
	slots, err := Slots(ctx, h.Module)
	if err != nil {
		return nil, err
	}
	i := slices.IndexFunc(slots, func(s cryptoki.Slot) bool {
		return s.Present && s.Label == h.Token.Label && s.Serial == h.Token.Serial && s.Maker == h.Token.Maker && s.Model == h.Token.Model
	})
	if i < 0 {
		other := slices.ContainsFunc(slots, func(s cryptoki.Slot) bool { return s.ID == h.Token.Slot && (s.Present || s.Unknown) })
		return nil, &cardauth.AbsentError{Card: h.Token.Label, Other: other}
	}
	h.Token.Slot = slots[i].ID
	return &slots[i], nil
}

// Mechanisms are those of the token.
func (h *Holder) Mechanisms(ctx context.Context) ([]uint64, error) {
	a, _, err := h.Module.Do(ctx, h.Life, &cryptoki.Request{Op: cryptoki.OpMechanisms, Slot: h.Token.Slot})
	if err != nil {
		return nil, err
	}
	return a.Numbers, nil
}

// Close ends what the holder is doing, and its session, and with the program's last session on the token its login.
func (h *Holder) Close() error {
	if h.closed.Swap(true) {
		return nil
	}
	h.end()
	defer h.Module.Release()
	ctx, cancel := context.WithTimeout(context.Background(), closeWait)
	defer cancel()
	select {
	case h.Turn <- struct{}{}:
		defer func() { <-h.Turn }()
	case <-ctx.Done():
		return nil
	}
	if h.Module.Doomed() {
		return nil
	}
	err := h.Drop(ctx)
	if ctx.Err() != nil {
		return nil // the module sits in a dialog, and is ended with its last card
	}
	return err
}

// Drop closes the session, if there is one.
func (h *Holder) Drop(ctx context.Context) error {
	s := h.Session
	if h.Session = nil; s == nil {
		return nil
	}
	if err := s.Close(ctx); err != nil && !errors.Is(err, child.ErrCrashed) && !errors.Is(err, child.ErrHung) {
		return err
	}
	return nil
}

// Package cardauth is who somebody is and what they signed: cards, identities taken from certificates, and the policy by
// which a chain is accepted.
//
// Most readers need two things: a Card, opened by cardauth/softcard or cardauth/pkcs11card, which seals for its owner; and
// a Policy, which turns the other side's chain into a Party.
package cardauth

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"

	"sinete/wire"
)

// Card holds a person's certificate and private key. It has no raw signature: all it signs are the roots of batches, behind
// the prefix of protocol.md section 4.1, so that nothing made by it can serve another protocol.
type Card interface {
	// Certificate is the person's own.
	Certificate() *x509.Certificate
	// Chain is the certificate and its issuers as far as the card has them, DER, the anchor left out.
	Chain() [][]byte
	// Scheme is the one scheme that this card signs with.
	Scheme() wire.Scheme
	// Software reports whether the key lies in this process, whose processor signing would take from other work.
	Software() bool
	// SealRoot signs in.Append(nil). It may take seconds; it returns ctx.Err() when ctx ends first, and ErrClosed after Close.
	SealRoot(ctx context.Context, in wire.SealInput) (signature []byte, err error)
	// Close forgets the key or logs out.
	Close() error
}

// PINRequest is what a person is shown when a card wants its PIN.
type PINRequest struct {
	Card  string // the token's label, or the soft card's file name
	Tries int    // tries left, -1 where the card does not say
	Wrong bool   // the PIN just given was wrong
	Final bool   // a further wrong PIN locks the card
	CAN   bool   // what is wanted is not the PIN but the six digits printed on the card, which let it speak contactless
}

// Prompt asks the person for the PIN. An error ends the attempt; the PIN is never kept longer than the card needs it.
type Prompt func(ctx context.Context, r PINRequest) (pin string, err error)

// ErrClosed is what a card answers after Close.
var ErrClosed = errors.New("cardauth: the card is closed")

// PINError says that a card did not take the PIN. Nobody may try again without having asked the person again.
type PINError struct {
	Card   string // as in PINRequest
	Tries  int    // tries left, -1 where the card does not say
	Final  bool   // a further wrong PIN locks the card
	Locked bool   // the card takes no PIN any more
}

func (e *PINError) Error() string {
	switch {
	case e.Locked:
		return fmt.Sprintf("the PIN of %q is locked", e.Card)
	case e.Final:
		return fmt.Sprintf("one more wrong PIN locks %q", e.Card)
	}
	return fmt.Sprintf("wrong PIN for %q", e.Card)
}

// Removable is a card that can be taken out of its reader while the program runs.
type Removable interface {
	Card
	// Watch calls changed each time the card goes (false) or comes back (true), one call at a time, until ctx ends. A different card in
	// its place is no return. While the card is away, SealRoot fails with *AbsentError.
	Watch(ctx context.Context, changed func(present bool))
}

// AbsentError says that the card is not in its reader, or that another one is.
type AbsentError struct {
	Card  string // as in PINRequest
	Other bool   // a different card is in the reader
}

func (e *AbsentError) Error() string {
	if e.Other {
		return fmt.Sprintf("another card is in the place of %q", e.Card)
	}
	return fmt.Sprintf("the card %q is not in its reader", e.Card)
}

// Code is CodeUnsealed, for those who wait for a seal: the number that the other side is given.
func (e *AbsentError) Code() wire.Code { return wire.CodeUnsealed }

// Lockable is a card that stays unlocked after its PIN, and that a person who has gone would leave so.
type Lockable interface {
	Card
	// Lock has the card ask for its PIN again before it signs the next time, unless it is signing just now.
	Lock()
}

// Demanding is a card that may want the PIN at each signature, so that its owner is better served by a delegation (protocol.md
// section 4.5).
type Demanding interface {
	Card
	PINEachTime() bool
}

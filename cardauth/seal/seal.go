// Package seal makes and checks seals: one signature over a Merkle tree of statements, and for each statement the path that
// ties it to the signature (protocol.md sections 4.1 to 4.4).
//
// Most readers need two things: a Sealer, which signs for a key whatever waits as one batch, and a Verifier, which checks
// one statement's seal against the Signer that it expects and remembers the signatures it has verified.
package seal

import (
	"context"
	"crypto"
	"errors"
	"fmt"

	"sinete/wire"
)

// Key signs roots. A cardauth.Card is one, and so is a cardauth.Delegate.
type Key interface {
	// Scheme is the one scheme that this key signs with.
	Scheme() wire.Scheme
	// Software reports whether signing takes this process's own processor, so that it must be paced.
	Software() bool
	// SealRoot signs in.Append(nil). It may take seconds; it returns ctx.Err() when ctx ends first. The signature must have
	// been verified by whoever made it, where it comes from outside this process: a Sealer passes it on as it is.
	SealRoot(ctx context.Context, in wire.SealInput) ([]byte, error)
}

// Statement is what is sealed: bytes that mean something for one purpose only (section 4.2).
type Statement struct {
	Purpose wire.Purpose
	Bytes   []byte
}

// Signer is who is expected to have sealed.
type Signer struct {
	Key    crypto.PublicKey // *rsa.PublicKey, *ecdsa.PublicKey or ed25519.PublicKey
	Scheme wire.Scheme      // pinned: a seal under any other is refused
	Digest [32]byte         // wire.SignerHash of certificate and delegation
	// Delegation limits a delegated key to its purposes and its time; nil where the card seals itself. A seal's time is its
	// signer's claim, so whoever keeps a session open must also end it at Delegation.NotAfter by its own clock.
	Delegation *wire.Delegation
}

var (
	// ErrClosed is what calls of a closed Sealer return.
	ErrClosed = errors.New("the sealer is closed")
	// ErrTooMany says that one call wanted more statements sealed than a batch may hold.
	ErrTooMany = fmt.Errorf("more than %d statements in one call", wire.MaxLeaves)
)

// SignError says that the key failed to sign a batch. The next batch may well succeed.
type SignError struct{ Err error }

func (e *SignError) Error() string { return "signing: " + e.Err.Error() }
func (e *SignError) Unwrap() error { return e.Err }

// VerifyError says that a seal is not what it must be.
type VerifyError struct{ Reason string }

func (e *VerifyError) Error() string { return "seal refused: " + e.Reason }

// Code is CodeIntegrity: the number the other side is given.
func (e *VerifyError) Code() wire.Code { return wire.CodeIntegrity }

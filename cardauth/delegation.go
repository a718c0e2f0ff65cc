package cardauth

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"sinete/cardauth/seal"
	"sinete/wire"
)

// delegationSkew is how far a card's clock may be ahead of the verifier's.
const delegationSkew = 5 * time.Minute

// Delegate is a key in this process that may seal for a card until its time is over (protocol.md section 4.5). It is a
// seal.Key. The card must seal its Statement, with wire.PurposeDelegation, before anybody accepts it.
type Delegate struct {
	delegation wire.Delegation
	statement  []byte

	mu  sync.Mutex
	key ed25519.PrivateKey // nil once erased
}

// NewDelegate makes a fresh key for handshakes and heads. deployment is the name of the relay at whose login it is made, at
// most wire.MaxName bytes; notAfter must be at most wire.MaxDelegation seconds after the card's seal.
func NewDelegate(deployment string, notAfter time.Time) (*Delegate, error) {
	if len(deployment) > wire.MaxName || !wire.ValidText(deployment) {
		return nil, errors.New("a deployment's name that cannot be encoded")
	}
	public, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return nil, err
	}
	d := wire.Delegation{
		Key:        [32]byte(public),
		Purposes:   1<<wire.PurposeInitiator | 1<<wire.PurposeResponder | 1<<wire.PurposeHead,
		NotAfter:   uint64(notAfter.Unix()),
		Deployment: deployment,
	}
	return &Delegate{delegation: d, statement: d.Append(nil), key: private}, nil
}

// Delegation is what the card allows the key.
func (d *Delegate) Delegation() wire.Delegation { return d.delegation }

// Statement is what the card seals. It must not be modified.
func (d *Delegate) Statement() []byte { return d.statement }

// Scheme is Ed25519.
func (d *Delegate) Scheme() wire.Scheme { return wire.SchemeEd25519 }

// Software is true: signing takes this process's processor.
func (d *Delegate) Software() bool { return true }

// SealRoot signs at once. Its error is ErrClosed, after Erase.
func (d *Delegate) SealRoot(_ context.Context, in wire.SealInput) ([]byte, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.key == nil {
		return nil, ErrClosed
	}
	return ed25519.Sign(d.key, in.Append(nil)), nil
}

// Erase forgets the key: nothing is signed with it any more.
func (d *Delegate) Erase() {
	d.mu.Lock()
	defer d.mu.Unlock()
	clear(d.key)
	d.key = nil // Go keeps what it has made of a key for as long as the key is there
}

// Format hides the key.
func (d *Delegate) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, "delegated key") }

// VerifyDelegation checks that p's card sealed the delegation, that it is in its time, and that it was made for that
// deployment ("" takes any). The Signer that it returns refuses seals for purposes that the delegation does not name, and
// those from after its end. The error is a *DelegationError, with wrong-context for another deployment and
// authentication-failed for all else.
func VerifyDelegation(v *seal.Verifier, p *Party, d *wire.SealedDelegation, now time.Time, deployment string) (seal.Signer, error) {
	fail := func(n wire.Code, err error) (seal.Signer, error) { return seal.Signer{}, &DelegationError{n, err} }

	card, err := p.Signer(d.Seal.Scheme, nil)
	if err != nil {
		return fail(wire.CodeAuthenticationFailed, err)
	}
	if err := v.Verify(card, wire.PurposeDelegation, d.Statement, d.Seal); err != nil {
		return fail(wire.CodeAuthenticationFailed, err)
	}
	s, err := p.Signer(wire.SchemeEd25519, d.Statement)
	if err != nil {
		return fail(wire.CodeAuthenticationFailed, err)
	}

	// All comparisons in Unix seconds: times of the other side may be so large that they have no time.Time.
	from, until, clock := d.Seal.Time, s.Delegation.NotAfter, uint64(now.Unix())
	switch {
	case from > clock+uint64(delegationSkew/time.Second):
		err = errors.New("sealed in the future")
	case until < from || until-from > wire.MaxDelegation:
		err = fmt.Errorf("longer than %d seconds, or over before it begins", wire.MaxDelegation)
	case clock > until:
		err = errors.New("its time is over")
	}
	if err != nil {
		return fail(wire.CodeAuthenticationFailed, err)
	}
	if deployment != "" && s.Delegation.Deployment != deployment {
		return fail(wire.CodeWrongContext, fmt.Errorf("made for %q", s.Delegation.Deployment))
	}
	return s, nil
}

package cardauth_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"errors"
	"fmt"
	"testing"
	"time"

	"sinete/cardauth"
	"sinete/cardauth/seal"
	"sinete/wire"
)

// p256Card seals as a person's card would.
type p256Card struct{ *ecdsa.PrivateKey }

func (p256Card) Scheme() wire.Scheme { return wire.SchemeP256 }
func (p256Card) Software() bool      { return true }
func (c p256Card) SealRoot(_ context.Context, in wire.SealInput) ([]byte, error) {
	h := sha256.Sum256(in.Append(nil))
	return ecdsa.SignASN1(rand.Reader, c.PrivateKey, h[:])
}

// sealWith seals one statement.
func sealWith(t *testing.T, key seal.Key, signer [32]byte, at time.Time, p wire.Purpose, statement []byte) wire.Seal {
	t.Helper()
	s := seal.NewSealer(key, signer, seal.Config{Now: func() time.Time { return at }})
	defer s.Close()
	seals, err := s.Seal(t.Context(), "", func() []seal.Statement { return []seal.Statement{{Purpose: p, Bytes: statement}} })
	if err != nil {
		t.Fatal(err)
	}
	return seals[0]
}

// person returns an accepted person and a card with their key.
func person(t *testing.T) (*cardauth.Party, p256Card) {
	t.Helper()
	w := newWorld(t)
	key := p256(t)
	leaf := w.sub.issue(personTemplate(), &key.PublicKey, nil)
	p, err := w.policy.VerifyPerson(ders(leaf, w.sub.cert), nil)
	if err != nil {
		t.Fatal(err)
	}
	return p, p256Card{key}
}

const relayName = "relay.example.org"

func newDelegate(t *testing.T, until time.Time) *cardauth.Delegate {
	t.Helper()
	d, err := cardauth.NewDelegate(relayName, until)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func TestDelegateSealsForItsCard(t *testing.T) {
	p, card := person(t)
	v := seal.NewVerifier(10)
	d := newDelegate(t, testNow.Add(12*time.Hour))
	sealed := &wire.SealedDelegation{
		Statement: d.Statement(),
		Seal:      sealWith(t, card, wire.SignerHash(p.Certificate.Raw, nil), testNow, wire.PurposeDelegation, d.Statement()),
	}
	for _, deployment := range []string{relayName, ""} {
		s, err := cardauth.VerifyDelegation(v, p, sealed, testNow.Add(time.Hour), deployment)
		if err != nil {
			t.Fatal(err)
		}
		if s.Digest != wire.SignerHash(p.Certificate.Raw, d.Statement()) || *s.Delegation != d.Delegation() {
			t.Error("another digest or delegation")
		}
		for _, purpose := range []wire.Purpose{wire.PurposeInitiator, wire.PurposeResponder, wire.PurposeHead} {
			sl := sealWith(t, d, s.Digest, testNow.Add(time.Hour), purpose, []byte("statement"))
			if err := v.Verify(s, purpose, []byte("statement"), sl); err != nil {
				t.Error(err)
			}
			card, _ := p.Signer(wire.SchemeP256, nil)
			if v.Verify(card, purpose, []byte("statement"), sl) == nil {
				t.Error("the delegate passed for the card")
			}
		}
		further := sealWith(t, d, s.Digest, testNow, wire.PurposeDelegation, []byte("statement"))
		if v.Verify(s, wire.PurposeDelegation, []byte("statement"), further) == nil {
			t.Error("a delegate delegated further")
		}
		late := sealWith(t, d, s.Digest, testNow.Add(12*time.Hour+time.Second), wire.PurposeHead, []byte("statement"))
		if v.Verify(s, wire.PurposeHead, []byte("statement"), late) == nil {
			t.Error("sealed after its end")
		}
	}
}

// An erased key signs nothing more, and none shows itself to whoever prints it.
func TestDelegateErased(t *testing.T) {
	d := newDelegate(t, testNow.Add(time.Hour))
	for _, verb := range []string{"%v", "%+v", "%#v", "%x", "%d"} {
		if got := fmt.Sprintf(verb, d); got != "delegated key" {
			t.Errorf("%s shows %q", verb, got)
		}
	}
	d.Erase()
	d.Erase()
	if _, err := d.SealRoot(t.Context(), wire.SealInput{}); !errors.Is(err, cardauth.ErrClosed) {
		t.Errorf("sealed: %v", err)
	}
}

func TestDelegationsThatAreRefused(t *testing.T) {
	p, card := person(t)
	other, otherCard := person(t)
	digest := wire.SignerHash(p.Certificate.Raw, nil)
	day := newDelegate(t, testNow.Add(12*time.Hour))
	by := func(key seal.Key, signer [32]byte, at time.Time, purpose wire.Purpose, statement []byte) *wire.SealedDelegation {
		return &wire.SealedDelegation{Statement: statement, Seal: sealWith(t, key, signer, at, purpose, statement)}
	}
	right := by(card, digest, testNow, wire.PurposeDelegation, day.Statement())
	for _, c := range []struct {
		name       string
		d          *wire.SealedDelegation
		after      time.Duration
		deployment string
		code       wire.Code // 0: accepted
	}{
		{"right", right, 0, relayName, 0},
		{"at its last second", right, 12 * time.Hour, relayName, 0},
		{"after that", right, 12*time.Hour + time.Second, relayName, wire.CodeAuthenticationFailed},
		{"five minutes early", right, -5 * time.Minute, relayName, 0},
		{"earlier", right, -5*time.Minute - time.Second, relayName, wire.CodeAuthenticationFailed},
		{"for another relay", right, 0, "other.example.org", wire.CodeWrongContext},
		{"longer than 12 hours", by(card, digest, testNow.Add(-time.Second), wire.PurposeDelegation, day.Statement()), 0,
			relayName, wire.CodeAuthenticationFailed},
		{"over before it begins", by(card, digest, testNow, wire.PurposeDelegation,
			newDelegate(t, testNow.Add(-time.Second)).Statement()), -2 * time.Second, relayName, wire.CodeAuthenticationFailed},
		{"sealed as a head", by(card, digest, testNow, wire.PurposeHead, day.Statement()), 0, relayName, wire.CodeAuthenticationFailed},
		{"sealed by another card", by(otherCard, digest, testNow, wire.PurposeDelegation, day.Statement()), 0, relayName,
			wire.CodeAuthenticationFailed},
		{"sealed for another certificate", by(card, wire.SignerHash(other.Certificate.Raw, nil), testNow, wire.PurposeDelegation,
			day.Statement()), 0, relayName, wire.CodeAuthenticationFailed},
		{"sealed by itself", by(day, digest, testNow, wire.PurposeDelegation, day.Statement()), 0, relayName,
			wire.CodeAuthenticationFailed},
		{"another statement", &wire.SealedDelegation{Statement: newDelegate(t, testNow).Statement(), Seal: right.Seal}, 0, relayName,
			wire.CodeAuthenticationFailed},
		{"no statement", by(card, digest, testNow, wire.PurposeDelegation, nil), 0, relayName, wire.CodeAuthenticationFailed},
		{"trailing bytes", by(card, digest, testNow, wire.PurposeDelegation, append(day.Delegation().Append(nil), 0)), 0, relayName,
			wire.CodeAuthenticationFailed},
	} {
		s, err := cardauth.VerifyDelegation(seal.NewVerifier(0), p, c.d, testNow.Add(c.after), c.deployment)
		var refused *cardauth.DelegationError
		switch {
		case c.code == 0 && err != nil:
			t.Errorf("%s: %v", c.name, err)
		case c.code != 0 && (!errors.As(err, &refused) || wire.CodeOf(err) != c.code || s.Key != nil):
			t.Errorf("%s: got %v, want %v", c.name, err, c.code)
		}
	}
}

func TestDelegationNarrowerThanAsked(t *testing.T) {
	p, card := person(t)
	narrow := newDelegate(t, testNow.Add(time.Hour)).Delegation()
	narrow.Purposes = 0
	statement := narrow.Append(nil)
	d := &wire.SealedDelegation{Statement: statement,
		Seal: sealWith(t, card, wire.SignerHash(p.Certificate.Raw, nil), testNow, wire.PurposeDelegation, statement)}
	s, err := cardauth.VerifyDelegation(seal.NewVerifier(0), p, d, testNow, "")
	if err != nil {
		t.Fatal(err)
	}
	if err := seal.NewVerifier(0).Verify(s, wire.PurposeHead, nil, wire.Seal{Scheme: wire.SchemeEd25519, Leaves: 1}); err == nil ||
		wire.CodeOf(err) != wire.CodeIntegrity {
		t.Errorf("got %v", err)
	}
}

func TestNewDelegateRefusesNames(t *testing.T) {
	for _, name := range []string{string(make([]byte, wire.MaxName+1)), "a\nb", "\xff"} {
		if _, err := cardauth.NewDelegate(name, testNow); err == nil {
			t.Errorf("took %q", name)
		}
	}
}

func TestSignerOfACard(t *testing.T) {
	p, card := person(t)
	s, err := p.Signer(wire.SchemeP256, nil)
	if err != nil || s.Digest != wire.SignerHash(p.Certificate.Raw, nil) || s.Delegation != nil || !card.PublicKey.Equal(s.Key) {
		t.Errorf("%+v, %v", s, err)
	}
	for _, scheme := range []wire.Scheme{wire.SchemeP384, wire.SchemeRSAPKCS1, wire.SchemeRSAPSS, wire.SchemeEd25519, 0} {
		if _, err := p.Signer(scheme, nil); err == nil {
			t.Errorf("a P-256 key with %v", scheme)
		}
	}
	if _, err := p.Signer(wire.SchemeP256, newDelegate(t, testNow).Statement()); err == nil {
		t.Error("a delegated key with a card's scheme")
	}
	short := &cardauth.Party{Certificate: &x509.Certificate{PublicKey: hugeRSA(1024)}}
	if _, err := short.Signer(wire.SchemeRSAPKCS1, nil); err == nil {
		t.Error("an RSA-1024 key")
	}
}

package cardauth_test

import (
	"context"
	"crypto/x509"
	"errors"
	"slices"
	"testing"
	"time"

	"sinete/cardauth"
	"sinete/wire"
)

// revocation answers as it is told.
type revocation struct {
	judge  func(c cardauth.Claim) error
	settle func(c cardauth.Claim, within time.Duration) error
	own    [][]byte // staples
}

func (r revocation) Judge(c cardauth.Claim) error {
	if r.judge == nil {
		return nil
	}
	return r.judge(c)
}

func (r revocation) Settle(_ context.Context, c cardauth.Claim, within time.Duration) error {
	return r.settle(c, within)
}

func (r revocation) Staples(context.Context, []*x509.Certificate) [][]byte { return r.own }

// Both steps see the chain as it was built, with its staples beside it, which nobody holds on to during a session.
func TestBothStepsOfRevocationSeeOneClaim(t *testing.T) {
	w := newWorld(t)
	second := newAuthority(t, w.sub, "Second")
	leaf := second.person()
	check := func(c cardauth.Claim, staples ...string) {
		want := []*x509.Certificate{leaf, second.cert, w.sub.cert, w.root.cert}
		if !slices.EqualFunc(c.Chain, want, (*x509.Certificate).Equal) || !c.Now.Equal(testNow) {
			t.Error("another chain or time")
		}
		if !slices.EqualFunc(c.Staples, staples, func(s []byte, want string) bool { return string(s) == want }) {
			t.Errorf("staples %q", c.Staples)
		}
	}
	var steps []time.Duration
	w.policy.Revocation = revocation{
		judge: func(c cardauth.Claim) error {
			check(c, "leaf", "second", "", "")
			steps = append(steps, -1)
			return nil
		},
		settle: func(c cardauth.Claim, within time.Duration) error {
			if within == 0 {
				check(c, "leaf", "second", "", "")
			} else {
				check(c, "", "", "", "")
			}
			steps = append(steps, within)
			return nil
		}}
	// Reordered, so that the staples have to follow their certificates.
	p, err := w.policy.VerifyPerson(ders(leaf, w.sub.cert, second.cert), [][]byte{[]byte("leaf"), {}, []byte("second")})
	if err != nil {
		t.Fatal(err)
	}
	if err := w.policy.Settle(t.Context(), p); err != nil {
		t.Error(err)
	}
	if err := w.policy.Recheck(t.Context(), p, time.Minute); err != nil {
		t.Error(err)
	}
	if want := []time.Duration{-1, 0, time.Minute}; !slices.Equal(steps, want) {
		t.Errorf("steps %v, want %v", steps, want)
	}
}

func TestRevocationRefusesWithItsCode(t *testing.T) {
	w := newWorld(t)
	chain := ders(w.sub.person(), w.sub.cert)
	w.policy.Revocation = cardauth.RevocationOff
	known, err := w.policy.VerifyPerson(chain, nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		err  error
		code wire.Code
	}{
		{&cardauth.CertificateError{Number: wire.CodeCertificateRevoked, Reason: "stolen"}, wire.CodeCertificateRevoked},
		{errors.New("no answer"), wire.CodeRevocationUnknown},
	} {
		w.policy.Revocation = revocation{judge: func(cardauth.Claim) error { return c.err },
			settle: func(cardauth.Claim, time.Duration) error { return c.err }}
		p, err := w.policy.VerifyPerson(chain, nil)
		refused(t, "judged", p, err, c.code)
		refused(t, "settled", nil, w.policy.Settle(t.Context(), known), c.code)
	}
	w.policy.Revocation = nil
	refused(t, "no policy", nil, w.policy.Settle(t.Context(), known), wire.CodeRevocationUnknown)
}

// What one shows of oneself stands in the order of what one sends, and nothing empty or too large at its end.
func TestStaplesOfOnesOwnStandBesideWhatIsSent(t *testing.T) {
	w := newWorld(t)
	leaf := w.sub.person()
	sent := ders(leaf, w.sub.cert)
	self, err := w.policy.VerifyPerson(sent, nil)
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct{ own, want [][]byte }{
		"none":       {nil, nil},
		"both":       {[][]byte{[]byte("leaf"), []byte("sub"), nil}, [][]byte{[]byte("leaf"), []byte("sub")}},
		"leaf alone": {[][]byte{[]byte("leaf"), nil, nil}, [][]byte{[]byte("leaf")}},
		"sub alone":  {[][]byte{nil, []byte("sub"), nil}, [][]byte{nil, []byte("sub")}},
		"too large":  {[][]byte{[]byte("leaf"), make([]byte, wire.MaxStaple+1), nil}, [][]byte{[]byte("leaf")}},
	} {
		w.policy.Revocation = revocation{own: c.own}
		got := w.policy.Staples(t.Context(), self, sent)
		if !slices.EqualFunc(got, c.want, slices.Equal[[]byte]) {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
}

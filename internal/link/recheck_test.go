package link

import (
	"context"
	"crypto/x509"
	"errors"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"sinete/cardauth"
)

// asked is a Revocation that counts.
type asked struct {
	at      []time.Time
	within  []time.Duration
	refuses error
	own     int
}

func (a *asked) Judge(cardauth.Claim) error { return nil }

func (a *asked) Settle(_ context.Context, _ cardauth.Claim, within time.Duration) error {
	a.at, a.within = append(a.at, time.Now()), append(a.within, within)
	return a.refuses
}

func (a *asked) Staples(_ context.Context, chain []*x509.Certificate) [][]byte {
	a.own++
	return [][]byte{{byte(a.own)}}
}

// met is a policy with such a Revocation, and somebody it has verified.
func met(t *testing.T, a *asked) (*cardauth.Policy, *cardauth.Party, [][]byte) {
	t.Helper()
	p := &cardauth.Policy{Anchors: []*x509.Certificate{country().Root.Certificate}, Revocation: a}
	alice := newPerson(t, "alice")
	party, err := p.VerifyPerson(alice.card.Chain(), nil)
	must(t, err)
	return p, party, alice.card.Chain()
}

// However the pauses fall, what serves is at most one bound old when the next look comes.
func TestRecheckKeepsItsBound(t *testing.T) {
	const bound = 15 * time.Minute
	a := &asked{}
	p, party, _ := met(t, a)
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		ctx, cancel := context.WithTimeout(t.Context(), 24*time.Hour)
		defer cancel()
		must(t, Recheck(ctx, p, party, bound))
		last := began
		for i, at := range a.at {
			if gap := at.Sub(last); gap+a.within[i] > bound || gap < bound/4 {
				t.Errorf("a look %v after the one before, which takes what is %v old", gap, a.within[i])
			}
			last = at
		}
		if n := len(a.at); n < 24*60/8 || len(slices.Compact(slices.Clone(a.at))) != n {
			t.Errorf("%d looks in a day", n)
		}
	})
}

func TestRecheckSaysWhy(t *testing.T) {
	a := &asked{refuses: errors.New("revoked")}
	p, party, _ := met(t, a)
	synctest.Test(t, func(t *testing.T) {
		if err := Recheck(t.Context(), p, party, time.Minute); err == nil || len(a.at) != 1 {
			t.Errorf("%v after %d looks", err, len(a.at))
		}
	})
}

func TestNothingIsRecheckedWhereRevocationIsOff(t *testing.T) {
	p, party, chain := met(t, &asked{})
	p.Revocation = cardauth.RevocationOff
	must(t, Recheck(t.Context(), p, party, time.Nanosecond))
	Refresh(t.Context(), p, party, chain, time.Nanosecond, func([][]byte) { t.Error("staples of nothing") })
}

func TestOwnStaplesAreRefreshed(t *testing.T) {
	p, party, chain := met(t, &asked{})
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
		defer cancel()
		taken := 0
		Refresh(ctx, p, party, chain, 10*time.Minute, func(s [][]byte) {
			if taken++; len(s) != 1 || s[0][0] != byte(taken) {
				t.Errorf("%v the %d. time", s, taken)
			}
		})
		if taken < 12 || taken > 17 {
			t.Errorf("refreshed %d times in an hour", taken)
		}
	})
}

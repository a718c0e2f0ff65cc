package link

import (
	"context"
	"crypto/x509"
	"errors"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"sinete/cardauth"
	"sinete/wire"
)

// asked is a Revocation that counts.
type asked struct {
	at      []time.Time
	within  []time.Duration
	refuses error
	takes   time.Duration
	asking  atomic.Bool
	own     int
}

func (a *asked) Judge(cardauth.Claim) error { return nil }

func (a *asked) Settle(_ context.Context, _ cardauth.Claim, within time.Duration) error {
	a.asking.Store(true)
	defer a.asking.Store(false)
	a.at, a.within = append(a.at, time.Now()), append(a.within, within)
	time.Sleep(a.takes)
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
		stop := Recheck(ctx, p, party, bound, func(err error) { t.Error(err) })
		<-ctx.Done()
		stop()
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
		told := 0
		stop := Recheck(t.Context(), p, party, time.Minute, func(err error) {
			if told++; wire.CodeOf(err) != wire.CodeRevocationUnknown {
				t.Error(err)
			}
		})
		time.Sleep(time.Hour)
		stop()
		if told != 1 || len(a.at) != 1 {
			t.Errorf("told %d times after %d looks", told, len(a.at))
		}
	})
}

// Whoever has stopped it need not fear that it asks still, or will again.
func TestNobodyIsAskedAfterTheStop(t *testing.T) {
	a := &asked{takes: time.Second}
	p, party, _ := met(t, a)
	synctest.Test(t, func(t *testing.T) {
		stop := Recheck(t.Context(), p, party, time.Minute, func(err error) { t.Error(err) })
		for !a.asking.Load() {
			time.Sleep(time.Millisecond)
			synctest.Wait()
		}
		stop()
		if a.asking.Load() {
			t.Error("it asks still")
		}
		time.Sleep(time.Hour)
		if len(a.at) != 1 {
			t.Errorf("%d looks", len(a.at))
		}
	})
}

func TestNothingIsRecheckedWhereRevocationIsOff(t *testing.T) {
	p, party, chain := met(t, &asked{})
	p.Revocation = cardauth.RevocationOff
	Recheck(t.Context(), p, party, time.Nanosecond, func(err error) { t.Error(err) })()
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

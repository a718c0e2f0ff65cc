package cardtest_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"sinete/cardauth"
	"sinete/cardauth/cardtest"
	"sinete/cardauth/softcard"
	"sinete/internal/trialpki"
	"sinete/wire"
)

func soft(t *testing.T) cardauth.Card {
	t.Helper()
	w, err := trialpki.New(trialpki.Options{})
	if err != nil {
		t.Fatal(err)
	}
	i, err := w.IssuePerson(trialpki.Person{Name: "ana"})
	if err != nil {
		t.Fatal(err)
	}
	c, err := softcard.FromKey(i.Key, i.Chain, 0)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestFakeIsACard(t *testing.T) {
	cardtest.Run(t, func(t *testing.T) cardauth.Card { return cardtest.NewFake(soft(t), time.Microsecond) })
}

func TestFakeSignsOneAtATime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := cardtest.NewFake(soft(t), time.Second)
		start := time.Now()
		var wg sync.WaitGroup
		for range 5 {
			wg.Go(func() {
				if _, err := f.SealRoot(t.Context(), wire.SealInput{Leaves: 1}); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		if d := time.Since(start); d != 5*time.Second || f.Signatures() != 5 || f.Software() {
			t.Errorf("%d signatures in %v, software %v", f.Signatures(), d, f.Software())
		}
	})
}

func TestFakeFaults(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := cardtest.NewFake(soft(t), time.Second)
		fault := errors.New("pulled out")
		f.SetError(fault)
		if _, err := f.SealRoot(t.Context(), wire.SealInput{Leaves: 1}); !errors.Is(err, fault) {
			t.Errorf("got %v", err)
		}
		f.SetError(nil)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second/2)
		defer cancel()
		if _, err := f.SealRoot(ctx, wire.SealInput{Leaves: 1}); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got %v", err)
		}
		if _, err := f.SealRoot(t.Context(), wire.SealInput{Leaves: 1}); err != nil || f.Signatures() != 1 {
			t.Errorf("%v, %d signatures", err, f.Signatures())
		}
	})
}

package seal_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"sinete/cardauth/seal"
	"sinete/wire"
)

// inBubble runs a test in virtual time with a Sealer over an Ed25519 key.
func inBubble(t *testing.T, key *testKey, f func(t *testing.T, s *seal.Sealer)) {
	synctest.Test(t, func(t *testing.T) {
		s := seal.NewSealer(key, testDigest, seal.Config{})
		defer s.Close()
		f(t, s)
	})
}

// start calls Seal on another goroutine and waits until it is queued. The result comes on the channel.
func start(s *seal.Sealer, ctx context.Context, class string, prepare func() []seal.Statement) <-chan result {
	c := make(chan result, 1)
	go func() {
		seals, err := s.Seal(ctx, class, prepare)
		c <- result{seals, err, time.Now()}
	}()
	synctest.Wait()
	return c
}

type result struct {
	seals []wire.Seal
	err   error
	at    time.Time
}

func TestGroupCommit(t *testing.T) {
	key := newKey(t, wire.SchemeEd25519)
	key.delay = 500 * time.Millisecond
	inBubble(t, key, func(t *testing.T, s *seal.Sealer) {
		began := time.Now()
		first := start(s, t.Context(), "", statements("first"))

		v := seal.NewVerifier(10)
		var wg sync.WaitGroup
		for i := range 10_000 {
			wg.Go(func() {
				mine := fmt.Sprint("message ", i)
				seals, err := s.Seal(t.Context(), "", statements(mine))
				if err != nil || len(seals) != 1 {
					t.Errorf("call %d: %d seals, %v", i, len(seals), err)
					return
				}
				if err := v.Verify(key.signer(), wire.PurposeHead, []byte(mine), seals[0]); err != nil {
					t.Errorf("call %d: %v", i, err)
				}
			})
		}
		wg.Wait()
		if r := <-first; r.err != nil || r.at.Sub(began) != key.delay || len(r.seals[0].Path) != 0 {
			t.Errorf("the first call: %v after %v", r.err, r.at.Sub(began))
		}
		if n := s.Signatures(); n != 2 {
			t.Errorf("%d signatures, want 2", n)
		}
		if d := time.Since(began); d != 2*key.delay {
			t.Errorf("took %v, want %v", d, 2*key.delay)
		}
	})
}

func TestClassesApartAndOldestFirst(t *testing.T) {
	key := newKey(t, wire.SchemeEd25519)
	key.delay = time.Second
	inBubble(t, key, func(t *testing.T, s *seal.Sealer) {
		busy := start(s, t.Context(), "low", statements("busy"))
		var calls []<-chan result
		classes := []string{"low", "high", "low", "handshake", "high", "low"}
		for i, class := range classes {
			calls = append(calls, start(s, t.Context(), class, statements(fmt.Sprint(i))))
		}
		began := (<-busy).at
		// low (calls 0, 2, 5) is oldest, then high (1, 4), then handshake (3).
		for i, want := range []struct {
			after  time.Duration
			leaves uint32
		}{{1, 4}, {2, 2}, {1, 4}, {3, 1}, {2, 2}, {1, 4}} {
			r := <-calls[i]
			if r.err != nil {
				t.Fatal(r.err)
			}
			if got := r.at.Sub(began); got != want.after*time.Second || r.seals[0].Leaves != want.leaves {
				t.Errorf("call %d of class %s: after %v among %d leaves", i, classes[i], got, r.seals[0].Leaves)
			}
		}
	})
}

// A class that always has something waiting must not keep another out.
func TestBusyClassDoesNotStarveOthers(t *testing.T) {
	key := newKey(t, wire.SchemeEd25519)
	key.delay = time.Second
	inBubble(t, key, func(t *testing.T, s *seal.Sealer) {
		ctx, stop := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		for range 8 {
			wg.Go(func() {
				for ctx.Err() == nil {
					_, _ = s.Seal(ctx, "busy", statements("x"))
				}
			})
		}
		synctest.Wait()
		began := time.Now()
		r := <-start(s, t.Context(), "other", statements("y"))
		if d := r.at.Sub(began); r.err != nil || d > 3*key.delay {
			t.Errorf("%v, served after %v", r.err, d)
		}
		stop()
		wg.Wait()
	})
}

func TestPreparedWhenTheBatchBegins(t *testing.T) {
	key := newKey(t, wire.SchemeEd25519)
	key.delay = time.Second
	inBubble(t, key, func(t *testing.T, s *seal.Sealer) {
		busy := start(s, t.Context(), "", statements("busy"))
		var state atomic.Value
		state.Store("old")
		prepared := 0
		call := start(s, t.Context(), "", func() []seal.Statement {
			prepared++
			now := state.Load().(string)
			return statements(now, now+"er")()
		})
		state.Store("new")
		<-busy
		r := <-call
		if r.err != nil || len(r.seals) != 2 || prepared != 1 {
			t.Fatalf("%d seals, prepared %d times, %v", len(r.seals), prepared, r.err)
		}
		v := seal.NewVerifier(0)
		for i, want := range []string{"new", "newer"} {
			if err := v.Verify(key.signer(), wire.PurposeHead, []byte(want), r.seals[i]); err != nil {
				t.Error(err)
			}
		}
	})
}

// What is sealed alone shares its signature with nobody, whatever waits beside it, and has no salt.
func TestSealAlone(t *testing.T) {
	key := newKey(t, wire.SchemeEd25519)
	key.delay = time.Second
	inBubble(t, key, func(t *testing.T, s *seal.Sealer) {
		busy := start(s, t.Context(), "", statements("busy"))
		beside := start(s, t.Context(), "", statements("beside"))
		alone := make(chan wire.Seal, 2)
		for range 2 {
			go func() {
				sealed, err := s.SealAlone(t.Context(), seal.Statement{Purpose: wire.PurposeHead, Bytes: []byte("alone")})
				if err != nil {
					t.Error(err)
				}
				alone <- sealed
			}()
		}
		after := start(s, t.Context(), "", statements("after"))
		<-busy
		if b, a := <-beside, <-after; len(b.seals) != 1 || b.seals[0].Salt == [16]byte{} || len(a.seals) != 1 {
			t.Errorf("%+v, %+v", b, a)
		}
		v := seal.NewVerifier(0)
		first, second := <-alone, <-alone
		for _, sealed := range []wire.Seal{first, second} {
			if sealed.Leaves != 1 || sealed.Salt != [16]byte{} {
				t.Errorf("%+v is not alone", sealed)
			}
			if err := v.Verify(key.signer(), wire.PurposeHead, []byte("alone"), sealed); err != nil {
				t.Error(err)
			}
		}
		if n := s.Signatures(); n != 4 {
			t.Errorf("%d signatures for the first, those beside each other, and two alone", n)
		}
	})
}

func TestNothingPreparedCostsNothing(t *testing.T) {
	key := newKey(t, wire.SchemeEd25519)
	inBubble(t, key, func(t *testing.T, s *seal.Sealer) {
		seals, err := s.Seal(t.Context(), "", func() []seal.Statement { return nil })
		if len(seals) != 0 || err != nil || s.Signatures() != 0 {
			t.Errorf("%d seals, %v, %d signatures", len(seals), err, s.Signatures())
		}
		key.delay = time.Second
		busy := start(s, t.Context(), "", statements("busy"))
		empty := start(s, t.Context(), "", statements())
		full := start(s, t.Context(), "", statements("full"))
		<-busy
		if r := <-empty; r.err != nil || len(r.seals) != 0 {
			t.Errorf("empty call: %d seals, %v", len(r.seals), r.err)
		}
		if r := <-full; r.err != nil || r.seals[0].Leaves != 1 {
			t.Errorf("an empty call took a leaf: %d leaves, %v", r.seals[0].Leaves, r.err)
		}
	})
}

func TestSoftwareKeyIsPaced(t *testing.T) {
	key := newKey(t, wire.SchemeEd25519)
	key.delay, key.software = 10*time.Millisecond, true
	inBubble(t, key, func(t *testing.T, s *seal.Sealer) {
		for range 5 {
			if _, err := s.Seal(t.Context(), "", statements("x")); err != nil {
				t.Fatal(err)
			}
		}
		if d := key.starts[1].Sub(key.starts[0]); d != key.delay {
			t.Errorf("what came right behind the first signature waited until %v after its start", d)
		}
		for i := 2; i < 5; i++ {
			if d := key.starts[i].Sub(key.starts[i-2]); d != 80*time.Millisecond {
				t.Errorf("signature %d started %v after the one before the last, want 80ms", i, d)
			}
		}

		time.Sleep(time.Second)
		began := time.Now()
		if _, err := s.Seal(t.Context(), "", statements("x")); err != nil {
			t.Fatal(err)
		}
		if d := time.Since(began); d != key.delay {
			t.Errorf("an idle person waited %v", d)
		}

		// One slow signature is an outlier, not a new pace.
		key.delay = time.Second
		_, _ = s.Seal(t.Context(), "", statements("x"))
		if d := s.Takes(); d != 10*time.Millisecond {
			t.Errorf("a signature is said to take %v", d)
		}
		key.delay = 10 * time.Millisecond
		began = time.Now()
		_, _ = s.Seal(t.Context(), "", statements("x"))
		if d := time.Since(began); d != key.delay {
			t.Errorf("after one slow signature the next took %v", d)
		}
	})
}

func TestPaceIsOfTheLastSixteen(t *testing.T) {
	key := newKey(t, wire.SchemeEd25519)
	key.software = true
	inBubble(t, key, func(t *testing.T, s *seal.Sealer) {
		for i := range 32 {
			key.delay = 100 * time.Millisecond
			if i >= 16 {
				key.delay = 10 * time.Millisecond
			}
			_, _ = s.Seal(t.Context(), "", statements("x"))
		}
		_, _ = s.Seal(t.Context(), "", statements("x"))
		last := len(key.starts) - 1
		if d := key.starts[last].Sub(key.starts[last-2]); d != 80*time.Millisecond {
			t.Errorf("started %v after the one before the last, want 80ms", d)
		}
	})
}

func TestCardIsNotPaced(t *testing.T) {
	key := newKey(t, wire.SchemeEd25519)
	key.delay = 10 * time.Millisecond
	inBubble(t, key, func(t *testing.T, s *seal.Sealer) {
		began := time.Now()
		for range 5 {
			_, _ = s.Seal(t.Context(), "", statements("x"))
		}
		if d := time.Since(began); d != 50*time.Millisecond {
			t.Errorf("five signatures took %v", d)
		}
	})
}

func TestCallerGivesUp(t *testing.T) {
	key := newKey(t, wire.SchemeEd25519)
	key.delay = time.Second
	inBubble(t, key, func(t *testing.T, s *seal.Sealer) {
		ctx, giveUp := context.WithCancel(t.Context())
		signing := start(s, ctx, "", statements("being signed"))
		queued := start(s, ctx, "", func() []seal.Statement {
			t.Error("prepared for a caller who had gone")
			return nil
		})
		other := start(s, t.Context(), "", statements("other"))
		began := time.Now()
		giveUp()
		for _, c := range []<-chan result{signing, queued} {
			if r := <-c; !errors.Is(r.err, context.Canceled) || r.at != began {
				t.Errorf("%v after %v", r.err, r.at.Sub(began))
			}
		}
		if r := <-other; r.err != nil {
			t.Error(r.err)
		}
		if n := s.Signatures(); n != 2 {
			t.Errorf("%d signatures, want 2: the one under way is not to be torn down", n)
		}
	})
}

func TestSealThen(t *testing.T) {
	key := newKey(t, wire.SchemeEd25519)
	key.delay = time.Second
	inBubble(t, key, func(t *testing.T, s *seal.Sealer) {
		busy := start(s, t.Context(), "", statements("busy"))
		began := time.Now()
		results := make(chan result, 10)
		then := func(seals []wire.Seal, err error) { results <- result{seals, err, time.Now()} }
		s.SealThen(t.Context(), "", statements("a", "b"), func(seals []wire.Seal, err error) {
			then(seals, err)
			s.SealThen(t.Context(), "", statements("c"), then) // may call again
		})
		beside := start(s, t.Context(), "", statements("d"))
		if time.Now() != began || len(results) != 0 {
			t.Errorf("waited until %v, %d results", time.Since(began), len(results))
		}
		<-busy
		if r := <-beside; r.err != nil || r.seals[0].Leaves != 4 {
			t.Errorf("not in one batch with a and b: %v", r.err)
		}
		got := <-results
		if again := <-results; len(got.seals) != 2 || got.at.Sub(began) != 2*key.delay || len(again.seals) != 1 || again.at.Sub(began) != 3*key.delay {
			t.Fatalf("got %v, then %v", got, again)
		}
		v := seal.NewVerifier(10)
		for i, text := range []string{"a", "b"} {
			if err := v.Verify(key.signer(), wire.PurposeHead, []byte(text), got.seals[i]); err != nil {
				t.Errorf("%s: %v", text, err)
			}
		}

		synctest.Wait()
		key.fail = errors.New("the card was removed")
		s.SealThen(t.Context(), "", statements("e"), then)
		var failed *seal.SignError
		if r := <-results; !errors.As(r.err, &failed) || r.seals != nil {
			t.Errorf("a card that fails: %v", r)
		}

		ctx, giveUp := context.WithCancel(t.Context())
		s.SealThen(ctx, "", statements("being signed"), then)
		synctest.Wait()
		s.SealThen(ctx, "", statements("queued"), then)
		giveUp()
		time.Sleep(3 * key.delay)
		s.SealThen(t.Context(), "", statements("being signed"), then)
		synctest.Wait()
		s.SealThen(t.Context(), "", statements("queued"), then)
		s.Close()
		s.SealThen(t.Context(), "", statements("late"), then)
		time.Sleep(3 * key.delay)
		if len(results) != 0 {
			t.Errorf("called where nobody waits any more: %v", <-results)
		}
	})
}

func TestFailingCard(t *testing.T) {
	key := newKey(t, wire.SchemeEd25519)
	key.delay = time.Second
	removed := errors.New("the card was removed")
	inBubble(t, key, func(t *testing.T, s *seal.Sealer) {
		busy := start(s, t.Context(), "", statements("busy"))
		key.fail = removed
		a := start(s, t.Context(), "", statements("a"))
		b := start(s, t.Context(), "", statements("b"))
		if r := <-busy; r.err != nil {
			t.Error(r.err)
		}
		for _, c := range []<-chan result{a, b} {
			r := <-c
			var failed *seal.SignError
			if !errors.As(r.err, &failed) || !errors.Is(r.err, removed) || r.seals != nil {
				t.Errorf("got %v", r.err)
			}
		}
		if _, err := s.Seal(t.Context(), "", statements("c")); err != nil {
			t.Errorf("the sealer did not live on: %v", err)
		}
	})
}

// brokenKey returns signatures that no seal can carry.
type brokenKey struct {
	*testKey
	length int
}

func (k brokenKey) SealRoot(context.Context, wire.SealInput) ([]byte, error) {
	return make([]byte, k.length), nil
}

func TestSignatureThatNoSealCanCarry(t *testing.T) {
	for _, length := range []int{0, wire.MaxSignature + 1} {
		s := seal.NewSealer(brokenKey{newKey(t, wire.SchemeEd25519), length}, testDigest, seal.Config{})
		_, err := s.Seal(t.Context(), "", statements("x"))
		var failed *seal.SignError
		if !errors.As(err, &failed) {
			t.Errorf("%d bytes: %v", length, err)
		}
		s.Close()
	}
}

func TestClose(t *testing.T) {
	key := newKey(t, wire.SchemeEd25519)
	key.delay = time.Hour
	inBubble(t, key, func(t *testing.T, s *seal.Sealer) {
		calls := []<-chan result{
			start(s, t.Context(), "", statements("being signed")),
			start(s, t.Context(), "", statements("queued")),
			start(s, t.Context(), "other", statements("queued")),
		}
		began := time.Now()
		s.Close()
		s.Close()
		for _, c := range calls {
			if r := <-c; !errors.Is(r.err, seal.ErrClosed) || r.at != began {
				t.Errorf("%v after %v", r.err, r.at.Sub(began))
			}
		}
		if _, err := s.Seal(t.Context(), "", statements("late")); !errors.Is(err, seal.ErrClosed) {
			t.Errorf("after Close: %v", err)
		}
	})
}

func TestBatchesKeepTheirLimit(t *testing.T) {
	key := newKey(t, wire.SchemeEd25519)
	key.delay = time.Second
	many := func(n int, prepared *int) func() []seal.Statement {
		return func() []seal.Statement {
			*prepared++
			return slices.Repeat(statements("x")(), n)
		}
	}
	inBubble(t, key, func(t *testing.T, s *seal.Sealer) {
		busy := start(s, t.Context(), "", statements("busy"))
		var prepared [5]int
		a := start(s, t.Context(), "", many(40_000, &prepared[0]))
		b := start(s, t.Context(), "", many(wire.MaxLeaves+1, &prepared[1]))
		c := start(s, t.Context(), "", many(40_000, &prepared[2]))
		d := start(s, t.Context(), "", many(1, &prepared[3]))
		later := start(s, t.Context(), "other", many(1, &prepared[4]))
		began := (<-busy).at
		if r := <-a; r.err != nil || len(r.seals) != 40_000 || r.at.Sub(began) != time.Second {
			t.Errorf("a: %d seals, %v", len(r.seals), r.err)
		}
		if r := <-b; !errors.Is(r.err, seal.ErrTooMany) {
			t.Errorf("b: %v", r.err)
		}
		for _, call := range []<-chan result{c, d} {
			if r := <-call; r.err != nil || r.at.Sub(began) != 2*time.Second {
				t.Errorf("c or d: %v after %v", r.err, r.at.Sub(began))
			}
		}
		if r := <-later; r.err != nil || r.at.Sub(began) != 3*time.Second {
			t.Errorf("later: %v after %v, and so before those who had found no room", r.err, r.at.Sub(began))
		}
		if prepared != [5]int{1, 1, 1, 1, 1} {
			t.Errorf("prepared %v times", prepared)
		}
		if n := s.Signatures(); n != 4 {
			t.Errorf("%d signatures, want 4", n)
		}
	})
}

func TestWaitingIsAnnounced(t *testing.T) {
	key := newKey(t, wire.SchemeEd25519)
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		var told []string
		s := seal.NewSealer(key, testDigest, seal.Config{Waiting: func(on bool) {
			told = append(told, fmt.Sprint(on, " at ", time.Since(began)))
		}})
		defer s.Close()
		for _, key.delay = range []time.Duration{time.Second, 5 * time.Second, seal.WaitingAfter - 1} {
			_, _ = s.Seal(t.Context(), "", statements("x"))
		}
		synctest.Wait()
		if want := []string{"true at 3s", "false at 6s"}; !slices.Equal(told, want) {
			t.Errorf("told %q, want %q", told, want)
		}
	})
}

func TestSealCarriesTheClock(t *testing.T) {
	key := newKey(t, wire.SchemeEd25519)
	s := seal.NewSealer(key, testDigest, seal.Config{Now: func() time.Time { return time.Unix(1234567, 999) }})
	defer s.Close()
	seals, err := s.Seal(t.Context(), "", statements("x"))
	if err != nil || seals[0].Time != 1234567 {
		t.Errorf("time %d, %v", seals[0].Time, err)
	}
}

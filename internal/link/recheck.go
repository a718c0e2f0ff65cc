package link

import (
	"context"
	"math/rand/v2"
	"sync"
	"time"

	"sinete/cardauth"
)

// Recheck asks again and again whether the certificates of a party still hold, until ctx ends, and has refuse told why they do not. bound is how
// long after a revocation it is noticed, the time of the fetch not counted (protocol.md section 3.10). stop must be called; nothing runs any more
// when it returns. There is a goroutine only while it asks: a relay does so for thousands of sessions.
func Recheck(ctx context.Context, p *cardauth.Policy, party *cardauth.Party, bound time.Duration, refuse func(error)) (stop func()) {
	if p.Revocation == cardauth.RevocationOff {
		return func() {}
	}
	// An answer that serves was fetched within half the bound, and the next look comes within the other half.
	within := bound / 2
	var mu sync.Mutex
	var asking sync.WaitGroup
	var timer *time.Timer
	over := false
	mu.Lock() // the timer may pass before it is kept
	defer mu.Unlock()
	timer = time.AfterFunc(next(within), func() {
		mu.Lock()
		defer mu.Unlock()
		if over || ctx.Err() != nil {
			return
		}
		asking.Add(1)
		defer asking.Done()
		mu.Unlock()
		err := p.Recheck(ctx, party, within)
		if err != nil && ctx.Err() == nil {
			refuse(err)
		}
		mu.Lock()
		if err == nil && !over {
			timer.Reset(next(within))
		}
	})
	return func() {
		mu.Lock()
		over = true
		timer.Stop()
		mu.Unlock()
		asking.Wait()
	}
}

// Refresh hands out what one can staple of oneself, now and as it is renewed, until ctx ends.
func Refresh(ctx context.Context, p *cardauth.Policy, self *cardauth.Party, chain [][]byte, bound time.Duration, take func(staples [][]byte)) {
	if p.Revocation == cardauth.RevocationOff {
		return
	}
	for {
		take(p.Staples(ctx, self, chain))
		if !pause(ctx, bound/2) {
			return
		}
	}
}

// pause waits for next. It reports false where ctx has ended.
func pause(ctx context.Context, most time.Duration) bool {
	t := time.NewTimer(next(most))
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// next is three quarters of most, or somewhat more: who logged in together must not ask together for ever.
func next(most time.Duration) time.Duration { return most*3/4 + rand.N(max(most/4, 1)) }

package link

import (
	"context"
	"math/rand/v2"
	"time"

	"sinete/cardauth"
)

// Recheck asks again and again whether the certificates of a party still hold, and returns why they do not; nil when ctx has ended. bound is
// how long after a revocation it is noticed, the time of the fetch not counted (protocol.md section 3.10).
func Recheck(ctx context.Context, p *cardauth.Policy, party *cardauth.Party, bound time.Duration) error {
	if p.Revocation == cardauth.RevocationOff {
		return nil
	}
	// An answer that serves was fetched within half the bound, and the next look comes within the other half.
	for within := bound / 2; pause(ctx, within); {
		if err := p.Recheck(ctx, party, within); err != nil && ctx.Err() == nil {
			return err
		}
	}
	return nil
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

// pause waits for three quarters of most, or somewhat more: who logged in together must not ask together for ever. It reports false
// where ctx has ended.
func pause(ctx context.Context, most time.Duration) bool {
	t := time.NewTimer(most*3/4 + rand.N(max(most/4, 1)))
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}

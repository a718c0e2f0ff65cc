package revocation

import (
	"context"
	"crypto/x509"
	"sync"
	"time"

	"sinete/cardauth"
)

// Finding is how Settle decides about one certificate, and what it knows of it.
type Finding struct {
	Certificate *x509.Certificate
	Err         error // what Settle says against it; nil: it holds

	Status      Status    // of the last answer; nothing below is set where there is none
	From, Until time.Time // when that holds. With grace it may have ended though Err is nil
	Since       time.Time // Revoked and Suspended: from when
	Reason      int       // and why (RFC 5280 section 5.3.1); 0: not said
	Source      string    // who said it: an address, or the cache
}

// Status is what an authority says of a certificate.
type Status string

const (
	Unanswered Status = "" // nothing
	Good       Status = "good"
	Revoked    Status = "revoked"
	Suspended  Status = "suspended"
	Unknown    Status = "unknown"
)

var statuses = map[status]Status{good: Good, revoked: Revoked, suspended: Suspended, unknown: Unknown}

// Report decides as Settle does, and says for every certificate below the anchor what was found out, in the order of the chain.
func (k *Checker) Report(ctx context.Context, c cardauth.Claim, within time.Duration) []Finding {
	all := subjects(c.Chain)
	findings := make([]Finding, len(all))
	var asking sync.WaitGroup
	for i, s := range all {
		asking.Go(func() {
			f := Finding{Certificate: s.cert, Err: k.settle(ctx, s, c.Staples[i], c.Now, within)}
			if a := k.cache.answer(s, c.Now); a != nil {
				f.Status, f.From, f.Until, f.Since, f.Reason, f.Source = statuses[a.status], a.this, a.next, a.since, a.reason, a.source
			}
			findings[i] = f
		})
	}
	asking.Wait()
	return findings
}

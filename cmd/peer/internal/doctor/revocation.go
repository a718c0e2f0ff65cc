package doctor

import (
	"cmp"
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"sinete/cardauth"
	"sinete/cardauth/revocation"
	"sinete/cmd/peer/internal/settings"
	"sinete/cmd/peer/internal/trouble"
)

// reading is what somebody else's clock said.
type reading struct {
	address string
	ahead   time.Duration // of this machine's
}

// listener asks as peer chat does, and keeps what it is told.
type listener struct {
	*revocation.Checker
	found []revocation.Finding

	mu       sync.Mutex
	readings []reading
}

func (l *listener) heard(address string, theirs time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.readings = append(l.readings, reading{address, time.Until(theirs)})
}

func (l *listener) Settle(ctx context.Context, c cardauth.Claim, within time.Duration) error {
	l.found = l.Report(ctx, c, within)
	for _, f := range l.found {
		if f.Err != nil {
			return f.Err
		}
	}
	return nil
}

// revocation asks about the card and the relay. Chains that do not verify have been told of already.
func (d *doctor) revocation(ctx context.Context, flags *settings.AsksRevocation, card, relay [][]byte) {
	if d.policy == nil || flags.Revocation == "off" {
		return
	}
	l := &listener{}
	var err error
	if l.Checker, err = flags.Asking(revocation.DefaultRecheck, func(c *revocation.Config) { c.Date, c.Transport = l.heard, d.web }); err != nil {
		d.fails("revocation", err)
		return
	}
	for _, c := range []struct {
		name  string
		chain [][]byte
	}{{"revocation", card}, {"relay-revocation", relay}} {
		party, err := d.policy.VerifySelf(c.chain)
		if err != nil {
			continue
		}
		policy := *d.policy
		policy.Revocation = l
		_ = policy.Recheck(ctx, party, time.Nanosecond) // what an authority says now; the findings say more than the error
		if ctx.Err() != nil {
			return
		}
		d.readings = append(d.readings, l.readings...)
		l.readings = nil
		d.findings(c.name, l.found)
	}
}

// findings says what is wrong with a chain, the worst of it, or until when it holds.
func (d *doctor) findings(name string, all []revocation.Finding) {
	worst := slices.MaxFunc(all, func(a, b revocation.Finding) int { return cmp.Compare(gravity(a), gravity(b)) })
	if worst.Err != nil {
		d.bad(name, reasonOf(worst.Err)+since(worst), d.revocationRemedy(name, worst))
		return
	}
	first := slices.MinFunc(all, func(a, b revocation.Finding) int { return a.Until.Compare(b.Until) })
	if d.now.After(first.Until) {
		d.warns(name, heldUntil(nameOf(first.Certificate), first.Until), trouble.RemedyGrace)
		return
	}
	d.ok(name, goodUntil(first.Until))
}

// gravity orders findings: what an authority says against a certificate counts more than what nobody says.
func gravity(f revocation.Finding) int {
	switch {
	case f.Err == nil:
		return 0
	case f.Status == revocation.Revoked || f.Status == revocation.Suspended:
		return 2
	}
	return 1
}

func (d *doctor) revocationRemedy(name string, f revocation.Finding) string {
	stale, isStale := errors.AsType[*revocation.AnswerError](f.Err)
	unavailable, nobody := errors.AsType[*revocation.UnavailableError](f.Err)
	_, forbidden := errors.AsType[*revocation.AddressError](f.Err)
	switch {
	case gravity(f) == 2 && name == "relay-revocation":
		return trouble.RemedyRelayRevoked
	case f.Status == revocation.Suspended:
		return trouble.RemedySuspended
	case f.Status == revocation.Revoked:
		return trouble.RemedyRevoked
	case isStale && !stale.Until.IsZero():
		return d.staleRemedy(stale)
	case nobody && len(unavailable.Tried) == 0:
		return trouble.RemedyNoResponder
	case forbidden:
		return trouble.RemedyNetwork
	case f.Status == revocation.Unknown:
		return trouble.RemedyUnknown
	}
	return trouble.RemedyUnanswered
}

// staleRemedy tells an answer that is out of date from a clock that is wrong.
func (d *doctor) staleRemedy(e *revocation.AnswerError) string {
	r, known := d.nearest()
	switch {
	case known && r.ahead.Abs() > tolerable, !known && d.now.Before(e.From):
		return trouble.RemedyClock
	case known:
		return trouble.RemedyStale
	}
	return trouble.RemedyStaleOrClock
}

// tolerable is how far a clock may be off; authorities' answers allow as much.
const tolerable = 5 * time.Minute

// nearest is the reading that agrees best with this machine: where even that is far off, all others say so.
func (d *doctor) nearest() (r reading, known bool) {
	if len(d.readings) == 0 {
		return reading{}, false
	}
	return slices.MinFunc(d.readings, func(a, b reading) int { return cmp.Compare(a.ahead.Abs(), b.ahead.Abs()) }), true
}

// clock compares this machine's with those that others were heard to have, and with the certificates: none can have been made later than now.
func (d *doctor) clock() {
	r, heard := d.nearest()
	var last *x509.Certificate
	if len(d.issued) > 0 {
		last = slices.MaxFunc(d.issued, func(a, b *x509.Certificate) int { return a.NotBefore.Compare(b.NotBefore) })
	}
	switch {
	case heard && r.ahead.Abs() > tolerable:
		d.bad("clock", clockOff(d.now, r), trouble.RemedyClock)
	case last != nil && d.now.Before(last.NotBefore):
		d.bad("clock", clockBehind(d.now, last), trouble.RemedyClock)
	case heard:
		d.ok("clock", clockRight(d.now, r))
	case last != nil:
		d.ok("clock", clockPlausible(d.now))
	}
}

// since adds from when and why, where an authority says so.
func since(f revocation.Finding) string {
	if f.Since.IsZero() {
		return ""
	}
	s := fmt.Sprintf(", since %s", minute(f.Since))
	if why := revocationReasons[f.Reason]; why != "" {
		s += ": " + why
	}
	return s
}

// reasonOf is what stands against a certificate, without the code of the protocol.
func reasonOf(err error) string {
	if e, ok := trouble.AsError[*cardauth.CertificateError](err); ok {
		return e.Reason
	}
	return err.Error()
}

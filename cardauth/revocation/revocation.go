// Package revocation asks authorities whether certificates still hold: OCSP (RFC 6960) with staples, and revocation lists where there
// is no responder or it fails. It implements cardauth.Revocation (protocol.md section 3.10).
//
// Most readers need New, and put the Checker into a cardauth.Policy.
package revocation

import (
	"context"
	"crypto/sha256"
	"crypto/x509"
	"errors"
	"log/slog"
	"net/http"
	"net/netip"
	"sync"
	"time"

	"sinete/cardauth"
	"sinete/wire"
)

// The limits of package revocation (protocol.md section 3.10).
const (
	maxResponse  = 64 << 10         // bytes of an OCSP response
	maxList      = 8 << 20          // bytes of a revocation list
	maxAddresses = 2                // of each kind that are asked for one certificate
	fetchTime    = 3 * time.Second  // for one OCSP response
	listTime     = 5 * time.Second  // for one list
	skew         = 5 * time.Minute  // between the clocks of an authority and of this side
	undatedLife  = time.Hour        // of an answer that does not say until when it holds
	stapleLife   = 24 * time.Hour   // of a staple: no verifier's nonce is in it
	retryAfter   = 10 * time.Second // until an address that failed is asked again
	fetches      = 16               // at once
)

// DefaultRecheck is how long after its revocation a card is refused everywhere, running sessions included, where nobody says otherwise.
const DefaultRecheck = 15 * time.Minute

// DefaultGrace is how long the last good answer serves where authorities cannot be reached, if grace is wanted.
const DefaultGrace = 24 * time.Hour

// Config is how to ask. Its zero value is hard: what nobody can answer is refused.
type Config struct {
	Grace time.Duration // how long past its end the last good answer serves while nobody can be reached; 0: not at all
	// Fresh is how long after it was fetched an answer serves a handshake unasked; 0: half of DefaultRecheck.
	Fresh   time.Duration
	Dir     string         // keeps answers for the next start of the program; made if missing; empty: memory only
	Allowed []netip.Prefix // networks that may be asked although their addresses are private, loopback or the like
	Now     func() time.Time
	// Transport, if not nil, stands in place of the network, and of the rules on addresses with it.
	Transport http.RoundTripper
	// Date, if not nil, is told what whoever answers believes the time to be: for finding out whose clock is wrong. Nobody has signed it.
	Date   func(address string, theirs time.Time)
	Logger *slog.Logger // nil: none. It gets addresses and reasons, never whose certificate it was
}

// Checker asks and remembers. It is safe for concurrent use.
type Checker struct {
	cfg    Config
	client *http.Client
	cache  *cache
	slots  chan struct{}

	staples    memory[*answer]
	responders memory[struct{}] // to whom their issuers gave the right to answer

	mu      sync.Mutex
	flights map[[32]byte]*flight
	lists   map[string]chan struct{} // by address: held by the one who fetches
	failed  map[place]failure
}

var _ cardauth.Revocation = (*Checker)(nil)

// New makes a Checker. It fails where the folder of the cache cannot be made.
func New(cfg Config) (*Checker, error) {
	if cfg.Fresh == 0 {
		cfg.Fresh = DefaultRecheck / 2
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	cache, err := newCache(cfg.Dir)
	if err != nil {
		return nil, err
	}
	k := &Checker{cfg: cfg, client: newClient(cfg.Allowed), cache: cache, slots: make(chan struct{}, fetches),
		flights: map[[32]byte]*flight{}, lists: map[string]chan struct{}{}, failed: map[place]failure{}}
	if cfg.Transport != nil {
		k.client.Transport = cfg.Transport
	}
	return k, nil
}

func (k *Checker) now() time.Time { return k.cfg.Now() }

// Judge refuses a bad staple, and a certificate that is known to be revoked or suspended.
func (k *Checker) Judge(c cardauth.Claim) error {
	for i, s := range subjects(c.Chain) {
		known := k.cache.answer(s, c.Now)
		if known != nil && known.passing() && !k.fetchedLately(known, retryAfter) {
			known = nil // whoever settles asks again
		}
		if len(c.Staples[i]) == 0 {
			if known != nil && (known.lasting() || known.status == suspended && known.holds(c.Now)) {
				return known.refusal(s)
			}
			continue
		}
		stapled, err := k.staple(c.Staples[i], s, c.Now)
		if err != nil {
			return refuse(s, wire.CodeRevocationUnknown, "its staple is "+err.Error(), err)
		}
		if err := newer(known, stapled).refusal(s); err != nil {
			return err
		}
	}
	return nil
}

// Settle decides for every certificate below the anchor.
func (k *Checker) Settle(ctx context.Context, c cardauth.Claim, within time.Duration) error {
	all := subjects(c.Chain)
	errs := make([]error, len(all))
	var asking sync.WaitGroup
	for i, s := range all {
		asking.Go(func() { errs[i] = k.settle(ctx, s, c.Staples[i], c.Now, within) })
	}
	asking.Wait()
	var first error
	for _, err := range errs {
		if wire.CodeOf(err) == wire.CodeCertificateRevoked { // says more than what could not be learned of another
			return err
		}
		if first == nil {
			first = err
		}
	}
	return first
}

func (k *Checker) settle(ctx context.Context, s subject, staple []byte, now time.Time, within time.Duration) error {
	last := k.cache.answer(s, now)
	if last != nil && last.lasting() {
		return last.refusal(s)
	}
	// What was stapled is an answer like any other, but for the freshness that a recheck wants.
	if len(staple) > 0 {
		if stapled, err := k.staple(staple, s, now); err == nil {
			if s.cert.IsCA { // one's own chain may have it, too, and its response is shown then; people's would be held by the thousand for nothing
				stapled.raw = staple
			}
			last = k.cache.put(s, stapled, staple)
			if within == 0 && last == stapled {
				return last.refusal(s)
			}
		}
	}
	if within == 0 {
		within = k.cfg.Fresh
	}
	if last != nil && last.passing() {
		within = min(within, retryAfter)
	}
	if last != nil && last.holds(now) && k.fetchedLately(last, within) {
		return last.refusal(s)
	}
	fresh, err := k.fetch(ctx, s, within)
	switch {
	case err == nil:
		return fresh.refusal(s)
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case last != nil && last.holds(now):
		return last.refusal(s)
	case last != nil && last.status == good && now.Before(last.next.Add(k.cfg.Grace)):
		k.cfg.Logger.Warn("nobody says whether a certificate was revoked; the last good answer serves", "until", last.next.Add(k.cfg.Grace), "err", err)
		return nil
	}
	return refuse(s, wire.CodeRevocationUnknown, "nobody says whether it was revoked: "+err.Error(), err)
}

// Staples returns good responses about the certificates of one's own chain, asking for what is missing or half its time old.
func (k *Checker) Staples(ctx context.Context, chain []*x509.Certificate) [][]byte {
	staples := make([][]byte, len(chain))
	var asking sync.WaitGroup
	for i, s := range subjects(chain) {
		asking.Go(func() {
			now := k.now()
			a := k.cache.answer(s, now)
			if a == nil || a.raw == nil || a.passing() && !k.fetchedLately(a, retryAfter) || now.After(a.this.Add(min(stapleLife, a.next.Sub(a.this))/2)) {
				if fresh, err := k.fetch(ctx, s, stapleLife/2); err == nil {
					a = fresh
				}
			}
			if a == nil || a.raw == nil || a.status != good {
				return
			}
			staple, err := plain(a)
			if err != nil || len(staple) > wire.MaxStaple {
				return
			}
			if checked, err := k.staple(staple, s, now); err == nil && now.Before(checked.next) {
				staples[i] = staple
			}
		})
	}
	asking.Wait()
	return staples
}

// newer is the answer that counts: revoked is for good, whatever else was said and when; else the one that holds from later on.
func newer(a, b *answer) *answer {
	switch {
	case a == nil:
		return b
	case a.lasting():
		return a
	case b.lasting():
		return b
	case a.this.After(b.this):
		return a
	}
	return b
}

func (k *Checker) fetchedLately(a *answer, within time.Duration) bool {
	return k.now().Sub(a.fetched) < within
}

// subjects are the certificates below the anchor, each with its issuer.
func subjects(chain []*x509.Certificate) []subject {
	all := make([]subject, 0, len(chain))
	for i := range len(chain) - 1 {
		all = append(all, subject{chain[i], chain[i+1]})
	}
	return all
}

// keyOf identifies an issuer's key.
func keyOf(c *x509.Certificate) []byte {
	sum := sha256.Sum256(c.RawSubjectPublicKeyInfo)
	return sum[:]
}

// id identifies a certificate and its issuer's key.
func (s subject) id() (id [32]byte) {
	h := sha256.New()
	h.Write(keyOf(s.issuer))
	h.Write(s.cert.Raw)
	h.Sum(id[:0])
	return id
}

// flight is one fetch, whoever waits for it.
type flight struct {
	done   chan struct{}
	answer *answer
	err    error
}

// fetch asks about one certificate; who asks about the same meanwhile gets the same answer. ctx ends the waiting, not the fetch.
func (k *Checker) fetch(ctx context.Context, s subject, within time.Duration) (*answer, error) {
	id := s.id()
	k.mu.Lock()
	f := k.flights[id]
	if f == nil {
		f = &flight{done: make(chan struct{})}
		k.flights[id] = f
		go func() {
			k.slots <- struct{}{}
			f.answer, f.err = k.ask(s, within)
			<-k.slots
			k.mu.Lock()
			delete(k.flights, id)
			k.mu.Unlock()
			close(f.done)
		}()
	}
	k.mu.Unlock()
	select {
	case <-f.done:
		return f.answer, f.err
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

// ask goes through the addresses in a certificate that is chained to an anchor: responders first, then lists.
// A list that was fetched within that time is not fetched again: it speaks of many.
func (k *Checker) ask(s subject, within time.Duration) (*answer, error) {
	ctx := context.Background() // each address has its time
	var tried []Attempt
	try := func(address string, ask func() (*answer, error)) *answer {
		if err := k.failedLately(address, s); err != nil {
			tried = append(tried, Attempt{address, &recentError{err}})
			return nil
		}
		a, err := ask()
		if err != nil {
			if k.failedLately(address, s) == nil {
				k.remember(address, s.id(), err)
			}
			tried = append(tried, Attempt{address, err})
			return nil
		}
		return a
	}
	for _, address := range firstOf(s.cert.OCSPServer) {
		if a := try(address, func() (*answer, error) { return k.askOCSP(ctx, s, address) }); a != nil {
			return k.cache.put(s, a, a.raw), nil
		}
	}
	for _, address := range firstOf(s.cert.CRLDistributionPoints) {
		a := try(address, func() (*answer, error) {
			l, err := k.list(ctx, s, address, within)
			if err != nil {
				return nil, err
			}
			return l.about(s, address)
		})
		if a != nil {
			return k.cache.put(s, a, a.raw), nil
		}
	}
	return nil, &UnavailableError{tried}
}

// list is the one at an address, fetched within that time by whoever asked first.
func (k *Checker) list(ctx context.Context, s subject, address string, within time.Duration) (*list, error) {
	k.mu.Lock()
	turn := k.lists[address]
	if turn == nil {
		turn = make(chan struct{}, 1)
		k.lists[address] = turn
	}
	k.mu.Unlock()
	turn <- struct{}{}
	defer func() { <-turn }()
	known := k.cache.list(address, s.issuer, k.now())
	if known != nil && k.now().Sub(known.fetched) < within {
		return known, nil
	}
	if err := k.failedLately(address, s); err != nil { // for whoever had the turn before
		return nil, &recentError{err}
	}
	l, err := k.askCRL(ctx, s, address, known)
	if err != nil {
		k.remember(address, [32]byte(keyOf(s.issuer)), err)
	}
	return l, err
}

func firstOf(addresses []string) []string { return addresses[:min(len(addresses), maxAddresses)] }

// remember keeps an address from being asked again at once: for everything where it cannot be reached, else about that certificate, or that
// issuer's list.
func (k *Checker) remember(address string, about [32]byte, err error) {
	k.cfg.Logger.Warn("no status of a certificate", "address", address, "err", err)
	key := place{address, about}
	if t := (*transportError)(nil); errors.As(err, &t) {
		key.about = everything
	}
	now := k.now()
	k.mu.Lock()
	defer k.mu.Unlock()
	for key, f := range k.failed {
		if now.After(f.until) {
			delete(k.failed, key)
		}
	}
	k.failed[key] = failure{now.Add(retryAfter), err}
}

// place is an address, and what it was asked about: a certificate, an issuer's list, or everything.
type place struct {
	address string
	about   [32]byte
}

var everything [32]byte

// failure is of a place, and until when that is not asked.
type failure struct {
	until time.Time
	err   error
}

// failedLately is why an address is not asked, or nil.
func (k *Checker) failedLately(address string, s subject) error {
	now := k.now()
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, about := range [][32]byte{everything, s.id(), [32]byte(keyOf(s.issuer))} {
		if f := k.failed[place{address, about}]; now.Before(f.until) {
			return f.err
		}
	}
	return nil
}

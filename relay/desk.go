package relay

import (
	"context"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"sync"
	"time"

	"sinete/cardauth"
	"sinete/cardauth/seal"
	"sinete/wire"
)

const (
	// queueTime is how long a newcomer may wait for the signature of its TLS handshake. Clients give up after five seconds of silence.
	queueTime = 3 * time.Second
	// deskOver is the number of last signing times whose median counts.
	deskOver = 16
	// slowSigning is the time of a signature from which the log warns at the start.
	slowSigning = 250 * time.Millisecond
)

// desk is where a key outside this process signs, one signature at a time: TLS handshakes of newcomers and seals take turns, so
// that no crowd at the door holds up those who are inside. It knows how long a signature takes, and so how many may queue.
type desk struct {
	tls crypto.Signer

	mu     sync.Mutex
	busy   bool
	queues [2][]chan struct{} // by lane; closing one lets its owner sign
	times  [deskOver]time.Duration
	n      int // signing times measured so far
}

type lane int

const (
	sealing lane = iota
	greeting
)

// newDesk has the key sign once, to see how long that takes.
func newDesk(certificate tls.Certificate, log *slog.Logger) (*desk, error) {
	key, ok := certificate.PrivateKey.(crypto.Signer)
	if !ok {
		return nil, errors.New("relay: the certificate's key cannot sign")
	}
	d := &desk{tls: key}
	scheme := wire.SchemeRSAPSS // TLS 1.3 has no other for RSA
	if _, ok := key.Public().(*rsa.PublicKey); !ok {
		var err error
		if scheme, err = seal.DefaultScheme(key.Public()); err != nil {
			return nil, fmt.Errorf("relay: %w", err)
		}
	}
	opts := seal.SignOptions(scheme)
	digest := make([]byte, opts.HashFunc().Size())
	rand.Read(digest)
	if _, err := (deskSigner{d}).Sign(rand.Reader, digest, opts); err != nil {
		return nil, fmt.Errorf("relay: the key does not sign: %w", err)
	}
	level := slog.LevelInfo
	if d.median() >= slowSigning {
		level = slog.LevelWarn
	}
	log.Log(context.Background(), level, "the key signs outside this process, one signature at a time", "signature", d.median().String(),
		"logins at once", d.handshakes())
	return d, nil
}

// handshakes is how many newcomers may be between their first packet and the end of TLS. Each waits for the signatures of those before
// it, and for as many seals.
func (d *desk) handshakes() int {
	return max(1, int(queueTime/(2*max(d.median(), time.Microsecond))))
}

func (d *desk) median() time.Duration {
	d.mu.Lock()
	defer d.mu.Unlock()
	sorted := d.times
	known := sorted[:min(d.n, deskOver)]
	if len(known) == 0 {
		return 0
	}
	slices.Sort(known)
	return known[len(known)/2]
}

// sign runs f when it is the lane's turn.
func (d *desk) sign(ctx context.Context, l lane, f func() ([]byte, error)) ([]byte, error) {
	if err := d.wait(ctx, l); err != nil {
		return nil, err
	}
	start := time.Now()
	defer d.leave(l)
	signature, err := f()
	if err == nil {
		d.mu.Lock()
		d.times[d.n%deskOver] = time.Since(start)
		d.n++
		d.mu.Unlock()
	}
	return signature, err
}

// wait returns when the caller may sign, or with what ended ctx.
func (d *desk) wait(ctx context.Context, l lane) error {
	d.mu.Lock()
	if !d.busy {
		d.busy = true
		d.mu.Unlock()
		return nil
	}
	called := make(chan struct{})
	d.queues[l] = append(d.queues[l], called)
	d.mu.Unlock()
	select {
	case <-called:
		return nil
	case <-ctx.Done():
	}
	d.mu.Lock()
	i := slices.Index(d.queues[l], called)
	if i >= 0 {
		d.queues[l] = slices.Delete(d.queues[l], i, i+1)
	}
	d.mu.Unlock()
	if i < 0 { // called just now
		d.leave(l)
	}
	return ctx.Err()
}

// leave calls the next one: of the other lane, if anybody waits there.
func (d *desk) leave(l lane) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, next := range []lane{1 - l, l} {
		if q := d.queues[next]; len(q) > 0 {
			d.queues[next] = q[1:]
			close(q[0])
			return
		}
	}
	d.busy = false
}

// deskSigner is the key for TLS.
type deskSigner struct{ *desk }

func (s deskSigner) Public() crypto.PublicKey { return s.tls.Public() }

func (s deskSigner) Sign(random io.Reader, digest []byte, opts crypto.SignerOpts) ([]byte, error) {
	return s.sign(context.Background(), greeting, func() ([]byte, error) { return s.tls.Sign(random, digest, opts) })
}

// deskCard is the key for seals.
type deskCard struct {
	cardauth.Card
	desk *desk
}

func (c deskCard) SealRoot(ctx context.Context, in wire.SealInput) ([]byte, error) {
	return c.desk.sign(ctx, sealing, func() ([]byte, error) { return c.Card.SealRoot(ctx, in) })
}

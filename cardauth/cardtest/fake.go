package cardtest

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"sinete/cardauth"
	"sinete/wire"
)

// Fake is another card made slow or faulty. Like a chip it makes one signature at a time, and it says that its key lies
// outside the process. Its waits are virtual in a synctest bubble, if it was made there.
type Fake struct {
	cardauth.Card
	delay      time.Duration
	turn       chan struct{}
	signatures atomic.Int64

	mu  sync.Mutex
	err error
}

// NewFake makes a card that takes delay for a signature, besides what inner takes.
func NewFake(inner cardauth.Card, delay time.Duration) *Fake {
	return &Fake{Card: inner, delay: delay, turn: make(chan struct{}, 1)}
}

// Signatures is the number of signatures made so far; failures do not count.
func (f *Fake) Signatures() int { return int(f.signatures.Load()) }

// SetError makes every signature from now on fail with err, after the delay; nil ends that.
func (f *Fake) SetError(err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.err = err
}

// Software is false.
func (f *Fake) Software() bool { return false }

// SealRoot waits for its turn and the delay, then does as the inner card or SetError says.
func (f *Fake) SealRoot(ctx context.Context, in wire.SealInput) ([]byte, error) {
	select {
	case f.turn <- struct{}{}:
		defer func() { <-f.turn }()
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	wait := time.NewTimer(f.delay)
	defer wait.Stop()
	select {
	case <-wait.C:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	f.mu.Lock()
	err := f.err
	f.mu.Unlock()
	if err != nil {
		return nil, err
	}
	sig, err := f.Card.SealRoot(ctx, in)
	if err == nil {
		f.signatures.Add(1)
	}
	return sig, err
}

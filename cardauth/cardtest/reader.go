package cardtest

import (
	"context"
	"sync"
	"sync/atomic"

	"sinete/cardauth"
	"sinete/wire"
)

// Reader is a reader with a card in it that may be taken out, and that may want its PIN for each signature.
type Reader struct {
	*Fake
	eachTime bool
	pins     atomic.Int64
	locks    atomic.Int64

	mu      sync.Mutex
	away    bool
	watches map[chan bool]bool
}

// NewReader puts a card into a reader. eachTime says that the card wants its PIN for each signature.
func NewReader(card *Fake, eachTime bool) *Reader {
	return &Reader{Fake: card, eachTime: eachTime, watches: map[chan bool]bool{}}
}

// PINs is how many times the PIN was asked for.
func (r *Reader) PINs() int { return int(r.pins.Load()) }

// PINEachTime makes it a cardauth.Demanding.
func (r *Reader) PINEachTime() bool { return r.eachTime }

// Lock makes it a cardauth.Lockable.
func (r *Reader) Lock() { r.locks.Add(1) }

// Locks is how many times it was locked.
func (r *Reader) Locks() int { return int(r.locks.Load()) }

// Remove takes the card out.
func (r *Reader) Remove() { r.set(true) }

// Insert puts it back.
func (r *Reader) Insert() { r.set(false) }

func (r *Reader) set(away bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.away = away
	for w := range r.watches {
		w <- !away
	}
}

// Watch makes it a cardauth.Removable.
func (r *Reader) Watch(ctx context.Context, changed func(present bool)) {
	const changes = 64 // more at once than a test makes
	w := make(chan bool, changes)
	r.mu.Lock()
	r.watches[w] = true
	r.mu.Unlock()
	defer func() {
		r.mu.Lock()
		delete(r.watches, w)
		r.mu.Unlock()
	}()
	for {
		select {
		case present := <-w:
			changed(present)
		case <-ctx.Done():
			return
		}
	}
}

// SealRoot asks for the PIN and signs, where the card is there.
func (r *Reader) SealRoot(ctx context.Context, in wire.SealInput) ([]byte, error) {
	r.mu.Lock()
	away := r.away
	r.mu.Unlock()
	if away {
		return nil, &cardauth.AbsentError{Card: "fake"}
	}
	if r.eachTime {
		r.pins.Add(1)
	}
	return r.Fake.SealRoot(ctx, in)
}

package link

import (
	"slices"
	"sync"

	"sinete/wire"
)

// ForkError says that the other side has sealed two heads that have different values for one place of a lane. Their seals have been verified.
type ForkError struct {
	Earlier, Later *wire.SealEntry
	Err            error // what is wrong with the later one
}

func (e *ForkError) Error() string { return "sealed otherwise before: " + e.Err.Error() }
func (e *ForkError) Unwrap() error { return e.Err }

// Newest are the newest heads of the other side in a lane. They are kept to prove who sealed both, should one come that contradicts them. Its methods
// may be called by any goroutine.
type Newest struct {
	mu    sync.Mutex
	heads [2]wire.SealEntry // one that only acknowledges, and one that signs envelopes as well
}

// Note keeps a head that agrees with this side's view.
func (n *Newest) Note(e *wire.SealEntry) {
	kind := 0
	if e.Head.Mine != nil {
		kind = 1
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	signature := append(n.heads[kind].Seal.Signature[:0], e.Seal.Signature...) // a frame's bytes are used again
	n.heads[kind] = *e
	n.heads[kind].Seal.Signature, n.heads[kind].Statement = signature, nil
}

// Fork makes a *ForkError of an error with a head, where it contradicts one of them.
func (n *Newest) Fork(e *wire.SealEntry, err error) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	for i := range n.heads {
		if mine, yours := n.heads[i].Head.Contradicts(e.Head); mine || yours {
			earlier, later := n.heads[i], *e
			later.Seal.Signature = slices.Clone(e.Seal.Signature)
			n.heads[i] = wire.SealEntry{} // its bytes are the error's
			return &ForkError{&earlier, &later, err}
		}
	}
	return err
}

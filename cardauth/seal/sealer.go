package seal

import (
	"cmp"
	"context"
	"crypto/rand"
	"fmt"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"sinete/wire"
)

// WaitingAfter is how long a signature may take before Config.Waiting is told.
const WaitingAfter = 2 * time.Second

// Config of a Sealer. Its zero value works.
type Config struct {
	// Now is the clock for the time in seals; nil means time.Now.
	Now func() time.Time
	// Waiting is called with true once a signature has taken WaitingAfter, and with false when that signature is done. It
	// must not block. May be nil.
	Waiting func(bool)
}

// Sealer signs for one key by group commit (protocol.md section 4.4): at once when it is idle, and what arrives meanwhile
// becomes the next batch. It is safe for concurrent use, and has a goroutine from its first call until Close: one that begins anew for each
// batch takes a new stack each time, and lets it grow three times for a signature.
type Sealer struct {
	key    Key
	signer [32]byte
	cfg    Config

	ctx        context.Context
	cancel     context.CancelFunc
	signatures atomic.Uint64
	takes      atomic.Int64 // what Takes returns
	pace       pace         // of the running goroutine

	mu      sync.Mutex
	waiting []*waiter // in order of arrival
	arrived uint64
	idle    *sync.Cond // of mu: waiting is no longer empty, or ctx has ended
	running bool       // the goroutine has begun
}

// waiter is one call of Seal.
type waiter struct {
	arrival uint64
	class   string
	alone   bool // in a batch of its own, with a salt of zero
	ctx     context.Context
	prepare func() []Statement

	prepared   bool // only the running goroutine looks at this and at statements
	statements []Statement

	done  chan struct{}            // closed when seals and err stand; nil where then is called
	then  func([]wire.Seal, error) // with them
	seals []wire.Seal
	err   error
}

// NewSealer makes a Sealer. signer is wire.SignerHash of the certificate and the delegation that the key seals under. Close
// it when done.
func NewSealer(key Key, signer [32]byte, cfg Config) *Sealer {
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	s := &Sealer{key: key, signer: signer, cfg: cfg}
	s.ctx, s.cancel = context.WithCancel(context.Background())
	s.idle = sync.NewCond(&s.mu)
	return s
}

// Seal waits until the statements that prepare returns have been sealed and returns a seal for each, in their order.
//
// prepare is called once at most, when the batch that will hold the statements begins, so that what is sealed is the newest
// state. It runs on the Sealer's goroutine and must not block. Where it returns nothing, nothing is sealed for it, and the
// result is empty. A batch holds one class only; among classes the one goes first whose oldest call has waited longest.
//
// It returns the cause of ctx as soon as it ends, while the batch goes on for the others; ErrClosed; ErrTooMany; or a *SignError,
// which everybody in the batch gets.
func (s *Sealer) Seal(ctx context.Context, class string, prepare func() []Statement) ([]wire.Seal, error) {
	return s.wait(ctx, &waiter{class: class, ctx: ctx, prepare: prepare, done: make(chan struct{})})
}

// SealThen is Seal for who waits for nothing: then is called with the result, on the Sealer's goroutine, and must not block either. It is not called any more
// once ctx has ended or the Sealer is closed.
func (s *Sealer) SealThen(ctx context.Context, class string, prepare func() []Statement, then func([]wire.Seal, error)) {
	s.queue(&waiter{class: class, ctx: ctx, prepare: prepare, then: then})
}

// SealAlone is Seal for one statement in a batch of its own, whose salt is zero: where nobody is to say anything by the choice of salts and
// batch-mates (protocol.md section 8.4).
func (s *Sealer) SealAlone(ctx context.Context, st Statement) (wire.Seal, error) {
	seals, err := s.wait(ctx, &waiter{alone: true, ctx: ctx, prepare: func() []Statement { return []Statement{st} }, done: make(chan struct{})})
	if err != nil {
		return wire.Seal{}, err
	}
	return seals[0], nil
}

// wait queues a call and waits for its batch.
func (s *Sealer) wait(ctx context.Context, w *waiter) ([]wire.Seal, error) {
	s.queue(w)
	select {
	case <-w.done:
		return w.seals, w.err
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	case <-s.ctx.Done():
		return nil, ErrClosed
	}
}

func (s *Sealer) queue(w *waiter) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ctx.Err() != nil {
		return
	}
	s.arrived++
	w.arrival = s.arrived
	s.waiting = append(s.waiting, w)
	if !s.running {
		s.running = true
		go s.run()
	}
	s.idle.Signal()
}

// Signatures returns how many times the key was asked to sign, failures included.
func (s *Sealer) Signatures() uint64 { return s.signatures.Load() }

// Takes is how long a signature takes: the median of the last few, 0 before the first.
func (s *Sealer) Takes() time.Duration { return time.Duration(s.takes.Load()) }

// Close fails all calls, those that wait included, with ErrClosed, and cancels a signature under way. It waits for nothing.
func (s *Sealer) Close() {
	s.mu.Lock() // so that no call can slip in between its check and the cancellation
	defer s.mu.Unlock()
	s.cancel()
	s.idle.Signal()
}

// run seals batches until Close.
func (s *Sealer) run() {
	for s.more() {
		if s.key.Software() {
			s.pace.wait(s.ctx)
		}
		runtime.Gosched() // what woke the caller has often woken others, whose statements fit the same batch
		batch, n := s.begin()
		var err error
		if n > 0 {
			err = s.seal(batch, n)
		}
		finish(batch, err)
	}
}

// more waits until anything waits, and reports false once that is nobody's concern any more.
func (s *Sealer) more() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	for len(s.waiting) == 0 && s.ctx.Err() == nil {
		s.idle.Wait()
	}
	return s.ctx.Err() == nil
}

// begin takes the oldest call and all of its class, as far as a batch can hold their statements, and prepares them. n is the
// number of statements.
func (s *Sealer) begin() (batch []*waiter, n int) {
	batch = s.take()
	for i, w := range batch {
		if !w.prepared {
			w.statements, w.prepared = w.prepare(), true
		}
		if len(w.statements) > wire.MaxLeaves {
			w.statements, w.err = nil, ErrTooMany
		}
		if n+len(w.statements) > wire.MaxLeaves {
			s.putBack(batch[i:])
			return batch[:i], n
		}
		n += len(w.statements)
	}
	return batch, n
}

// take removes the calls of the oldest one's class, and those whose context has ended.
func (s *Sealer) take() (batch []*waiter) {
	s.mu.Lock()
	defer s.mu.Unlock()
	others := s.waiting[:0]
	for _, w := range s.waiting {
		switch {
		case w.ctx.Err() != nil:
		case len(batch) == 0 || w.class == batch[0].class && !w.alone && !batch[0].alone:
			batch = append(batch, w)
		default:
			others = append(others, w)
		}
	}
	clear(s.waiting[len(others):])
	s.waiting = others
	return batch
}

// putBack returns calls that found no room. They keep their place in the order of arrival.
func (s *Sealer) putBack(rest []*waiter) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.waiting = append(s.waiting, rest...)
	slices.SortFunc(s.waiting, func(a, b *waiter) int { return cmp.Compare(a.arrival, b.arrival) })
}

// seal signs the n statements of a batch and hands out the seals.
func (s *Sealer) seal(batch []*waiter, n int) error {
	// One read for the salts of all leaves, and for the padding leaves whole.
	padded := PaddedLeaves(n)
	random := make([]byte, 16*n+32*(padded-n))
	if !batch[0].alone {
		rand.Read(random)
	}
	salts, padding := random[:16*n], random[16*n:]

	leaves := make([][32]byte, 0, padded)
	for _, w := range batch {
		for _, st := range w.statements {
			leaves = append(leaves, Leaf(st.Purpose, [16]byte(salts[16*len(leaves):]), st.Bytes))
		}
	}
	for ; len(padding) > 0; padding = padding[32:] {
		leaves = append(leaves, [32]byte(padding))
	}
	tree := NewTree(leaves)

	in := wire.SealInput{Signer: s.signer, Time: uint64(s.cfg.Now().Unix()), Leaves: uint32(padded), Root: tree.Root()}
	signature, err := s.sign(in)
	if err != nil {
		return err
	}

	index := 0
	for _, w := range batch {
		// One slab for the paths of a call, so that nobody keeps another's alive.
		w.seals = make([]wire.Seal, len(w.statements))
		paths := make([][32]byte, 0, len(w.statements)*tree.Height())
		for i := range w.seals {
			start := len(paths)
			paths = tree.AppendPath(paths, index)
			w.seals[i] = wire.Seal{
				Scheme: s.key.Scheme(), Signature: signature, Time: in.Time, Leaves: in.Leaves,
				Index: uint32(index), Salt: [16]byte(salts[16*index:]), Path: paths[start:len(paths):len(paths)],
			}
			index++
		}
	}
	return nil
}

func (s *Sealer) sign(in wire.SealInput) ([]byte, error) {
	if s.cfg.Waiting != nil {
		defer s.announce()()
	}
	s.pace.begin()
	signature, err := s.key.SealRoot(s.ctx, in)
	s.pace.end()
	s.takes.Store(int64(s.pace.median()))
	s.signatures.Add(1)
	switch {
	case s.ctx.Err() != nil:
		return nil, ErrClosed
	case err != nil:
		return nil, &SignError{err}
	case len(signature) == 0 || len(signature) > wire.MaxSignature:
		return nil, &SignError{fmt.Errorf("a signature of %d bytes", len(signature))}
	}
	return signature, nil
}

// announce tells Waiting once WaitingAfter has passed; what it returns ends that, and never overtakes it.
func (s *Sealer) announce() (done func()) {
	told := make(chan struct{})
	timer := time.AfterFunc(WaitingAfter, func() {
		s.cfg.Waiting(true)
		close(told)
	})
	return func() {
		if !timer.Stop() {
			<-told
			s.cfg.Waiting(false)
		}
	}
}

// finish lets the calls of a batch return. A call that has an error of its own keeps it.
func finish(batch []*waiter, err error) {
	for _, w := range batch {
		if w.err == nil {
			w.err = err
		}
		switch {
		case w.then == nil:
			close(w.done)
		case w.ctx.Err() == nil && w.err != ErrClosed:
			w.then(w.seals, w.err)
		}
	}
}

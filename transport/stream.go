package transport

import (
	"context"
	"errors"
	"os"
	"slices"
	"sync"
	"time"

	"github.com/quic-go/quic-go"

	"sinete/wire"
)

// Stream is a sequence of frames in both directions. One goroutine may read while others write. Whoever gets an error from
// it, Append's ErrFull and a context's apart, must end it with Cancel or close the connection; a stream that is neither read to
// its end nor cancelled takes up one of those that the other side may open.
type Stream struct {
	c  *Conn
	qs *quic.Stream
	reader

	mu       sync.Mutex
	waiting  []*[]byte // blocks that the writer has not begun, the last one open for more
	pending  int       // bytes that QUIC has not taken
	limit    int
	held     int  // 1 where the last block stays until something is appended behind it
	running  bool // there is a writer
	direct   int  // bytes that QUIC has taken since a writer last waited for it
	finished bool
	err      error         // why nothing can be written any more
	changed  chan struct{} // closed at the next change, nil when nobody waits
}

// directAtMost is how many bytes QUIC is handed without a goroutine that waits until it has sent them. What goes alone needs none: a message then takes
// 3 % less. But QUIC keeps all that the other side's windows allow, which may be any size.
const directAtMost = 16 << 10

func newStream(c *Conn, qs *quic.Stream) *Stream {
	if qs.StreamID() == 0 {
		qs.SetPriority(0, false) // the control stream: acknowledgements must not wait behind messages
	}
	return &Stream{c: c, qs: qs, limit: queueLimit}
}

// ID is the QUIC stream id: the lane's number on the hop (protocol.md section 2.4), 0 for the control stream.
func (s *Stream) ID() uint64 { return uint64(s.qs.StreamID()) }

// SetLimit sets the number of pending bytes from which Append returns ErrFull; it is 1 MiB at first.
func (s *Stream) SetLimit(n int) {
	s.mu.Lock()
	s.limit = n
	s.mu.Unlock()
}

// blocks are lent to streams while something waits, so that idle ones hold none.
var blocks = sync.Pool{New: func() any { return new([]byte) }}

func giveBack(b *[]byte) {
	if cap(*b) <= keptBlock {
		*b = (*b)[:0]
		blocks.Put(b)
	}
}

// Append calls f to append encoded frames to those that wait, all of which leave together, and returns without waiting for
// the network. f must be quick and must not use the stream. When Append returns an error f was not called: ErrFull when the
// limit has been reached, ErrFinished, or why the stream failed.
func (s *Stream) Append(f func(b []byte) []byte) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.usable(); err != nil {
		return err
	}
	if s.pending >= s.limit {
		return ErrFull
	}
	if n := len(s.waiting); n == 0 || len(*s.waiting[n-1]) >= fullBlock {
		s.waiting = append(s.waiting, blocks.Get().(*[]byte))
	}
	s.held = 0
	last := s.waiting[len(s.waiting)-1]
	before := len(*last)
	*last = f(*last)
	s.pending += len(*last) - before
	if !s.running {
		return s.leave()
	}
	return nil
}

// AppendBlock is Append for an f that takes its time: what was appended before goes on leaving meanwhile, and what others append meanwhile
// leaves first. No limit holds here: who appends much waits with WaitBelow. f is called whatever happens, and all errors are final.
//
// Fewer than hold bytes stay until something is appended behind them, with which they leave, or the stream is finished.
func (s *Stream) AppendBlock(hold int, f func(b []byte) []byte) error {
	block := blocks.Get().(*[]byte)
	*block = f(*block)
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.usable(); err != nil {
		giveBack(block)
		return err
	}
	s.waiting = append(s.waiting, block)
	s.pending += len(*block)
	if s.held = 0; len(*block) < hold {
		s.held = 1
	}
	if len(s.waiting) == s.held || s.running {
		return nil
	}
	return s.leave()
}

// leave hands QUIC what waits if that is short and it takes it at once, and has a writer at work if not. The mutex is held, and no writer runs.
func (s *Stream) leave() error {
	if block := s.waiting[0]; len(s.waiting) == 1 && s.direct+len(*block) <= directAtMost {
		if s.qs.TryWriteAll(*block) == nil {
			s.direct += len(*block)
			s.pending -= len(*block)
			s.waiting = slices.Delete(s.waiting, 0, 1)
			giveBack(block)
			s.wake()
			return nil
		}
	}
	s.direct = 0
	return s.begin()
}

// begin has a writer at work for what is about to be appended. The mutex is held.
func (s *Stream) begin() error {
	if err := s.usable(); err != nil || s.running {
		return err
	}
	// A writer only while there is something to write: thousands of idle streams cost no goroutine.
	s.err = s.c.startWriter(s.write)
	s.running = s.err == nil
	return s.err
}

func (s *Stream) usable() error {
	if s.err == nil && s.finished {
		return ErrFinished
	}
	return s.err
}

// Pending returns the number of bytes that QUIC has not taken yet.
func (s *Stream) Pending() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.pending
}

// WaitBelow waits until fewer than n bytes are pending.
func (s *Stream) WaitBelow(ctx context.Context, n int) error {
	return s.wait(ctx, func() bool { return s.pending < n })
}

// Finish ends this side's direction behind everything appended, and waits until QUIC has taken all of it. The other side's
// ReadFrame returns io.EOF when it has read everything; that this has happened, only the other side can tell.
func (s *Stream) Finish(ctx context.Context) error {
	s.mu.Lock()
	if s.held > 0 {
		s.held = 0
		_ = s.begin() // wait says what was wrong
	}
	s.finished = true
	if !s.running && s.err == nil {
		_ = s.qs.Close() // fails only on cancelled streams
	}
	s.mu.Unlock()
	return s.wait(ctx, func() bool { return !s.running })
}

// Cancel gives up the stream in both directions, whatever is under way, and tells the other side the number.
func (s *Stream) Cancel(code wire.Code) {
	s.mu.Lock()
	s.fail(&ResetError{Number: code})
	s.mu.Unlock()
	s.qs.CancelRead(quic.StreamErrorCode(code))
	s.qs.CancelWrite(quic.StreamErrorCode(code))
}

// fail keeps the first error. The mutex is held.
func (s *Stream) fail(err error) {
	if s.err == nil {
		s.err = err
		for _, b := range s.waiting {
			giveBack(b)
		}
		s.waiting = nil
		s.wake()
	}
}

// write is the writer: while it waits for QUIC, more frames gather for its next call.
func (s *Stream) write() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for s.err == nil && len(s.waiting) > s.held {
		block := s.waiting[0]
		s.waiting = slices.Delete(s.waiting, 0, 1)
		for rest := *block; len(rest) > 0 && s.err == nil; {
			s.mu.Unlock()
			n, err := s.writeSome(rest)
			s.mu.Lock()
			rest = rest[n:]
			s.pending -= n
			if err != nil {
				s.fail(err)
			}
			s.wake()
		}
		giveBack(block)
	}
	if s.finished && s.err == nil {
		_ = s.qs.Close() // fails only on cancelled streams
	}
	s.running = false
	s.wake()
}

// writeSome fails only when QUIC took nothing for FrameTimeout, or for good.
func (s *Stream) writeSome(b []byte) (int, error) {
	for range stallChecks {
		_ = s.qs.SetWriteDeadline(time.Now().Add(FrameTimeout / stallChecks))
		n, err := s.qs.Write(b)
		switch {
		case !errors.Is(err, os.ErrDeadlineExceeded):
			return n, typed(err)
		case n > 0:
			return n, nil
		}
	}
	s.qs.CancelRead(quic.StreamErrorCode(wire.CodeSlow))
	s.qs.CancelWrite(quic.StreamErrorCode(wire.CodeSlow))
	return 0, wire.Errorf(wire.CodeSlow, "the other side took nothing for %v", FrameTimeout)
}

// wait waits until the condition, evaluated under the mutex, holds or the stream failed.
func (s *Stream) wait(ctx context.Context, done func() bool) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for s.err == nil && !done() {
		if s.changed == nil {
			s.changed = make(chan struct{})
		}
		changed := s.changed
		s.mu.Unlock()
		select {
		case <-changed:
		case <-ctx.Done():
		}
		s.mu.Lock()
		if ctx.Err() != nil && !done() {
			return context.Cause(ctx)
		}
	}
	return s.err
}

// wake lets waiters look again. The mutex is held.
func (s *Stream) wake() {
	if s.changed != nil {
		close(s.changed)
		s.changed = nil
	}
}

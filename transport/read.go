package transport

import (
	"errors"
	"io"
	"os"
	"sync"
	"time"

	"sinete/wire"
)

// Buffers are lent to a reader from the first byte of something until all is returned: idle streams, of which there are many, hold none. A
// large one has room for a whole frame.
var (
	smallBuffers = sync.Pool{New: func() any { return new([smallBuffer]byte) }}
	largeBuffers = sync.Pool{New: func() any { return new([largeBuffer]byte) }}
)

// reader is the receiving half of a stream.
type reader struct {
	small    *[smallBuffer]byte // where in lies, or
	large    *[largeBuffer]byte
	in       []byte // read and not yet returned from off on
	off      int
	begun    bool    // a deadline runs for the frame at off
	deadline bool    // some deadline is set
	ahead    [1]byte // the byte that is waited for, read only to notice that it is there
}

// ReadFrame returns the next frame, whose body is valid until the next call. At the end of the stream it returns io.EOF; an
// end within a frame is a *wire.MalformedError, and so is an unknown type, a body beyond wire.MaxFrameBody a *wire.Error with
// CodeLimitExceeded, a frame that takes longer than FrameTimeout one with CodeTimeout. Other errors are *ResetError and what
// Conn.Err returns. All are final.
//
// Calls must not overlap.
func (s *Stream) ReadFrame() (wire.Frame, error) {
	r := &s.reader
	for {
		t, length, n, err := wire.ParseFrameHeader(r.in[r.off:])
		if err != nil {
			return wire.Frame{}, err
		}
		if end := r.off + n + length; n > 0 && len(r.in) >= end {
			body := r.in[r.off+n : end : end]
			r.off, r.begun = end, false
			return wire.Frame{Type: t, Body: body}, nil
		}
		if err := s.fill(); err != nil {
			return wire.Frame{}, err
		}
	}
}

// fill reads what there is, at least a byte.
func (s *Stream) fill() error {
	r := &s.reader
	switch partial := r.off < len(r.in); {
	case partial && !r.begun:
		_ = s.qs.SetReadDeadline(time.Now().Add(FrameTimeout))
		r.begun, r.deadline = true, true
	case !partial:
		if r.deadline {
			_ = s.qs.SetReadDeadline(time.Time{})
			r.deadline = false
		}
		r.giveBack()
		_, _ = s.qs.Peek(r.ahead[:]) // what is wrong, if anything, Read says as well
	}
	r.makeRoom()
	n, err := s.qs.Read(r.in[len(r.in):cap(r.in)])
	r.in = r.in[:len(r.in)+n]
	if n > 0 {
		return s.c.count(n) // err comes again with the next read
	}
	switch {
	case errors.Is(err, io.EOF) && len(r.in) == 0:
		return io.EOF
	case errors.Is(err, io.EOF):
		return &wire.MalformedError{What: "frame", Reason: "the stream ended within it"}
	case errors.Is(err, os.ErrDeadlineExceeded):
		return wire.Errorf(wire.CodeTimeout, "a frame took longer than %v", FrameTimeout)
	}
	return typed(err)
}

// makeRoom moves what is unread to the front and to a large buffer once a small one was filled, so that only bytes that
// arrived make a reader grow.
func (r *reader) makeRoom() {
	unread := r.in[r.off:]
	switch {
	case r.in == nil:
		r.small = smallBuffers.Get().(*[smallBuffer]byte)
		r.in = r.small[:0]
	case r.small != nil && len(r.in) == cap(r.in):
		r.large = largeBuffers.Get().(*[largeBuffer]byte)
		r.in = append(r.large[:0], unread...)
		smallBuffers.Put(r.small)
		r.small = nil
	default:
		r.in = append(r.in[:0], unread...)
	}
	r.off = 0
}

// giveBack returns a buffer in which nothing is left.
func (r *reader) giveBack() {
	if r.small != nil {
		smallBuffers.Put(r.small)
	}
	if r.large != nil {
		largeBuffers.Put(r.large)
	}
	r.small, r.large, r.in, r.off = nil, nil, nil, 0
}

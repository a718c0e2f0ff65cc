package transport

import (
	"errors"
	"io"
	"os"
	"sync"
	"time"

	"sinete/wire"
)

// largeBuffers lend a reader the room for a whole frame; idle streams, of which there are many, give it back.
var largeBuffers = sync.Pool{New: func() any { return new([largeBuffer]byte) }}

// reader is the receiving half of a stream.
type reader struct {
	small    []byte             // cap smallBuffer, made with the first read
	large    *[largeBuffer]byte // nil when in lies in small
	in       []byte             // read and not yet returned from off on
	off      int
	begun    bool // a deadline runs for the frame at off
	deadline bool // some deadline is set
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
	r.makeRoom()
	switch partial := len(r.in) > 0; {
	case partial && !r.begun:
		_ = s.qs.SetReadDeadline(time.Now().Add(FrameTimeout))
		r.begun, r.deadline = true, true
	case !partial && r.deadline:
		_ = s.qs.SetReadDeadline(time.Time{})
		r.deadline = false
	}
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
	case r.small == nil:
		r.small = make([]byte, 0, smallBuffer)
		r.in = r.small
	case r.large == nil && len(r.in) == cap(r.in):
		r.large = largeBuffers.Get().(*[largeBuffer]byte)
		r.in = append(r.large[:0], unread...)
	case r.large != nil && len(unread) == 0:
		largeBuffers.Put(r.large)
		r.large = nil
		r.in = r.small
	default:
		r.in = append(r.in[:0], unread...)
	}
	r.off = 0
}

package journal

import (
	"errors"
	"fmt"
	"syscall"

	"sinete/wire"
)

// ErrClosed is what a journal answers after Close.
var ErrClosed = errors.New("the journal is closed")

// FullError: the disk, the quota or the file-size limit has no room. What it answers is not in the journal, and the journal goes on when there is room.
type FullError struct{ Err error }

func (e *FullError) Error() string { return "no room for the journal: " + e.Err.Error() }
func (e *FullError) Unwrap() error { return e.Err }

// Code is CodeBusy: trying again later may do.
func (e *FullError) Code() wire.Code { return wire.CodeBusy }

// IOError: the disk failed at Op. What it answers is not known to be in the journal; later appends try anew.
type IOError struct {
	Op  string // read, write, sync, truncate, ...
	Err error
}

func (e *IOError) Error() string { return fmt.Sprintf("the journal cannot %s: %v", e.Op, e.Err) }
func (e *IOError) Unwrap() error { return e.Err }

// SizeError: a record of more than MaxRecord bytes.
type SizeError struct{ Bytes int }

func (e *SizeError) Error() string {
	return fmt.Sprintf("a record of %d bytes, where %d are allowed", e.Bytes, MaxRecord)
}

// MarkError: the journal is not the one that the mark was made of, or ends before it. Whoever kept the mark starts again from the zero Mark.
type MarkError struct {
	Shorter bool // the same journal, but records that it had synced are gone; else it was rewritten, or replaced
}

func (e *MarkError) Error() string {
	if e.Shorter {
		return "the journal ends before the mark: records are lost"
	}
	return "the journal is not the one that was marked"
}

func failure(op string, err error) error {
	if errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) || errors.Is(err, syscall.EFBIG) {
		return &FullError{err}
	}
	return &IOError{op, err}
}

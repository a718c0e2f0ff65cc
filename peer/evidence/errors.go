package evidence

import (
	"errors"
	"fmt"
)

// FileError says which file of a bundle is not what it must be.
type FileError struct {
	File string // empty: the bundle as a whole
	Err  error
}

func (e *FileError) Error() string {
	if e.File == "" {
		return e.Err.Error()
	}
	return e.File + ": " + e.Err.Error()
}
func (e *FileError) Unwrap() error { return e.Err }

// LineError says which line of proof.txt does not hold.
type LineError struct {
	Line int // from 1
	Err  error
}

func (e *LineError) Error() string { return fmt.Sprintf("%s line %d: %v", proofFile, e.Line, e.Err) }
func (e *LineError) Unwrap() error { return e.Err }

// AnchorError says that somebody's certificates lead to an anchor that is not trusted.
type AnchorError struct {
	Identity string
	Subject  string   // display name of the anchor
	SHA256   [32]byte // of its DER
}

func (e *AnchorError) Error() string {
	return fmt.Sprintf("%s: the certificates lead to %q (SHA-256 %x), which is not trusted", e.Identity, e.Subject, e.SHA256)
}

// UnprovedError says of which messages there is no evidence.
type UnprovedError struct{ Messages []Unproved }

func (e *UnprovedError) Error() string {
	if len(e.Messages) == 0 {
		return "there is no message of which there is evidence"
	}
	first := e.Messages[0]
	return fmt.Sprintf("%d messages without evidence, first %s: %v", len(e.Messages), first.Which(), first.Err)
}

// Unproved is a message of which there is no evidence.
type Unproved struct {
	Own    bool
	Number uint64
	Err    error // ErrNoMessage, ErrNotSent, ErrNoProof, or what is wrong with its proof
}

// Which names the message as Range does.
func (u *Unproved) Which() string { return Range{u.Own, u.Number, u.Number}.String() }

var (
	// ErrNoMessage: there is none of that number, or it was deleted.
	ErrNoMessage = errors.New("there is no such message")
	// ErrNotSent: it waits, or it failed.
	ErrNotSent = errors.New("it has not been sent")
	// ErrNoProof: the flight in which it went is not in the store.
	ErrNoProof = errors.New("the store holds no proof of it")
	// ErrTooMuch: it needs more files or bytes than a bundle may have.
	ErrTooMuch = fmt.Errorf("more than %d files or %d MiB", maxFiles, MaxBundle>>20)
)

package evidence

import (
	"fmt"

	"sinete/peer/evidence/internal/bundle"
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

func (e *LineError) Error() string { return fmt.Sprintf("%s line %d: %v", bundle.Proof, e.Line, e.Err) }
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

// ErrTooMuch: a bundle needs more files or bytes than one may have.
var ErrTooMuch = bundle.ErrTooMuch

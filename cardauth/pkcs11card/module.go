package pkcs11card

import (
	"sinete/cardauth/pkcs11card/internal/child"
	"sinete/cardauth/pkcs11card/internal/cryptoki"
	"sinete/cardauth/pkcs11card/internal/login"
)

// ChildMain belongs first into the main of a program that opens cards, and into the TestMain of its tests: PKCS #11 modules are
// loaded by a child process, which is the same program started anew. It returns at once in the program and never in a child.
func ChildMain() { child.Main() }

// ErrCrashed and ErrHung are what a ModuleError wraps where the module did not answer. The next call finds it started anew.
var (
	ErrCrashed = child.ErrCrashed
	ErrHung    = child.ErrHung
)

// ErrCancelled is what a ModuleError wraps where the module gave a call up by itself: nobody answered it, or it found no way to ask.
var ErrCancelled error = cryptoki.FunctionCanceled

// ModuleError says that a PKCS #11 module could not be used, or answered a call with an error.
type ModuleError = child.ModuleError

// acquire returns the module at path, which must be released.
func acquire(path string) (*child.Module, error) {
	m, err := child.Acquire(path, readsTerminal(path))
	if err == child.ErrNoCgo || err == child.ErrNoMain {
		return nil, &UnsupportedError{What: err.Error()}
	}
	return m, err
}

// CancelledError says that the person did not give the PIN in the dialog of the card's own software, or at the reader.
type CancelledError = login.CancelledError

// UnsupportedError says what a token or this build cannot do.
type UnsupportedError = login.UnsupportedError

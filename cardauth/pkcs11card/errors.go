package pkcs11card

import (
	"fmt"
	"strings"
)

// NotFoundError says that no token or certificate is what the URI names.
type NotFoundError struct {
	URI    string
	Reason string
	Err    error // what kept a module from being looked at, or nil
}

func (e *NotFoundError) Error() string {
	s := fmt.Sprintf("no card is %s: %s", e.URI, e.Reason)
	if e.Err != nil {
		s += " (" + e.Err.Error() + ")"
	}
	return s
}

func (e *NotFoundError) Unwrap() error { return e.Err }

// AmbiguousError says that several certificates are what the URI names.
type AmbiguousError struct {
	URIs []string // one for each
}

func (e *AmbiguousError) Error() string {
	return fmt.Sprintf("%d cards fit: %s", len(e.URIs), strings.Join(e.URIs, " "))
}

// RemovedError says that the token was taken away, or that another one is in its place, or that it lost its login and only a PIN
// brings that back. Opening the card again is what helps.
type RemovedError struct {
	Card string // the token's label
	Err  error  // what the module said, or nil
}

func (e *RemovedError) Error() string {
	if e.Err == nil {
		return fmt.Sprintf("the card %q is not there any more", e.Card)
	}
	return fmt.Sprintf("the card %q is not there any more: %v", e.Card, e.Err)
}

func (e *RemovedError) Unwrap() error { return e.Err }

// ModuleError says that a PKCS #11 module could not be used, or answered a call with an error.
type ModuleError struct {
	Module string // path
	Call   string // such as C_Sign
	Err    error
}

func (e *ModuleError) Error() string { return fmt.Sprintf("%s: %s: %v", e.Module, e.Call, e.Err) }
func (e *ModuleError) Unwrap() error { return e.Err }

// UnsupportedError says what a token or this build cannot do.
type UnsupportedError struct{ What string }

func (e *UnsupportedError) Error() string { return "pkcs11card: " + e.What }

// URIError says what is wrong with a PKCS #11 URI.
type URIError struct{ Reason string }

func (e *URIError) Error() string { return "PKCS #11 URI: " + e.Reason }

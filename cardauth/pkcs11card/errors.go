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
	// NoModule says that there is no module to look at.
	NoModule bool
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

// ExportableError says that a private key can be taken out of its token, so that having the card proves nothing. A URI with
// exportable-key=yes takes it, for tests.
type ExportableError struct{ Card string }

func (e *ExportableError) Error() string {
	return fmt.Sprintf("the private key on %q can be copied out of it", e.Card)
}

// URIError says what is wrong with a PKCS #11 URI.
type URIError struct{ Reason string }

func (e *URIError) Error() string { return "PKCS #11 URI: " + e.Reason }

package revocation

import (
	"fmt"
	"strings"
	"time"
)

// UnavailableError says that nobody gave a valid answer about a certificate. It is inside a *cardauth.CertificateError of code
// revocation-unknown.
type UnavailableError struct {
	Tried []Attempt // empty: the certificate names no address
}

// Attempt is one address that was asked.
type Attempt struct {
	Address string
	Err     error
}

func (e *UnavailableError) Error() string {
	if len(e.Tried) == 0 {
		return "it names neither an OCSP responder nor a revocation list"
	}
	var all []string
	for _, a := range e.Tried {
		all = append(all, fmt.Sprintf("%s: %v", a.Address, a.Err))
	}
	return strings.Join(all, "; ")
}

func (e *UnavailableError) Unwrap() []error {
	var all []error
	for _, a := range e.Tried {
		all = append(all, a.Err)
	}
	return all
}

// AddressError says that an address in a certificate is not one to ask.
type AddressError struct{ Reason string }

func (e *AddressError) Error() string { return "not asked: " + e.Reason }

// AnswerError says that what came is no valid answer about the certificate.
type AnswerError struct {
	Reason string
	// From and Until are when the answer holds, where nothing is wrong but that this is another time; else zero.
	From, Until time.Time
}

func (e *AnswerError) Error() string { return "not a valid answer: " + e.Reason }

func bad(format string, args ...any) error { return &AnswerError{Reason: fmt.Sprintf(format, args...)} }

// recentError stands for an address that failed just now.
type recentError struct{ err error }

func (e *recentError) Error() string { return e.err.Error() + ", a moment ago; not asked again yet" }
func (e *recentError) Unwrap() error { return e.err }

package cardauth

import (
	"crypto/x509"
	"errors"
	"fmt"

	"sinete/wire"
)

// CertificateError says why a chain is not accepted.
type CertificateError struct {
	Number  wire.Code // certificate-invalid, -expired or -revoked, or revocation-unknown
	Subject string    // display name of the certificate at fault, empty where none could be read; personal, so not in Error()
	Reason  string
	Err     error // what package revocation met, or nil
}

func (e *CertificateError) Error() string { return e.Number.String() + ": " + e.Reason }
func (e *CertificateError) Unwrap() error { return e.Err }

// Code returns the number that the other side is given.
func (e *CertificateError) Code() wire.Code { return e.Number }

func refuse(c *x509.Certificate, n wire.Code, format string, args ...any) error {
	e := &CertificateError{Number: n, Reason: fmt.Sprintf(format, args...)}
	if c != nil {
		e.Subject = DisplayName(c)
	}
	return e
}

// IdentityError says that a certificate carries no identity (protocol.md section 7.1).
type IdentityError struct{ Reason string }

func (e *IdentityError) Error() string { return "no identity: " + e.Reason }

// Code is CodeCertificateInvalid: the number the other side is given.
func (e *IdentityError) Code() wire.Code { return wire.CodeCertificateInvalid }

// DelegationError says why a delegation is not accepted (section 4.5).
type DelegationError struct {
	Number wire.Code // wrong-context for another deployment, else authentication-failed
	Err    error
}

func (e *DelegationError) Error() string { return "delegation refused: " + e.Err.Error() }
func (e *DelegationError) Unwrap() error { return e.Err }

// Code returns the number that the other side is given.
func (e *DelegationError) Code() wire.Code { return e.Number }

// ErrNoAnchors is inside the TrustError for a folder that holds no trust anchor.
var ErrNoAnchors = errors.New("no trust anchor among its *.pem files")

// TrustError says what is wrong with a file or folder of trusted certificates.
type TrustError struct {
	Path string
	Err  error
}

func (e *TrustError) Error() string { return e.Path + ": " + e.Err.Error() }
func (e *TrustError) Unwrap() error { return e.Err }

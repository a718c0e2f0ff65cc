package wire

import (
	"errors"
	"fmt"
)

// Code is a number of protocol.md section 11: what the other side is told, as a QUIC application error or in a code field.
type Code uint16

const (
	CodeBye Code = iota
	CodeInternal
	CodeMalformed
	CodeUnexpected
	CodeLimitExceeded
	CodeVersionUnsupported
	CodeSuiteUnsupported
	CodeIntegrity
	CodeUnsealed
	CodeCertificateInvalid
	CodeCertificateExpired
	CodeCertificateRevoked
	CodeRevocationUnknown
	CodeAuthenticationFailed
	CodeWrongContext
	CodeCardInUse
	CodeSuperseded
	CodeFlowDenied
	CodeUnknownPeer
	CodeNotConnected
	CodeAlreadyConnected
	CodeTimeout
	CodeGoingAway
	CodeBusy
	CodeSigningRefused
	CodeCut
	CodePeerLeft
	CodeSlow
	CodeLevelChanged
	CodeLabelDenied
)

var codeNames = [...]string{
	"bye", "internal", "malformed", "unexpected", "limit-exceeded", "version-unsupported", "suite-unsupported", "integrity",
	"unsealed", "certificate-invalid", "certificate-expired", "certificate-revoked", "revocation-unknown",
	"authentication-failed", "wrong-context", "card-in-use", "superseded", "flow-denied", "unknown-peer", "not-connected",
	"already-connected", "timeout", "going-away", "busy", "signing-refused", "cut", "peer-left", "slow", "level-changed",
	"label-denied",
}

// String is the stable lower-case word of section 11.
func (c Code) String() string {
	if int(c) < len(codeNames) {
		return codeNames[c]
	}
	return fmt.Sprintf("code-%d", uint16(c))
}

// Error is a failure with the number that the other side is told. What it says is for this side's log and never sent.
type Error struct {
	Number Code
	Err    error // the reason, never nil
}

func (e *Error) Error() string { return e.Number.String() + ": " + e.Err.Error() }
func (e *Error) Unwrap() error { return e.Err }

// Code returns the number.
func (e *Error) Code() Code { return e.Number }

// Errorf makes an Error; a %w in the format is kept for errors.Is and errors.As.
func Errorf(c Code, format string, args ...any) error {
	return &Error{c, fmt.Errorf(format, args...)}
}

// CodeOf finds the number in err: that of the outermost error in its chain with a Code method, else CodeInternal.
func CodeOf(err error) Code {
	var c interface{ Code() Code }
	if errors.As(err, &c) {
		return c.Code()
	}
	return CodeInternal
}

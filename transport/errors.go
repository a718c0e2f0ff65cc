package transport

import (
	"context"
	"errors"
	"fmt"

	"github.com/quic-go/quic-go"

	"sinete/wire"
)

var (
	// ErrFull is Append's answer when a stream's queue has reached its limit; the stream is as good as before.
	ErrFull = wire.Errorf(wire.CodeSlow, "the stream's queue is full")
	// ErrFinished is Append's answer after Finish.
	ErrFinished = errors.New("the stream was finished")
	// ErrListenerClosed is Accept's answer after Drain or Close.
	ErrListenerClosed = errors.New("the listener takes no more connections")
)

// CloseError says that one side closed the connection with a number of protocol.md section 11.
type CloseError struct {
	Number wire.Code
	Remote bool // the other side did
}

func (e *CloseError) Error() string {
	return fmt.Sprintf("connection closed %s: %v", side(e.Remote), e.Number)
}

// Code returns the number.
func (e *CloseError) Code() wire.Code { return e.Number }

// ResetError says that one side cancelled the stream with a number of protocol.md section 11.
type ResetError struct {
	Number wire.Code
	Remote bool // the other side did
}

func (e *ResetError) Error() string {
	return fmt.Sprintf("stream cancelled %s: %v", side(e.Remote), e.Number)
}

// Code returns the number.
func (e *ResetError) Code() wire.Code { return e.Number }

// LostError says that the connection broke: silence for 45 seconds, a relay that restarted, a breach of QUIC's rules.
type LostError struct{ Err error }

func (e *LostError) Error() string { return "connection lost: " + e.Err.Error() }
func (e *LostError) Unwrap() error { return e.Err }

// Code is CodeCut.
func (e *LostError) Code() wire.Code { return wire.CodeCut }

// RefusedError says that a relay is there and takes no connection now: it is full or going away. Dialling again later,
// or another relay, helps. It can come after Dial returned, from the first operation.
type RefusedError struct{ Err error }

func (e *RefusedError) Error() string { return "the relay refused the connection: " + e.Err.Error() }
func (e *RefusedError) Unwrap() error { return e.Err }

// Code is CodeBusy.
func (e *RefusedError) Code() wire.Code { return wire.CodeBusy }

// UnreachableError says that Dial had no answer from the address: nothing listens there, or the network or a firewall
// lets no UDP through. errors.Is finds context.DeadlineExceeded where the caller's deadline ended the attempt.
type UnreachableError struct {
	Addr string
	Err  error
}

func (e *UnreachableError) Error() string { return "no answer from " + e.Addr + ": " + e.Err.Error() }
func (e *UnreachableError) Unwrap() error { return e.Err }

// Code is CodeCut.
func (e *UnreachableError) Code() wire.Code { return wire.CodeCut }

// ProtocolError says that the other side answers but does not speak sinete/1 over QUIC version 1.
type ProtocolError struct{ Err error }

func (e *ProtocolError) Error() string {
	return "the other side does not speak " + alpn + ": " + e.Err.Error()
}
func (e *ProtocolError) Unwrap() error { return e.Err }

// Code is CodeVersionUnsupported.
func (e *ProtocolError) Code() wire.Code { return wire.CodeVersionUnsupported }

// ServerCertificateError wraps what ClientConfig.VerifyServer said against the relay's certificate.
type ServerCertificateError struct{ Err error }

func (e *ServerCertificateError) Error() string { return "the relay's certificate: " + e.Err.Error() }
func (e *ServerCertificateError) Unwrap() error { return e.Err }

// Code is CodeCertificateInvalid; an error of VerifyServer with a number of its own is found by errors.As.
func (e *ServerCertificateError) Code() wire.Code { return wire.CodeCertificateInvalid }

func side(remote bool) string {
	if remote {
		return "by the other side"
	}
	return "by this side"
}

// number turns a QUIC error code into one of ours. It may be any of 62 bits when the other side is hostile.
func number(c uint64) wire.Code {
	if c > uint64(wire.CodeLevelChanged) {
		return wire.CodeInternal
	}
	return wire.Code(c)
}

const alertNoApplicationProtocol = 0x100 + 120 // RFC 9001 section 4.8, RFC 7301

// typed turns QUIC's errors into those above; a context's error stays what it is.
func typed(err error) error {
	if err == nil || errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	if e, ok := errors.AsType[*quic.ApplicationError](err); ok {
		return &CloseError{number(uint64(e.ErrorCode)), e.Remote}
	}
	if e, ok := errors.AsType[*quic.StreamError](err); ok {
		return &ResetError{number(uint64(e.ErrorCode)), e.Remote}
	}
	if _, ok := errors.AsType[*quic.VersionNegotiationError](err); ok {
		return &ProtocolError{err}
	}
	if e, ok := errors.AsType[*quic.TransportError](err); ok {
		switch {
		case e.ErrorCode == quic.ConnectionRefused && e.Remote:
			return &RefusedError{err}
		case e.ErrorCode == alertNoApplicationProtocol:
			return &ProtocolError{err}
		}
	}
	return &LostError{err}
}

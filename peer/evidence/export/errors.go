package export

import (
	"errors"
	"fmt"
)

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
)

// StampError says that an authority gave no stamp that is one.
type StampError struct {
	URL string
	Err error
}

func (e *StampError) Error() string { return "time-stamp of " + e.URL + ": " + e.Err.Error() }
func (e *StampError) Unwrap() error { return e.Err }

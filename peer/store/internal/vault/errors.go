package vault

import (
	"errors"
	"fmt"
)

var (
	// ErrPassphraseNeeded: the key is under a passphrase, and none was given.
	ErrPassphraseNeeded = errors.New("the store needs its passphrase")
	// ErrPassphraseWrong: the passphrase is another, or the file was altered, which looks the same.
	ErrPassphraseWrong = errors.New("wrong passphrase")
)

// OwnerError: the store is another person's.
type OwnerError struct{ Owner, Asked string }

func (e *OwnerError) Error() string {
	return fmt.Sprintf("the store belongs to %s, not to %s", e.Owner, e.Asked)
}

// LockedError: another program has the store open.
type LockedError struct{ PID int } // 0: unknown

func (e *LockedError) Error() string {
	if e.PID == 0 {
		return "another program has the store open"
	}
	return fmt.Sprintf("process %d has the store open", e.PID)
}

// VersionError: the store was made by a newer program.
type VersionError struct{ Version int }

func (e *VersionError) Error() string {
	return fmt.Sprintf("the store has version %d, this program knows up to %d", e.Version, version)
}

// FormatError: store.json is not as it was written.
type FormatError struct{ Err error }

func (e *FormatError) Error() string { return "store.json is damaged: " + e.Err.Error() }
func (e *FormatError) Unwrap() error { return e.Err }

// KeyringError: the keyring of the operating system is not there, is locked, or does not have what opens this store.
type KeyringError struct{ Err error }

func (e *KeyringError) Error() string { return "the keyring: " + e.Err.Error() }
func (e *KeyringError) Unwrap() error { return e.Err }

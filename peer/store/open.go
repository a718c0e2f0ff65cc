package store

import (
	"encoding/hex"
	"errors"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"sinete/peer/store/internal/journal"
	"sinete/peer/store/internal/vault"
)

// What keeps a store's key, and what can be wrong with it (docs/store.md section 2).
type (
	Protection   = vault.Protection
	Kind         = vault.Kind
	Owner        = vault.Owner
	LockedError  = vault.LockedError
	OwnerError   = vault.OwnerError
	FormatError  = vault.FormatError
	VersionError = vault.VersionError
	KeyringError = vault.KeyringError
)

const (
	ByPassphrase = vault.ByPassphrase
	ByKeyring    = vault.ByKeyring
	Unprotected  = vault.Unprotected
)

var (
	ErrPassphraseNeeded = vault.ErrPassphraseNeeded
	ErrPassphraseWrong  = vault.ErrPassphraseWrong
)

// Options says which store to open, and how.
type Options struct {
	Dir    string // where stores are, one folder for each owner
	Owner  Owner  // Name counts for a new store only
	Logger *slog.Logger
	// Protection is what keeps the key of a new store, and with its Passphrase what opens an old one. Where Kind is empty none is made.
	Protection Protection
	Keep       time.Duration // messages are deleted when they are older than this; 0: never
	Whole      bool          // read all of the journal, which takes longer, so that Store.Damage has all that there is
}

// Look tells what keeps the key of somebody's store. fs.ErrNotExist: there is none.
func Look(dir, identity string) (Kind, error) {
	v, err := openVault(vault.Folder(dir, identity), identity)
	if err != nil {
		return "", err
	}
	return v.Kind(), nil
}

// openVault opens a store's vault. A journal whose vault is lost is no new store: it opens again once the file is back.
func openVault(folder, identity string) (*vault.Vault, error) {
	v, err := vault.Open(folder, identity)
	if errors.Is(err, fs.ErrNotExist) {
		if f, there := os.Stat(filepath.Join(folder, journalFile)); there == nil && f.Size() > 0 {
			return nil, &FormatError{Err: errors.New("it is missing, and " + folder + " has a journal")}
		}
	}
	return v, err
}

// Owners lists whose stores are in a folder. Names are as the files say, which vouches for nothing. A store that cannot be read is an error, as of Open,
// beside the owners of the others.
func Owners(dir string) (owners []Owner, err error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	for _, e := range entries {
		if b, other := hex.DecodeString(e.Name()); other != nil || len(b) != 16 { // as vault.Folder names them
			continue
		}
		v, damaged := openVault(filepath.Join(dir, e.Name()), "")
		switch {
		case damaged == nil:
			owners = append(owners, v.Owner())
		case !errors.Is(damaged, fs.ErrNotExist) && err == nil: // without store.json it is the folder of a store that was not made in the end
			err = damaged
		}
	}
	return owners, err
}

// Open opens a person's store, or makes it. Errors: ErrPassphraseNeeded, ErrPassphraseWrong, *LockedError, *OwnerError, *FormatError, *VersionError,
// *KeyringError, *FullError, *IOError, and fs.ErrNotExist where there is none and none is to be made. Damage in it is none: Store.Damage tells.
func Open(o Options) (*Store, error) {
	folder := vault.Folder(o.Dir, o.Owner.Identity)
	if o.Protection.Kind == "" {
		if _, err := Look(o.Dir, o.Owner.Identity); err != nil {
			return nil, err
		}
	}
	lock, err := vault.TakeLock(folder)
	if err != nil {
		return nil, err
	}
	s, err := openLocked(folder, o)
	if err != nil {
		return nil, errors.Join(err, lock.Unlock())
	}
	s.disk.unlock, s.disk.owner = lock.Unlock, o.Owner
	if o.Keep > 0 {
		go s.retain(o.Keep)
	}
	return s, nil
}

func openLocked(folder string, o Options) (*Store, error) {
	v, err := openVault(folder, o.Owner.Identity)
	if errors.Is(err, fs.ErrNotExist) {
		v, err = vault.Create(folder, o.Owner, o.Protection)
	}
	if err != nil {
		return nil, err
	}
	key, err := v.Key(o.Protection.Passphrase)
	if err != nil {
		return nil, err
	}
	return open(journal.Dir(folder), key, v.ID(), o.Logger, o.Whole)
}

// Protect has the key of a store, which nobody has open, kept in another way from now on. Errors as of Open.
func Protect(dir, identity string, passphrase []byte, p Protection) error {
	if _, err := Look(dir, identity); err != nil { // before the lock, which makes the folder
		return err
	}
	folder := vault.Folder(dir, identity)
	lock, err := vault.TakeLock(folder)
	if err != nil {
		return err
	}
	v, err := vault.Open(folder, identity) // under the lock: somebody may just have changed it
	if err == nil {
		err = v.Change(passphrase, p)
	}
	return errors.Join(err, lock.Unlock())
}

// OpenOn opens a store on a disk of a test's.
func OpenOn(disk journal.Disk, key [32]byte) (*Store, error) {
	s, err := open(disk, key, [16]byte{1}, nil, false)
	if err == nil {
		s.disk.owner = Owner{Identity: "owner", Name: "Owner"}
	}
	return s, err
}

// Package vault keeps the key of a store, and says whose store it is: the file store.json (docs/store.md section 2), and the lock that lets one
// program at a time have the store. Create and Open give a Vault, and Key what the journal is sealed with.
package vault

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/zalando/go-keyring"
	"golang.org/x/crypto/argon2"
	"golang.org/x/crypto/chacha20poly1305"
)

// Kind is what keeps a store's key.
type Kind string

const (
	ByPassphrase Kind = "passphrase"
	ByKeyring    Kind = "keyring" // of the operating system
	Unprotected  Kind = "nothing" // The key lies in the file, for trials and automation.
)

// Protection is what is to keep a key.
type Protection struct {
	Kind       Kind
	Passphrase []byte // for ByPassphrase; any bytes, not none
}

// Owner is whose store it is.
type Owner struct{ Identity, Name string }

// Vault is a store's file.
type Vault struct {
	dir string
	doc document
}

// Folder is that of a person's store among those in dir.
func Folder(dir, identity string) string {
	hash := sha256.Sum256([]byte("sinete store\x00" + identity))
	return filepath.Join(dir, hex.EncodeToString(hash[:16]))
}

// Create makes the file of a new store, with a new key, in a folder whose lock is held. Errors: fs.ErrExist where there is one, ErrPassphraseNeeded,
// *KeyringError, *fs.PathError.
func Create(dir string, owner Owner, p Protection) (*Vault, error) {
	if _, err := os.Lstat(filepath.Join(dir, fileName)); !errors.Is(err, fs.ErrNotExist) {
		if err == nil {
			err = &fs.PathError{Op: "create", Path: filepath.Join(dir, fileName), Err: fs.ErrExist}
		}
		return nil, err
	}
	var key [32]byte
	rand.Read(key[:])
	defer clear(key[:])
	v := &Vault{dir, document{Version: version, Store: random(16), Identity: owner.Identity, Name: owner.Name}}
	if err := v.keep(key, p); err != nil {
		return nil, err
	}
	if err := syncFolder(filepath.Dir(dir)); err != nil { // The folder may be new, too.
		return nil, err
	}
	return v, nil
}

// Open reads the file of the store in a folder. An empty identity is anybody's. Errors: fs.ErrNotExist where there is no store, *OwnerError, *VersionError,
// *FormatError, *fs.PathError.
func Open(dir, identity string) (*Vault, error) {
	d, err := read(dir)
	if err != nil {
		return nil, err
	}
	if identity != "" && d.Identity != identity {
		return nil, &OwnerError{d.Identity, identity}
	}
	return &Vault{dir, d}, nil
}

// ID is the store's number, drawn when it was made.
func (v *Vault) ID() [16]byte { return [16]byte(v.doc.Store) }

// Owner is whose store it is. Unlike the rest of the file it is vouched for only once Key has returned.
func (v *Vault) Owner() Owner { return Owner{v.doc.Identity, v.doc.Name} }

// Kind is what keeps the key.
func (v *Vault) Kind() Kind { return v.doc.Key.By }

// Key returns the store's key. The passphrase counts for ByPassphrase only. Errors: ErrPassphraseNeeded, ErrPassphraseWrong, *KeyringError, *FormatError.
func (v *Vault) Key(passphrase []byte) (key [32]byte, err error) {
	wrapping, err := v.doc.Key.wrapping(passphrase)
	if err != nil {
		return key, err
	}
	defer clear(wrapping)
	aead, err := chacha20poly1305.NewX(wrapping)
	if err != nil {
		return key, err
	}
	b, err := aead.Open(nil, v.doc.Key.Nonce, v.doc.Key.Box, v.doc.associated())
	if err != nil {
		switch v.Kind() {
		case ByPassphrase:
			return key, ErrPassphraseWrong
		case ByKeyring:
			return key, &KeyringError{errors.New("what it keeps does not open this store")}
		}
		return key, &FormatError{err}
	}
	defer clear(b)
	return [32]byte(b), nil
}

// Change keeps the same key in another way, or under another passphrase. A crash or an error leaves the old way or the new. Errors: as Key and Create.
func (v *Vault) Change(passphrase []byte, p Protection) error {
	key, err := v.Key(passphrase)
	if err != nil {
		return err
	}
	defer clear(key[:])
	old := v.doc.Key
	if err := v.keep(key, p); err != nil {
		return err
	}
	if old.By == ByKeyring {
		// The store is kept in the new way whether or not the keyring forgets the old one.
		keyring.Delete(service, old.Entry)
	}
	return nil
}

// keep writes the file with the key kept in a new way.
func (v *Vault) keep(key [32]byte, p Protection) (err error) {
	d := v.doc
	d.Key = sealed{By: p.Kind, Nonce: random(chacha20poly1305.NonceSizeX)}
	k, there := &d.Key, false
	switch p.Kind {
	case ByPassphrase:
		k.Argon2id = &argon2id{Memory: memory, Passes: passes, Lanes: lanes, Salt: random(saltSize)}
	case ByKeyring:
		if k.Entry, err = newEntry(v.ID()); err != nil {
			return err
		}
		defer func() {
			if !there {
				keyring.Delete(service, k.Entry)
			}
		}()
	case Unprotected:
		k.Clear = random(32)
	default:
		return fmt.Errorf("a key kept by %q", p.Kind)
	}
	wrapping, err := k.wrapping(p.Passphrase)
	if err != nil {
		return err
	}
	defer clear(wrapping)
	aead, err := chacha20poly1305.NewX(wrapping)
	if err != nil {
		return err
	}
	k.Box = aead.Seal(nil, k.Nonce, key[:], d.associated())
	if err := d.check(); err != nil {
		return err
	}
	if there, err = d.replace(v.dir); there {
		v.doc = d
	}
	return err
}

// wrapping returns the key that the store's key is under.
func (k sealed) wrapping(passphrase []byte) ([]byte, error) {
	switch k.By {
	case ByPassphrase:
		if len(passphrase) == 0 {
			return nil, ErrPassphraseNeeded
		}
		a := k.Argon2id
		return argon2.IDKey(passphrase, a.Salt, a.Passes, a.Memory, a.Lanes, chacha20poly1305.KeySize), nil
	case ByKeyring:
		return entry(k.Entry)
	default:
		return append([]byte(nil), k.Clear...), nil
	}
}

// argon2id is how a key is made of a passphrase (RFC 9106).
type argon2id struct {
	Memory uint32 `json:"memory"` // KiB
	Passes uint32 `json:"passes"`
	Lanes  uint8  `json:"lanes"`
	Salt   octets `json:"salt"` // 16 bytes
}

// The second choice of RFC 9106 section 4: the first takes 2 GiB, which a laptop, a phone or a container may not have to spare.
const (
	memory   = 64 << 10
	passes   = 3
	lanes    = 4
	saltSize = 16
)

// check bounds what a file may ask for, so that it exhausts neither memory nor patience.
func (a *argon2id) check() error {
	if a.Memory < 8<<10 || a.Memory > 256<<10 || a.Passes < 1 || a.Passes > 16 || a.Lanes < 1 || a.Lanes > 16 || len(a.Salt) != saltSize {
		return fmt.Errorf("argon2id with %d KiB, %d passes, %d lanes and %d bytes of salt", a.Memory, a.Passes, a.Lanes, len(a.Salt))
	}
	return nil
}

func random(n int) []byte {
	b := make([]byte, n)
	rand.Read(b)
	return b
}

package vault

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"unicode/utf8"
)

const (
	version     = 1
	fileName    = "store.json"
	newFileName = "store.json.new"
	maxFile     = 16 << 10 // bytes
	maxName     = 1024     // bytes of an identity, a name or the name of a keyring's entry
)

// document is store.json (docs/store.md section 2). There is one encoding of it: what encode makes.
type document struct {
	Version  int    `json:"version"`
	Store    octets `json:"store"` // 16 bytes
	Identity string `json:"identity"`
	Name     string `json:"name"`
	Key      sealed `json:"key"`
}

// sealed is the store's key under another key, which is made of a passphrase, lies in the keyring, or in the clear.
type sealed struct {
	By       Kind      `json:"by"`
	Argon2id *argon2id `json:"argon2id,omitempty"` // by passphrase
	Entry    string    `json:"entry,omitempty"`    // by keyring: the name of the entry
	Clear    octets    `json:"clear,omitempty"`    // by nothing: the other key itself, 32 bytes
	Nonce    octets    `json:"nonce"`              // 24 bytes
	Box      octets    `json:"box"`                // 48 bytes: XChaCha20-Poly1305, with the file but for the box as associated data
}

// octets are bytes, in lower-case hex.
type octets []byte

func (o octets) MarshalText() ([]byte, error) { return hex.AppendEncode([]byte{}, o), nil }

func (o *octets) UnmarshalText(b []byte) (err error) {
	*o, err = hex.AppendDecode(nil, b)
	return err
}

func (d document) encode() []byte {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	if err := e.Encode(d); err != nil {
		panic(err) // strings, numbers and bytes
	}
	return b.Bytes()
}

// associated is what the box vouches for beside the key: all else that the file says.
func (d document) associated() []byte {
	d.Key.Box = nil
	return d.encode()
}

// parse reads store.json. Errors: *FormatError, *VersionError.
func parse(b []byte) (document, error) {
	var any struct {
		Version int `json:"version"`
	}
	if err := json.Unmarshal(b, &any); err != nil {
		return document{}, &FormatError{err}
	}
	if any.Version > version {
		return document{}, &VersionError{any.Version}
	}
	var d document
	j := json.NewDecoder(bytes.NewReader(b))
	j.DisallowUnknownFields()
	if err := j.Decode(&d); err != nil {
		return document{}, &FormatError{err}
	}
	if err := d.check(); err != nil {
		return document{}, &FormatError{err}
	}
	if !bytes.Equal(d.encode(), b) {
		return document{}, &FormatError{errors.New("not the encoding that this program writes")}
	}
	return d, nil
}

func (d document) check() error {
	if d.Version != version {
		return fmt.Errorf("version %d", d.Version)
	}
	for _, s := range []struct{ name, text string }{{"identity", d.Identity}, {"name", d.Name}, {"entry", d.Key.Entry}} {
		if len(s.text) > maxName || !utf8.ValidString(s.text) {
			return fmt.Errorf("%s is too long, or no UTF-8", s.name)
		}
	}
	k := d.Key
	for _, s := range []struct {
		name      string
		have, len int
	}{{"store", len(d.Store), 16}, {"nonce", len(k.Nonce), 24}, {"box", len(k.Box), 48}} {
		if s.have != s.len {
			return fmt.Errorf("%s has %d bytes, not %d", s.name, s.have, s.len)
		}
	}
	if d.Identity == "" {
		return errors.New("no identity")
	}
	if (k.By == ByPassphrase) != (k.Argon2id != nil) || (k.By == ByKeyring) != (k.Entry != "") || (k.By == Unprotected) != (k.Clear != nil) {
		return fmt.Errorf("a key by %q that is kept in another way, too", k.By)
	}
	switch k.By {
	case ByPassphrase:
		return k.Argon2id.check()
	case ByKeyring:
		return nil
	case Unprotected:
		if len(k.Clear) != 32 {
			return fmt.Errorf("clear has %d bytes, not 32", len(k.Clear))
		}
		return nil
	}
	return fmt.Errorf("a key by %q", k.By)
}

// read reads the file in a folder. Errors: as parse, *fs.PathError.
func read(dir string) (document, error) {
	f, err := os.Open(filepath.Join(dir, fileName))
	if err != nil {
		return document{}, err
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err != nil {
		return document{}, err
	}
	if len(b) > maxFile {
		return document{}, &FormatError{errors.New("too long")}
	}
	return parse(b)
}

// replace puts the file into a folder, so that whoever reads finds the old or the new, whole, even after a loss of power. After an error it says whether
// the new one is there nevertheless; then the old one may come back with a loss of power.
func (d document) replace(dir string) (there bool, err error) {
	f, err := os.OpenFile(filepath.Join(dir, newFileName), os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return false, err
	}
	_, err = f.Write(d.encode())
	if err == nil {
		err = f.Sync()
	}
	if e := f.Close(); err == nil {
		err = e
	}
	if err == nil {
		err = os.Rename(f.Name(), filepath.Join(dir, fileName))
	}
	if err != nil {
		os.Remove(f.Name())
		return false, err
	}
	return true, syncFolder(dir)
}

// syncFolder makes the names in a folder safe. Windows knows no such thing.
func syncFolder(dir string) error {
	if runtime.GOOS == "windows" {
		return nil
	}
	f, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer f.Close()
	return f.Sync()
}

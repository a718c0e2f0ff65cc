package vault

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

var ana = Owner{"ana@example.org", "Ana <Ação> & \"Reação\""}

func create(t *testing.T, p Protection) (dir string, key [32]byte) {
	t.Helper()
	dir = t.TempDir()
	v, err := Create(dir, ana, p)
	if err != nil {
		t.Fatal(err)
	}
	key, err = v.Key(p.Passphrase)
	if err != nil || key == [32]byte{} {
		t.Fatal(key, err)
	}
	return dir, key
}

func opened(t *testing.T, dir string) *Vault {
	t.Helper()
	v, err := Open(dir, ana.Identity)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func wantKey(t *testing.T, dir string, kind Kind, passphrase string, want [32]byte) {
	t.Helper()
	v := opened(t, dir)
	if v.Kind() != kind || v.Owner() != ana {
		t.Errorf("%s %+v", v.Kind(), v.Owner())
	}
	if key, err := v.Key([]byte(passphrase)); err != nil || key != want {
		t.Errorf("kept by %s: another key, or %v", kind, err)
	}
}

func TestPassphrase(t *testing.T) {
	dir, key := create(t, Protection{ByPassphrase, []byte("open sesame")})
	wantKey(t, dir, ByPassphrase, "open sesame", key)
	v := opened(t, dir)
	for passphrase, want := range map[string]error{"": ErrPassphraseNeeded, "open sesam": ErrPassphraseWrong} {
		if got, err := v.Key([]byte(passphrase)); err != want || got != [32]byte{} {
			t.Errorf("%q: %v", passphrase, err)
		}
		if err := v.Change([]byte(passphrase), Protection{Kind: Unprotected}); err != want {
			t.Errorf("%q: %v", passphrase, err)
		}
	}
	if err := v.Change([]byte("open sesame"), Protection{ByPassphrase, nil}); err != ErrPassphraseNeeded {
		t.Error(err)
	}
	wantKey(t, dir, ByPassphrase, "open sesame", key)

	if err := v.Change([]byte("open sesame"), Protection{ByPassphrase, []byte("close sesame")}); err != nil {
		t.Fatal(err)
	}
	wantKey(t, dir, ByPassphrase, "close sesame", key)
	if _, err := opened(t, dir).Key([]byte("open sesame")); err != ErrPassphraseWrong {
		t.Error(err)
	}
	b, err := os.ReadFile(filepath.Join(dir, fileName))
	if err != nil || bytes.Contains(b, []byte("sesame")) || bytes.Contains(b, octetsOf(key)) {
		t.Errorf("%s, %v", b, err)
	}
}

func octetsOf(key [32]byte) []byte {
	b, _ := octets(key[:]).MarshalText()
	return b
}

func TestUnprotected(t *testing.T) {
	dir, key := create(t, Protection{Kind: Unprotected})
	wantKey(t, dir, Unprotected, "", key)
	v := opened(t, dir)
	if err := v.Change(nil, Protection{ByPassphrase, []byte("open sesame")}); err != nil {
		t.Fatal(err)
	}
	wantKey(t, dir, ByPassphrase, "open sesame", key)
	if err := v.Change([]byte("open sesame"), Protection{Kind: Unprotected}); err != nil {
		t.Fatal(err)
	}
	wantKey(t, dir, Unprotected, "", key)
}

func TestFilesAreTheOwnersAlone(t *testing.T) {
	parent := t.TempDir()
	dir := Folder(parent, ana.Identity)
	lock, err := TakeLock(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer lock.Unlock()
	if _, err := Create(dir, ana, Protection{Kind: Unprotected}); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]fs.FileMode{dir: 0o700, filepath.Join(dir, fileName): 0o600, filepath.Join(dir, lockName): 0o600} {
		if info, err := os.Stat(path); err != nil || info.Mode().Perm() != want {
			t.Errorf("%s: %v, %v", path, info.Mode(), err)
		}
	}
}

func TestFolder(t *testing.T) {
	if got, want := Folder("stores", "ana"), filepath.Join("stores", "dff45825415af1c6b2c63ac3e619100c"); got != want {
		t.Errorf("%s, want %s", got, want)
	}
}

func TestRefusals(t *testing.T) {
	dir, key := create(t, Protection{Kind: Unprotected})
	if _, err := Create(dir, ana, Protection{Kind: Unprotected}); !errors.Is(err, fs.ErrExist) {
		t.Error(err)
	}
	wantKey(t, dir, Unprotected, "", key)
	var other *OwnerError
	if _, err := Open(dir, "bruno"); !errors.As(err, &other) || *other != (OwnerError{ana.Identity, "bruno"}) {
		t.Error(err)
	}
	if v, err := Open(dir, ""); err != nil || v.Owner() != ana {
		t.Error(err)
	}
	if _, err := Open(t.TempDir(), ""); !errors.Is(err, fs.ErrNotExist) {
		t.Error(err)
	}
	for _, wrong := range []Owner{{"", "nobody"}, {"\xff", ""}, {strings.Repeat("x", maxName+1), ""}} {
		empty := t.TempDir()
		if _, err := Create(empty, wrong, Protection{Kind: Unprotected}); err == nil {
			t.Errorf("made for %+v", wrong)
		}
		if left, _ := os.ReadDir(empty); len(left) > 0 {
			t.Error(left)
		}
	}
	if _, err := Create(t.TempDir(), ana, Protection{Kind: "card"}); err == nil {
		t.Error("kept by a card")
	}
}

// fixed is a document with nothing random in it, as bytes. Its box opens nothing.
func fixed(by Kind) []byte {
	d := document{Version: 1, Store: make([]byte, 16), Identity: "ana", Name: "Ana", Key: sealed{By: by, Nonce: make([]byte, 24), Box: make([]byte, 48)}}
	switch by {
	case ByPassphrase:
		d.Key.Argon2id = &argon2id{memory, passes, lanes, make([]byte, 16)}
	case ByKeyring:
		d.Key.Entry = "entry"
	case Unprotected:
		d.Key.Clear = make([]byte, 32)
	}
	return d.encode()
}

func TestFileIsStrict(t *testing.T) {
	for _, by := range []Kind{ByPassphrase, ByKeyring, Unprotected} {
		if _, err := parse(fixed(by)); err != nil {
			t.Errorf("by %s: %v", by, err)
		}
	}
	for name, change := range map[string][2]string{
		"unknown key":         {`"name": "Ana",`, "\"name\": \"Ana\",\n  \"more\": 1,"},
		"a key twice":         {`"name": "Ana",`, "\"name\": \"Ana\",\n  \"name\": \"Ana\","},
		"a key in upper case": {`"name"`, `"Name"`},
		"other spaces":        {`"name": "Ana"`, `"name":  "Ana"`},
		"no identity":         {`"identity": "ana"`, `"identity": ""`},
		"old version":         {`"version": 1`, `"version": 0`},
		"too much memory":     {`"memory": 65536`, `"memory": 262145`},
		"too little memory":   {`"memory": 65536`, `"memory": 8191`},
		"too many passes":     {`"passes": 3`, `"passes": 17`},
		"no passes":           {`"passes": 3`, `"passes": 0`},
		"too many lanes":      {`"lanes": 4`, `"lanes": 17`},
		"no lanes":            {`"lanes": 4`, `"lanes": 0`},
		"lanes of no byte":    {`"lanes": 4`, `"lanes": 256`},
		"short salt":          {`"salt": "00`, `"salt": "`},
		"short box":           {`"box": "00`, `"box": "`},
		"short nonce":         {`"nonce": "00`, `"nonce": "`},
		"short store":         {`"store": "00`, `"store": "`},
		"other protection":    {`"by": "passphrase"`, `"by": "keyring"`},
		"unknown protection":  {`"by": "passphrase"`, `"by": "card"`},
	} {
		b := bytes.Replace(fixed(ByPassphrase), []byte(change[0]), []byte(change[1]), 1)
		var e *FormatError
		if _, err := parse(b); !errors.As(err, &e) {
			t.Errorf("%s: %v", name, err)
		}
	}
	var newer *VersionError
	b := bytes.Replace(fixed(ByPassphrase), []byte(`"version": 1`), []byte(`"version": 2, "anything": "else"`), 1)
	if _, err := parse(b); !errors.As(err, &newer) || newer.Version != 2 {
		t.Error(err)
	}
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, fileName), bytes.Repeat([]byte(" "), maxFile+1), 0o600); err != nil {
		t.Fatal(err)
	}
	var e *FormatError
	if _, err := Open(dir, ""); !errors.As(err, &e) {
		t.Error(err)
	}
}

// TestEveryAlterationIsNoticed cuts a file at each byte and flips each bit.
func TestEveryAlterationIsNoticed(t *testing.T) {
	dir, _ := create(t, Protection{Kind: Unprotected})
	path := filepath.Join(dir, fileName)
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for i := range whole {
		if _, err := parse(whole[:i]); err == nil {
			t.Fatalf("cut at byte %d", i)
		}
		for bit := range 8 {
			b := bytes.Clone(whole)
			b[i] ^= 1 << bit
			d, err := parse(b)
			if err != nil {
				continue
			}
			if _, err := (&Vault{dir, d}).Key(nil); err == nil {
				t.Fatalf("byte %d, bit %d of\n%s", i, bit, whole)
			}
		}
	}
}

func FuzzFile(f *testing.F) {
	for _, by := range []Kind{ByPassphrase, ByKeyring, Unprotected} {
		f.Add(fixed(by))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		d, err := parse(b)
		var wrong *FormatError
		var newer *VersionError
		if err != nil && !errors.As(err, &wrong) && !errors.As(err, &newer) {
			t.Fatal(err)
		}
		if err == nil && !bytes.Equal(d.encode(), b) {
			t.Fatalf("two encodings:\n%s\n%s", b, d.encode())
		}
	})
}

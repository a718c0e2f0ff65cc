package main

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"os"
	"path/filepath"
	"testing"
)

// sealed is a key that stays in its module.
type sealed struct{ crypto.Signer }

func TestResetKey(t *testing.T) {
	newKey := func() *ecdsa.PrivateKey {
		k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		return k
	}
	file := filepath.Join(t.TempDir(), "relay.key")
	get := func(k crypto.PrivateKey) [32]byte {
		t.Helper()
		r, err := resetKey(k, file)
		if err != nil {
			t.Fatal(err)
		}
		if r == [32]byte{} {
			t.Error("no secret at all")
		}
		return r
	}
	a, b := newKey(), newKey()
	if first := get(a); first != get(a) || first == get(b) {
		t.Error("it is not the same after a restart, or the same for two relays")
	}
	if files, _ := filepath.Glob(file + "*"); len(files) > 0 {
		t.Errorf("%v were written", files)
	}
	module := get(sealed{a})
	if module != get(sealed{b}) || module == get(a) {
		t.Error("a key in a module does not get the one that is kept")
	}
	if info, err := os.Stat(file + ".reset"); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info, err)
	}
	if err := os.WriteFile(file+".reset", []byte("short"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := resetKey(sealed{a}, file); err == nil {
		t.Error("a damaged file is taken")
	}
}

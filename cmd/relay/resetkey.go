package main

import (
	"crypto"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"errors"
	"io/fs"
	"os"
)

// resetKey is the secret by which a relay that was restarted tells peers at once that their connections are gone (RFC 9000 section 10.3). It
// is derived from the private key, so that it is the same after a restart and every relay has its own. A key that cannot be read out
// of its module gets a random one, kept in a file beside what the configuration names as the key.
func resetKey(private crypto.PrivateKey, keyFile string) ([32]byte, error) {
	secret, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		secret, err = keptSecret(keyFile + ".reset")
	}
	if err != nil {
		return [32]byte{}, err
	}
	defer clear(secret)
	key, err := hkdf.Key(sha256.New, secret, nil, "sinete/1 stateless reset", 32)
	if err != nil {
		return [32]byte{}, err
	}
	return [32]byte(key), nil
}

// keptSecret reads 32 random bytes from a file, which it makes where there is none.
func keptSecret(path string) ([]byte, error) {
	b, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		b = make([]byte, 32)
		rand.Read(b)
		return b, writeNew(path, string(b), 0o600)
	}
	if err == nil && len(b) != 32 {
		err = &fs.PathError{Op: "read", Path: path, Err: errors.New("not 32 bytes")}
	}
	return b, err
}

package vault

import (
	"encoding/hex"
	"errors"

	"github.com/zalando/go-keyring"
)

// service is what the entries of all stores have in common in the keyring.
const service = "sinete-store"

// newEntry puts a new key into the keyring, under a name of its own: the file that names the old one stays good until it is replaced.
func newEntry(store [16]byte) (name string, err error) {
	name = hex.EncodeToString(store[:]) + "-" + hex.EncodeToString(random(8))
	if err := keyring.Set(service, name, hex.EncodeToString(random(32))); err != nil {
		return "", &KeyringError{err}
	}
	return name, nil
}

func entry(name string) ([]byte, error) {
	text, err := keyring.Get(service, name)
	if err != nil {
		return nil, &KeyringError{err}
	}
	key, err := hex.DecodeString(text)
	if err != nil || len(key) != 32 {
		return nil, &KeyringError{errors.New("what it keeps is no key")}
	}
	return key, nil
}

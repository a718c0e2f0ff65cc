package settings

import (
	"bytes"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

const machineSecret = 32 // bytes

// MachineSecret reads what names this machine to the person's contacts (protocol.md section 7.5) from a file, the usual one where none is named, and makes it
// where there is none.
func MachineSecret(file string) ([]byte, error) {
	if file == "" {
		home, err := os.UserConfigDir()
		if err != nil {
			return nil, err
		}
		file = filepath.Join(home, "sinete", "machine")
	}
	if _, err := os.Stat(file); errors.Is(err, fs.ErrNotExist) {
		if err := makeMachineSecret(file); err != nil {
			return nil, err
		}
	}
	b, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	secret, err := hex.DecodeString(string(bytes.TrimSpace(b)))
	if err != nil || len(secret) != machineSecret {
		return nil, fmt.Errorf("%s does not hold %d hexadecimal digits", file, 2*machineSecret)
	}
	return secret, nil
}

// makeMachineSecret makes the file, whole or not at all: two programs that start at once have the same.
func makeMachineSecret(file string) error {
	if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
		return err
	}
	f, err := os.CreateTemp(filepath.Dir(file), ".machine-") // for nobody else to read
	if err != nil {
		return err
	}
	defer os.Remove(f.Name())
	secret := make([]byte, machineSecret)
	rand.Read(secret)
	_, err = fmt.Fprintf(f, "%x\n", secret)
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return err
	}
	if err = os.Link(f.Name(), file); errors.Is(err, fs.ErrExist) {
		return nil // somebody else's is as good
	}
	if err != nil { // there are file systems without links
		err = os.Rename(f.Name(), file)
	}
	return err
}

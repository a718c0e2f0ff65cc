package stores

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"sinete/cardauth"
	"sinete/cardauth/fork"
	"sinete/cmd/peer/internal/screen"
)

// KeepFork writes a proof of a fork to a file beside the stores of a folder, under a name that is its own. It is in clear, for whoever is to see it.
func KeepFork(folder string, p *fork.Proof) (path string, err error) {
	b, err := p.Pack()
	if err != nil {
		return "", err
	}
	sum := sha256.Sum256(b)
	path = filepath.Join(folder, fmt.Sprintf("fork-%x.zip", sum[:8]))
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if errors.Is(err, fs.ErrExist) {
		return path, nil // told before
	}
	if err != nil {
		return "", err
	}
	_, err = f.Write(b)
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return "", errors.Join(err, os.Remove(path)) // half a proof is none
	}
	return path, nil
}

// verifyFork verifies a proof of a fork, which is none without an authority that is trusted.
func verifyFork(path string, b []byte, policy *cardauth.Policy, out screen.Screen) error {
	p, err := fork.Parse(b)
	if err != nil {
		return err
	}
	found, err := p.Verify(policy)
	if err == nil {
		out.Show(screen.ForkOf(path, found))
	}
	return err
}

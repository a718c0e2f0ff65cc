package softcard_test

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"sinete/cardauth/softcard"
	"sinete/internal/trialpki"
)

// The certificates can be read without the PIN, and only from a soft card.
func TestChain(t *testing.T) {
	ana := issue(t, trialpki.P256)
	path := filepath.Join(t.TempDir(), "ana.card")
	if err := softcard.Create(path, ana.Key, ana.Chain, "1234", cheap); err != nil {
		t.Fatal(err)
	}
	chain, err := softcard.Chain(path)
	if err != nil || !cmp.Equal(chain, ana.Chain) {
		t.Errorf("%d certificates, %v", len(chain), err)
	}
	if err := os.WriteFile(path, []byte("no card"), 0o600); err != nil {
		t.Fatal(err)
	}
	var format *softcard.FormatError
	if chain, err := softcard.Chain(path); chain != nil || !errors.As(err, &format) {
		t.Errorf("%d certificates, %v", len(chain), err)
	}
	if chain, err := softcard.Chain(path + ".no"); chain != nil || !os.IsNotExist(err) {
		t.Errorf("%d certificates, %v", len(chain), err)
	}
}

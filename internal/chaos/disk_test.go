package chaos

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// The disk that a person's store is put on is full when it is said to be, and has room again.
func TestSmallDisk(t *testing.T) {
	dir := t.TempDir()
	d, err := mountDisk(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := d.unmount(); err != nil {
			t.Error(err)
		}
	}()
	write := func() error {
		return os.WriteFile(filepath.Join(dir, "file"), []byte(strings.Repeat("x", 1<<20)), 0o600)
	}
	for _, err := range []error{write(), d.fill()} {
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(dir, "other"), []byte("x"), 0o600); !errors.Is(err, syscall.ENOSPC) {
		t.Errorf("a full disk takes another file: %v", err)
	}
	if err := d.empty(); err != nil {
		t.Fatal(err)
	}
	if err := write(); err != nil {
		t.Error(err)
	}
}

package vault

import (
	"errors"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"sinete/peer/store/internal/journal/journaltest"
)

// TestFullDisk finds no room for a new file: the old one stays as it is. The lock is to be had, so that somebody can make room.
func TestFullDisk(t *testing.T) {
	journaltest.OnSmallDisk(t, "size=64k", func(dir string) {
		if _, err := Create(dir, ana, Protection{ByPassphrase, []byte("open sesame")}); err != nil {
			t.Fatal(err)
		}
		v := opened(t, dir)
		key, err := v.Key([]byte("open sesame"))
		if err != nil {
			t.Fatal(err)
		}
		lock, err := TakeLock(dir)
		if err != nil {
			t.Fatal(err)
		}
		if err := lock.Unlock(); err != nil {
			t.Fatal(err)
		}
		ballast := filepath.Join(dir, "ballast")
		if err := os.WriteFile(ballast, make([]byte, 1<<20), 0o600); !errors.Is(err, syscall.ENOSPC) {
			t.Fatal(err)
		}
		if err := v.Change([]byte("open sesame"), Protection{Kind: Unprotected}); !errors.Is(err, syscall.ENOSPC) {
			t.Fatal(err)
		}
		if v.Kind() != ByPassphrase {
			t.Error(v.Kind())
		}
		wantKey(t, dir, ByPassphrase, "open sesame", key)
		if _, err := os.Stat(filepath.Join(dir, newFileName)); !errors.Is(err, os.ErrNotExist) {
			t.Error("the new file was left")
		}
		if lock, err = TakeLock(dir); err != nil {
			t.Fatal(err)
		}
		defer lock.Unlock()
		wantLocked(t, dir, 0) // There was no room to say who it is.
		if err := os.Remove(ballast); err != nil {
			t.Fatal(err)
		}
		if err := v.Change([]byte("open sesame"), Protection{Kind: Unprotected}); err != nil {
			t.Fatal(err)
		}
		wantKey(t, dir, Unprotected, "", key)
	})
}

package vault

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"sinete/peer/store/internal/journal/journaltest"
)

func wantLocked(t *testing.T, dir string, pid int) {
	t.Helper()
	var locked *LockedError
	if _, err := TakeLock(dir); !errors.As(err, &locked) || locked.PID != pid {
		t.Errorf("%v, want process %d to have it", err, pid)
	}
}

// TestSecondProcessIsRefused has another process take the lock, and kills it.
func TestSecondProcessIsRefused(t *testing.T) {
	if journaltest.Inner() {
		if _, err := TakeLock(os.Getenv("STORE")); err != nil {
			t.Fatal(err)
		}
		fmt.Println("mine")
		select {}
	}
	dir := filepath.Join(t.TempDir(), "store")
	cmd := journaltest.Again(t)
	cmd.Env = append(cmd.Env, "STORE="+dir)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	if line, err := bufio.NewReader(out).ReadString('\n'); line != "mine\n" {
		t.Fatal(line, err)
	}
	wantLocked(t, dir, cmd.Process.Pid)
	cmd.Process.Kill()
	cmd.Wait()

	lock, err := TakeLock(dir)
	if err != nil {
		t.Fatal(err)
	}
	wantLocked(t, dir, os.Getpid())
	if err := lock.Unlock(); err != nil {
		t.Fatal(err)
	}
	lock, err = TakeLock(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer lock.Unlock()

	// Whatever the file says, the lock is what counts.
	for text, pid := range map[string]int{"": 0, "some words\n": 0, "-1\n": 0, "12\n": 12} {
		if err := os.WriteFile(filepath.Join(dir, lockName), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		wantLocked(t, dir, pid)
	}
}

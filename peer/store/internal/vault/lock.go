package vault

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"

	"sinete/internal/flock"
)

const lockName = "lock"

// Lock is held by the one program that has a store open. It ends with the program.
type Lock struct{ f *os.File }

// TakeLock takes the lock of the store in a folder, which it makes if there is none. Errors: *LockedError, *fs.PathError.
func TakeLock(dir string) (*Lock, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	f, err := os.OpenFile(filepath.Join(dir, lockName), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	taken, err := flock.Try(f)
	if taken {
		defer f.Close()
		return nil, &LockedError{holder(f)}
	}
	if err == nil {
		err = write(f)
	}
	if err != nil {
		f.Close()
		return nil, &fs.PathError{Op: "lock", Path: f.Name(), Err: err}
	}
	return &Lock{f}, nil
}

// write says who holds the lock, to whoever comes next. A full disk is no reason to refuse.
func write(f *os.File) error {
	if err := f.Truncate(0); err != nil {
		return err
	}
	_, err := f.WriteAt(fmt.Appendln(nil, os.Getpid()), 0)
	if errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) {
		return nil
	}
	return err
}

func holder(f *os.File) int {
	b, err := io.ReadAll(io.LimitReader(f, 32))
	if err != nil {
		return 0
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(b)))
	if err != nil || pid < 0 {
		return 0
	}
	return pid
}

// Unlock lets the next program have the store.
func (l *Lock) Unlock() error {
	l.f.Truncate(0) // Else the next one refused might be told of this process for a moment.
	return l.f.Close()
}

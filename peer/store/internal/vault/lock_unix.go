//go:build unix

package vault

import (
	"os"
	"syscall"
)

// tryLock locks a file until it is closed, or reports that somebody else has.
func tryLock(f *os.File) (taken bool, err error) {
	for {
		err = syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		if err != syscall.EINTR {
			return err == syscall.EWOULDBLOCK, err
		}
	}
}

package vault

import (
	"os"

	"golang.org/x/sys/windows"
)

// tryLock locks a file until it is closed, or reports that somebody else has. What is locked on Windows cannot be read: it is a byte
// far behind what the file says.
func tryLock(f *os.File) (taken bool, err error) {
	err = windows.LockFileEx(windows.Handle(f.Fd()), windows.LOCKFILE_EXCLUSIVE_LOCK|windows.LOCKFILE_FAIL_IMMEDIATELY, 0, 1, 0, &windows.Overlapped{OffsetHigh: 1})
	return err == windows.ERROR_LOCK_VIOLATION, err
}

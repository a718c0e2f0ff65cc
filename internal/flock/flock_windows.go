package flock

import (
	"os"

	"golang.org/x/sys/windows"
)

// try: what is locked on Windows cannot be read, hence a byte far behind what the file says.
func try(f *os.File) (taken bool, err error) {
	err = windows.LockFileEx(windows.Handle(f.Fd()), windows.LOCKFILE_EXCLUSIVE_LOCK|windows.LOCKFILE_FAIL_IMMEDIATELY, 0, 1, 0, &windows.Overlapped{OffsetHigh: 1})
	return err == windows.ERROR_LOCK_VIOLATION, err
}

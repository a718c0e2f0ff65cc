//go:build linux || darwin || freebsd || netbsd || openbsd

package terminal

import (
	"os"

	"golang.org/x/sys/unix"
)

// quiet has the terminal show nothing of what is typed, until restore. What was typed and not entered yet is thrown away: it was no PIN.
func quiet() (restore func(), err error) {
	fd := int(os.Stdin.Fd())
	before, err := unix.IoctlGetTermios(fd, getTermios)
	if err != nil {
		return nil, err
	}
	silent := *before
	silent.Lflag &^= unix.ECHO
	silent.Lflag |= unix.ECHONL // so that what follows begins on a line of its own
	if err := unix.IoctlSetTermios(fd, setTermiosFlush, &silent); err != nil {
		return nil, err
	}
	return func() { _ = unix.IoctlSetTermios(fd, setTermios, before) }, nil
}

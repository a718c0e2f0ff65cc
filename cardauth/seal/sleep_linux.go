package seal

import (
	"syscall"
	"time"
)

// shortSleep sleeps for less than a millisecond. The runtime's timers round such waits up to a whole one in an idle process,
// which is ten times what a P-256 or Ed25519 key has to wait.
func shortSleep(d time.Duration) {
	t := syscall.NsecToTimespec(int64(d))
	for syscall.Nanosleep(&t, &t) == syscall.EINTR {
	}
}

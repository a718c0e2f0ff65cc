package child

import "golang.org/x/sys/unix"

// discreet: no core dump, not even through a program that collects them, and nobody's debugger.
func discreet() {
	noCore()
	_ = unix.Prctl(unix.PR_SET_DUMPABLE, 0, 0, 0, 0)
}

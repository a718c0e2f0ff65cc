// Package aimed is no part of the programs. The test of internal/chaos adds it as it builds them, so that a process can be killed at the very
// point where a message is in a certain state.
package aimed

import (
	"fmt"
	"os"
	"syscall"
	"time"
)

// file names the point at which this process is to die; while it is not there, nowhere.
var file = os.Getenv("SINETE_CHAOS_AIM")

// Reached is called at each such point. The process dies at once, or after the time given.
func Reached(point string, after ...time.Duration) {
	if file == "" {
		return
	}
	if aim, err := os.ReadFile(file); err != nil || string(aim) != point {
		return
	}
	for _, d := range after {
		time.Sleep(d)
	}
	fmt.Fprintf(os.Stderr, "chaos: died at %s\n", point)
	_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
	select {} // not one step further
}

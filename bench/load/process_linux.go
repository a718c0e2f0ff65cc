package main

import (
	"bufio"
	"fmt"
	"os"
	"strings"
	"syscall"
	"time"
)

// diesWithParent is for children: whatever ends the parent, nothing is left behind.
func diesWithParent() *syscall.SysProcAttr { return &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL} }

// processCounts is what the system says of this process.
func processCounts() (c Counts, err error) {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return c, err
	}
	c.CPU = time.Duration(u.Utime.Nano() + u.Stime.Nano())
	f, err := os.Open("/proc/self/status")
	if err != nil {
		return c, err
	}
	defer f.Close()
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		if v, ok := strings.CutPrefix(lines.Text(), "VmRSS:"); ok {
			var kilobytes uint64
			_, err := fmt.Sscan(v, &kilobytes)
			c.RSS = kilobytes << 10
			return c, err
		}
	}
	return c, fmt.Errorf("no VmRSS in /proc/self/status: %v", lines.Err())
}

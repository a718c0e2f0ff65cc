package roles

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"os"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// DiesWithParent is for children: whatever ends the parent, nothing is left behind.
func DiesWithParent() *syscall.SysProcAttr { return &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL} }

// processCounts is what the system says of this process.
func processCounts() (c Counts, err error) {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return c, err
	}
	c.CPU = time.Duration(u.Utime.Nano() + u.Stime.Nano())
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	c.Mallocs = m.Mallocs
	c.RSS, err = residentOf("self")
	return c, err
}

// LoopbackBytes is what has gone over the loopback interface, everybody's, headers of all layers included.
func LoopbackBytes() (n uint64, err error) {
	b, err := os.ReadFile("/proc/net/dev")
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(b)) {
		if counts, ok := strings.CutPrefix(strings.TrimSpace(line), "lo:"); ok {
			_, err := fmt.Sscan(counts, &n)
			return n, err
		}
	}
	return 0, errors.New("no loopback interface in /proc/net/dev")
}

// residentOf is the memory of a process, in bytes.
func residentOf(process string) (bytes uint64, err error) {
	f, err := os.Open("/proc/" + process + "/status")
	if err != nil {
		return 0, err
	}
	defer f.Close()
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		if v, ok := strings.CutPrefix(lines.Text(), "VmRSS:"); ok {
			var kilobytes uint64
			_, err := fmt.Sscan(v, &kilobytes)
			return kilobytes << 10, err
		}
	}
	return 0, errors.Join(fmt.Errorf("no VmRSS of process %s", process), lines.Err())
}

// usedBy is the processor time, in steps of 10 ms, and the memory of another process.
func usedBy(pid int) (cpu time.Duration, rss uint64, err error) {
	process := strconv.Itoa(pid)
	stat, err := os.ReadFile("/proc/" + process + "/stat")
	if err != nil {
		return 0, 0, err
	}
	fields := strings.Fields(string(stat[bytes.LastIndexByte(stat, ')')+1:])) // behind the name, from the third on
	if len(fields) < 13 {
		return 0, 0, fmt.Errorf("%q in /proc/%s/stat", stat, process)
	}
	user, err := strconv.ParseInt(fields[11], 10, 64)
	if err != nil {
		return 0, 0, err
	}
	system, err := strconv.ParseInt(fields[12], 10, 64)
	if err != nil {
		return 0, 0, err
	}
	rss, err = residentOf(process)
	return time.Duration(user+system) * 10 * time.Millisecond, rss, err
}

//go:build !linux

package roles

import (
	"errors"
	"syscall"
	"time"
)

// DiesWithParent does nothing: a child still ends when its input does.
func DiesWithParent() *syscall.SysProcAttr { return nil }

var errLinuxOnly = errors.New("what a process uses is measured on Linux only")

func processCounts() (Counts, error) { return Counts{}, errLinuxOnly }

// LoopbackBytes fails.
func LoopbackBytes() (uint64, error) { return 0, errLinuxOnly }

func usedBy(int) (cpu time.Duration, rss uint64, err error) {
	return 0, 0, errLinuxOnly
}

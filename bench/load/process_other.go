//go:build !linux

package main

import (
	"errors"
	"syscall"
	"time"
)

// A child still ends when its input does.
func diesWithParent() *syscall.SysProcAttr { return nil }

func processCounts() (Counts, error) {
	return Counts{}, errors.New("what a process uses is measured on Linux only")
}

func usedBy(int) (cpu time.Duration, rss uint64, err error) {
	return 0, 0, errors.New("what a process uses is measured on Linux only")
}

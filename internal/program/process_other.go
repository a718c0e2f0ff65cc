//go:build !linux

package program

import "syscall"

// EndsWithUs does nothing: only Linux has it.
func EndsWithUs(syscall.Signal) *syscall.SysProcAttr { return nil }

// Apart does nothing either.
func Apart(syscall.Signal) *syscall.SysProcAttr { return nil }

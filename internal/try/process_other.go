//go:build !linux

package main

import "syscall"

func endsWithUs() *syscall.SysProcAttr { return nil }
func apart() *syscall.SysProcAttr      { return nil }

package main

import "syscall"

// endsWithUs has a program ended by the kernel where this one is killed.
func endsWithUs() *syscall.SysProcAttr { return &syscall.SysProcAttr{Pdeathsig: syscall.SIGTERM} }

// apart also keeps the terminal's Ctrl-C from a program, which the person's own program must outlive to leave in order.
func apart() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Pdeathsig: syscall.SIGTERM, Setpgid: true}
}

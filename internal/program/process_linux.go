package program

import "syscall"

// EndsWithUs has the kernel send a program a signal where this one is killed.
func EndsWithUs(s syscall.Signal) *syscall.SysProcAttr { return &syscall.SysProcAttr{Pdeathsig: s} }

// Apart also keeps the terminal's Ctrl-C from a program.
func Apart(s syscall.Signal) *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Pdeathsig: s, Setpgid: true}
}

package reader

import (
	"os/exec"
	"syscall"
)

// dieWithParent has the kernel kill the daemon when this process ends, killed or not.
func dieWithParent(cmd *exec.Cmd) { cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL} }

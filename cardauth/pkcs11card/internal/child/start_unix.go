//go:build unix

package child

import (
	"os"
	"os/exec"
	"runtime"
	"syscall"
)

// command is the program itself as a child with these two ends of the pipes.
func command(path string, in, out *os.File, terminal bool) (*exec.Cmd, error) {
	self := "/proc/self/exe" // this very program, even where the file has been replaced meanwhile
	if runtime.GOOS != "linux" {
		var err error
		if self, err = os.Executable(); err != nil {
			return nil, err
		}
	}
	c := &exec.Cmd{Path: self, Args: []string{os.Args[0], argument, path}, ExtraFiles: []*os.File{in, out}}
	// A group of its own, so that a dialog that the module started ends with it. A group in the background cannot read the terminal.
	c.SysProcAttr = &syscall.SysProcAttr{Setpgid: !terminal}
	return c, nil
}

// inherited are the child's ends of the pipes. What the module starts does not get them.
func inherited([]string) (in, out *os.File, err error) {
	syscall.CloseOnExec(3)
	syscall.CloseOnExec(4)
	return os.NewFile(3, "requests"), os.NewFile(4, "answers"), nil
}

func kill(c *exec.Cmd) {
	if c.SysProcAttr.Setpgid {
		_ = syscall.Kill(-c.Process.Pid, syscall.SIGKILL) // it may have ended
	}
	_ = c.Process.Kill()
}

// noCore keeps PINs and what else lies in memory out of files.
func noCore() { _ = syscall.Setrlimit(syscall.RLIMIT_CORE, &syscall.Rlimit{}) }

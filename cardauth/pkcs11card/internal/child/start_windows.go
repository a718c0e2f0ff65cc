package child

import (
	"os"
	"os/exec"
	"strconv"
	"syscall"
)

// command is the program itself as a child, which is told the numbers of its two ends of the pipes.
func command(path string, in, out *os.File, _ bool) (*exec.Cmd, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	c := &exec.Cmd{Path: self, Args: []string{os.Args[0], argument, path}, SysProcAttr: &syscall.SysProcAttr{}}
	for _, f := range []*os.File{in, out} {
		h := syscall.Handle(f.Fd())
		if err := syscall.SetHandleInformation(h, syscall.HANDLE_FLAG_INHERIT, syscall.HANDLE_FLAG_INHERIT); err != nil {
			return nil, err
		}
		c.Args = append(c.Args, strconv.FormatUint(uint64(h), 10))
		c.SysProcAttr.AdditionalInheritedHandles = append(c.SysProcAttr.AdditionalInheritedHandles, h)
	}
	return c, nil
}

// inherited are the child's ends of the pipes.
func inherited(numbers []string) (in, out *os.File, err error) {
	if len(numbers) != 2 {
		return nil, nil, os.ErrInvalid
	}
	var ends [2]*os.File
	for i, n := range numbers {
		h, err := strconv.ParseUint(n, 10, 64)
		if err != nil {
			return nil, nil, err
		}
		ends[i] = os.NewFile(uintptr(h), "pipe")
	}
	return ends[0], ends[1], nil
}

func kill(c *exec.Cmd) { _ = c.Process.Kill() } // it may have ended

// discreet has nothing to do: there are no core dumps.
func discreet() {}

package main

import (
	"fmt"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// seat is a pseudo-terminal with a program in a session of its own, and what it has shown.
type seat struct {
	t      *testing.T
	master *os.File
	cmd    *exec.Cmd
	exited chan struct{}

	mu    sync.Mutex
	shown string
	read  int           // how far the test has looked
	more  chan struct{} // raised when there is more in shown, closed at its end
}

func sit(t *testing.T, program string, args ...string) *seat {
	t.Helper()
	// Without blocking, so that Close does close it under a Read.
	fd, err := unix.Open("/dev/ptmx", unix.O_RDWR|unix.O_NOCTTY|unix.O_CLOEXEC|unix.O_NONBLOCK, 0)
	must(t, err)
	master := os.NewFile(uintptr(fd), "/dev/ptmx")
	must(t, unix.IoctlSetPointerInt(fd, unix.TIOCSPTLCK, 0))
	n, err := unix.IoctlGetInt(fd, unix.TIOCGPTN)
	must(t, err)
	slave, err := os.OpenFile(fmt.Sprintf("/dev/pts/%d", n), os.O_RDWR|syscall.O_NOCTTY, 0)
	must(t, err)
	s := &seat{t: t, master: master, cmd: exec.Command(program, args...), exited: make(chan struct{}), more: make(chan struct{}, 1)}
	s.cmd.Stdin, s.cmd.Stdout, s.cmd.Stderr = slave, slave, slave
	s.cmd.Dir, s.cmd.Env = t.TempDir(), append(os.Environ(), "NO_COLOR=1")
	s.cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	must(t, s.cmd.Start())
	must(t, slave.Close())
	go s.watch()
	go func() { _ = s.cmd.Wait(); close(s.exited) }() // ProcessState says how it ended
	t.Cleanup(func() {
		_ = s.master.Close()         // a terminal that is closed
		_ = s.cmd.Process.Kill()     // it should be gone
		for _, p := range s.left() { // and these
			_ = syscall.Kill(p, syscall.SIGKILL)
		}
	})
	return s
}

func (s *seat) watch() {
	defer close(s.more)
	for b := make([]byte, 4096); ; {
		n, err := s.master.Read(b)
		if err != nil {
			return // nobody has the terminal open any more
		}
		s.mu.Lock()
		s.shown += string(b[:n])
		s.mu.Unlock()
		select {
		case s.more <- struct{}{}:
		default:
		}
	}
}

// atLongest is for machines that do a lot else.
const atLongest = time.Minute

// sees waits until these words are shown, below all that was seen before.
func (s *seat) sees(words string) {
	s.t.Helper()
	late := time.NewTimer(atLongest)
	defer late.Stop()
	for {
		s.mu.Lock()
		all := s.shown
		if i := strings.Index(all[s.read:], words); i >= 0 {
			s.read += i + len(words)
			s.mu.Unlock()
			return
		}
		s.mu.Unlock()
		select {
		case _, open := <-s.more:
			if !open {
				s.t.Fatalf("the end, where %q should be shown:\n%s", words, all)
			}
		case <-late.C:
			s.t.Fatalf("%q is not shown:\n%s", words, all)
		}
	}
}

func (s *seat) types(keys string) {
	s.t.Helper()
	_, err := s.master.WriteString(keys)
	must(s.t, err)
}

// ends wants the program to end with this status, and nothing of its session to be left.
func (s *seat) ends(status int) {
	s.t.Helper()
	s.isGone()
	if got := s.cmd.ProcessState.ExitCode(); got != status {
		s.t.Errorf("status %d, want %d", got, status)
	}
}

// isGone waits for the end of the program and wants nothing of its session to be left.
func (s *seat) isGone() {
	s.t.Helper()
	select {
	case <-s.exited:
	case <-time.After(atLongest):
		s.t.Fatal("it goes on")
	}
	if left := s.left(); len(left) > 0 {
		s.t.Errorf("%d processes are left: %v", len(left), left)
	}
}

// left are the processes of the program's session, but for itself.
func (s *seat) left() (ids []int) {
	entries, err := os.ReadDir("/proc")
	must(s.t, err)
	for _, e := range entries {
		var pid, parent, group, session int
		stat, err := os.ReadFile("/proc/" + e.Name() + "/stat")
		if err != nil {
			continue // no process, or one that has ended
		}
		if _, err := fmt.Sscanf(e.Name(), "%d", &pid); err != nil {
			continue
		}
		rest := string(stat[strings.LastIndexByte(string(stat), ')')+1:])
		var state string
		if _, err := fmt.Sscanf(rest, "%s %d %d %d", &state, &parent, &group, &session); err != nil {
			s.t.Fatal(err)
		}
		if session == s.cmd.Process.Pid && pid != session {
			ids = append(ids, pid)
		}
	}
	return ids
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

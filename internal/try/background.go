package main

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"sinete/internal/program"
)

const (
	patience      = 10 * time.Second // until a program is ready
	leavePatience = 7 * time.Second  // until it has ended in order: a relay gives the peers five seconds
)

// background is a program at work that the person does not see.
type background struct {
	name   string
	ready  string // what it said after the words that mean ready
	cmd    *exec.Cmd
	log    string
	exited chan struct{}
}

// start runs a program, with a line of input, until it says that it is ready: words, and something after them. Its log is a file
// of the world.
func (t *trial) start(name, words, input string, args ...string) (*background, error) {
	b := &background{name: name, cmd: exec.Command(t.program(name), args...), log: filepath.Join(t.dir, name+".log"), exited: make(chan struct{})}
	log, err := os.Create(b.log)
	if err != nil {
		return nil, err
	}
	defer log.Close() // the program has its own
	b.cmd.Stdin, b.cmd.Stderr = strings.NewReader(input), log
	b.cmd.SysProcAttr = program.Apart(syscall.SIGTERM) // the person's own program must outlive Ctrl-C to leave in order
	stdout, err := b.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	fmt.Println(shown(t.program(name), args) + " &")
	if err := b.cmd.Start(); err != nil {
		return nil, err
	}
	said := make(chan string, 1)
	go func() {
		defer close(b.exited)
		lines := bufio.NewScanner(stdout)
		for lines.Scan() {
			if _, ready, ok := strings.Cut(lines.Text(), words); ok {
				select {
				case said <- ready:
				default: // said before
				}
			}
		}
		_ = b.cmd.Wait() // ProcessState says how it ended
	}()
	select {
	case b.ready = <-said:
		return b, nil
	case <-b.exited:
		return nil, b.failed(fmt.Sprintf("has ended (%v)", b.cmd.ProcessState))
	case s := <-t.signals:
		b.end()
		return nil, fmt.Errorf("ended by a signal (%v)", s)
	case <-time.After(patience):
		b.end()
		return nil, b.failed(fmt.Sprintf("was not ready within %v", patience))
	}
}

func (b *background) failed(what string) error {
	log, err := os.ReadFile(b.log)
	if err != nil {
		log = []byte(err.Error())
	}
	return fmt.Errorf("%s %s; its log, %s:\n%s", b.name, what, b.log, log)
}

// end ends the program and returns when it is gone.
func (b *background) end() {
	_ = b.cmd.Process.Signal(syscall.SIGTERM) // it may have ended
	select {
	case <-b.exited:
	case <-time.After(leavePatience):
		_ = b.cmd.Process.Kill()
		<-b.exited
	}
}

package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"time"
)

// patience is how long a step waits for what a program should print. A demonstration that works waits for none of it.
var patience = 20 * time.Second

// program is one of the programs at work. Its standard output is read line by line.
type program struct {
	name   string
	cmd    *exec.Cmd
	stdin  io.WriteCloser
	lines  chan string
	stderr syncBuffer
	exited chan struct{}
}

// syncBuffer may be read while a process writes to it.
type syncBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *syncBuffer) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *syncBuffer) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}

func start(name, path string, args ...string) (*program, error) {
	p := &program{name: name, cmd: exec.Command(path, args...), lines: make(chan string, 1024), exited: make(chan struct{})}
	p.cmd.Stderr = &p.stderr
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	stdin, err := p.cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	stdout, err := p.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	p.stdin = stdin
	if err := p.cmd.Start(); err != nil {
		return nil, err
	}
	go func() {
		defer close(p.exited)
		defer close(p.lines)
		s := bufio.NewScanner(stdout)
		s.Buffer(nil, 1<<20)
		for s.Scan() {
			p.lines <- s.Text()
		}
		_ = p.cmd.Wait() // ProcessState says how it ended
	}()
	return p, nil
}

// event is a line of a program that speaks JSON.
type event map[string]any

func (e event) is(name string, fields ...any) bool {
	if e["event"] != name {
		return false
	}
	for i := 0; i < len(fields); i += 2 {
		if fmt.Sprint(e[fields[i].(string)]) != fmt.Sprint(fields[i+1]) {
			return false
		}
	}
	return true
}

// line waits for a line that pleases ok and returns it.
func (p *program) line(what string, ok func(string) bool) (string, error) {
	late := time.NewTimer(patience)
	defer late.Stop()
	for {
		select {
		case l, more := <-p.lines:
			if !more {
				<-p.exited
				return "", fmt.Errorf("%s ended (%v) where %s was awaited\n%s", p.name, p.cmd.ProcessState, what, p.stderr.String())
			}
			if ok(l) {
				return l, nil
			}
		case <-late.C:
			return "", fmt.Errorf("%s did not print %s within %v\n%s", p.name, what, patience, p.stderr.String())
		}
	}
}

// event waits for an event with these fields (name, value, ...).
func (p *program) event(name string, fields ...any) (event, error) {
	var found event
	what := name + " event"
	for i := 0; i < len(fields); i += 2 {
		what += fmt.Sprintf(" %v=%v", fields[i], fields[i+1])
	}
	_, err := p.line(what, func(l string) bool {
		var e event
		if json.Unmarshal([]byte(l), &e) != nil || !e.is(name, fields...) {
			return false
		}
		found = e
		return true
	})
	return found, err
}

// say types a command.
func (p *program) say(command string) error {
	_, err := io.WriteString(p.stdin, command+"\n")
	return err
}

// wait waits for the end and returns the exit status.
func (p *program) wait() (int, error) {
	for late := time.After(patience); ; {
		select {
		case _, more := <-p.lines: // nobody wants these any more
			if !more {
				<-p.exited
				return p.cmd.ProcessState.ExitCode(), nil
			}
		case <-late:
			return 0, fmt.Errorf("%s did not end within %v\n%s", p.name, patience, p.stderr.String())
		}
	}
}

// kill ends it without ceremony, and leaves nothing behind.
func (p *program) kill() {
	_ = p.cmd.Process.Kill() // it may have ended
	_, _ = p.wait()
}

// run runs a program to its end, which must be a success, and returns what it printed.
func run(path string, args ...string) (string, error) {
	out, err := exec.Command(path, args...).CombinedOutput()
	if exit := (*exec.ExitError)(nil); errors.As(err, &exit) {
		return "", fmt.Errorf("%s %s: %v\n%s", path, strings.Join(args, " "), exit, out)
	}
	return string(out), err
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

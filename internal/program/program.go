// Package program drives programs as processes, for whoever looks at them from outside: the demonstration and the tests.
//
// Most readers need Command.Start, and of the Program Say, Line and Event.
package program

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"time"
)

// Command is a program to be started.
type Command struct {
	Name     string // for errors
	Path     string
	Args     []string
	Env      []string      // NAME=VALUE, beside this process's own
	Patience time.Duration // how long to wait for anything that the program should print or do
}

// Program is one of the programs at work. Its standard output is read line by line; 1,024 lines may wait for somebody who wants them.
type Program struct {
	Command
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

// Start starts the program. Wait or Kill must follow.
func (c Command) Start() (*Program, error) {
	p := &Program{Command: c, cmd: exec.Command(c.Path, c.Args...), lines: make(chan string, 1024), exited: make(chan struct{})}
	p.cmd.Env = append(os.Environ(), c.Env...)
	p.cmd.Stderr = &p.stderr
	p.cmd.SysProcAttr = EndsWithUs(syscall.SIGKILL)
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

// Event is a line of a program that speaks JSON.
type Event map[string]any

// Is reports whether the event has that name and these fields (name, value, ...).
func (e Event) Is(name string, fields ...any) bool {
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

// ParseEvent reads a line as an event; ok is false where it is none, or was cut off.
func ParseEvent(line string) (e Event, ok bool) {
	ok = json.Unmarshal([]byte(line), &e) == nil
	return e, ok
}

// Line waits for a line that pleases ok and returns it, passing over the others.
func (p *Program) Line(what string, ok func(string) bool) (string, error) {
	late := time.NewTimer(p.Patience)
	defer late.Stop()
	for {
		select {
		case l, more := <-p.lines:
			if !more {
				<-p.exited
				return "", fmt.Errorf("%s ended (%v) where %s was awaited\n%s", p.Name, p.cmd.ProcessState, what, p.Stderr())
			}
			if ok(l) {
				return l, nil
			}
		case <-late.C:
			return "", fmt.Errorf("%s did not print %s within %v\n%s", p.Name, what, p.Patience, p.Stderr())
		}
	}
}

// Event waits for an event with these fields (name, value, ...), passing over the others.
func (p *Program) Event(name string, fields ...any) (Event, error) {
	what := name + " event"
	for i := 0; i < len(fields); i += 2 {
		what += fmt.Sprintf(" %v=%v", fields[i], fields[i+1])
	}
	return p.event(what, func(e Event) bool { return e.Is(name, fields...) })
}

// Next waits for the next event, whatever it is.
func (p *Program) Next() (Event, error) { return p.event("an event", func(Event) bool { return true }) }

func (p *Program) event(what string, ok func(Event) bool) (Event, error) {
	var found Event
	_, err := p.Line(what, func(l string) bool {
		e, whole := ParseEvent(l)
		if !whole || !ok(e) {
			return false
		}
		found = e
		return true
	})
	return found, err
}

// Say types commands, each a line of its own.
func (p *Program) Say(commands ...string) error {
	_, err := io.WriteString(p.stdin, strings.Join(commands, "\n")+"\n")
	return err
}

// Stderr is what the program has written to standard error so far.
func (p *Program) Stderr() string { return p.stderr.String() }

// Signal sends a signal.
func (p *Program) Signal(s os.Signal) error { return p.cmd.Process.Signal(s) }

// Wait waits for the end and returns the exit status, -1 where a signal ended it.
func (p *Program) Wait() (int, error) {
	for late := time.After(p.Patience); ; {
		select {
		case _, more := <-p.lines: // nobody wants these any more
			if !more {
				<-p.exited
				return p.cmd.ProcessState.ExitCode(), nil
			}
		case <-late:
			return 0, fmt.Errorf("%s did not end within %v\n%s", p.Name, p.Patience, p.Stderr())
		}
	}
}

// Kill ends it without ceremony, and leaves nothing behind.
func (p *Program) Kill() {
	_ = p.cmd.Process.Kill() // it may have ended
	_, _ = p.Wait()
}

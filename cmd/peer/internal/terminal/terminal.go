// Package terminal is the keyboard and the screen that the program has, or the pipes in their place: This, and NewInput for lines and
// secrets.
package terminal

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"golang.org/x/term"
)

// Terminal is where the program's input comes from and its output goes to; with nothing but that it is a pipe.
type Terminal struct {
	Stdin          io.Reader
	Stdout, Stderr io.Writer

	Input  bool // somebody types the commands
	Output bool // somebody reads the answers
	Errors bool // and what stands beside them, in Stderr
	Colour bool
	// Secret asks for a PIN without showing it; needed where input is set.
	Secret func(ctx context.Context, prompt string) (string, error)
	// Quiet hides what is typed in the middle of commands, until restore; needed where input is set.
	Quiet func() (restore func(), err error)
	// Interrupts has SIGINT and SIGTERM sent to a channel until stop; nil: they are not for this program.
	Interrupts func(chan<- os.Signal) (stop func())
}

// This is the one that the program was started at.
func This() Terminal {
	t := Terminal{Stdin: os.Stdin, Stdout: os.Stdout, Stderr: os.Stderr,
		Input: term.IsTerminal(int(os.Stdin.Fd())), Output: term.IsTerminal(int(os.Stdout.Fd())), Errors: term.IsTerminal(int(os.Stderr.Fd())), Secret: askSecret, Quiet: quiet,
		Interrupts: func(c chan<- os.Signal) func() {
			signal.Notify(c, os.Interrupt, syscall.SIGTERM)
			return func() { signal.Stop(c) }
		},
	}
	t.Colour = t.Output && os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb"
	return t
}

// askSecret reads a line from the terminal without echo. The terminal is as before when it returns.
func askSecret(ctx context.Context, prompt string) (string, error) {
	fd := int(os.Stdin.Fd())
	before, err := term.GetState(fd)
	if err != nil {
		return "", err
	}
	fmt.Fprint(os.Stderr, prompt)
	defer fmt.Fprintln(os.Stderr)
	type answer struct {
		secret []byte
		err    error
	}
	answered := make(chan answer, 1)
	go func() {
		b, err := term.ReadPassword(fd)
		answered <- answer{b, err}
	}()
	select {
	case a := <-answered:
		return string(a.secret), a.err
	case <-ctx.Done():
		return "", errors.Join(ctx.Err(), term.Restore(fd, before))
	}
}

// Interrupted returns a context that the first interrupt ends and one that the second ends.
func (t *Terminal) Interrupted() (first, second context.Context, stop func()) {
	first, cancelFirst := context.WithCancel(context.Background())
	second, cancelSecond := context.WithCancel(context.Background())
	signals := make(chan os.Signal, 2)
	unsubscribe := func() {}
	if t.Interrupts != nil {
		unsubscribe = t.Interrupts(signals)
	}
	go func() {
		for _, cancel := range []func(){cancelFirst, cancelSecond} {
			select {
			case <-signals:
				cancel()
			case <-second.Done():
			}
		}
	}()
	return first, second, func() {
		unsubscribe()
		cancelFirst()
		cancelSecond()
	}
}

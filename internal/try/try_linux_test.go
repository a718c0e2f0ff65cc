package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"sinete/internal/program"
)

var bin string

// TestMain builds the programs, this one too.
func TestMain(m *testing.M) {
	os.Exit(func() int {
		var err error
		if bin, err = os.MkdirTemp("", "try-"); err != nil {
			panic(err)
		}
		defer os.RemoveAll(bin)
		if err := program.Build(bin, "sinete/cmd/...", "sinete/examples/echo", "sinete/internal/try"); err != nil {
			panic(err)
		}
		return m.Run()
	}())
}

func try() string { return filepath.Join(bin, "try") }

// A newcomer at a terminal: name, PIN, a message, its echo, both receipts explained, and nothing left behind.
func TestNewcomer(t *testing.T) {
	began := time.Now()
	s := sit(t, try(), "-bin", bin)
	s.sees("Your name [Ana]: ")
	s.types("echo\n")
	s.sees("That is the other one's name.")
	s.sees("Your name [Ana]: ")
	s.types("Zé do Ó\n")
	s.sees("[1234]: ")
	s.types("97531\n")
	s.sees("'--cn=Zé do Ó'")
	s.sees("PIN of you.card: ")
	s.types("97531\n")
	s.sees("logged in at Trial relay as Zé do Ó")
	s.sees("connected to Echo (1)")
	s.sees("send##1##Hello")
	if n := len(s.left()); n != 4 {
		t.Errorf("%d programs run beside it, not responder, relay, echo and peer", n)
	}
	s.types("send##1##Bom dia\n")
	s.sees("You wrote: Bom dia (how nice of you!)")
	s.types("send##1##E agora?\n")
	s.sees("You wrote: E agora? (how nice of you!)")
	s.types("disconnect\n")
	s.sees("Everything has ended.")
	s.ends(0)
	for _, once := range []string{"the relay has checked your seal", "Echo has verified your seal", "Echo sealed exactly these words",
		"taken and on its way", "received and verified"} {
		if n := strings.Count(s.shown, once); n == 0 || strings.Contains(once, "your seal") && n != 1 {
			t.Errorf("%d times %q in\n%s", n, once, s.shown)
		}
	}
	if took := time.Since(began); took > 20*time.Second {
		t.Errorf("it took %v", took)
	}
}

// Whatever ends it, nothing is left.
func TestEnds(t *testing.T) {
	for name, leave := range map[string]func(s *seat){
		"Ctrl-C":       func(s *seat) { s.types("\x03"); s.sees("Everything has ended."); s.ends(0) },
		"end of input": func(s *seat) { s.types("\x04"); s.sees("Everything has ended."); s.ends(0) },
		"terminated": func(s *seat) {
			must(s.t, s.cmd.Process.Signal(syscall.SIGTERM))
			s.sees("Everything has ended.")
			s.ends(0)
		},
		"terminal closed": func(s *seat) { must(s.t, s.master.Close()); s.isGone() },
	} {
		t.Run(name, func(t *testing.T) {
			s := sit(t, try(), "-bin", bin)
			s.types("\n\n")
			s.sees("Its PIN is 1234.")
			s.sees("PIN of you.card: ")
			s.types("1234\n")
			s.sees("connected to Echo (1)")
			leave(s)
		})
	}
	t.Run("wrong PINs", func(t *testing.T) {
		s := sit(t, try(), "-bin", bin)
		s.types("\n\n")
		for range 3 {
			s.sees("PIN of you.card: ")
			s.types("0000\n")
		}
		s.sees("the PIN was wrong")
		s.ends(3)
	})
	t.Run("a relay that does not start", func(t *testing.T) {
		broken := t.TempDir()
		for _, p := range []string{"testpki", "peer", "echo"} {
			must(t, os.Symlink(filepath.Join(bin, p), filepath.Join(broken, p)))
		}
		script := "#!/bin/sh\n[ $1 = init ] || { echo out of order >&2; exit 7; }\n"
		must(t, os.WriteFile(filepath.Join(broken, "relay"), []byte(script), 0o700))
		s := sit(t, try(), "-bin", broken)
		s.types("\n\n")
		s.sees("try: relay has ended (exit status 7)")
		s.sees("out of order")
		s.ends(1)
	})
}

// piped runs it without a terminal.
func piped(t *testing.T, dir, input string) (out, errs string, err error) {
	t.Helper()
	cmd := exec.Command(try(), "-bin", bin)
	var stdout, stderr strings.Builder
	cmd.Dir, cmd.Stdin, cmd.Stdout, cmd.Stderr = dir, strings.NewReader(input), &stdout, &stderr
	err = cmd.Run()
	return stdout.String(), stderr.String(), err
}

func TestWithoutATerminal(t *testing.T) {
	dir := t.TempDir()
	for range 2 { // the second time in the place of the first world
		out, errs, err := piped(t, dir, "Rui\n\nsend##Echo##olá\n")
		if err != nil || !strings.Contains(errs, "the input is no terminal") || !strings.Contains(out, "as Rui, level 0") ||
			!strings.Contains(out, "Echo has verified your seal") {
			t.Fatalf("%v\n%s%s", err, out, errs)
		}
	}
	for input, want := range map[string]string{"": "the input ended before", "Rui\n": "the input ended before", "Ru\x1bi\n\n": "can be printed",
		strings.Repeat("é", 65) + "\n": "room for 64"} {
		if _, errs, err := piped(t, t.TempDir(), input); err == nil || !strings.Contains(errs, want) {
			t.Errorf("%q: %v, %s", input, err, errs)
		}
	}
	other := t.TempDir()
	must(t, os.MkdirAll(filepath.Join(other, "try-world", "precious"), 0o700))
	if _, errs, err := piped(t, other, "Rui\n\n"); err == nil || !strings.Contains(errs, "was not made by this program") ||
		!exists(filepath.Join(other, "try-world", "precious")) {
		t.Errorf("a folder of somebody else's: %v, %s", err, errs)
	}
}

//go:build cgo

package child

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"sinete/cardauth/cardtest"
	"sinete/cardauth/pkcs11card/internal/cryptoki"
)

var softhsm string

func TestMain(m *testing.M) {
	Main()
	path, remove, err := cardtest.SoftHSM("4711", "one")
	if err != nil {
		panic(err)
	}
	softhsm = path
	goleak.VerifyTestMain(m, goleak.Cleanup(func(code int) {
		remove()
		os.Exit(code)
	}))
}

func acquire(t *testing.T, path string) *Module {
	t.Helper()
	m, err := Acquire(path, false)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(m.Release)
	return m
}

var slots = &cryptoki.Request{Op: cryptoki.OpSlots}

func TestOneChildForAll(t *testing.T) {
	m := acquire(t, softhsm)
	link := filepath.Join(t.TempDir(), "link.so")
	if err := os.Symlink(softhsm, link); err != nil {
		t.Fatal(err)
	}
	if again := acquire(t, link); again != m {
		t.Error("one file is two modules")
	}
	a, life, err := m.Do(t.Context(), 0, slots)
	if err != nil || len(a.Slots) < 1 {
		t.Fatal(a, err)
	}
	pid := m.current().cmd.Process.Pid
	if _, again, err := m.Do(t.Context(), 0, slots); err != nil || again != life || m.current().cmd.Process.Pid != pid {
		t.Errorf("life %d after %d, %v", again, life, err)
	}
}

// What a child of the past was asked for is not asked of the present one.
func TestHandlesOfAnotherLife(t *testing.T) {
	m := acquire(t, softhsm)
	a, life, err := m.Do(t.Context(), 0, slots)
	if err != nil {
		t.Fatal(err)
	}
	open := &cryptoki.Request{Op: cryptoki.OpOpenSession, Slot: a.Slots[0].ID}
	s, _, err := m.Do(t.Context(), life, open)
	if err != nil {
		t.Fatal(err)
	}
	if err := m.Refresh(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, again, err := m.Do(t.Context(), life, slots); err != nil || again != life {
		t.Errorf("a child with a session was ended: %v", err)
	}
	if err := m.Restart(t.Context(), life); err != nil {
		t.Fatal(err)
	}
	look := &cryptoki.Request{Op: cryptoki.OpLoggedIn, Session: s.Handle}
	if _, _, err := m.Do(t.Context(), life, look); !cryptoki.Has(err, cryptoki.SessionHandleInvalid) || m.current() != nil {
		t.Errorf("got %v", err)
	}
	if _, next, err := m.Do(t.Context(), 0, slots); err != nil || next == life {
		t.Errorf("life %d after %d, %v", next, life, err)
	}
	if _, _, err := m.Do(t.Context(), life, look); !cryptoki.Has(err, cryptoki.SessionHandleInvalid) {
		t.Errorf("got %v", err)
	}
	before := m.life
	if err := m.Refresh(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, next, err := m.Do(t.Context(), 0, slots); err != nil || next == before {
		t.Errorf("a child without sessions was not started anew: life %d, %v", next, err)
	}
}

// A child that starts while its last user leaves does not stay behind.
func TestStartedWhileTheLastUserLeaves(t *testing.T) {
	m, err := Acquire(softhsm, false)
	if err != nil {
		t.Fatal(err)
	}
	if err := m.take(t.Context()); err != nil {
		t.Fatal(err)
	}
	m.Release()
	if o := m.perform(0, slots, nil); o.err != nil {
		t.Fatal(o.err)
	}
	p := m.current()
	t.Cleanup(p.kill)
	m.yield()
	if m.current() != nil || !p.dead() {
		t.Error("nobody is there to end it")
	}
}

// A child that was killed while it had nothing to do is noticed.
func TestKilledMeanwhile(t *testing.T) {
	m := acquire(t, softhsm)
	if _, _, err := m.Do(t.Context(), 0, slots); err != nil {
		t.Fatal(err)
	}
	p := m.current()
	if err := p.cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	<-p.exited
	if _, _, err := m.Do(t.Context(), 0, slots); err != nil {
		t.Errorf("got %v", err)
	}
}

// The child ends by itself when the program lets go of the pipe, as it does however it ends.
func TestEndsWithTheProgram(t *testing.T) {
	p, err := start(softhsm, false)
	if err != nil {
		t.Fatal(err)
	}
	if a, err := p.exchange(nil); err != nil || a.Fault != nil {
		t.Fatal(a, err)
	}
	p.in.Close()
	<-p.exited
	if s := p.cmd.ProcessState.ExitCode(); s != 0 {
		t.Errorf("status %d", s)
	}
	p.out.Close()
}

func TestNoModule(t *testing.T) {
	text := filepath.Join(t.TempDir(), "x.so")
	if err := os.WriteFile(text, []byte("x"), 0o700); err != nil {
		t.Fatal(err)
	}
	_, _, err := acquire(t, text).Do(t.Context(), 0, slots)
	if e, ok := errors.AsType[*ModuleError](err); !ok || e.Call != "dlopen" || e.Module != text {
		t.Errorf("got %v", err)
	}
	for _, path := range []string{"", "/nowhere/x.so"} {
		_, err := Acquire(path, false)
		if e, ok := errors.AsType[*ModuleError](err); !ok || e.Call != "dlopen" {
			t.Errorf("%q: %v", path, err)
		}
	}
}

// A program that would start itself for ever is told so.
func TestWithoutMain(t *testing.T) {
	mainCalled.Store(false)
	defer mainCalled.Store(true)
	if _, err := Acquire(softhsm, false); !errors.Is(err, ErrNoMain) {
		t.Errorf("got %v", err)
	}
}

// A PIN is in no command line and no environment, and what was sent is wiped.
func TestPINIsWiped(t *testing.T) {
	m := acquire(t, softhsm)
	a, life, err := m.Do(t.Context(), 0, slots)
	if err != nil {
		t.Fatal(err)
	}
	s, _, err := m.Do(t.Context(), life, &cryptoki.Request{Op: cryptoki.OpOpenSession, Slot: a.Slots[0].ID})
	if err != nil {
		t.Fatal(err)
	}
	pin := []byte("4711")
	if _, _, err := m.Do(t.Context(), life, &cryptoki.Request{Op: cryptoki.OpLogin, Session: s.Handle, PIN: pin}); err != nil {
		t.Fatal(err)
	}
	if string(pin) != "\x00\x00\x00\x00" {
		t.Errorf("%q", pin)
	}
	cmd := m.current().cmd
	if args := strings.Join(cmd.Args, " "); strings.Contains(args, "4711") || !strings.Contains(args, softhsm) {
		t.Error(args)
	}
	// Nor does anybody else who is this user read it from the child's memory.
	if f, err := os.Open("/proc/" + strconv.Itoa(cmd.Process.Pid) + "/mem"); err == nil && os.Getuid() != 0 {
		f.Close()
		t.Error("the child's memory can be read")
	}
}

// Whoever speaks to the child in another language is not understood, and the child ends.
func TestGarbage(t *testing.T) {
	p, err := start(softhsm, false)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := p.exchange(nil); err != nil {
		t.Fatal(err)
	}
	if _, err := p.in.Write([]byte{0, 0, 2, 0xff, 0xff}); err != nil {
		t.Fatal(err)
	}
	<-p.exited
	p.in.Close()
	p.out.Close()
	if s := p.cmd.ProcessState.ExitCode(); s != 1 {
		t.Errorf("status %d", s)
	}
}

// A program that is called by a person as if it were a child does nothing.
func TestByHand(t *testing.T) {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command(self, argument, softhsm).CombinedOutput()
	if ended, ok := errors.AsType[*exec.ExitError](err); !ok || ended.ExitCode() == 0 || len(out) > 0 {
		t.Errorf("%v, %q", err, out)
	}
}

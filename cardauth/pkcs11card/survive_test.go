//go:build cgo

package pkcs11card

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"sinete/cardauth"
	"sinete/cardauth/cardtest"
	"sinete/cardauth/pkcs11card/internal/child"
	"sinete/cardauth/pkcs11card/internal/cryptoki"
	"sinete/cardauth/pkcs11card/internal/login"
	"sinete/wire"
)

// shimmed is a card in the one reader of a module that misbehaves.
type shimmed struct {
	*cardtest.Shim
	token string
	pins
}

// inReader puts a fresh card into the reader. The person knows its PIN once for each of knows.
func inReader(t *testing.T, token string, knows int, extra ...cryptoki.Attribute) *shimmed {
	t.Helper()
	fill(t, token, StoreRequest{}, extra...)
	s := &shimmed{Shim: cardtest.NewShim(t, softhsm), token: token}
	for range knows {
		s.answers = append(s.answers, userPIN)
	}
	s.rules()
	return s
}

func (s *shimmed) rules(more ...string) { s.Obey(append(more, "card "+s.token)...) }

func (s *shimmed) uri() string { return URI{ModulePath: s.Path}.String() }

func (s *shimmed) open(t *testing.T) *card {
	t.Helper()
	return open(t, s.uri(), s.prompt)
}

func refuses[E error](t *testing.T, c *card) E {
	t.Helper()
	_, err := c.SealRoot(t.Context(), wire.SealInput{Leaves: 1})
	e, ok := errors.AsType[E](err)
	if !ok {
		t.Fatalf("got %v", err)
	}
	return e
}

// A card that was taken out signs again once it is back, and after its PIN.
func TestRemovalAndReturn(t *testing.T) {
	s := inReader(t, "recovery", 2)
	c := s.open(t)
	seals(t, c)
	s.rules("absent")
	for range 2 {
		if e := refuses[*cardauth.AbsentError](t, c); e.Other || e.Card != "recovery" {
			t.Errorf("got %v", e)
		}
	}
	s.rules()
	seals(t, c)
	seals(t, c)
	if len(s.shown) != 2 || s.shown[1].Wrong {
		t.Errorf("shown %+v", s.shown)
	}
	// Out and in again while nobody looked.
	s.rules("insertion 2")
	if _, err := c.SealRoot(t.Context(), wire.SealInput{}); !errors.Is(err, context.Canceled) {
		t.Errorf("without anybody to ask: %v", err)
	}
	s.answers = []string{userPIN}
	seals(t, c)
}

// The PIN that a URI gives serves the card again when it is back: it was right the last time.
func TestReturnWithPINOfURI(t *testing.T) {
	s := inReader(t, "recovery", 0)
	c := open(t, s.uri()+"&pin-value="+userPIN, nil)
	s.rules("insertion 2")
	seals(t, c)
}

func TestOtherCard(t *testing.T) {
	s := inReader(t, "recovery", 1)
	fill(t, "shared", StoreRequest{})
	c := s.open(t)
	s.Obey("card shared", "insertion 2")
	s.Calls()
	if e := refuses[*cardauth.AbsentError](t, c); !e.Other {
		t.Errorf("got %v", e)
	}
	if calls := s.Calls("C_Login"); len(calls) > 0 || len(s.shown) != 1 {
		t.Errorf("%q, asked %d times", calls, len(s.shown))
	}
	// A card that goes by the same name and number, with another key.
	s.rules()
	fill(t, "recovery", StoreRequest{})
	if e := refuses[*cardauth.AbsentError](t, c); !e.Other || len(s.shown) != 1 {
		t.Errorf("got %v, asked %d times", e, len(s.shown))
	}
}

// Each code that a lost handle gives costs one more try from a fresh session, and no more than one.
func TestLostHandles(t *testing.T) {
	s := inReader(t, "recovery", 1)
	c := s.open(t)
	for _, code := range []string{"32", "B3", "B0", "82", "60", "E0", "91"} {
		s.rules("once C_Sign " + code)
		s.Calls()
		// With another session on the token its login stays.
		other, err := login.OpenSession(t.Context(), c.Module, c.Token.Slot, false)
		if err != nil {
			t.Fatal(err)
		}
		seals(t, c)
		if n := len(s.Calls("C_Sign")); n != 3 { // miekg/pkcs11 asks for the length first
			t.Errorf("%s: %d calls", code, n)
		}
		s.rules("always C_SignInit " + code)
		s.Calls()
		refuses[*ModuleError](t, c)
		if n := len(s.Calls("C_SignInit")); n != 2 {
			t.Errorf("%s each time: tried %d times", code, n)
		}
		s.rules()
		if err := other.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if len(s.shown) != 1 {
		t.Errorf("asked %d times", len(s.shown))
	}
}

// A module that has lost itself is started anew, which takes its login with it.
func TestBrokenModule(t *testing.T) {
	for _, code := range []string{"30", "5", "190"} {
		s := inReader(t, "recovery", 2)
		c := s.open(t)
		life := c.Life
		s.rules("once C_SignInit " + code)
		seals(t, c)
		if c.Life == life || len(s.shown) != 2 {
			t.Errorf("%s: life %d, asked %d times", code, c.Life, len(s.shown))
		}
	}
}

func TestCrash(t *testing.T) {
	s := inReader(t, "recovery", 2)
	c := s.open(t)
	s.rules("crash C_Sign")
	if e := refuses[*ModuleError](t, c); !errors.Is(e, ErrCrashed) || e.Call != "C_Sign" || e.Module != s.Path {
		t.Errorf("got %v", e)
	}
	seals(t, c)
	if len(s.shown) != 2 {
		t.Errorf("asked %d times", len(s.shown))
	}
	s.rules("crash C_Initialize")
	if _, err := List([]string{s.Path + "x"}); errors.Is(err, ErrCrashed) {
		t.Errorf("%v", err)
	}
	other := inReader(t, "recovery", 0)
	other.rules("crash C_Initialize")
	if _, err := List([]string{other.Path}); !errors.Is(err, ErrCrashed) {
		t.Errorf("while it is loaded: %v", err)
	}
	if tokens, err := List([]string{other.Path}); err != nil || len(tokens) != 1 {
		t.Errorf("afterwards: %v, %v", tokens, err)
	}
}

// How long a module may take to sign, and for what nobody waits for any more.
const (
	signTime  = 3 * time.Minute
	graceTime = 5 * time.Second
)

// fakeTimers replaces the waits for modules: those of a length end when late is called with it.
func fakeTimers(t *testing.T) (late func(time.Duration)) {
	t.Helper()
	fire := map[time.Duration]chan time.Time{signTime: make(chan time.Time), graceTime: make(chan time.Time)}
	child.SetAfter(func(d time.Duration) <-chan time.Time { return fire[d] })
	t.Cleanup(func() { child.SetAfter(nil) })
	return func(d time.Duration) { close(fire[d]) }
}

// fifo returns the path of a FIFO, and what waits until a module writes into it.
func fifo(t *testing.T) (path string, hangs func()) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "fifo")
	if err := syscall.Mkfifo(path, 0o600); err != nil {
		t.Fatal(err)
	}
	return path, func() {
		if _, err := os.ReadFile(path); err != nil {
			t.Error(err)
		}
	}
}

func TestHang(t *testing.T) {
	s := inReader(t, "recovery", 2)
	c := s.open(t)
	path, hangs := fifo(t)
	late := fakeTimers(t)
	s.rules("hang C_Sign " + path)
	got := make(chan error, 1)
	go func() {
		_, err := c.SealRoot(t.Context(), wire.SealInput{Leaves: 1})
		got <- err
	}()
	hangs()
	late(signTime)
	if err := <-got; !errors.Is(err, ErrHung) {
		t.Errorf("got %v", err)
	}
	child.SetAfter(nil)
	seals(t, c)
	if len(s.shown) != 2 {
		t.Errorf("asked %d times", len(s.shown))
	}
}

// Whoever stops waiting is let go at once; the module has a moment more, and is ended then.
func TestCancel(t *testing.T) {
	s := inReader(t, "recovery", 2)
	c := s.open(t)
	path, hangs := fifo(t)
	late := fakeTimers(t)
	s.rules("hang C_Sign " + path)
	ctx, cancel := context.WithCancel(t.Context())
	got := make(chan error, 1)
	go func() {
		_, err := c.SealRoot(ctx, wire.SealInput{Leaves: 1})
		got <- err
	}()
	hangs()
	cancel()
	if err := <-got; !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	late(graceTime)
	child.SetAfter(nil)
	seals(t, c)
}

// Close ends a signature that hangs.
func TestCloseWhileItHangs(t *testing.T) {
	s := inReader(t, "recovery", 1)
	c := s.open(t)
	path, hangs := fifo(t)
	s.rules("hang C_Sign " + path)
	got := make(chan error, 1)
	go func() {
		_, err := c.SealRoot(t.Context(), wire.SealInput{Leaves: 1})
		got <- err
	}()
	hangs()
	fakeTimers(t) // neither the limit nor the moment for what is abandoned
	if err := c.Close(); err != nil {
		t.Error(err)
	}
	if err := <-got; !errors.Is(err, cardauth.ErrClosed) {
		t.Errorf("got %v", err)
	}
}

// What the program's user types is not for a module.
func TestStandardInput(t *testing.T) {
	s := inReader(t, "recovery", 1)
	typed, keyboard, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer typed.Close()
	defer keyboard.Close()
	if _, err := keyboard.WriteString("send##1##hello\n"); err != nil {
		t.Fatal(err)
	}
	defer func(f *os.File) { os.Stdin = f }(os.Stdin)
	os.Stdin = typed
	c := s.open(t)
	s.rules("stdin C_Sign")
	s.Calls()
	if e := refuses[*CancelledError](t, c); e.Card != "recovery" {
		t.Errorf("got %v", e)
	}
	if calls := s.Calls("stdin"); !slices.Equal(calls, []string{"stdin end"}) {
		t.Errorf("the module read %q", calls)
	}
}

func TestTriesLeft(t *testing.T) {
	s := inReader(t, "recovery", 0)
	locked := &cardauth.PINError{Card: "recovery", Locked: true}
	last := cardauth.PINRequest{Card: "recovery", Tries: 1, Final: true}

	s.rules("flags 40000 0")
	_, err := Open(t.Context(), s.uri(), s.prompt)
	if got, ok := errors.AsType[*cardauth.PINError](err); !ok || *got != *locked || len(s.shown) > 0 {
		t.Errorf("a locked card: %v, asked %d times", err, len(s.shown))
	}
	s.rules("flags 20000 0")
	s.answers = []string{userPIN}
	c := s.open(t)
	if d := cmp.Diff([]cardauth.PINRequest{last}, s.shown); d != "" {
		t.Error(d)
	}
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}

	// A PIN that nobody can think about again is not given to a card with one try left, unless somebody has said so.
	s.Calls()
	_, err = Open(t.Context(), s.uri()+"&pin-value="+userPIN, nil)
	if got, ok := errors.AsType[*cardauth.PINError](err); !ok || !got.Final || len(s.Calls("C_Login")) > 0 {
		t.Errorf("the PIN of a URI: %v", err)
	}
	seals(t, open(t, s.uri()+"&pin-last-try=yes&pin-value="+userPIN, nil))
}

// Somebody else spends the tries while this person types: the PIN that was given in ignorance is not used.
func TestTriesSpentMeanwhile(t *testing.T) {
	s := inReader(t, "recovery", 0)
	n := 0
	s.Calls()
	c := open(t, s.uri(), func(_ context.Context, r cardauth.PINRequest) (string, error) {
		s.shown = append(s.shown, r)
		s.rules("flags 20000 0")
		n++
		return []string{"0000", userPIN}[n-1], nil
	})
	if d := cmp.Diff([]string{"C_Login 1 4"}, s.Calls("C_Login")); d != "" || len(s.shown) != 2 || !s.shown[1].Final || s.shown[1].Wrong {
		t.Errorf("%s, shown %+v", d, s.shown)
	}
	seals(t, c)
}

// Modules say of an empty reader that the PIN is locked.
func TestLockedOrAbsent(t *testing.T) {
	s := inReader(t, "recovery", 1)
	c := s.open(t)
	s.rules("once C_Sign A4")
	if e := refuses[*cardauth.PINError](t, c); !e.Locked {
		t.Errorf("got %v", e)
	}
	// The answer comes although the card is out: SignInit before it was taken, Sign after.
	s.rules("always C_SignInit A4", "absent")
	if e := refuses[*cardauth.AbsentError](t, c); e.Other {
		t.Errorf("got %v", e)
	}
}

func TestPad(t *testing.T) {
	s := inReader(t, "recovery", 0)
	s.rules("flags 100 0", "pad "+userPIN)
	var notices []Notice
	c, err := OpenWith(t.Context(), s.uri(), s.prompt, Options{Notify: func(card string, n Notice) { notices = append(notices, n) }})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	seals(t, c)
	if calls := s.Calls("C_Login"); !slices.Equal(calls, []string{"C_Login 1 0"}) || len(s.shown) > 0 || !slices.Equal(notices, []Notice{NoticePad}) {
		t.Errorf("%q, asked %d times, notices %q", calls, len(s.shown), notices)
	}
	s.rules("flags 100 0", "pad 0000", "insertion 2")
	if e := refuses[*cardauth.PINError](t, c.(*card)); e.Locked {
		t.Errorf("got %v", e)
	}
	if calls := s.Calls("C_Login"); len(calls) != 1 {
		t.Errorf("tried %q", calls)
	}
	s.rules("flags 100 0", "insertion 3", "once C_Login 50")
	refuses[*CancelledError](t, c.(*card))
}

// Between C_SignInit and C_Sign stands the login for this one signature and nothing else, and a fresh session follows a wrong PIN.
func TestOrderOfCalls(t *testing.T) {
	s := inReader(t, "always", 2, cryptoki.Bool(cryptoki.AttrAlwaysAuthenticate, true))
	c := s.open(t)
	if !c.PINEachTime() {
		t.Error("not seen that the key wants the PIN each time")
	}
	signing := func() []string {
		calls := s.Calls("C_SignInit", "C_Login", "C_Sign", "C_OpenSession", "C_CloseSession", "C_FindObjectsInit")
		return calls
	}
	signing()
	seals(t, c)
	if d := cmp.Diff([]string{"C_SignInit", "C_Login 2 4", "C_Sign", "C_Sign"}, signing()); d != "" {
		t.Error(d)
	}
	s.answers = []string{"000", userPIN}
	seals(t, c)
	want := []string{"C_SignInit", "C_Login 2 3", "C_OpenSession", "C_FindObjectsInit", "C_CloseSession", "C_SignInit", "C_Login 2 4", "C_Sign", "C_Sign"}
	if d := cmp.Diff(want, signing()); d != "" || !s.shown[len(s.shown)-1].Wrong {
		t.Errorf("%s, shown %+v", d, s.shown)
	}
}

// Another part of the program may have logged in between the look and the login.
func TestAlreadyLoggedIn(t *testing.T) {
	s := inReader(t, "recovery", 1)
	s.rules("selflogin "+userPIN, "public")
	seals(t, s.open(t))
	if calls := s.Calls("C_Login"); !slices.Equal(calls, []string{"C_Login 1 4"}) {
		t.Errorf("%q", calls)
	}
}

func TestWrongSignature(t *testing.T) {
	s := inReader(t, "recovery", 1)
	c := s.open(t)
	s.rules("corrupt")
	if e := refuses[*ModuleError](t, c); !strings.Contains(e.Error(), "does not verify") {
		t.Errorf("got %v", e)
	}
}

func TestExportableKeys(t *testing.T) {
	s := inReader(t, "recovery", 9)
	for _, rule := range []string{"attr 162 1", "attr 103 0"} {
		s.rules(rule)
		_, err := Open(t.Context(), s.uri(), s.prompt)
		if e, ok := errors.AsType[*ExportableError](err); !ok || e.Card != "recovery" {
			t.Errorf("%s: %v", rule, err)
		}
		seals(t, open(t, s.uri()+"&exportable-key=yes", s.prompt))
	}
}

// A token that logs in by its own dialog is never given a PIN.
func TestOwnDialog(t *testing.T) {
	s := inReader(t, "recovery", 0)
	s.rules("flags 0 4", "selflogin "+userPIN)
	c := s.open(t)
	seals(t, c)
	if calls := s.Calls("C_Login"); len(calls) > 0 || len(s.shown) > 0 {
		t.Errorf("%q, asked %d times", calls, len(s.shown))
	}
	s.rules("flags 0 4", "selflogin "+userPIN, "once C_Sign 50")
	refuses[*CancelledError](t, c)
	seals(t, c)
}

func TestIdleLogout(t *testing.T) {
	s := inReader(t, "recovery", 2)
	var idle func()
	defer func() { afterFunc = time.AfterFunc }()
	afterFunc = func(d time.Duration, f func()) *time.Timer {
		if d == time.Hour {
			idle = f
		}
		return time.AfterFunc(d, func() {})
	}
	opened, err := OpenWith(t.Context(), s.uri(), s.prompt, Options{Idle: time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	defer opened.Close()
	seals(t, opened)
	idle()
	seals(t, opened)
	if len(s.shown) != 2 {
		t.Errorf("asked %d times", len(s.shown))
	}
}

// watched is a card that somebody watches, with a hand on the clock.
func watched(t *testing.T, c *card) (tick func(), changes chan bool) {
	t.Helper()
	clock, changes := make(chan time.Time), make(chan bool, 8)
	child.SetAfter(func(d time.Duration) <-chan time.Time {
		if d == pollTime {
			return clock
		}
		return time.After(d)
	})
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		c.Watch(ctx, func(present bool) { changes <- present })
	}()
	t.Cleanup(func() {
		stop()
		<-done
		child.SetAfter(nil)
	})
	return func() { clock <- time.Time{} }, changes
}

func TestWatch(t *testing.T) {
	s := inReader(t, "recovery", 2)
	fill(t, "shared", StoreRequest{})
	c := s.open(t)
	tick, changes := watched(t, c)
	expect := func(want ...bool) {
		t.Helper()
		tick()
		tick() // the first has been looked at
		for _, w := range want {
			if got := <-changes; got != w {
				t.Errorf("present %v", got)
			}
		}
		if len(changes) > 0 {
			t.Errorf("told of a change: %v", <-changes)
		}
	}
	expect()
	s.rules("absent")
	expect(false)
	s.Obey("card shared")
	expect()
	s.rules("noreader")
	expect()
	s.rules()
	expect(true)
	seals(t, c)
	s.rules("crash C_GetSlotList")
	expect() // that the module crashed says nothing of the card
	seals(t, func() *card { s.answers = []string{userPIN}; return c }())

	// While somebody signs nobody asks the module.
	c.Turn <- struct{}{}
	s.Calls()
	expect()
	if calls := s.Calls(); len(calls) > 0 {
		t.Errorf("%q", calls)
	}
	<-c.Turn
}

// A card that goes by the same name and number with another certificate is no return.
func TestWatchAnotherCertificate(t *testing.T) {
	s := inReader(t, "recovery", 1)
	tick, changes := watched(t, s.open(t))
	s.rules("absent")
	tick()
	if <-changes {
		t.Error("present")
	}
	fill(t, "recovery", StoreRequest{})
	s.rules()
	tick()
	tick()
	if len(changes) > 0 {
		t.Error("another card has come back")
	}
}

// Of a module that sees its readers when it is loaded only, a child without sessions is started anew.
func TestReaderPluggedInLater(t *testing.T) {
	s := inReader(t, "recovery", 2)
	path := filepath.Join(filepath.Dir(s.Path), "libpteidpkcs11.so")
	if err := os.Link(s.Path, path); err != nil {
		t.Fatal(err)
	}
	s.Path = path
	s.rules("frozen")
	c := s.open(t)
	s.rules("frozen", "noreader", "once C_SignInit 30") // the child that is started now sees no reader, ever
	if e := refuses[*cardauth.AbsentError](t, c); e.Other {
		t.Errorf("got %v", e)
	}
	s.rules("frozen")
	seals(t, c)
}

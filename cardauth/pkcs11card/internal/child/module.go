package child

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"sinete/cardauth/pkcs11card/internal/cryptoki"
	"sinete/cardauth/pkcs11card/internal/native"
)

// What becomes of a child besides an answer.
var (
	ErrCrashed = errors.New("the module crashed")
	ErrHung    = errors.New("the module did not answer in time")
	ErrNoMain  = errors.New("this program does not call pkcs11card.ChildMain first in its main")
	ErrNoCgo   = errors.New("this program was built without cgo and cannot load PKCS #11 modules")
)

// ModuleError says that a PKCS #11 module could not be used, or answered a call with an error.
type ModuleError struct {
	Module string // path
	Call   string // such as C_Sign
	Err    error  // a return value of PKCS #11, ErrCrashed, ErrHung, or why the module was not loaded
}

func (e *ModuleError) Error() string { return fmt.Sprintf("%s: %s: %v", e.Module, e.Call, e.Err) }
func (e *ModuleError) Unwrap() error { return e.Err }

var clock atomic.Pointer[func(time.Duration) <-chan time.Time]

// After is time.After, or what SetAfter put there.
func After(d time.Duration) <-chan time.Time {
	if f := clock.Load(); f != nil {
		return (*f)(d)
	}
	return time.After(d)
}

// SetAfter gives tests a hand on the clock; with nil it is time's own again.
func SetAfter(f func(time.Duration) <-chan time.Time) {
	if f == nil {
		clock.Store(nil)
		return
	}
	clock.Store(&f)
}

// Module is the program's end of a module: one child for all who have acquired it. It is safe for concurrent use; one call is
// made at a time.
type Module struct {
	path     string // as it was first named
	key      string
	terminal bool

	users int // counted under registry's lock

	turn chan struct{} // held by whoever speaks to the child
	life Life          // of the last child; touched by the turn's holder alone
	mu   sync.Mutex
	p    *process // changed by the turn's holder alone; nil where there is none
}

// Life is the number of the child that a handle came from. A handle of one life means nothing in another.
type Life uint64

var registry = struct {
	sync.Mutex
	modules map[string]*Module
}{modules: map[string]*Module{}}

// Acquire returns the module at path; Release must follow. No process is started yet. With terminal the child may read the
// terminal.
func Acquire(path string, terminal bool) (*Module, error) {
	switch {
	case !native.Built:
		return nil, ErrNoCgo
	case !mainCalled.Load():
		return nil, ErrNoMain
	case path == "":
		return nil, &ModuleError{path, "dlopen", errors.New("no path")}
	}
	key := path
	if strings.ContainsRune(path, filepath.Separator) {
		if _, err := os.Stat(path); err != nil {
			return nil, &ModuleError{path, "dlopen", err}
		}
		if r, err := filepath.EvalSymlinks(path); err == nil {
			key = r // the same file under two names is one module
		}
	}
	registry.Lock()
	defer registry.Unlock()
	m := registry.modules[key]
	if m == nil {
		m = &Module{path: path, key: key, terminal: terminal, turn: make(chan struct{}, 1)}
		registry.modules[key] = m
	}
	m.users++
	return m, nil
}

// Path is the module's.
func (m *Module) Path() string { return m.path }

// Release gives the module back; its child ends with its last user, killed where it is busy with what nobody waits for.
func (m *Module) Release() {
	registry.Lock()
	m.users--
	last := m.users == 0
	if last {
		delete(registry.modules, m.key)
	}
	registry.Unlock()
	if !last {
		return
	}
	select {
	case m.turn <- struct{}{}:
		if p := m.current(); p != nil {
			p.end()
		}
		m.set(nil)
		<-m.turn
	default:
		if p := m.current(); p != nil {
			p.kill()
		}
	}
}

func (m *Module) current() *process {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.p
}

func (m *Module) set(p *process) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.p = p
}

// Doomed reports whether the next Release kills the child, since it is the last and somebody has left the child at work.
func (m *Module) Doomed() bool {
	registry.Lock()
	defer registry.Unlock()
	return m.users == 1 && m.Busy()
}

// Busy reports whether somebody speaks to the module now.
func (m *Module) Busy() bool { return len(m.turn) > 0 }

type outcome struct {
	answer *cryptoki.Response
	life   Life
	err    error
}

// Do does what is asked and returns the answer with the life it came from. A request about a handle names its life, and where
// that is over it is answered with CKR_SESSION_HANDLE_INVALID; one with the life 0 starts a child where there is none.
//
// When ctx ends first Do returns ctx.Err() at once; the module has a moment to finish, and is killed then. The PIN of the
// request is wiped when the module has it. Errors: ModuleError, ctx.Err().
func (m *Module) Do(ctx context.Context, life Life, r *cryptoki.Request) (*cryptoki.Response, Life, error) {
	if err := m.take(ctx); err != nil {
		clear(r.PIN)
		return nil, 0, err
	}
	done, left := make(chan outcome, 1), make(chan struct{})
	go func() {
		o := m.perform(life, r, left)
		clear(r.PIN)
		m.yield()
		done <- o
	}()
	select {
	case o := <-done:
		return o.answer, o.life, o.err
	case <-ctx.Done():
		close(left)
		return nil, 0, ctx.Err()
	}
}

// yield gives the turn back. Nobody else ends a child that was started while its last user left.
func (m *Module) yield() {
	registry.Lock()
	orphan := m.users == 0
	registry.Unlock()
	if p := m.current(); orphan && p != nil {
		m.drop(p)
	}
	<-m.turn
}

func (m *Module) take(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	select {
	case m.turn <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Restart kills the child of that life, after what it does now, so that the next call starts another.
func (m *Module) Restart(ctx context.Context, life Life) error {
	if err := m.take(ctx); err != nil {
		return err
	}
	defer func() { <-m.turn }()
	if p := m.current(); p != nil && m.life == life {
		m.drop(p)
	}
	return nil
}

// Refresh ends a child that nobody has a session with, since some modules see only those readers that were there when they
// were loaded.
func (m *Module) Refresh(ctx context.Context) error {
	if err := m.take(ctx); err != nil {
		return err
	}
	defer func() { <-m.turn }()
	if p := m.current(); p != nil && p.sessions == 0 {
		p.end()
		m.set(nil)
	}
	return nil
}

// perform makes the call; its caller has the turn.
func (m *Module) perform(life Life, r *cryptoki.Request, left <-chan struct{}) outcome {
	p := m.current()
	if p != nil && p.dead() {
		m.drop(p)
		p = nil
	}
	if life != 0 && (p == nil || life != m.life) {
		return outcome{err: m.failed(r.Op.String(), cryptoki.SessionHandleInvalid)}
	}
	if p == nil {
		var err error
		if p, err = start(m.path, m.terminal); err != nil {
			return outcome{err: m.failed("start", err)}
		}
		m.set(p)
		m.life++
		if _, err := m.exchange(p, nil, startTime, left); err != nil {
			if p = m.current(); p != nil {
				m.drop(p)
			}
			return outcome{err: err}
		}
	}
	a, err := m.exchange(p, r, patience(r.Op), left)
	switch {
	case err == nil && r.Op == cryptoki.OpOpenSession:
		p.sessions++
		select {
		case <-left: // and nobody is there to close it
			_, _ = p.exchange(&cryptoki.Request{Op: cryptoki.OpCloseSession, Session: a.Handle})
			p.sessions--
		default:
		}
	case r.Op == cryptoki.OpCloseSession:
		p.sessions--
	}
	return outcome{a, m.life, err}
}

func patience(o cryptoki.Op) time.Duration {
	if o == cryptoki.OpSign || o == cryptoki.OpLogin {
		return personTime
	}
	return callTime
}

// exchange sends a request, or awaits the child's first answer, and kills the child where it is late or nobody waits any more.
func (m *Module) exchange(p *process, r *cryptoki.Request, limit time.Duration, left <-chan struct{}) (*cryptoki.Response, error) {
	call := "C_Initialize"
	if r != nil {
		call = r.Op.String()
	}
	type result struct {
		a   *cryptoki.Response
		err error
	}
	done := make(chan result, 1)
	go func() {
		a, err := p.exchange(r)
		done <- result{a, err}
	}()
	for late := After(limit); ; {
		select {
		case d := <-done:
			if d.err != nil {
				m.drop(p)
				return nil, m.failed(call, ErrCrashed)
			}
			if f := d.a.Fault; f != nil {
				return nil, m.failed(f.Call, f.Cause())
			}
			return d.a, nil
		case <-left:
			left, late = nil, After(abandoned)
		case <-late:
			m.drop(p)
			<-done
			return nil, m.failed(call, ErrHung)
		}
	}
}

func (m *Module) drop(p *process) {
	p.kill()
	m.set(nil)
}

func (m *Module) failed(call string, err error) error { return &ModuleError{m.path, call, err} }

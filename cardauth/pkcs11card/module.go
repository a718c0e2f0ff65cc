//go:build cgo

package pkcs11card

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"

	"github.com/miekg/pkcs11"
)

// module is a loaded PKCS #11 module. Everything that touches p runs in serve.
type module struct {
	path  string
	calls chan func(*pkcs11.Ctx, error)
}

var loaded = struct {
	sync.Mutex
	modules map[string]*module // by real path: the same file under two names is one module
}{modules: map[string]*module{}}

// load returns the module at path, which is initialised by its first call.
func load(path string) (*module, error) {
	if path == "" {
		return nil, &ModuleError{path, "dlopen", errors.New("no path")}
	}
	real := path
	if strings.ContainsRune(path, filepath.Separator) {
		if _, err := os.Stat(path); err != nil {
			return nil, &ModuleError{path, "dlopen", err}
		}
		if r, err := filepath.EvalSymlinks(path); err == nil {
			real = r
		}
	}
	loaded.Lock()
	defer loaded.Unlock()
	m := loaded.modules[real]
	if m == nil {
		m = &module{path: path, calls: make(chan func(*pkcs11.Ctx, error))}
		loaded.modules[real] = m
		go m.serve()
	}
	return m, nil
}

// serve makes the module's calls one after the other, from one thread: modules differ in how much more they bear. It never
// returns, and nothing is ever finalised.
func (m *module) serve() {
	runtime.LockOSThread()
	var p *pkcs11.Ctx
	for f := range m.calls {
		var err error
		if p == nil {
			p, err = initialise(m.path)
		}
		f(p, err)
	}
}

func initialise(path string) (*pkcs11.Ctx, error) {
	p := pkcs11.New(path)
	if p == nil {
		return nil, &ModuleError{path, "dlopen", errors.New("not a PKCS #11 module, or one for another kind of machine")}
	}
	if err := p.Initialize(); err != nil && !hasCode(err, pkcs11.CKR_CRYPTOKI_ALREADY_INITIALIZED) {
		p.Destroy()
		return nil, &ModuleError{path, "C_Initialize", err}
	}
	return p, nil
}

// call runs f on the module. When ctx ends first it returns ctx.Err() and leaves f to finish, so f must keep what it makes
// where the next call finds it.
func call[T any](ctx context.Context, m *module, f func(p *pkcs11.Ctx) (T, error)) (T, error) {
	type result struct {
		v   T
		err error
	}
	var none T
	if err := ctx.Err(); err != nil {
		return none, err
	}
	done := make(chan result, 1)
	work := func(p *pkcs11.Ctx, err error) {
		var r result
		if r.err = err; err == nil {
			r.v, r.err = f(p)
		}
		done <- r
	}
	select {
	case m.calls <- work:
	case <-ctx.Done():
		return none, ctx.Err()
	}
	select {
	case r := <-done:
		return r.v, r.err
	case <-ctx.Done():
		return none, ctx.Err()
	}
}

// failed names the call that went wrong; nil stays nil.
func (m *module) failed(name string, err error) error {
	if err == nil {
		return nil
	}
	return &ModuleError{m.path, name, err}
}

func hasCode(err error, codes ...uint) bool {
	var e pkcs11.Error
	if !errors.As(err, &e) {
		return false
	}
	for _, c := range codes {
		if uint(e) == c {
			return true
		}
	}
	return false
}

// gone reports whether err is what modules say of a token that was taken out, put back in or logged out.
func gone(err error) bool {
	return hasCode(err, pkcs11.CKR_DEVICE_REMOVED, pkcs11.CKR_SESSION_HANDLE_INVALID, pkcs11.CKR_SESSION_CLOSED,
		pkcs11.CKR_OBJECT_HANDLE_INVALID, pkcs11.CKR_KEY_HANDLE_INVALID, pkcs11.CKR_USER_NOT_LOGGED_IN,
		pkcs11.CKR_TOKEN_NOT_PRESENT, pkcs11.CKR_SLOT_ID_INVALID)
}

package cardtest

import (
	_ "embed"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
)

// Shim is a PKCS #11 module that passes every call on to another one and misbehaves as Obey says. It is a file of its own, so
// it gets a child process of its own.
type Shim struct {
	t    testing.TB
	Path string
}

//go:embed testdata/shim.c
var shimSource []byte

var shims struct {
	sync.Mutex
	built map[string][]byte // by real module
}

// NewShim makes one around the module, which SoftHSM gave, say. It needs gcc, or what CC names.
func NewShim(t testing.TB, module string) *Shim {
	t.Helper()
	so, err := buildShim(t.TempDir(), module)
	if err != nil {
		t.Fatal(err)
	}
	s := &Shim{t, filepath.Join(t.TempDir(), "libshim.so")}
	if err := os.WriteFile(s.Path, so, 0o700); err != nil {
		t.Fatal(err)
	}
	s.Obey()
	return s
}

func buildShim(dir, module string) ([]byte, error) {
	shims.Lock()
	defer shims.Unlock()
	if so, ok := shims.built[module]; ok {
		return so, nil
	}
	source, out := filepath.Join(dir, "shim.c"), filepath.Join(dir, "shim.so")
	if err := os.WriteFile(source, shimSource, 0o600); err != nil {
		return nil, err
	}
	cc := os.Getenv("CC")
	if cc == "" {
		cc = "gcc"
	}
	cmd := exec.Command(cc, "-std=gnu17", "-shared", "-fPIC", "-O1", fmt.Sprintf("-DREAL=%q", module), "-o", out, source, "-ldl")
	if b, err := cmd.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("%s (a C compiler is needed): %w: %s", cc, err, b)
	}
	so, err := os.ReadFile(out)
	if err != nil {
		return nil, err
	}
	if shims.built == nil {
		shims.built = map[string][]byte{}
	}
	shims.built[module] = so
	return so, nil
}

// Obey replaces the rules, from the next call on. CALL is the name of a function of PKCS #11, such as C_Sign.
//
//	card LABEL            the one reader holds this token of the real module; without it all its slots are shown
//	absent                the reader is empty; noreader: there is none. Sessions are lost when that ends
//	insertion WORD        sessions are lost when the word changes
//	frozen                readers are seen when the module is loaded, and never again
//	once CALL CODE        the call returns the code (hexadecimal), once; always: each time
//	crash CALL            the call crashes, once
//	hang CALL FIFO        the call writes a byte into the FIFO and never returns, once
//	stdin CALL            the call reads a line from standard input and returns CKR_FUNCTION_CANCELED
//	flags SET CLEAR       flags of the token (hexadecimal)
//	maker NAME            the token's manufacturer
//	attr TYPE BYTE        the value of a boolean attribute (type hexadecimal)
//	pad PIN               C_Login takes no PIN: this one is typed at the reader
//	selflogin PIN         the module logs in by itself
//	public                sessions say that nobody is logged in
//	corrupt               signatures are wrong
func (s *Shim) Obey(rules ...string) {
	s.t.Helper()
	next := s.Path + ".rules.next"
	if err := os.WriteFile(next, []byte(strings.Join(append(rules, ""), "\n")), 0o600); err != nil {
		s.t.Fatal(err)
	}
	if err := os.Rename(next, s.Path+".rules"); err != nil {
		s.t.Fatal(err)
	}
}

// Calls are the calls that were made since Calls was last asked, only those named if any are. C_Login has the kind of user and
// the length of the PIN behind it.
func (s *Shim) Calls(named ...string) []string {
	s.t.Helper()
	b, err := os.ReadFile(s.Path + ".calls")
	if err == nil {
		err = os.Remove(s.Path + ".calls")
	}
	if err != nil && !os.IsNotExist(err) {
		s.t.Fatal(err)
	}
	calls := strings.Split(strings.TrimSpace(string(b)), "\n")
	return slices.DeleteFunc(calls, func(c string) bool {
		name, _, _ := strings.Cut(c, " ")
		return c == "" || len(named) > 0 && !slices.Contains(named, name)
	})
}

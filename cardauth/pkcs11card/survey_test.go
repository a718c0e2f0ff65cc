//go:build cgo

package pkcs11card

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"sinete/cardauth/pkcs11card/internal/child"
	"sinete/cardauth/pkcs11card/internal/cryptoki"
)

// survey looks at one module.
func survey(t *testing.T, path string) Module {
	t.Helper()
	all := Survey(t.Context(), []string{path})
	if len(all) != 1 || all[0].Path != path {
		t.Fatalf("%+v", all)
	}
	return all[0]
}

func TestSurvey(t *testing.T) {
	s := inReader(t, "recovery", 0)
	s.Calls()
	m := survey(t, s.Path)
	if m.Err != nil || len(m.Tokens) != 1 || m.Tokens[0].Label != "recovery" || m.Description != "Implementation of PKCS11" || !strings.Contains(m.Version, ".") || len(m.Unknown) > 0 {
		t.Errorf("%+v", m)
	}
	if calls := s.Calls("C_Login", "C_SignInit"); len(calls) > 0 {
		t.Errorf("a survey makes %q", calls)
	}
	// SoftHSM always has one slot whose token was never initialised.
	if m := survey(t, softhsm); m.Err != nil || len(m.Blank) != 1 || len(m.Unknown) > 0 {
		t.Errorf("%+v", m)
	}
	s.rules("always C_GetTokenInfo E1")
	if m := survey(t, s.Path); m.Err != nil || len(m.Tokens) > 0 || len(m.Unknown) != 1 || len(m.Blank) > 0 {
		t.Errorf("%+v", m)
	}
}

// What is wrong with one module is told beside what another shows.
func TestSurveyOfBadModules(t *testing.T) {
	text := filepath.Join(t.TempDir(), "x.so")
	if err := os.WriteFile(text, []byte("x"), 0o700); err != nil {
		t.Fatal(err)
	}
	crash, asks := inReader(t, "recovery", 0), inReader(t, "recovery", 0)
	crash.rules("crash C_GetSlotList")
	asks.rules("stdin C_GetSlotList")
	all := Survey(t.Context(), []string{"/nowhere/x.so", text, crash.Path, asks.Path, softhsm})
	for i, call := range []string{"dlopen", "dlopen", "C_GetSlotList", "C_GetSlotList"} {
		if e, ok := errors.AsType[*ModuleError](all[i].Err); !ok || e.Call != call || e.Module != all[i].Path {
			t.Errorf("%s: %v", all[i].Path, all[i].Err)
		}
	}
	if !errors.Is(all[2].Err, ErrCrashed) || !cryptoki.Has(all[3].Err, cryptoki.FunctionCanceled) || all[4].Err != nil {
		t.Errorf("%v, %v, %v", all[2].Err, all[3].Err, all[4].Err)
	}
}

// A survey of a module that hangs ends with its limit, and at once where nobody waits for it.
func TestSurveyOfAModuleThatHangs(t *testing.T) {
	s := inReader(t, "recovery", 0)
	limit := make(chan time.Time)
	child.SetAfter(func(time.Duration) <-chan time.Time { return limit })
	t.Cleanup(func() { child.SetAfter(nil) })
	path, hangs := fifo(t)
	s.rules("hang C_GetSlotList " + path)
	done := make(chan Module, 1)
	go func() { done <- Survey(context.WithoutCancel(t.Context()), []string{s.Path})[0] }()
	hangs()
	close(limit)
	if m := <-done; !errors.Is(m.Err, ErrHung) {
		t.Errorf("%+v", m)
	}

	ctx, cancel := context.WithCancel(t.Context())
	child.SetAfter(func(time.Duration) <-chan time.Time { return nil })
	path, hangs = fifo(t)
	s.rules("hang C_GetSlotList " + path)
	go func() { done <- Survey(ctx, []string{s.Path})[0] }()
	hangs()
	cancel()
	if m := <-done; !errors.Is(m.Err, context.Canceled) {
		t.Errorf("%+v", m)
	}
}

// A key that can be copied is seen before login where the token shows it, and a token that nobody knows is named.
func TestSurveySeesCopies(t *testing.T) {
	s := inReader(t, "recovery", 0, cryptoki.Bool(cryptoki.AttrPrivate, false), cryptoki.Bool(cryptoki.AttrExtractable, true))
	certs := survey(t, s.Path).Tokens[0].Certificates
	if i := slices.IndexFunc(certs, func(c Certificate) bool { return !c.IsCA }); i < 0 || !certs[i].Exportable {
		t.Errorf("%+v", certs)
	}
	s = inReader(t, "recovery", 0)
	certs = survey(t, s.Path).Tokens[0].Certificates
	if i := slices.IndexFunc(certs, func(c Certificate) bool { return !c.IsCA }); i < 0 || certs[i].Exportable {
		t.Errorf("%+v", certs)
	}
}

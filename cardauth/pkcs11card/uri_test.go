package pkcs11card

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func ptr[T any](v T) *T { return &v }

func TestParseURI(t *testing.T) {
	for s, want := range map[string]URI{
		"pkcs11:":             {},
		"pkcs11:?":            {},
		"pkcs11:token=A%20B":  {Token: "A B"},
		"pkcs11:slot-id=7":    {Slot: ptr(uint(7))},
		"pkcs11:type=private": {},
		"pkcs11:token=T;serial=0a;manufacturer=M;model=X;object=C%C3%A3o;id=%00%45E;type=cert": {Token: "T", Serial: "0a",
			Manufacturer: "M", Model: "X", Object: "Cão", ID: []byte{0, 0x45, 'E'}},
		"pkcs11:?module-path=/a%3Fb/c.so&module-name=opensc-pkcs11&x-later=1": {ModulePath: "/a?b/c.so", ModuleName: "opensc-pkcs11"},
		"pkcs11:?pin-value=":                          {PIN: ptr("")},
		"pkcs11:?pin-last-try=yes&exportable-key=yes": {LastTry: true, Exportable: true},
		"pkcs11:?pin-last-try=no&exportable-key=no":   {},
		"pkcs11:?pin-value=12%2634":                   {PIN: ptr("12&34")},
		"pkcs11:?pin-source=file:/run/pin":            {PINFile: "/run/pin"},
		"pkcs11:?pin-source=file:///run/pin":          {PINFile: "/run/pin"},
		"pkcs11:?pin-source=file:pin.txt":             {PINFile: "pin.txt"},
		"pkcs11:?pin-source=/run/pin%20number":        {PINFile: "/run/pin number"},
	} {
		got, err := ParseURI(s)
		if err != nil {
			t.Errorf("%s: %v", s, err)
		} else if d := cmp.Diff(want, got); d != "" {
			t.Errorf("%s: %s", s, d)
		}
	}
}

func TestURIsRefused(t *testing.T) {
	for _, s := range []string{
		"", "token=A", "PKCS11:", "pkcs12:token=A", "pkcs11:token", "pkcs11:=A", "pkcs11:token=A;", "pkcs11:colour=red", "pkcs11:token=A;token=B",
		"pkcs11:token=%", "pkcs11:token=%4", "pkcs11:token=%zz", "pkcs11:slot-id=-1", "pkcs11:slot-id=x", "pkcs11:type=data",
		"pkcs11:pin-value=1", "pkcs11:?pin-value=1&pin-source=file:/a", "pkcs11:?pin-source=|cat", "pkcs11:?pin-source=file:",
		"pkcs11:?pin-value=1&pin-value=2", "pkcs11:?module-path", "pkcs11:?pin-last-try=1", "pkcs11:?exportable-key",
	} {
		var e *URIError
		if u, err := ParseURI(s); !errors.As(err, &e) {
			t.Errorf("%q: %+v, %v", s, u, err)
		}
	}
}

func TestURIString(t *testing.T) {
	u := URI{Token: "Cartão;?&", Serial: "1", Manufacturer: "m%", Model: "x", Object: "A KEY", ID: []byte{0, 'E', 255}, Slot: ptr(uint(3)),
		ModulePath: "/usr/lib/a b.so", ModuleName: "opensc", PINFile: "/run/pin", LastTry: true, Exportable: true}
	got, err := ParseURI(u.String())
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(u, got); d != "" {
		t.Errorf("%s: %s", u, d)
	}
	u = URI{Token: "T", PIN: ptr("123456")}
	if s := u.String(); strings.Contains(s, "123456") {
		t.Errorf("%s shows the PIN", s)
	}
}

func FuzzParseURI(f *testing.F) {
	f.Add("pkcs11:token=A%20B;id=%45;slot-id=1?module-path=/a.so&pin-source=file:/b")
	f.Fuzz(func(t *testing.T, s string) {
		u, err := ParseURI(s)
		if err != nil {
			return
		}
		u.PIN = nil // which String leaves out
		again, err := ParseURI(u.String())
		if err != nil {
			t.Fatalf("%q became %q: %v", s, u.String(), err)
		}
		if u.String() != again.String() {
			t.Fatalf("%q, then %q", u.String(), again.String())
		}
	})
}

func TestModulePaths(t *testing.T) {
	t.Setenv(ModuleVariable, "/opt/x/libvendor-pkcs11.so")
	for _, tt := range []struct {
		u    URI
		want []string
	}{
		{URI{ModulePath: "/a.so"}, []string{"/a.so"}},
		{URI{}, []string{"/opt/x/libvendor-pkcs11.so"}},
		{URI{ModuleName: "vendor-pkcs11"}, []string{"/opt/x/libvendor-pkcs11.so"}},
		{URI{ModuleName: "other"}, []string{}},
	} {
		if d := cmp.Diff(tt.want, tt.u.modules()); d != "" {
			t.Errorf("%v: %s", tt.u, d)
		}
	}
}

// A module that two names lead to is looked at once.
func TestWellKnownModules(t *testing.T) {
	dir := t.TempDir()
	a, b, c := filepath.Join(dir, "a.so"), filepath.Join(dir, "b.so"), filepath.Join(dir, "c.so")
	for _, p := range []string{a, c} {
		if err := os.WriteFile(p, nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink(a, b); err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff([]string{a, c}, installed([]string{a, b, filepath.Join(dir, "none.so"), c})); d != "" {
		t.Error(d)
	}
}

//go:build cgo

package doctor

import (
	"context"
	"crypto"
	"crypto/elliptic"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"sinete/cardauth"
	"sinete/cardauth/cardtest"
	"sinete/cardauth/pkcs11card"
	"sinete/cmd/peer/internal/cards"
	"sinete/cmd/peer/internal/screen"
	"sinete/cmd/peer/internal/terminal"
	"sinete/cmd/peer/internal/trouble"
	"sinete/internal/trialpki"
)

var softhsm string

func TestMain(m *testing.M) {
	pkcs11card.ChildMain()
	path, remove, err := cardtest.SoftHSM("4711", "ana")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	softhsm = path
	status := m.Run()
	remove()
	os.Exit(status)
}

// With real modules the doctor sees what it sees with pretended ones, and neither logs in nor signs.
func TestDoctorAndModules(t *testing.T) {
	dir := t.TempDir()
	world, err := trialpki.Create(dir, trialpki.Options{})
	try(t, err)
	t.Setenv("XDG_CACHE_HOME", t.TempDir())
	_, err = pkcs11card.Store(t.Context(), pkcs11card.URI{Token: "ana", ModulePath: softhsm}.String(),
		func(context.Context, cardauth.PINRequest) (string, error) { return "4711", nil },
		pkcs11card.StoreRequest{Curve: elliptic.P256(), Issue: func(key crypto.PublicKey) ([][]byte, error) {
			issued, err := world.IssuePerson(trialpki.Person{Name: "ana", Public: key})
			if err != nil {
				return nil, err
			}
			return issued.Chain, nil
		}})
	try(t, err)
	shim := cardtest.NewShim(t, softhsm)
	text := filepath.Join(dir, "trust", "root.pem")
	for _, c := range []struct {
		name, module string
		rules        []string
		check, want  string
	}{
		{"well", shim.Path, []string{"card ana"}, "card", "Ana da Conceição, on ana (SoftHSM, P-256)"},
		{"says what it is", shim.Path, []string{"card ana"}, "module", "Implementation of PKCS11"},
		{"last try", shim.Path, []string{"card ana", "flags 20000 0"}, "pin", trouble.RemedyPINFinal},
		{"locked", shim.Path, []string{"card ana", "flags 40000 0"}, "pin", trouble.RemedyPINLocked},
		{"PIN pad", shim.Path, []string{"card ana", "flags 100 0"}, "pin", "entered at the reader"},
		{"empty reader", shim.Path, []string{"card ana", "absent"}, "card", trouble.RemedyNoCard},
		{"no reader", shim.Path, []string{"card ana", "noreader"}, "reader", cards.NoReader},
		{"crashes while it loads", shim.Path, []string{"card ana", "crash C_Initialize"}, "module", trouble.RemedyModuleCrashed},
		{"crashes", shim.Path, []string{"card ana", "crash C_GetSlotList"}, "module", trouble.RemedyModuleCrashed},
		{"reads the keyboard", shim.Path, []string{"card ana", "stdin C_GetSlotList"}, "module", trouble.RemedyModuleAsks},
		{"fails", shim.Path, []string{"card ana", "always C_GetSlotList 5"}, "module", trouble.RemedyModuleFails},
		{"no module", text, nil, "module", trouble.RemedyModuleFails},
		{"nothing", filepath.Join(dir, "nothing.so"), nil, "module", trouble.RemedyModuleAbsent},
	} {
		shim.Obey(c.rules...)
		shim.Calls()
		var out strings.Builder
		p := &practice{Terminal: terminal.Terminal{Stdout: &out, Stderr: io.Discard}, Means: TheseMeans()}
		p.Run(t, []string{"doctor", "--json", "--trust", filepath.Join(dir, "trust"), "--revocation", "off", "--card", pkcs11card.URI{ModulePath: c.module}.String()})
		found := false
		for line := range strings.Lines(out.String()) {
			var e screen.Check
			try(t, json.Unmarshal([]byte(line), &e))
			found = found || e.Name == c.check && strings.Contains(e.Text+" "+e.Remedy, c.want)
		}
		if !found {
			t.Errorf("%s: no check %s says %q:\n%s", c.name, c.check, c.want, out.String())
		}
		if calls := shim.Calls("C_Login", "C_SignInit", "C_Sign"); len(calls) > 0 {
			t.Errorf("%s: the doctor makes %q", c.name, calls)
		}
	}
}

//go:build cgo

package systemtest

import (
	"context"
	"crypto"
	"crypto/elliptic"
	"errors"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"sinete/cardauth"
	"sinete/cardauth/cardtest"
	"sinete/cardauth/pkcs11card"
	"sinete/internal/trialpki"
	"sinete/peer"
	"sinete/wire"
)

// The module of somebody's card crashes in a signature, or hangs in it; two others go on talking, though one of them talks to that person too.
func TestModuleOfAThird(t *testing.T) {
	const pin = "4711"
	module, remove, err := cardtest.SoftHSM(pin, "carol")
	must(t, err)
	t.Cleanup(remove)
	knows := func(context.Context, cardauth.PINRequest) (string, error) { return pin, nil }
	w := newWorld(t, nil, nil)
	_, err = pkcs11card.Store(t.Context(), pkcs11card.URI{ModulePath: module, Token: "carol"}.String(), knows, pkcs11card.StoreRequest{
		Curve: elliptic.P256(),
		Issue: func(pub crypto.PublicKey) ([][]byte, error) {
			i, err := w.pki.IssuePerson(trialpki.Person{Name: "carol", Public: pub})
			if err != nil {
				return nil, err
			}
			return i.Chain, nil
		}})
	must(t, err)
	shim := cardtest.NewShim(t, module)
	shim.Obey("card carol")
	card, err := pkcs11card.Open(t.Context(), pkcs11card.URI{ModulePath: shim.Path}.String(), knows)
	must(t, err)
	t.Cleanup(func() { must(t, card.Close()) })

	alice, bob := w.login(w.card("alice")), w.login(w.card("bob"))
	a, b := connect(t, alice, bob)
	carol := w.login(card)
	c, _ := connect(t, carol, bob)
	undisturbed := func(text string) {
		t.Helper()
		n := sendText(t, a, text)
		if m := next[*peer.Message](t, b); m.Text != text {
			t.Errorf("bob received %+v", m)
		}
		delivered(t, a, n)
	}
	undisturbed("before")

	shim.Obey("card carol", "crash C_Sign")
	sendText(t, c, "from a module that crashes")
	undisturbed("beside a crash")
	// Her card works again.
	if _, err := card.SealRoot(t.Context(), wire.SealInput{Leaves: 1}); err != nil && !errors.Is(err, pkcs11card.ErrCrashed) {
		t.Error(err)
	}
	if _, err := card.SealRoot(t.Context(), wire.SealInput{Leaves: 1}); err != nil {
		t.Error(err)
	}

	fifo := filepath.Join(t.TempDir(), "fifo")
	must(t, syscall.Mkfifo(fifo, 0o600))
	shim.Obey("card carol", "hang C_Sign "+fifo)
	hanging, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() {
		_, err := card.SealRoot(hanging, wire.SealInput{Leaves: 1})
		ended <- err
	}()
	_, err = os.ReadFile(fifo) // until it hangs
	must(t, err)
	undisturbed("beside a module that hangs")
	stop()
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}

//go:build cgo

package pkcs11card

import (
	"crypto/elliptic"
	"errors"
	"slices"
	"testing"

	"github.com/miekg/pkcs11"
)

// A card is found, with its issuers, before anybody has given its PIN; and wrong PINs show.
func TestFindWithoutPIN(t *testing.T) {
	name := fill(t, "found", StoreRequest{Curve: elliptic.P256()})
	look := func() *Found {
		t.Helper()
		modules, err := Modules(name)
		if err != nil || !slices.Equal(modules, []string{softhsm}) {
			t.Fatal(modules, err)
		}
		tokens, err := List(modules)
		if err != nil {
			t.Fatal(err)
		}
		f, err := Find(name, tokens)
		if err != nil {
			t.Fatal(err)
		}
		return f
	}
	f := look()
	if f.Token.Label != "found" || f.Certificate.URI != name || len(f.Chain) != 4 || !slices.Equal(f.Chain[0], f.Certificate.Raw) || f.Token.PIN != PINUntouched {
		t.Errorf("%d certificates, PIN %q, %s", len(f.Chain), f.Token.PIN, f.Certificate.URI)
	}
	wrong := &pins{answers: []string{"0000"}}
	if _, err := Open(t.Context(), name, wrong.prompt); err == nil {
		t.Fatal("the wrong PIN opens it")
	}
	if f := look(); f.Token.PIN != PINLow {
		t.Errorf("after a wrong PIN: %q", f.Token.PIN)
	}
}

func TestFindNothing(t *testing.T) {
	hidden := Token{Label: "h", Present: true, Login: true}
	ana, rui := Certificate{Label: "ana", URI: "a"}, Certificate{Label: "rui", URI: "b"}
	for uri, tokens := range map[string][]Token{"pkcs11:token=x": {hidden}, "pkcs11:token=h": {hidden}, "pkcs11:": nil} {
		var missing *NotFoundError
		if f, err := Find(uri, tokens); f != nil || !errors.As(err, &missing) {
			t.Errorf("%s: %+v, %v", uri, f, err)
		}
	}
	var several *AmbiguousError
	if _, err := Find("pkcs11:", []Token{{Present: true, Certificates: []Certificate{ana, rui}}}); !errors.As(err, &several) || len(several.URIs) != 2 {
		t.Errorf("%v", err)
	}
	var bad *URIError
	_, err := Find("x", nil)
	_, err2 := Modules("x")
	if !errors.As(err, &bad) || !errors.As(err2, &bad) {
		t.Errorf("%v, %v", err, err2)
	}
	var none *NotFoundError
	if m, err := Modules("pkcs11:?module-name=nobody-has-this"); m != nil || !errors.As(err, &none) {
		t.Errorf("%v, %v", m, err)
	}
}

func TestPINTries(t *testing.T) {
	for flags, want := range map[uint]PINTries{0: PINUntouched, pkcs11.CKF_USER_PIN_COUNT_LOW: PINLow,
		pkcs11.CKF_USER_PIN_COUNT_LOW | pkcs11.CKF_USER_PIN_FINAL_TRY:                              PINFinal,
		pkcs11.CKF_USER_PIN_COUNT_LOW | pkcs11.CKF_USER_PIN_FINAL_TRY | pkcs11.CKF_USER_PIN_LOCKED: PINLocked,
		pkcs11.CKF_SO_PIN_LOCKED: PINUntouched} {
		if got := pinTries(flags); got != want {
			t.Errorf("%x: %q, want %q", flags, got, want)
		}
	}
}

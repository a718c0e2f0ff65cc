//go:build cgo

package pkcs11card

import (
	"crypto/elliptic"
	"crypto/x509"
	"errors"
	"slices"
	"testing"

	"sinete/cardauth/pkcs11card/internal/cryptoki"
	"sinete/cardauth/pkcs11card/internal/login"
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
	ana, rui := Certificate{Certificate: &x509.Certificate{}, Label: "ana", URI: "a"}, Certificate{Certificate: &x509.Certificate{}, Label: "rui", URI: "b"}
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
	for flags, want := range map[uint64]PINTries{0: PINUntouched, cryptoki.FlagPINCountLow: PINLow,
		cryptoki.FlagPINCountLow | cryptoki.FlagPINFinalTry:                          PINFinal,
		cryptoki.FlagPINCountLow | cryptoki.FlagPINFinalTry | cryptoki.FlagPINLocked: PINLocked,
		0x400000: PINUntouched} {
		if got := login.TriesOf(flags); got != want {
			t.Errorf("%x: %q, want %q", flags, got, want)
		}
	}
}

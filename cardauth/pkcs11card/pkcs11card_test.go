//go:build cgo

package pkcs11card

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/x509"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"sinete/cardauth"
	"sinete/cardauth/pkcs11card/internal/cryptoki"
	"sinete/internal/trialpki"
	"sinete/wire"
)

func TestWrongPIN(t *testing.T) {
	fill(t, "pin", StoreRequest{})
	p := &pins{answers: []string{"0000", "12345678", userPIN}}
	seals(t, open(t, uri("pin"), p.prompt))
	want := []cardauth.PINRequest{{Card: "pin", Tries: -1}, {Card: "pin", Tries: -1, Wrong: true}, {Card: "pin", Tries: -1, Wrong: true}}
	if d := cmp.Diff(want, p.shown); d != "" {
		t.Error(d)
	}
}

func TestAlwaysWrongPIN(t *testing.T) {
	fill(t, "pin", StoreRequest{})
	p := &pins{answers: []string{"0000", "0001", "0002", userPIN}}
	var wrong *cardauth.PINError
	if _, err := Open(t.Context(), uri("pin"), p.prompt); !errors.As(err, &wrong) || len(p.shown) != 3 || wrong.Locked || wrong.Tries != -1 {
		t.Errorf("got %v after %d questions", err, len(p.shown))
	}
	if _, err := Open(t.Context(), uri("pin"), (&pins{}).prompt); !errors.Is(err, context.Canceled) {
		t.Errorf("nobody there: %v", err)
	}
	var none *UnsupportedError
	if _, err := Open(t.Context(), uri("pin"), nil); !errors.As(err, &none) {
		t.Errorf("no prompt: %v", err)
	}
}

func TestPINFromURI(t *testing.T) {
	fill(t, "pin", StoreRequest{})
	file := filepath.Join(t.TempDir(), "pin")
	if err := os.WriteFile(file, []byte(userPIN+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, query := range []string{"&pin-value=" + userPIN, "&pin-source=file:" + file} {
		p := &pins{}
		c := open(t, uri("pin")+query, p.prompt)
		seals(t, c)
		if err := c.Close(); err != nil || len(p.shown) > 0 {
			t.Errorf("%s: %v, asked %d times", query, err, len(p.shown))
		}
	}
	p := &pins{answers: []string{userPIN}}
	var wrong *cardauth.PINError
	if _, err := Open(t.Context(), uri("pin")+"&pin-value=0000", p.prompt); !errors.As(err, &wrong) || len(p.shown) > 0 {
		t.Errorf("got %v, asked %d times", err, len(p.shown))
	}
	if _, err := Open(t.Context(), uri("pin")+"&pin-source=file:"+file+"x", p.prompt); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("got %v", err)
	}
}

func TestOneLoginForTheProcess(t *testing.T) {
	fill(t, "shared", StoreRequest{})
	a := open(t, uri("shared"), right)
	p := &pins{}
	b := open(t, uri("shared"), p.prompt)
	if len(p.shown) > 0 {
		t.Error("asked for the PIN of a token that is logged in")
	}
	if err := a.Close(); err != nil {
		t.Fatal(err)
	}
	seals(t, b)
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(t.Context(), uri("shared"), p.prompt); !errors.Is(err, context.Canceled) {
		t.Errorf("after the last was closed: %v", err)
	}
}

func TestNotFound(t *testing.T) {
	notModule := filepath.Join(t.TempDir(), "x.so")
	if err := os.WriteFile(notModule, []byte("x"), 0o700); err != nil {
		t.Fatal(err)
	}
	t.Setenv(ModuleVariable, notModule)
	for name, tt := range map[string]struct {
		uri   string
		cause bool
	}{
		"another token":     {uri: uri("nobody's")},
		"an empty token":    {uri: uri("empty")},
		"no such module":    {uri: "pkcs11:?module-path=/nowhere/x.so", cause: true},
		"no module":         {uri: "pkcs11:", cause: true},
		"no module by name": {uri: "pkcs11:?module-name=y"},
		"another serial":    {uri: "pkcs11:token=pin;serial=1?module-path=" + softhsm},
		"another slot":      {uri: "pkcs11:token=pin;slot-id=1?module-path=" + softhsm},
	} {
		_, err := Open(t.Context(), tt.uri, right)
		var nf *NotFoundError
		var me *ModuleError
		if !errors.As(err, &nf) || errors.As(err, &me) != tt.cause {
			t.Errorf("%s: %v", name, err)
		}
	}
	var e *URIError
	if _, err := Open(t.Context(), "pkcs11:colour=red", right); !errors.As(err, &e) {
		t.Errorf("got %v", err)
	}
}

func TestAmbiguous(t *testing.T) {
	first := fill(t, "ambiguous", StoreRequest{})
	second := fill(t, "ambiguous", StoreRequest{ID: []byte{0x47}, Label: "SECOND"})
	var e *AmbiguousError
	if _, err := Open(t.Context(), uri("ambiguous"), right); !errors.As(err, &e) || len(e.URIs) != 2 {
		t.Fatalf("got %v", err)
	}
	for i, u := range []string{first, second} {
		if !slices.Contains(e.URIs, u) {
			t.Errorf("%s is not among %v", u, e.URIs)
		}
		if c := open(t, u, right); !slices.Equal(c.id, []byte{[]byte{0x45, 0x47}[i]}) {
			t.Errorf("%s opened the certificate of %x", u, c.id)
		}
	}
	seals(t, open(t, "pkcs11:token=ambiguous;object=SECOND%20CERTIFICATE?module-path="+softhsm, right))

	fill(t, "twin one", StoreRequest{})
	fill(t, "twin two", StoreRequest{})
	p := &pins{}
	if _, err := Open(t.Context(), "pkcs11:?module-path="+softhsm, p.prompt); !errors.As(err, &e) || len(e.URIs) < 2 || len(p.shown) > 0 {
		t.Errorf("got %v, asked %d times", err, len(p.shown))
	}
}

// The key that makes legally binding signatures stands on every identity card beside the other and is never taken.
func TestBindingKeyIsNeverUsed(t *testing.T) {
	binding := issueTo(trialpki.Person{Name: "ana", Edit: func(c *x509.Certificate) { c.KeyUsage = x509.KeyUsageContentCommitment }})
	both := issueTo(trialpki.Person{Name: "ana", Edit: func(c *x509.Certificate) {
		c.KeyUsage = x509.KeyUsageContentCommitment | x509.KeyUsageDigitalSignature
	}})
	u := fill(t, "binding", StoreRequest{Issue: binding, ID: []byte{0x46}, Label: "CITIZEN SIGNATURE"})
	fill(t, "binding", StoreRequest{Issue: both, ID: []byte{0x48}, Label: "BOTH"})
	var nf *NotFoundError
	for _, u := range []string{u, uri("binding"), "pkcs11:token=binding;id=%48?module-path=" + softhsm} {
		if _, err := Open(t.Context(), u, right); !errors.As(err, &nf) || !strings.Contains(err.Error(), "legally binding") && !strings.Contains(err.Error(), "not for digital") {
			t.Errorf("%s: %v", u, err)
		}
	}
	fill(t, "binding", StoreRequest{})
	if c := open(t, uri("binding"), right); !slices.Equal(c.id, []byte{0x45}) {
		t.Errorf("opened the certificate of %x", c.id)
	}
}

func TestList(t *testing.T) {
	fill(t, "p256", StoreRequest{})
	tokens, err := List([]string{"/nowhere.so", softhsm})
	var me *ModuleError
	if !errors.As(err, &me) || me.Module != "/nowhere.so" {
		t.Errorf("got %v", err)
	}
	i := slices.IndexFunc(tokens, func(t Token) bool { return t.Label == "p256" })
	if i < 0 {
		t.Fatalf("tokens %+v", tokens)
	}
	if !tokens[i].Present || !tokens[i].Login || tokens[i].Reader == "" || len(tokens[i].Certificates) != 4 {
		t.Errorf("token %+v", tokens[i])
	}
	var usable []Certificate
	for _, c := range tokens[i].Certificates {
		if c.Refuse == "" {
			usable = append(usable, c)
		}
	}
	if len(usable) != 1 {
		t.Fatalf("usable %+v", usable)
	}
	if c := open(t, usable[0].URI, right); !c.Certificate().Equal(usable[0].Certificate) {
		t.Error("the URI leads to another certificate")
	}
}

func TestAlwaysAuthenticate(t *testing.T) {
	u := fill(t, "always", StoreRequest{}, cryptoki.Bool(cryptoki.AttrAlwaysAuthenticate, true))
	p := &pins{answers: []string{userPIN}}
	c := open(t, u, p.prompt)
	if !c.PINEachTime() {
		t.Fatal("not seen that the key wants the PIN each time")
	}
	p.answers = []string{userPIN, "0000", userPIN}
	seals(t, c)
	seals(t, c)
	if len(p.shown) != 4 || p.shown[2].Wrong || !p.shown[3].Wrong {
		t.Errorf("shown %+v", p.shown)
	}
	if _, err := c.SealRoot(t.Context(), wire.SealInput{}); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	p.answers = []string{userPIN}
	seals(t, c)
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(t.Context(), u, p.prompt); !errors.Is(err, context.Canceled) {
		t.Errorf("a session is left that keeps the token logged in: %v", err)
	}
}

// behind ends all sessions on the card's token behind its back.
func behind(t *testing.T, c *card) {
	t.Helper()
	if err := c.Session.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
}

func TestRecovery(t *testing.T) {
	fill(t, "recovery", StoreRequest{})
	p := &pins{answers: []string{userPIN}}
	a, b := open(t, uri("recovery"), right), open(t, uri("recovery"), p.prompt)
	behind(t, a)
	seals(t, a)
	seals(t, b)
	if len(p.shown) > 0 {
		t.Errorf("asked for the PIN of a token that is logged in: %+v", p.shown)
	}

	behind(t, a)
	behind(t, b)
	seals(t, b)
	if len(p.shown) != 1 {
		t.Errorf("after logout: asked %d times", len(p.shown))
	}
	seals(t, a) // the token is logged in again

	fill(t, "recovery", StoreRequest{})
	behind(t, b)
	var absent *cardauth.AbsentError
	if _, err := b.SealRoot(t.Context(), wire.SealInput{}); !errors.As(err, &absent) || !absent.Other || len(p.shown) != 1 {
		t.Errorf("with another card in its place: %v", err)
	}
}

func TestRenewalOnTheToken(t *testing.T) {
	u := fill(t, "renewal", StoreRequest{})
	first := open(t, u, right)
	fault := errors.New("the authority is closed")
	_, err := Store(t.Context(), uri("renewal"), right, StoreRequest{RSABits: 2048, Issue: func(crypto.PublicKey) ([][]byte, error) { return nil, fault }})
	if !errors.Is(err, fault) {
		t.Errorf("got %v", err)
	}
	seals(t, first)
	count := func(when string) {
		t.Helper()
		all, err := first.Session.Find(t.Context(), nil)
		if err != nil || len(all) != 6 { // key pair, certificate, three authorities
			t.Errorf("%d objects on the token %s, %v", len(all), when, err)
		}
	}
	count("after a failure")
	if again := fill(t, "renewal", StoreRequest{}); again != u {
		t.Errorf("the URI became %s", again)
	}
	second := open(t, u, right)
	seals(t, second)
	if first.cert.PublicKey.(*ecdsa.PublicKey).Equal(second.cert.PublicKey) || first.cert.Subject.SerialNumber != second.cert.Subject.SerialNumber {
		t.Error("the same key, or another identity")
	}
	count("after renewal")
}

func TestEncodeECDSA(t *testing.T) {
	raw := make([]byte, 64)
	raw[31], raw[32] = 1, 0x80
	got, err := encodeECDSA(raw, 32)
	want := append([]byte{0x30, 0x26, 2, 1, 1, 2, 0x21, 0, 0x80}, make([]byte, 31)...)
	if err != nil || !slices.Equal(got, want) {
		t.Errorf("%x, %v", got, err)
	}
	for _, n := range []int{0, 63, 65, 96} {
		if _, err := encodeECDSA(make([]byte, n), 32); err == nil {
			t.Errorf("%d bytes were taken", n)
		}
	}
}

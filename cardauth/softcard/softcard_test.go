package softcard_test

import (
	"context"
	"crypto"
	"encoding/pem"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"sinete/cardauth"
	"sinete/cardauth/cardtest"
	"sinete/cardauth/softcard"
	"sinete/internal/trialpki"
	"sinete/wire"
)

// cheap makes cards that are quick to open.
var cheap = softcard.Options{Memory: 64}

func issue(t *testing.T, key trialpki.KeyType) *trialpki.Issued {
	t.Helper()
	w, err := trialpki.New(trialpki.Options{})
	if err != nil {
		t.Fatal(err)
	}
	i, err := w.IssuePerson(trialpki.Person{Name: "ana", Key: key})
	if err != nil {
		t.Fatal(err)
	}
	return i
}

// pins answers with one PIN after the other and keeps what it was shown.
type pins struct {
	answers []string
	shown   []cardauth.PINRequest
}

func (p *pins) prompt(_ context.Context, r cardauth.PINRequest) (string, error) {
	p.shown = append(p.shown, r)
	if len(p.answers) == 0 {
		return "", context.Canceled
	}
	a := p.answers[0]
	p.answers = p.answers[1:]
	return a, nil
}

func TestSuite(t *testing.T) {
	for _, tt := range []struct {
		key    trialpki.KeyType
		scheme wire.Scheme
		want   wire.Scheme
	}{
		{trialpki.RSA2048, 0, wire.SchemeRSAPKCS1},
		{trialpki.RSA2048, wire.SchemeRSAPSS, wire.SchemeRSAPSS},
		{trialpki.RSA3072, 0, wire.SchemeRSAPKCS1},
		{trialpki.P256, 0, wire.SchemeP256},
		{trialpki.P384, 0, wire.SchemeP384},
	} {
		t.Run(string(tt.key)+" "+tt.want.String(), func(t *testing.T) {
			i := issue(t, tt.key)
			path := filepath.Join(t.TempDir(), "ana.card")
			o := cheap
			o.Scheme = tt.scheme
			if err := softcard.Create(path, i.Key, i.Chain, "1234", o); err != nil {
				t.Fatal(err)
			}
			cardtest.Run(t, func(t *testing.T) cardauth.Card {
				c, err := softcard.Open(t.Context(), path, (&pins{answers: []string{"1234"}}).prompt)
				if err != nil {
					t.Fatal(err)
				}
				if c.Scheme() != tt.want || !slices.EqualFunc(c.Chain(), i.Chain, slices.Equal) || !c.Software() {
					t.Errorf("scheme %v, a chain of %d, software %v", c.Scheme(), len(c.Chain()), c.Software())
				}
				return c
			})
		})
	}
}

func TestWrongPIN(t *testing.T) {
	i := issue(t, trialpki.P256)
	path := filepath.Join(t.TempDir(), "ana.card")
	if err := softcard.Create(path, i.Key, i.Chain, "1234", cheap); err != nil {
		t.Fatal(err)
	}
	p := &pins{answers: []string{"0000", "9999", "1234"}}
	if _, err := softcard.Open(t.Context(), path, p.prompt); err != nil {
		t.Errorf("right at the third try: %v", err)
	}
	want := []cardauth.PINRequest{{Card: "ana.card", Tries: 3}, {Card: "ana.card", Tries: 2, Wrong: true}, {Card: "ana.card", Tries: 1, Wrong: true}}
	if d := cmp.Diff(want, p.shown); d != "" {
		t.Error(d)
	}

	p = &pins{answers: []string{"0", "", "12345", "1234"}}
	var wrong *cardauth.PINError
	if _, err := softcard.Open(t.Context(), path, p.prompt); !errors.As(err, &wrong) || len(p.shown) != 3 {
		t.Errorf("got %v after %d questions", err, len(p.shown))
	}
	if _, err := softcard.Open(t.Context(), path, (&pins{}).prompt); !errors.Is(err, context.Canceled) {
		t.Errorf("nobody there: %v", err)
	}
}

func TestFileIsPrivateAndReplaced(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "ana.card")
	for range 2 {
		i := issue(t, trialpki.P256)
		if err := softcard.Create(path, i.Key, i.Chain, "1234", cheap); err != nil {
			t.Fatal(err)
		}
		c, err := softcard.Open(t.Context(), path, (&pins{answers: []string{"1234"}}).prompt)
		if err != nil || !c.Certificate().Equal(i.Certificate) {
			t.Errorf("not the card just made: %v", err)
		}
	}
	if s, err := os.Stat(path); err != nil || s.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v", s.Mode(), err)
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) != 1 {
		t.Errorf("left behind: %v, %v", left, err)
	}
	if _, err := softcard.Open(t.Context(), filepath.Join(dir, "rui.card"), (&pins{}).prompt); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a card that is not there: %v", err)
	}
}

// Every byte of the file counts: changed, the card is refused or, where the change is in the armour alone, is the same card.
func TestEveryByteCounts(t *testing.T) {
	i := issue(t, trialpki.P256)
	path := filepath.Join(t.TempDir(), "ana.card")
	if err := softcard.Create(path, i.Key, i.Chain[:1], "1234", cheap); err != nil {
		t.Fatal(err)
	}
	good, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	open := func(b []byte) error {
		if err := os.WriteFile(path, b, 0o600); err != nil {
			t.Fatal(err)
		}
		c, err := softcard.Open(t.Context(), path, (&pins{answers: []string{"1234"}}).prompt)
		if err == nil && (!c.Certificate().Equal(i.Certificate) || c.Scheme() != wire.SchemeP256) {
			t.Fatal("opened as another card")
		}
		return err
	}
	opened := 0
	for n := range good {
		b := slices.Clone(good)
		b[n] ^= 1
		if open(b) == nil {
			opened++
		}
	}
	// What may change: line ends and blanks in the armour.
	if opened > strings.Count(string(good), "\n")+16 {
		t.Errorf("opened with %d of %d bytes changed", opened, len(good))
	}
	for n := range len(good) - 2 {
		if open(good[:n]) == nil {
			t.Fatalf("opened with %d of %d bytes", n, len(good))
		}
	}
}

// The scheme is as much the owner's choice as the key.
func TestSchemeCannotBeSwapped(t *testing.T) {
	i := issue(t, trialpki.RSA2048)
	path := filepath.Join(t.TempDir(), "ana.card")
	if err := softcard.Create(path, i.Key, i.Chain, "1234", cheap); err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	b = []byte(strings.Replace(string(b), "Scheme: 1025", "Scheme: 2052", 1))
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
	var wrong *cardauth.PINError
	if _, err := softcard.Open(t.Context(), path, (&pins{answers: []string{"1234", "1234", "1234"}}).prompt); !errors.As(err, &wrong) {
		t.Errorf("got %v", err)
	}
}

func TestRefusedFiles(t *testing.T) {
	i := issue(t, trialpki.P256)
	path := filepath.Join(t.TempDir(), "ana.card")
	if err := softcard.Create(path, i.Key, i.Chain, "1234", cheap); err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	good := string(b)
	cert := string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: i.Chain[0]}))
	for name, bad := range map[string]string{
		"empty":             "",
		"text":              "hello",
		"text before":       "hello\n" + good,
		"text behind":       good + "hello\n",
		"another version":   strings.Replace(good, "Version: 1", "Version: 2", 1),
		"a further header":  strings.Replace(good, "Version: 1", "Version: 1\nColour: red", 1),
		"no salt":           strings.Replace(good, "Salt: ", "Pepper: ", 1),
		"too much memory":   strings.Replace(good, "Memory: 64", "Memory: 4294967295", 1),
		"too much time":     strings.Replace(good, "Time: 1", "Time: 17", 1),
		"no time":           strings.Replace(good, "Time: 1", "Time: 0", 1),
		"certificate first": cert + good,
		"two keys":          good + good,
		"no certificates":   good[:strings.Index(good, "-----BEGIN CERTIFICATE")],
		"six certificates":  good + cert + cert,
		"long":              good + strings.Repeat("\n", 64<<10),
	} {
		if err := os.WriteFile(path, []byte(bad), 0o600); err != nil {
			t.Fatal(err)
		}
		p := &pins{answers: []string{"1234"}}
		var format *softcard.FormatError
		if _, err := softcard.Open(t.Context(), path, p.prompt); !errors.As(err, &format) || len(p.shown) > 0 {
			t.Errorf("%s: got %v, the PIN asked for %d times", name, err, len(p.shown))
		}
	}
}

func TestFromKeyRefuses(t *testing.T) {
	a, b := issue(t, trialpki.P256), issue(t, trialpki.P384)
	for name, err := range map[string]error{
		"another's certificate": second(softcard.FromKey(a.Key, b.Chain, 0)),
		"a scheme of RSA":       second(softcard.FromKey(a.Key, a.Chain, wire.SchemeRSAPKCS1)),
		"a scheme of sessions":  second(softcard.FromKey(a.Key, a.Chain, wire.SchemeEd25519)),
		"no certificate":        second(softcard.FromKey(a.Key, nil, 0)),
		"no certificate's DER":  second(softcard.FromKey(a.Key, [][]byte{{1}}, 0)),
		"memory beyond reading": softcard.Create(filepath.Join(t.TempDir(), "c"), a.Key, a.Chain, "1", softcard.Options{Memory: 1 << 21}),
	} {
		if err == nil {
			t.Errorf("%s was taken", name)
		}
	}
}

// A signer that is none of Go's own keys may be anything; what it says is a signature is checked.
func TestForeignSignerIsChecked(t *testing.T) {
	for _, key := range []trialpki.KeyType{trialpki.P256, trialpki.RSA2048} {
		i := issue(t, key)
		for name, c := range map[string]struct {
			spoil byte
			takes bool
		}{"right": {0, true}, "wrong": {1, false}} {
			card, err := softcard.FromKey(foreign{i.Key, c.spoil}, i.Chain, 0)
			if err != nil {
				t.Fatal(err)
			}
			if sig, err := card.SealRoot(t.Context(), wire.SealInput{Leaves: 1}); (err == nil) != c.takes || (sig != nil) != c.takes {
				t.Errorf("%v, %s: got a signature of %d bytes, %v", key, name, len(sig), err)
			}
		}
	}
}

// foreign is a key whose signatures are spoiled.
type foreign struct {
	crypto.Signer
	spoil byte
}

func (f foreign) Sign(random io.Reader, digest []byte, opts crypto.SignerOpts) ([]byte, error) {
	sig, err := f.Signer.Sign(random, digest, opts)
	if err == nil {
		sig[len(sig)-1] ^= f.spoil
	}
	return sig, err
}

func second(_ *softcard.Card, err error) error { return err }

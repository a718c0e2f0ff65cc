package cardauth_test

import (
	"crypto/x509"
	"encoding/pem"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"sinete/cardauth"
)

func pemOf(certs ...*x509.Certificate) (b []byte) {
	for _, c := range certs {
		b = append(b, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Raw})...)
	}
	return b
}

// folder writes files into a fresh folder.
func folder(t *testing.T, files map[string][]byte) string {
	t.Helper()
	dir := t.TempDir()
	for name, b := range files {
		if err := os.WriteFile(filepath.Join(dir, name), b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func TestLoadTrust(t *testing.T) {
	w := newWorld(t)
	old := newAuthority(t, nil, "Old root", func(c *x509.Certificate) { c.SignatureAlgorithm = x509.ECDSAWithSHA1 })
	qualified := newAuthority(t, w.sub, "Issues qualified certificates", criticalExtension(1, 3, 6, 1, 5, 5, 7, 1, 3))
	// Its own name as its issuer's, but another's signature: a new key that an old one vouches for.
	rolled := newAuthority(t, w.root, "Root")
	crossed := newAuthority(t, w.root, "Known by another's signature")
	dir := folder(t, map[string][]byte{
		"all.pem":             append([]byte("some text\n"), pemOf(w.root.cert, w.sub.cert, qualified.cert)...),
		"again.pem":           pemOf(w.root.cert, w.sub.cert),
		"old.pem":             pemOf(old.cert),
		"rolled.pem":          pemOf(rolled.cert),
		"crossed.anchor.pem":  pemOf(crossed.cert),
		"README.txt":          []byte("not ours"),
		"private-key.pem.bak": []byte("not ours"),
	})
	anchors, intermediates, err := cardauth.LoadTrust(dir)
	if err != nil {
		t.Fatal(err)
	}
	check := func(what string, got []*x509.Certificate, want ...*authority) {
		t.Helper()
		if len(got) != len(want) {
			t.Errorf("%d %s, want %d", len(got), what, len(want))
		}
		for _, a := range want {
			found := false
			for _, c := range got {
				found = found || c.Equal(a.cert)
			}
			if !found {
				t.Errorf("%s is none of the %s", a.cert.Subject, what)
			}
		}
	}
	check("anchors", anchors, w.root, old, crossed)
	check("intermediates", intermediates, w.sub, rolled, qualified)

	w.policy.Anchors, w.policy.Intermediates = anchors, intermediates
	for _, a := range []*authority{w.sub, qualified, old, crossed, rolled} {
		if _, err := w.policy.VerifyPerson(ders(a.person()), nil); err != nil {
			t.Errorf("a person of %s: %v", a.cert.Subject, err)
		}
	}
}

func TestTrustThatIsRefused(t *testing.T) {
	w := newWorld(t)
	for name, b := range map[string][]byte{
		"empty.pem": nil,
		"text.pem":  []byte("hello"),
		"key.pem":   append(pemOf(w.root.cert), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: w.sub.cert.Raw})...),
		"bad.pem":   pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: []byte{1}}),
	} {
		dir := folder(t, map[string][]byte{"a.pem": pemOf(w.root.cert), name: b})
		_, _, err := cardauth.LoadTrust(dir)
		var te *cardauth.TrustError
		if !errors.As(err, &te) || te.Path != filepath.Join(dir, name) {
			t.Errorf("%s: got %v", name, err)
		}
	}
	for name, files := range map[string]map[string][]byte{"nothing": nil, "only intermediates": {"a.pem": pemOf(w.sub.cert)}} {
		dir := folder(t, files)
		_, _, err := cardauth.LoadTrust(dir)
		var te *cardauth.TrustError
		if !errors.As(err, &te) || te.Path != dir || !errors.Is(err, cardauth.ErrNoAnchors) {
			t.Errorf("%s: got %v", name, err)
		}
	}
	if _, _, err := cardauth.LoadTrust(filepath.Join(t.TempDir(), "none")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("no folder: got %v", err)
	}
}

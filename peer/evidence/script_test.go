package evidence

import (
	"crypto/x509"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"sinete/internal/trialpki"
	"sinete/wire"

	"sinete/internal/judge"
	"sinete/peer/evidence/internal/bundle"
)

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func newWorld(t testing.TB) *trialpki.World {
	t.Helper()
	w, err := trialpki.New(trialpki.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return w
}

func issue(t testing.TB, w *trialpki.World, p trialpki.Person) *trialpki.Issued {
	t.Helper()
	i, err := w.IssuePerson(p)
	if err != nil {
		t.Fatal(err)
	}
	return i
}

// everything writes all that lines can say.
func everything(t testing.TB, w *trialpki.World, key trialpki.KeyType, scheme wire.Scheme) *forgery {
	t.Helper()
	s := newForgery(t, w.Root.Certificate)
	ana := s.person(issue(t, w, trialpki.Person{Name: "ana", Key: key}), scheme)
	rui := s.person(issue(t, w, trialpki.Person{Name: "rui", Key: key}), scheme)
	s.status(w, ana)
	s.converse(ana, rui)
	s.begin(1, wire.Place{Epoch: 0, Count: 62, T: [32]byte{9}})
	s.hidden()
	s.message(5, "Olá, Rui!\n", wire.Level{Rank: 2, Compartments: []string{"crypto", "ops"}})
	s.message(70_000, strings.Repeat("0123456789", 6100), wire.Level{}) // as long as a text may be
	s.head()
	s.epoch()
	s.hidden()
	s.head()
	s.receipt(nil)
	s.begin(2, wire.Place{Epoch: 1 << 31, T: [32]byte{8}})
	s.message(0, "x", wire.Level{Rank: 65535})
	s.head()
	s.receipt(&wire.Place{Epoch: 1, Count: 1 << 40})
	s.message(1, "\x1b[31m%s\\n\x00", wire.Level{})
	s.head()
	return s
}

func TestScriptAccepts(t *testing.T) {
	w := newWorld(t)
	for name, c := range map[string]struct {
		key    trialpki.KeyType
		scheme wire.Scheme
	}{
		"P-256":     {trialpki.P256, wire.SchemeP256},
		"P-384":     {trialpki.P384, wire.SchemeP384},
		"RSA":       {trialpki.RSA2048, wire.SchemeRSAPKCS1},
		"RSA-PSS":   {trialpki.RSA2048, wire.SchemeRSAPSS},
		"delegated": {trialpki.P256, wire.SchemeEd25519},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := everything(t, w, c.key, c.scheme)
			files := s.bundle()
			shells := [][]string{{"sh"}}
			if name == "delegated" { // which takes every way through the script
				shells = append(shells, []string{"bash", "--posix"})
			}
			for _, shell := range shells {
				j := judge.New(t, shell...)
				words := j.Accepts(j.Folder(files))
				for _, want := range []string{
					fmt.Sprintf("Person 1 is %s,", s.people[0].Identity),
					fmt.Sprintf("From %s to %s, conversation %x:", s.people[1].Identity, s.people[0].Identity, s.channel),
					"Message 5, text-1.txt, 11 bytes, label 2{crypto,ops}, written at ",
					"Message 70000, text-2.txt, 61000 bytes, label 0, written at ",
					"Message 0, text-3.txt, 1 bytes, label 65535, written at ",
					"text-2.txt: Message 70000 from " + s.people[0].Identity,
					"text-4.txt: Message 1 from " + s.people[1].Identity,
					"not proved to have been received",
				} {
					if !strings.Contains(words, want) {
						t.Errorf("%v does not say %q:\n%s", shell, want, words)
					}
				}
				for _, c := range []byte(words) {
					if c != '\n' && (c < ' ' || c > '~') {
						t.Fatalf("%v prints %q", shell, words)
					}
				}
			}
		})
	}
}

// Where the judge names authorities, nobody else's count.
func TestScriptTrust(t *testing.T) {
	w, another := newWorld(t), newWorld(t)
	f := scene(t, w, wire.SchemeP256)
	short(f)
	j := judge.New(t, "sh")
	dir := j.Folder(f.bundle())
	trust := func(certificates ...*x509.Certificate) string {
		var b []byte
		for _, c := range certificates {
			b = append(append(b, c.Subject.CommonName+"\n"...), bundle.PEM("CERTIFICATE", c.Raw)...)
		}
		file := filepath.Join(t.TempDir(), "trust.pem")
		must(t, os.WriteFile(file, b, 0o600))
		return file
	}
	if words := j.Accepts(dir, trust(another.Card.Certificate, w.Card.Certificate)); !strings.Contains(words, "which is among those that you trust") {
		t.Errorf("%s", words)
	}
	j.Refuses(dir, "an authority that is not among those that you trust", trust(another.Card.Certificate, w.Root.Certificate))
	j.Refuses(dir, "cannot be read", "nowhere.pem")
}

// Identities are computed as protocol.md section 7.1 says, whatever stands in a certificate.
func TestScriptIdentities(t *testing.T) {
	w := newWorld(t)
	f := newForgery(t, w.Authentication.Certificate)
	var people []*forged
	for i, edit := range []func(*x509.Certificate){
		func(c *x509.Certificate) { c.Subject.SerialNumber = ` #a b@c%d"+,;<>=\\é/ ` },
		func(c *x509.Certificate) { c.Subject.SerialNumber = "x + serialNumber=y\n    serialNumber=z" },
		func(c *x509.Certificate) {
			c.Subject.SerialNumber, c.EmailAddresses, c.DNSNames = "", []string{"Ana.Z+x@Example.org", "second@example.org"}, []string{"example.org"}
		},
		func(c *x509.Certificate) { c.Subject.CommonName = "\x1b[31m\nserialNumber=1" },
	} {
		people = append(people, f.person(issue(t, w, trialpki.Person{Name: fmt.Sprint("p", i), Edit: edit}), wire.SchemeP256))
	}
	f.converse(people[0], people[1])
	short(f)
	f.converse(people[2], people[3])
	short(f)
	j := judge.New(t, "sh")
	words := j.Accepts(j.Folder(f.bundle()))
	for _, p := range people {
		if !strings.Contains(words, " is "+p.Identity+",\n") {
			t.Errorf("it does not say %s:\n%s", p.Identity, words)
		}
	}
	if strings.Contains(words, "\x1b") {
		t.Errorf("%q", words)
	}
}

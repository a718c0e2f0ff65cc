package evidence

import (
	"bytes"
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"sinete/internal/trialpki"
	"sinete/wire"
)

// judge is a machine that has nothing but openssl, sha256sum and a shell.
type judge struct {
	t     testing.TB
	path  string
	shell []string
}

func newJudge(t testing.TB, shell ...string) *judge {
	t.Helper()
	j := &judge{t, t.TempDir(), shell}
	for _, name := range []string{"openssl", "sha256sum", shell[0]} {
		program, err := exec.LookPath(name)
		if err == nil {
			err = os.Symlink(program, filepath.Join(j.path, name))
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	return j
}

// folder writes files into a new one.
func (j *judge) folder(files map[string][]byte) (dir string) {
	j.t.Helper()
	dir = j.t.TempDir()
	for name, content := range files {
		if err := os.WriteFile(filepath.Join(dir, name), content, 0o600); err != nil {
			j.t.Fatal(err)
		}
	}
	return dir
}

// run runs the script of a folder.
func (j *judge) run(dir string, arguments ...string) (status int, stdout, stderr string) {
	j.t.Helper()
	ctx, cancel := context.WithTimeout(j.t.Context(), time.Minute) // what was changed may wait for ever
	defer cancel()
	c := exec.CommandContext(ctx, filepath.Join(j.path, j.shell[0]), append(append(j.shell[1:len(j.shell):len(j.shell)], "verify.sh"), arguments...)...)
	c.WaitDelay = time.Second // its children may live on
	c.Dir, c.Env = dir, []string{"PATH=" + j.path}
	var out, err bytes.Buffer
	c.Stdout, c.Stderr = &out, &err
	var exit *exec.ExitError
	if e := c.Run(); e != nil && !errors.As(e, &exit) && ctx.Err() == nil {
		j.t.Fatal(e)
	}
	return c.ProcessState.ExitCode(), out.String(), err.String()
}

// in is the same judge for a part of a test.
func (j *judge) in(t testing.TB) *judge { return &judge{t, j.path, j.shell} }

// accepts wants the script to verify everything.
func (j *judge) accepts(dir string, arguments ...string) (words string) {
	j.t.Helper()
	status, stdout, stderr := j.run(dir, arguments...)
	if status != 0 || !strings.Contains(stdout, "\nVERIFIED\n") || stderr != "" {
		j.t.Fatalf("status %d\n%s\n%s", status, stdout, stderr)
	}
	return stdout
}

// refuses wants the script to say why.
func (j *judge) refuses(dir, why string, arguments ...string) {
	j.t.Helper()
	status, stdout, stderr := j.run(dir, arguments...)
	if status != 1 || strings.Contains(stdout, "VERIFIED") || !strings.HasPrefix(stderr, "REFUSED: ") || !strings.Contains(stderr, why) {
		j.t.Errorf("status %d, %q where it should say %q", status, stderr, why)
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
				j := newJudge(t, shell...)
				words := j.accepts(j.folder(files))
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
	j := newJudge(t, "sh")
	dir := j.folder(f.bundle())
	trust := func(certificates ...*x509.Certificate) string {
		var b []byte
		for _, c := range certificates {
			b = append(append(b, c.Subject.CommonName+"\n"...), pemOf("CERTIFICATE", c.Raw)...)
		}
		file := filepath.Join(t.TempDir(), "trust.pem")
		must(t, os.WriteFile(file, b, 0o600))
		return file
	}
	if words := j.accepts(dir, trust(another.Card.Certificate, w.Card.Certificate)); !strings.Contains(words, "which is among those that you trust") {
		t.Errorf("%s", words)
	}
	j.refuses(dir, "an authority that is not among those that you trust", trust(another.Card.Certificate, w.Root.Certificate))
	j.refuses(dir, "cannot be read", "nowhere.pem")
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
	j := newJudge(t, "sh")
	words := j.accepts(j.folder(f.bundle()))
	for _, p := range people {
		if !strings.Contains(words, " is "+p.Identity+",\n") {
			t.Errorf("it does not say %s:\n%s", p.Identity, words)
		}
	}
	if strings.Contains(words, "\x1b") {
		t.Errorf("%q", words)
	}
}

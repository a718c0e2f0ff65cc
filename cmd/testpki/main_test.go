package main

import (
	"context"
	"crypto/tls"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"sinete/cardauth"
	"sinete/cardauth/softcard"
	"sinete/internal/trialpki"
)

// command runs testpki and wants the exit status.
func command(t *testing.T, want int, args ...string) (stdout, stderr string) {
	t.Helper()
	var out, errs strings.Builder
	if code := run(t.Context(), args, &out, &errs); code != want {
		t.Fatalf("testpki %q: exit status %d, want %d\n%s%s", args, code, want, &out, &errs)
	}
	return out.String(), errs.String()
}

func open(t *testing.T, path, pin string) *softcard.Card {
	t.Helper()
	asked := false
	c, err := softcard.Open(t.Context(), path, func(context.Context, cardauth.PINRequest) (string, error) {
		if asked {
			return "", context.Canceled
		}
		asked = true
		return pin, nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestInit(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "trial")
	out, _ := command(t, 0, "init", dir, "--ocsp", "http://127.0.0.1:8888/", "--relay-name", "relay.example", "--relay-name", "192.0.2.1")
	for _, want := range []string{"relay.example", "For trials only", "testpki card " + dir} {
		if !strings.Contains(out, want) {
			t.Errorf("%q is missing in\n%s", want, out)
		}
	}
	pair, err := tls.LoadX509KeyPair(filepath.Join(dir, "relay.pem"), filepath.Join(dir, "relay.key"))
	if err != nil {
		t.Fatal(err)
	}
	if len(pair.Certificate) != 3 || pair.Leaf.Subject.CommonName != "relay.example" || pair.Leaf.VerifyHostname("192.0.2.1") != nil ||
		pair.Leaf.VerifyHostname("localhost") != nil || len(pair.Leaf.OCSPServer) != 1 || pair.Leaf.OCSPServer[0] != "http://127.0.0.1:8888" {
		t.Errorf("a chain of %d, %+v", len(pair.Certificate), pair.Leaf.Subject)
	}
	if s, err := os.Stat(filepath.Join(dir, "relay.key")); err != nil || s.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v", s.Mode(), err)
	}
	if trust, err := filepath.Glob(filepath.Join(dir, "trust", "*.pem")); err != nil || len(trust) != 5 {
		t.Errorf("trust %v, %v", trust, err)
	}
	if _, errs := command(t, 1, "init", dir); !strings.Contains(errs, "already") {
		t.Errorf("a second time: %s", errs)
	}
}

// What an organisation has put there is not written over, and nothing else is written beside it.
func TestInitWritesOverNothing(t *testing.T) {
	for _, own := range []string{"relay.key", "relay.pem", "trust/root.pem"} {
		dir := t.TempDir()
		path := filepath.Join(dir, own)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte("ours"), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, errs := command(t, 1, "init", dir); !strings.Contains(errs, "name another directory") || !strings.Contains(errs, dir) {
			t.Errorf("with %s it says %s", own, errs)
		}
		if b, err := os.ReadFile(path); err != nil || string(b) != "ours" {
			t.Errorf("%s is %q now, %v", own, b, err)
		}
		if all, err := os.ReadDir(dir); err != nil || len(all) != 1 {
			t.Errorf("beside %s there is now %v, %v", own, all, err)
		}
	}
}

func TestSoftCard(t *testing.T) {
	dir := t.TempDir()
	command(t, 0, "init", dir)
	out, _ := command(t, 0, "card", dir, "alice")
	path := filepath.Join(dir, "alice.card")
	first := open(t, path, "1234")
	for _, want := range []string{"1234", first.Certificate().Subject.SerialNumber, first.Certificate().Subject.CommonName,
		"--card soft:" + path, "--trust " + filepath.Join(dir, "trust"), "trials only"} {
		if !strings.Contains(out, want) {
			t.Errorf("%q is missing in\n%s", want, out)
		}
	}
	command(t, 0, "card", dir, "alice", "--cn", "Alice Gonçalves", "--key", "rsa2048", "--pin", "9876")
	again := open(t, path, "9876")
	if again.Certificate().Subject.CommonName != "Alice Gonçalves" || again.Certificate().Subject.SerialNumber != first.Certificate().Subject.SerialNumber {
		t.Errorf("renewed for %v", again.Certificate().Subject)
	}
	command(t, 0, "card", dir, "bob", "--expired")
	if c := open(t, filepath.Join(dir, "bob.card"), "1234").Certificate(); !c.NotAfter.Before(time.Now()) || !c.NotBefore.Before(c.NotAfter) {
		t.Errorf("expired from %v to %v", c.NotBefore, c.NotAfter)
	}
}

func TestUsage(t *testing.T) {
	dir := t.TempDir()
	for _, args := range [][]string{
		{"init"}, {"card", dir}, {"card", dir, "a", "--key", "dsa"}, {"frobnicate"}, {"card", dir, "a", "--module", "/x.so"},
		{"card", dir, "a", "--token", "T"}, {"card", dir, "a", "--module", "/x.so", "--token", "T"}, {"init", dir, "--relay-key", "p521"},
	} {
		if _, errs := command(t, 2, args...); !strings.Contains(errs, "testpki: ") {
			t.Errorf("%q said %q", args, errs)
		}
	}
	if _, errs := command(t, 1, "card", dir, "alice"); !strings.Contains(errs, "testpki init") {
		t.Errorf("without a hierarchy: %s", errs)
	}
	for _, args := range [][]string{{}, {"--help"}, {"init", "--help"}, {"card", "--help"}} {
		if out, errs := command(t, 0, args...); !strings.Contains(out, "trial") && !strings.Contains(out, "DIR") || errs != "" {
			t.Errorf("%q printed %q and %q", args, out, errs)
		}
	}
	command(t, 0, "init", dir)
	command(t, 1, "card", dir, "../alice")
	if _, err := trialpki.Open(dir, trialpki.Options{}); err != nil {
		t.Error(err)
	}
}

func TestQuote(t *testing.T) {
	for s, want := range map[string]string{"a/b.card": "a/b.card", "a b": "'a b'", "it's": `'it'\''s'`, "x;y": "'x;y'"} {
		if got := quote(s); got != want {
			t.Errorf("%q became %s", s, got)
		}
	}
}

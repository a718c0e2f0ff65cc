package main

import (
	"crypto/x509"
	"os"
	"path/filepath"
	"testing"

	"sinete/cardauth"
	"sinete/cardauth/fork"
	"sinete/internal/trialpki"
)

// A relay whose log was put back to an older state, and went on from there, has sealed two logs: a head that somebody kept of the first proves it.
func TestAuditFork(t *testing.T) {
	dir, w := world(t, trialpki.Relay{})
	expect(t, 0, nil, "init", dir, "--revocation", "off", "--listen", "127.0.0.1:0")
	config := "--config=" + filepath.Join(dir, "relay.toml")
	log, before := filepath.Join(dir, "audit"), filepath.Join(dir, "before")
	serves := func() string {
		t.Helper()
		if err := serveOnce(t, dir); err != nil {
			t.Fatal(err)
		}
		return expect(t, 0, nil, "audit", "show", "--head", config)
	}
	heads := map[string]string{"first": serves()}
	if err := os.CopyFS(before, os.DirFS(log)); err != nil {
		t.Fatal(err)
	}
	heads["kept"] = serves()
	if err := os.RemoveAll(log); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(before, log); err != nil {
		t.Fatal(err)
	}
	heads["now"] = serves()
	files := t.TempDir()
	file := func(name string) string { return filepath.Join(files, name) }
	for name, head := range heads {
		if err := os.WriteFile(file(name), []byte(head), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	expect(t, 1, []string{"other records than the 5"}, "audit", "verify", "--head", file("kept"), config)
	expect(t, 0, nil, "audit", "fork", file("kept"), file("proof"), config)
	expect(t, 0, nil, "audit", "fork", file("kept"), file("same"), "--other", file("now"), "--certificate", filepath.Join(dir, "relay.pem"))
	expect(t, 1, []string{"do not contradict"}, "audit", "fork", file("now"), file("x"), config)
	expect(t, 1, []string{"do not contradict"}, "audit", "fork", file("kept"), file("x"), "--other", file("first"), config)
	expect(t, 1, []string{"exists"}, "audit", "fork", file("kept"), file("proof"), config)
	other, _ := world(t, trialpki.Relay{})
	expect(t, 1, []string{"another certificate"}, "audit", "fork", file("kept"), file("x"), "--other", file("now"), "--certificate", filepath.Join(other, "relay.pem"))

	b, err := os.ReadFile(file("proof"))
	if err != nil {
		t.Fatal(err)
	}
	p, err := fork.Parse(b)
	if err != nil {
		t.Fatal(err)
	}
	found, err := p.Verify(&cardauth.Policy{Anchors: []*x509.Certificate{w.Root.Certificate}})
	if err != nil || found.What != fork.Log || found.Count != 5 || !found.Relay {
		t.Errorf("it proves %+v, %v", found, err)
	}
}

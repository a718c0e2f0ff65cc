package main

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"sinete/internal/trialpki"
)

// serveOnce runs a relay until it is ready, and ends it.
func serveOnce(t *testing.T, dir string) error {
	t.Helper()
	c, err := loadConfig(filepath.Join(dir, "relay.toml"), time.Now())
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var stderr bytes.Buffer
	return serve(ctx, c, writerFunc(func(b []byte) (int, error) {
		cancel()
		return len(b), nil
	}), &stderr)
}

type writerFunc func(b []byte) (int, error)

func (f writerFunc) Write(b []byte) (int, error) { return f(b) }

// The commands of the audit log, from what relays wrote to what is damaged.
func TestAuditCommands(t *testing.T) {
	dir, _ := world(t, trialpki.Relay{})
	expect(t, 0, nil, "init", dir, "--revocation", "off", "--listen", "127.0.0.1:0")
	config := "--config=" + filepath.Join(dir, "relay.toml")
	expect(t, 1, []string{"when it runs"}, "audit", "verify", config)
	if err := serveOnce(t, dir); err != nil {
		t.Fatal(err)
	}
	head, proof, growth := filepath.Join(dir, "head"), filepath.Join(dir, "proof"), filepath.Join(dir, "growth")
	keep := func(file, text string) {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	keep(head, expect(t, 0, []string{`"size":3`}, "audit", "show", "--head", config))
	if err := serveOnce(t, dir); err != nil {
		t.Fatal(err)
	}
	expect(t, 0, []string{"5 records, 5 of them here; 2 heads, 2 of them verified", "begins with the 3"}, "audit", "verify", "--head", head, config)
	expect(t, 0, []string{"0\t{", `"event":"begun"`, `"event":"started"`, `"event":"stopped"`}, "audit", "show", config)
	if got := expect(t, 0, nil, "audit", "show", "--from", "4", config); strings.Count(got, "\n") != 1 || !strings.HasPrefix(got, "4\t") {
		t.Errorf("the last record: %q", got)
	}
	keep(proof, expect(t, 0, nil, "audit", "prove", "--record", "1", config))
	keep(growth, expect(t, 0, nil, "audit", "prove", "--since", head, config))
	expect(t, 1, []string{"no record 5"}, "audit", "prove", "--record", "5", config)
	expect(t, 2, nil, "audit", "prove", config)

	certificate := filepath.Join(t.TempDir(), "relay.pem")
	pem, err := os.ReadFile(filepath.Join(dir, "relay.pem"))
	if err != nil {
		t.Fatal(err)
	}
	keep(certificate, string(pem))
	expect(t, 0, []string{"genuine: record 1 of a log of 5", `"event":"started"`}, "audit", "verify", "--proof", proof, "--certificate", certificate)
	expect(t, 0, []string{"genuine: the log of 5 records begins with the 3"}, "audit", "verify", "--proof", growth, "--certificate", certificate)
	b, err := os.ReadFile(proof)
	if err != nil {
		t.Fatal(err)
	}
	keep(proof, strings.Replace(string(b), "started", "stopped", 1))
	expect(t, 1, []string{"do not lead to the head"}, "audit", "verify", "--proof", proof, "--certificate", certificate)
	other, _ := world(t, trialpki.Relay{})
	expect(t, 1, []string{"another certificate", "--certificate"}, "audit", "verify", "--proof", growth, "--certificate", filepath.Join(other, "relay.pem"))

	records := filepath.Join(dir, "audit", "records-000000000000.jsonl")
	b, err = os.ReadFile(records)
	if err != nil {
		t.Fatal(err)
	}
	keep(records, strings.Replace(string(b), "stopped", "started", 1))
	expect(t, 1, []string{"record 2 is not what it was", "move it away"}, "audit", "verify", config)
	keep(records, string(b[:len(b)-10]))
	if err := serveOnce(t, dir); err == nil || !strings.Contains(err.Error(), "covers 5 records, and 4 are there") {
		t.Errorf("a relay starts on a log that was cut: %v", err)
	}
}

package main

import (
	"bytes"
	"context"
	"crypto/x509"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"sinete/cardauth"
	"sinete/cardauth/revocation"
	"sinete/internal/trialpki"
	"sinete/relay/flow"
	"sinete/relay/levels"
	"sinete/wire"
)

// world makes a folder as testpki init does.
func world(t *testing.T, r trialpki.Relay) (dir string, w *trialpki.World) {
	t.Helper()
	dir = t.TempDir()
	w, err := trialpki.Create(dir, trialpki.Options{})
	if err != nil {
		t.Fatal(err)
	}
	issued, err := w.IssueRelay(r)
	if err != nil {
		t.Fatal(err)
	}
	if err := issued.WriteFiles(filepath.Join(dir, "relay.pem"), filepath.Join(dir, "relay.key")); err != nil {
		t.Fatal(err)
	}
	return dir, w
}

func runRelay(t *testing.T, args ...string) (status int, stdout, stderr string) {
	t.Helper()
	var out, errs bytes.Buffer
	status = run(t.Context(), args, &out, &errs)
	return status, out.String(), errs.String()
}

// expect runs the command and wants its status, and the words somewhere in what it says.
func expect(t *testing.T, status int, words []string, args ...string) string {
	t.Helper()
	got, stdout, stderr := runRelay(t, args...)
	if got != status {
		t.Errorf("relay %q: status %d, not %d", args, got, status)
	}
	for _, w := range words {
		if !strings.Contains(stdout+stderr, w) {
			t.Errorf("relay %q does not say %q but:\n%s%s", args, w, stdout, stderr)
		}
	}
	if status == 0 && stderr != "" || status != 0 && stdout != "" {
		t.Errorf("relay %q: status %d, and\nstdout %q\nstderr %q", args, status, stdout, stderr)
	}
	return stdout
}

func appendTo(t *testing.T, path, text string) {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, append(b, text...), 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestHelpAndWrongUsage(t *testing.T) {
	expect(t, 0, []string{"init", "serve", "level"})
	expect(t, 0, []string{"--listen", "--name", "--key"}, "init", "--help")
	expect(t, 0, []string{"Exit status: 0 done, 1 failed, 2 wrong usage"}, "--help")
	expect(t, 0, []string{"listening on ADDR", "SIGTERM", "five seconds"}, "serve", "--help")
	expect(t, 0, []string{"relay level set BI12345678 2 ops crypto --config", "within a second"}, "level", "set", "--help")
	for _, args := range [][]string{{"dance"}, {"init"}, {"serve", "--confg", "x"}, {"level", "set", "BI1"}, {"level", "set", "BI1", "-1"},
		{"level", "set", "BI1", "65536"}} {
		expect(t, 2, []string{"--help"}, args...)
	}
}

func TestInitWritesAConfigurationThatServes(t *testing.T) {
	dir, w := world(t, trialpki.Relay{Names: []string{"relay.example"}})
	file := filepath.Join(dir, "relay.toml")
	expect(t, 0, []string{"relay serve --config " + file}, "init", dir)
	c, err := loadConfig(file, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	want := Config{Listen: "127.0.0.1:7443", Name: "relay.example", Key: filepath.Join(dir, "relay.key"), Levels: filepath.Join(dir, "levels"), Audit: filepath.Join(dir, "audit"), Policy: flow.NoWriteUp,
		Revocation: &revocation.Config{Fresh: 450 * time.Second, Dir: filepath.Join(dir, "revocation")}, Recheck: 15 * time.Minute,
		RequireSigning: "any", MinSuite: wire.WeakestSuite, Limits: wire.RekeyLimits{Messages: 1 << 20, Seconds: 900}, Grace: 10 * time.Minute, MaxSessions: 10_000}
	if d := cmp.Diff(want, c, cmpopts.IgnoreFields(Config{}, "Certificate", "Anchors", "Authorities")); d != "" {
		t.Error(d)
	}
	if len(c.Anchors) != 1 || !c.Anchors[0].Equal(w.Root.Certificate) || len(c.Authorities) != 4 {
		t.Errorf("%d anchors, %d authorities", len(c.Anchors), len(c.Authorities))
	}
	if c.Certificate.PrivateKey == nil || c.Certificate.Leaf.Subject.CommonName != "relay.example" {
		t.Error("the certificate was not loaded")
	}
	written, err := readSettings(file)
	if err != nil {
		t.Fatal(err)
	}
	minimal := filepath.Join(dir, "minimal.toml")
	if err := os.WriteFile(minimal, []byte(`name = "relay.example"`), 0o600); err != nil {
		t.Fatal(err)
	}
	implied, err := readSettings(minimal)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(implied, written, cmpopts.EquateEmpty()); d != "" {
		t.Errorf("init writes other values than the defaults: %s", d)
	}
	appendTo(t, file, "\n# mine\n")
	expect(t, 1, []string{"is there already"}, "init", dir)
	if b, err := os.ReadFile(file); err != nil || !strings.HasSuffix(string(b), "# mine\n") {
		t.Errorf("the configuration was written over, %v", err)
	}
}

// TestEveryKeyIsExplained wants above each key, or group of keys, of the file that init writes a comment.
func TestEveryKeyIsExplained(t *testing.T) {
	var text strings.Builder
	if err := document.Execute(&text, defaults()); err != nil {
		t.Fatal(err)
	}
	for _, key := range keyNames() {
		if !regexp.MustCompile(`(?m)^#.*\n(\w+ = .*\n)*` + key + ` = `).MatchString(text.String()) {
			t.Errorf("%s is not explained", key)
		}
	}
}

func TestInitSaysWhatIsMissing(t *testing.T) {
	dir, _ := world(t, trialpki.Relay{})
	empty := t.TempDir()
	expect(t, 1, []string{"trust", "relay.pem", "relay.key", "testpki init " + empty}, "init", empty)
	expect(t, 1, []string{"listen"}, "init", dir, "--listen", "7443")
	if err := os.Remove(filepath.Join(dir, "relay.key")); err != nil {
		t.Fatal(err)
	}
	expect(t, 1, []string{"lacks relay.key"}, "init", dir)
	if _, err := os.Stat(filepath.Join(dir, "relay.toml")); err == nil {
		t.Error("a configuration was written all the same")
	}
}

func TestDefaultName(t *testing.T) {
	for want, r := range map[string]trialpki.Relay{
		"relay.example": {Names: []string{"localhost", "relay.example", "other.example"}},
		"localhost":     {},
		"192.0.2.1":     {Names: []string{"192.0.2.1"}},
	} {
		dir, _ := world(t, r)
		expect(t, 0, nil, "init", dir)
		s, err := readSettings(filepath.Join(dir, "relay.toml"))
		if err != nil || s.Name != want {
			t.Errorf("%q, not %q, %v", s.Name, want, err)
		}
	}
}

func TestConfigurationIsChecked(t *testing.T) {
	dir, _ := world(t, trialpki.Relay{Names: []string{"relay.example"}})
	file := filepath.Join(dir, "relay.toml")
	for text, words := range map[string][]string{
		"lissten = 1\npolice = 2":                       {"lissten, police", "listen", "policy"},
		"[listen]":                                      {"listen"},
		"listen = 7443":                                 {"listen"},
		`listen = "7443"`:                               {`listen = "7443"`},
		`listen = ":quic"`:                              {`listen = ":quic"`},
		"listen = ":                                     {"line 1"},
		`policy = "none"`:                               {`policy = "none"`, "no-write-up, or no-write-down, or equal"},
		`revocation = "soft"`:                           {`revocation = "soft"`, "hard"},
		`revocation_recheck = "15"`:                     {"revocation_recheck", "15m"},
		`revocation_recheck = "1ms"`:                    {"revocation_recheck", "1s"},
		`revocation_grace = "-1h"`:                      {"revocation_grace", "24h"},
		`revocation_networks = ["all"]`:                 {"revocation_networks", "10.20.0.0/16"},
		`revocation_cache = "relay.pem"`:                {"revocation_cache"},
		`require_signing = "no"`:                        {"any, or card"},
		`min_suite = "X25519"`:                          {"min_suite", "P256-AES128GCM-SHA256"},
		`delegation_grace = "soon"`:                     {"delegation_grace", "10m"},
		`delegation_grace = "-1s"`:                      {"delegation_grace", "never"},
		`rekey_after = "0s"`:                            {"rekey_after", "15m"},
		`rekey_after = "25h"`:                           {"rekey_after", "24h"},
		"rekey_messages = 0":                            {"rekey_messages"},
		"max_sessions = 0":                              {"max_sessions"},
		"default_level = 65536":                         {"default_level"},
		"default_level = -1":                            {"default_level"},
		`log = "loud"`:                                  {"debug"},
		`trust = "ca"`:                                  {"trust", "no trust anchor"},
		`trust = "."`:                                   {"trust", "no trust anchor"},
		`key = "ca/root.key"`:                           {"certificate and key"},
		`certificate = "none.pem"`:                      {"certificate and key", "none.pem"},
		`certificate = "trust/root.pem"`:                {"certificate and key"},
		`levels = "none"`:                               {"levels", "touch"},
		`labels_below = ["BI1"]`:                        {`labels_below = "BI1"`, "SERIALNUMBER@ANCHOR"},
		"levels = \"/dev/null\"\naudit = \"relay.pem\"": {"audit log", "may write"},
		"name = \"a.example\"\ncertificate = \"trust/root.pem\"\nkey = \"ca/root.key\"": {"authority"},
	} {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		status, _, stderr := runRelay(t, "serve", "--config", file)
		if status != 1 {
			t.Errorf("%s: status %d", text, status)
		}
		for _, w := range words {
			if !strings.Contains(stderr, w) {
				t.Errorf("%s: no word of %q in:\n%s", text, w, stderr)
			}
		}
	}
	expect(t, 1, []string{"--config", "relay init"}, "serve", "--config", filepath.Join(dir, "none.toml"))
}

func TestCertificateIsChecked(t *testing.T) {
	for word, r := range map[string]trialpki.Relay{
		"only":       {NotBefore: time.Now().AddDate(-1, 0, 0), NotAfter: time.Now().AddDate(0, 0, -1)},
		"serverAuth": {Edit: func(c *x509.Certificate) { c.ExtKeyUsage = nil }},
		"no name":    {Edit: func(c *x509.Certificate) { c.DNSNames, c.IPAddresses = nil, nil }},
	} {
		dir, _ := world(t, r)
		expect(t, 1, []string{word, "No peer would accept it"}, "init", dir)
	}
}

func TestRevocationKeys(t *testing.T) {
	dir, _ := world(t, trialpki.Relay{})
	expect(t, 0, nil, "init", dir, "--revocation", "grace", "--revocation-network", "127.0.0.1/32", "--revocation-network", "fd00::/8")
	file := filepath.Join(dir, "relay.toml")
	c, err := loadConfig(file, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	if r := c.Revocation; r == nil || r.Grace != 24*time.Hour || len(r.Allowed) != 2 || r.Allowed[1].String() != "fd00::/8" {
		t.Errorf("%+v", r)
	}
	appendTo(t, file, "# nothing more\n")
	if c, err = loadConfig(file, time.Now()); err != nil || c.Revocation == nil {
		t.Error(err)
	}
	expect(t, 2, []string{"--help"}, "init", dir, "--revocation", "soft")
}

func TestServeWarnsOfRevocation(t *testing.T) {
	dir, _ := world(t, trialpki.Relay{})
	expect(t, 0, nil, "init", dir, "--revocation", "off")
	c, err := loadConfig(filepath.Join(dir, "relay.toml"), time.Now())
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	var stdout, stderr bytes.Buffer
	_ = serve(ctx, c, &stdout, &stderr)
	if !strings.Contains(stderr.String(), "WARNING") {
		t.Errorf("no warning in %q", stderr.String())
	}
}

func TestLevels(t *testing.T) {
	dir, w := world(t, trialpki.Relay{})
	config := "--config=" + filepath.Join(dir, "relay.toml")
	expect(t, 0, nil, "init", dir)
	anchor := cardauth.AnchorID(w.Root.Certificate)
	const eva = "mailto:eva%40example.org@fedcba9876543210"

	expect(t, 0, []string{"BI123@" + anchor + "  3{crypto,ops}\n", "within a second"}, "level", "set", "BI123", "3", "ops", "crypto", config)
	expect(t, 0, []string{eva + "  1"}, "level", "set", eva, "1", config)
	want := "mailto:eva%40example.org@fedcba9876543210  1\n"
	if got := expect(t, 0, nil, "level", "list", config); !strings.Contains(got, "BI123@"+anchor+" ") ||
		!strings.Contains(got, want) || !strings.Contains(got, "(everybody else)") {
		t.Errorf("list: %q", got)
	}
	entries, err := levels.Read(filepath.Join(dir, "levels"))
	if err != nil || len(entries) != 2 || entries[0].Identity != "BI123@"+anchor || entries[0].Level.String() != "3{crypto,ops}" {
		t.Errorf("the file says %v, %v", entries, err)
	}
	expect(t, 0, []string{"BI123@" + anchor + "  0"}, "level", "unset", "BI123", config)
	expect(t, 1, []string{"no level of its own", "level list"}, "level", "unset", "BI123", config)
	expect(t, 2, []string{"no identity"}, "level", "set", "eva@example.org", "1", config)
	expect(t, 2, []string{"compartments"}, "level", "set", "BI123", "1", "Ops", config)

	appendTo(t, filepath.Join(dir, "levels"), "damage\n")
	expect(t, 1, []string{"line 3", "IDENTITY RANK"}, "level", "list", config)
	expect(t, 1, []string{"line 3"}, "level", "set", "BI123", "1", config)
}

func TestBareSerialNumberNeedsOneRoot(t *testing.T) {
	dir, w := world(t, trialpki.Relay{})
	config := "--config=" + filepath.Join(dir, "relay.toml")
	expect(t, 0, nil, "init", dir)
	other, second := world(t, trialpki.Relay{})
	if err := os.Rename(filepath.Join(other, "trust", "root.pem"), filepath.Join(dir, "trust", "second.pem")); err != nil {
		t.Fatal(err)
	}
	a, b := cardauth.AnchorID(w.Root.Certificate), cardauth.AnchorID(second.Root.Certificate)
	expect(t, 2, []string{"BI123@" + a, "BI123@" + b}, "level", "set", "BI123", "3", config)
	expect(t, 0, nil, "level", "set", "BI123@"+b, "3", config)
}

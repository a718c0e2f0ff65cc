//go:build cgo

package main

import (
	"context"
	"crypto"
	"crypto/elliptic"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"sinete/cardauth"
	"sinete/cardauth/cardtest"
	"sinete/cardauth/pkcs11card"
	"sinete/internal/trialpki"
	"sinete/transport"
)

const hsmPIN = "4711"

// hsm makes a folder as testpki init does, but for the relay's key, which is made in a token. It returns the key's URI.
func hsm(t *testing.T, r pkcs11card.StoreRequest) (dir, uri string, w *trialpki.World) {
	t.Helper()
	module, remove, err := cardtest.SoftHSM(hsmPIN, "relay")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(remove)
	dir = t.TempDir()
	if w, err = trialpki.Create(dir, trialpki.Options{}); err != nil {
		t.Fatal(err)
	}
	r.Issue = func(pub crypto.PublicKey) ([][]byte, error) {
		i, err := w.IssueRelay(trialpki.Relay{Names: []string{"relay.example"}, Public: pub})
		if err != nil {
			return nil, err
		}
		return i.Chain, i.WriteChain(filepath.Join(dir, "relay.pem"))
	}
	right := func(context.Context, cardauth.PINRequest) (string, error) { return hsmPIN, nil }
	if uri, err = pkcs11card.Store(t.Context(), pkcs11card.URI{Token: "relay", ModulePath: module}.String(), right, r); err != nil {
		t.Fatal(err)
	}
	return dir, uri, w
}

func pinFile(t *testing.T, pin string) string {
	t.Helper()
	f := filepath.Join(t.TempDir(), "pin")
	if err := os.WriteFile(f, []byte(pin+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return "&pin-source=file:" + f
}

func TestKeyInAnHSM(t *testing.T) {
	for name, r := range map[string]pkcs11card.StoreRequest{"P-256": {Curve: elliptic.P256()}, "P-384": {Curve: elliptic.P384()},
		"RSA": {RSABits: 2048}} {
		t.Run(name, func(t *testing.T) {
			dir, uri, w := hsm(t, r)
			key := uri + pinFile(t, hsmPIN)
			expect(t, 0, []string{"relay serve --config"}, "init", dir, "--listen=127.0.0.1:0", "--key="+key)
			expect(t, 0, []string{"(everybody else)"}, "level", "list", "--config", filepath.Join(dir, "relay.toml"))
			answersTLS(t, filepath.Join(dir, "relay.toml"), w)

			// The certificate may be had from the token as well.
			text, err := os.ReadFile(filepath.Join(dir, "relay.toml"))
			if err != nil {
				t.Fatal(err)
			}
			file := filepath.Join(dir, "token.toml")
			both := strings.Replace(string(text), `certificate = "relay.pem"`, `certificate = "`+key+`"`, 1)
			if err := os.WriteFile(file, []byte(both), 0o600); err != nil {
				t.Fatal(err)
			}
			if err := os.Remove(filepath.Join(dir, "relay.pem")); err != nil {
				t.Fatal(err)
			}
			answersTLS(t, file, w)
		})
	}
}

// answersTLS runs the relay and connects to it as a peer does.
func answersTLS(t *testing.T, config string, w *trialpki.World) {
	t.Helper()
	c, err := loadConfig(config, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	said, stdout := io.Pipe()
	done := make(chan error, 1)
	go func() {
		done <- serve(ctx, c, stdout, io.Discard)
		_ = stdout.Close()
	}()
	line := make([]byte, 100)
	n, err := said.Read(line)
	if err != nil {
		t.Fatal(err, <-done)
	}
	address, err := net.ResolveUDPAddr("udp", strings.TrimSpace(strings.TrimPrefix(string(line[:n]), "listening on ")))
	if err != nil {
		t.Fatal(err)
	}
	socket, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	policy := &cardauth.Policy{Anchors: c.Anchors, Intermediates: c.Authorities, Revocation: cardauth.RevocationOff}
	conn, err := transport.Dial(t.Context(), socket, address, transport.ClientConfig{ServerName: "relay.example", VerifyServer: func(chain [][]byte) error {
		_, err := policy.VerifyRelay(chain, nil, "relay.example")
		return err
	}})
	if err != nil {
		t.Fatal(err)
	}
	conn.Close(0)
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

func TestNoPINInMessages(t *testing.T) {
	for in, want := range map[string]string{"relay.pem": "relay.pem", "pkcs11:token=relay?pin-value=4711": "pkcs11:token=relay"} {
		if got := withoutPIN(in); got != want {
			t.Errorf("%q is shown as %q", in, got)
		}
	}
}

func TestBadKeyInAnHSM(t *testing.T) {
	dir, uri, _ := hsm(t, pkcs11card.StoreRequest{Curve: elliptic.P256()})
	other, err := trialpki.New(trialpki.Options{})
	if err != nil {
		t.Fatal(err)
	}
	stranger, err := other.IssueRelay(trialpki.Relay{})
	if err != nil {
		t.Fatal(err)
	}
	if err := stranger.WriteChain(filepath.Join(dir, "stranger.pem")); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name, certificate, key string
		words                  []string
	}{
		{"no PIN", "relay.pem", uri, []string{"in the HSM", "pin-source"}},
		{"a wrong PIN", "relay.pem", uri + pinFile(t, "0000"), []string{"in the HSM", "once and is wrong"}},
		{"no such token", "relay.pem", strings.Replace(uri, "token=relay", "token=other", 1), []string{"in the HSM", "no such token"}},
		{"no URI", "relay.pem", "pkcs11:colour=red", []string{"in the HSM", "colour"}},
		{"another certificate", "stranger.pem", uri + pinFile(t, hsmPIN), []string{"in the HSM", "not that of the certificate"}},
		{"no certificate", "none.pem", uri + pinFile(t, hsmPIN), []string{"none.pem"}},
		{"a certificate on another token", "pkcs11:token=b", uri, []string{"different things"}},
		{"a certificate without its key", uri, "relay.key", []string{"the key must be there"}},
	} {
		file := filepath.Join(dir, "relay.toml")
		if err := os.WriteFile(file, []byte("certificate = '"+c.certificate+"'\nkey = '"+c.key+"'\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		status, _, stderr := runRelay(t, "serve", "--config", file)
		if status != 1 {
			t.Errorf("%s: status %d", c.name, status)
		}
		for _, word := range c.words {
			if !strings.Contains(stderr, word) {
				t.Errorf("%s: no word of %q in:\n%s", c.name, word, stderr)
			}
		}
		if strings.Contains(stderr, hsmPIN) {
			t.Errorf("%s: the PIN is in:\n%s", c.name, stderr)
		}
	}
}

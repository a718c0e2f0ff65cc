package main

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/crypto/ocsp"

	"sinete/cardauth/cardtest"
	"sinete/internal/trialpki"
)

// The responder takes up at once what another process revokes, suspends and lifts.
func TestResponderAndRevocation(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "trial")
	url := "http://" + cardtest.FreeAddress(t)
	out, _ := command(t, 0, "init", dir, "--ocsp", url)
	if !strings.Contains(out, "testpki ocsp "+dir) || !strings.Contains(out, "--revocation-network 127.0.0.1/32") {
		t.Error(out)
	}
	out, _ = command(t, 0, "card", dir, "alice")
	if !strings.Contains(out, "--revocation-network 127.0.0.1/32") || strings.Contains(out, "--revocation off") {
		t.Error(out)
	}

	ctx, stop := context.WithCancel(t.Context())
	said, say := io.Pipe()
	ended := make(chan int, 1)
	go func() { ended <- run(ctx, []string{"ocsp", dir}, say, io.Discard) }()
	line := make([]byte, 100)
	n, err := said.Read(line)
	if err != nil || !strings.HasPrefix(string(line[:n]), "answering on "+strings.TrimPrefix(url, "http://")) {
		t.Fatalf("%q, %v", line[:n], err)
	}

	w, err := trialpki.Open(dir, trialpki.Options{})
	if err != nil {
		t.Fatal(err)
	}
	alice := open(t, filepath.Join(dir, "alice.card"), "1234").Certificate()
	status := func() int {
		t.Helper()
		question, err := ocsp.CreateRequest(alice, w.Authentication.Certificate, nil)
		if err != nil {
			t.Fatal(err)
		}
		response, err := http.Post(url, "application/ocsp-request", bytes.NewReader(question))
		if err != nil {
			t.Fatal(err)
		}
		defer response.Body.Close()
		body, err := io.ReadAll(response.Body)
		if err != nil {
			t.Fatal(err)
		}
		answer, err := ocsp.ParseResponseForCert(body, alice, w.Authentication.Certificate)
		if err != nil {
			t.Fatal(err)
		}
		return answer.Status
	}
	for _, step := range []struct {
		args   []string
		says   string
		status int
	}{
		{nil, "", ocsp.Good},
		{[]string{"--hold"}, "suspended", ocsp.Revoked},
		{[]string{"--lift"}, "good again", ocsp.Good},
		{[]string{"--reason", "superseded"}, "revoked", ocsp.Revoked},
		{[]string{"--lift"}, "0 of alice's", ocsp.Revoked},
	} {
		if step.args != nil {
			if out, _ := command(t, 0, append([]string{"revoke", dir, "alice"}, step.args...)...); !strings.Contains(out, step.says) {
				t.Errorf("%q said %q", step.args, out)
			}
		}
		if got := status(); got != step.status {
			t.Errorf("after %q: %d, want %d", step.args, got, step.status)
		}
	}
	http.DefaultClient.CloseIdleConnections()
	stop()
	if code := <-ended; code != 0 {
		t.Errorf("ended with %d", code)
	}
}

func TestRevokeUsage(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "trial")
	command(t, 0, "init", dir)
	if _, errs := command(t, 1, "ocsp", dir); !strings.Contains(errs, "--ocsp http://") {
		t.Error(errs)
	}
	if _, errs := command(t, 1, "revoke", dir, "nobody"); !strings.Contains(errs, "nothing was issued") {
		t.Error(errs)
	}
	command(t, 1, "revoke", dir, "../alice")
	command(t, 2, "revoke", dir, "alice", "--hold", "--lift")
	command(t, 2, "revoke", dir, "alice", "--reason", "spite")
}

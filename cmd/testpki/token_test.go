//go:build cgo

package main

import (
	"context"
	"regexp"
	"strings"
	"testing"

	"sinete/cardauth"
	"sinete/cardauth/cardtest"
	"sinete/cardauth/pkcs11card"
	"sinete/wire"
)

func TestToken(t *testing.T) {
	module, remove, err := cardtest.SoftHSM("4711", "alice's")
	if err != nil {
		t.Fatal(err)
	}
	defer remove()
	dir := t.TempDir()
	command(t, 0, "init", dir)
	args := []string{"card", dir, "alice", "--module", module, "--token", "alice's"}
	out, _ := command(t, 0, append(args, "--pin", "4711", "--key", "p384")...)
	if strings.Contains(out, "4711") {
		t.Errorf("shows the PIN:\n%s", out)
	}
	uri := regexp.MustCompile(`--card '?(pkcs11:[^ ']*)'?`).FindStringSubmatch(out)
	if uri == nil {
		t.Fatalf("no URI in\n%s", out)
	}
	c, err := pkcs11card.Open(t.Context(), uri[1], func(context.Context, cardauth.PINRequest) (string, error) { return "4711", nil })
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.SealRoot(t.Context(), wire.SealInput{Leaves: 1}); err != nil {
		t.Error(err)
	}
	if len(c.Chain()) != 4 || c.Scheme() != wire.SchemeP384 {
		t.Errorf("a chain of %d, scheme %v", len(c.Chain()), c.Scheme())
	}
	if err := c.Close(); err != nil {
		t.Error(err)
	}
	if _, errs := command(t, 1, append(args, "--pin", "0000")...); !strings.Contains(errs, "wrong PIN") || !strings.Contains(errs, "--pin") {
		t.Errorf("with a wrong PIN: %s", errs)
	}
	args[6] = "bob's"
	if _, errs := command(t, 1, append(args, "--pin", "4711")...); !strings.Contains(errs, "softhsm2-util") {
		t.Errorf("without the token: %s", errs)
	}
}

package main

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"sinete/cardauth/fork"
	"sinete/cardauth/seal"
	"sinete/cardauth/softcard"
	"sinete/cmd/peer/internal/stores"
	"sinete/cmd/peer/internal/terminal"
	"sinete/cmd/peer/internal/trouble"
	"sinete/internal/trialpki"
	"sinete/wire"
)

// A proof of a fork is verified as evidence is, and shown; it is none where it was changed, or where nobody trusts the authority.
func TestVerifyFork(t *testing.T) {
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	dir := t.TempDir()
	w, err := trialpki.Create(dir, trialpki.Options{})
	must(err)
	issued, err := w.IssuePerson(trialpki.Person{Name: "mallory"})
	must(err)
	card, err := softcard.FromKey(issued.Key, issued.Chain, wire.SchemeP256)
	must(err)
	sealer := seal.NewSealer(card, wire.SignerHash(issued.Chain[0], nil), seal.Config{})
	defer sealer.Close()
	var heads [2]wire.SealEntry
	for i := range heads {
		heads[i].Head = wire.Head{Role: wire.RoleInitiator, Yours: wire.Place{Epoch: 1, Count: 7, T: [32]byte{byte(0xa0 + i)}}}
		seals, err := sealer.Seal(context.Background(), "", func() []seal.Statement {
			return []seal.Statement{{Purpose: wire.PurposeHead, Bytes: heads[i].Head.Append(nil)}}
		})
		must(err)
		heads[i].Seal = seals[0]
	}
	path, err := stores.KeepFork(dir, fork.Heads(wire.Credentials{Chain: issued.Chain}, &heads[0], &heads[1]))
	must(err)
	other := t.TempDir()
	_, err = trialpki.Create(other, trialpki.Options{})
	must(err)
	whole, err := os.ReadFile(path)
	must(err)
	changed := filepath.Join(dir, "changed.zip")
	at := bytes.LastIndex(whole, []byte("\nb.time 1"))
	whole[at+len("\nb.time ")]++
	must(os.WriteFile(changed, whole, 0o600))

	for _, c := range []struct {
		file, trust string
		status      int
		says        string
	}{
		{path, filepath.Join(dir, "trust"), trouble.StatusDone, `"what":"received","channel":"` + strings.Repeat("0", 64) + `","epoch":1,"count":7,"values":["a0`},
		{path, filepath.Join(other, "trust"), trouble.StatusRefused, `"code":"evidence-invalid"`},
		{changed, filepath.Join(dir, "trust"), trouble.StatusRefused, `"code":"evidence-invalid"`},
		{path, filepath.Join(dir, "nowhere"), trouble.StatusFailed, `"code":"trust-missing"`},
	} {
		var said bytes.Buffer
		status := (&stores.VerifyEvidence{File: c.file, Trust: c.trust, JSON: true}).Run(&terminal.Terminal{Stdout: &said, Stderr: &said})
		if out := said.String(); status != c.status || !strings.Contains(out, c.says) {
			t.Errorf("%s by %s: status %d, %s", c.file, c.trust, status, out)
		}
	}
	var said bytes.Buffer
	(&stores.VerifyEvidence{File: path, Trust: filepath.Join(dir, "trust")}).Run(&terminal.Terminal{Stdout: &said, Stderr: &said})
	if out := said.String(); !strings.Contains(out, "Mallory") || !strings.Contains(out, "what they received") {
		t.Errorf("a person is shown %s", out)
	}
}

//go:build cgo

// Package reader_test runs PKCS #11 cards through OpenSC and pcscd against virtual cards.
package reader_test

import (
	"context"
	"os"
	"slices"
	"sync"
	"testing"

	"sinete/cardauth"
	"sinete/cardauth/pkcs11card"
	"sinete/internal/trialpki"
	"sinete/internal/vcard/reader"
	"sinete/wire"
)

func TestMain(m *testing.M) {
	pkcs11card.ChildMain()
	os.Exit(reader.Main(m))
}

var world = sync.OnceValue(func() *trialpki.World {
	w, err := trialpki.New(trialpki.Options{})
	if err != nil {
		panic(err)
	}
	return w
})

// person is somebody who answers with one PIN after the other, and keeps what was shown.
type person struct {
	mu    sync.Mutex
	pins  []string // the last one for ever
	shown []cardauth.PINRequest
}

func knows(pins ...string) *person { return &person{pins: pins} }

func (p *person) prompt(_ context.Context, r cardauth.PINRequest) (string, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.shown = append(p.shown, r)
	pin := p.pins[0]
	if len(p.pins) > 1 {
		p.pins = p.pins[1:]
	}
	return pin, nil
}

func (p *person) asked() []cardauth.PINRequest {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.shown)
}

// uri names what the URI's path attributes say, through OpenSC.
func uri(t *testing.T, r *reader.Reader, path string) string {
	return "pkcs11:" + path + "?module-path=" + r.Module(t)
}

func open(t *testing.T, uri string, prompt cardauth.Prompt) cardauth.Card {
	t.Helper()
	c, err := pkcs11card.Open(t.Context(), uri, prompt)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	})
	return c
}

func seal(t *testing.T, c cardauth.Card) error {
	_, err := c.SealRoot(t.Context(), wire.SealInput{Leaves: 1}) // it verifies what it made
	return err
}

func seals(t *testing.T, c cardauth.Card) {
	t.Helper()
	if err := seal(t, c); err != nil {
		t.Fatal(err)
	}
}

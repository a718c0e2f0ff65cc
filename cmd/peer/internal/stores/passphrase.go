package stores

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"strings"

	"sinete/cmd/peer/internal/terminal"
	"sinete/cmd/peer/internal/trouble"
	"sinete/peer/store"
)

const (
	shortest = 8 // bytes of a new passphrase that somebody types, at the least
	maxTries = 3
)

// passphrase is where a passphrase comes from.
type passphrase struct {
	terminal *terminal.Terminal
	source   string // file:PATH or env:NAME; empty: whoever is at the terminal
	ask      string // the prompt; empty: that of a store
}

// there reports whether there is a source, or somebody to ask.
func (p *passphrase) there() bool { return p.source != "" || p.terminal.Input }

// read reads the source.
func (p *passphrase) read() ([]byte, error) {
	kind, name, _ := strings.Cut(p.source, ":")
	var secret []byte
	var err error
	switch {
	case name != "" && kind == "env":
		secret = []byte(os.Getenv(name))
	case name != "" && kind == "file":
		secret, err = os.ReadFile(strings.TrimPrefix(name, "//"))
	default:
		return nil, trouble.BadPassphraseSource(p.source)
	}
	secret = []byte(strings.TrimRight(string(secret), "\r\n"))
	if err == nil && len(secret) == 0 {
		err = fmt.Errorf("there is none in %s", p.source)
	}
	if err != nil {
		return nil, trouble.PassphraseUnreadable(err)
	}
	return secret, nil
}

// for3 calls f with the passphrase of a store, three times where somebody types it wrong; with none where the store has none.
func (p *passphrase) for3(ctx context.Context, kind store.Kind, f func(secret []byte) error) error {
	if kind != store.ByPassphrase {
		return f(nil)
	}
	if p.source != "" {
		secret, err := p.read()
		if err == nil {
			err = f(secret)
		}
		return err
	}
	if !p.terminal.Input {
		return store.ErrPassphraseNeeded
	}
	ask := cmp.Or(p.ask, askPassphrase)
	prompt := ask
	for try := 1; ; try++ {
		secret, err := p.terminal.Secret(ctx, prompt)
		if err == nil && secret == "" {
			err = store.ErrPassphraseWrong
		} else if err == nil {
			err = f([]byte(secret))
		}
		if !errors.Is(err, store.ErrPassphraseWrong) || try == maxTries {
			return err
		}
		prompt = wrongPassphrase + ask
	}
}

// protection asks for the passphrase of what is to have one; about says what it is for.
func (p *passphrase) protection(ctx context.Context, kind store.Kind, about string) (store.Protection, error) {
	protection := store.Protection{Kind: kind}
	var err error
	if kind == store.ByPassphrase {
		protection.Passphrase, err = p.choose(ctx, about)
	}
	return protection, err
}

// choose has a new one chosen, and typed twice.
func (p *passphrase) choose(ctx context.Context, about string) ([]byte, error) {
	switch {
	case p.source != "":
		return p.read()
	case !p.terminal.Input:
		return nil, trouble.NewPassphraseNeeded()
	}
	fmt.Fprintln(p.terminal.Stderr, about)
	for {
		first, err := p.terminal.Secret(ctx, newPassphrase)
		if err != nil {
			return nil, err
		}
		if len(first) < shortest {
			fmt.Fprintf(p.terminal.Stderr, passphraseTooShort+"\n", shortest)
			continue
		}
		again, err := p.terminal.Secret(ctx, onceMore)
		if err != nil {
			return nil, err
		}
		if first == again {
			return []byte(first), nil
		}
		fmt.Fprintln(p.terminal.Stderr, passphrasesDiffer)
	}
}

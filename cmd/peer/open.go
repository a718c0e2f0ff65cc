package main

import (
	"context"
	"encoding/hex"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"

	"sinete/cardauth"
	"sinete/cardauth/pkcs11card"
	"sinete/cardauth/softcard"
)

// openCard opens the card of that name; of an empty one, the card that is there.
func (p *program) openCard(ctx context.Context, name string, in *input, prompt cardauth.Prompt) (cardauth.Card, error) {
	switch soft, isSoft := strings.CutPrefix(name, "soft:"); {
	case isSoft:
		return openSoft(ctx, soft, prompt)
	case name == "":
		name = "pkcs11:"
	case !strings.HasPrefix(name, "pkcs11:"):
		return nil, badCardName(name)
	}
	o := pkcs11card.Options{Accept: p.accept, Preferred: p.remembered(), Notify: p.cardNotice, Idle: p.idle}
	card, err := p.openToken(ctx, name, prompt, o)
	several, ok := asError[*pkcs11card.AmbiguousError](err)
	if !ok || !p.input {
		return card, err
	}
	uri, err := p.choose(ctx, several.URIs, in)
	if err != nil {
		return nil, err
	}
	if card, err = p.openToken(ctx, uri, prompt, o); err == nil {
		p.remember(card)
	}
	return card, err
}

// remembered is the key of the card that the person chose last time, zero if none is known.
func (p *program) remembered() (key [32]byte) {
	b, err := os.ReadFile(p.memory)
	if err != nil || hex.DecodedLen(len(b)) != len(key) {
		return key
	}
	if _, err := hex.Decode(key[:], b); err != nil {
		return [32]byte{}
	}
	return key
}

// remember keeps the key of a card that the person has chosen. Where that cannot be written, they are asked again next time.
func (p *program) remember(card cardauth.Card) {
	if p.memory == "" {
		return
	}
	key := pkcs11card.KeyHash(card.Certificate())
	if os.MkdirAll(filepath.Dir(p.memory), 0o700) == nil {
		_ = os.WriteFile(p.memory, []byte(hex.EncodeToString(key[:])), 0o600)
	}
}

// memoryFile is where the card that was chosen last is remembered; empty where there is no such place.
func memoryFile() string {
	home, err := os.UserConfigDir()
	if err != nil {
		return ""
	}
	return filepath.Join(home, "sinete", "card")
}

// cardNotice tells a person who sits there what the card is waiting for, and everybody that another one is in its place.
func (p *program) cardNotice(card string, n pkcs11card.Notice) {
	switch {
	case n == pkcs11card.NoticeOther:
		if p.warn != nil {
			p.warn(otherCard(card))
		}
	case p.input:
		fmt.Fprintln(p.stderr, cardNotice(card, n))
	}
}

// choose has the person pick one of several cards.
func (p *program) choose(ctx context.Context, uris []string, in *input) (string, error) {
	fmt.Fprintln(p.stderr, whichCard)
	descriptions := p.describe(uris)
	for i := range uris {
		fmt.Fprintf(p.stderr, "%3d  %s\n", i+1, safe(descriptions[i]))
	}
	for {
		fmt.Fprint(p.stderr, whichNumber(len(uris)))
		select {
		case l := <-in.ask():
			in.took()
			if l.end {
				return "", &pkcs11card.AmbiguousError{URIs: uris}
			}
			if n, err := strconv.Atoi(strings.TrimSpace(l.text)); err == nil && n >= 1 && n <= len(uris) {
				return uris[n-1], nil
			}
		case <-ctx.Done():
			return "", ctx.Err()
		}
	}
}

// describe says of each URI whose certificate it is and where, as far as that can be seen.
func (p *program) describe(uris []string) []string {
	tokens, _ := p.listTokens(nil) // what cannot be listed goes by its URI
	all := append([]string{}, uris...)
	for i, uri := range uris {
		for _, t := range tokens {
			for _, c := range t.Certificates {
				if c.URI == uri {
					all[i] = cardLine(cardauth.DisplayName(c.Certificate), c.Label, t.Label, t.Reader)
				}
			}
		}
	}
	return all
}

// openSoft opens PATH[?pin-value=PIN|?pin-source=file:PATH].
func openSoft(ctx context.Context, name string, prompt cardauth.Prompt) (cardauth.Card, error) {
	path, attribute := cutPIN(name)
	if attribute != "" {
		pin, err := softPIN(attribute)
		if err != nil {
			return nil, err
		}
		prompt = once(pin)
	}
	card, err := softcard.Open(ctx, path, prompt)
	if err != nil {
		return nil, err // and no card, rather than one that is nil
	}
	return card, nil
}

// cutPIN takes the attribute with the PIN off a soft card's name.
func cutPIN(name string) (path, attribute string) {
	if i := strings.LastIndex(name, "?pin-"); i >= 0 {
		return name[:i], name[i+1:]
	}
	return name, ""
}

func softPIN(attribute string) (string, error) {
	name, value, _ := strings.Cut(attribute, "=")
	value, err := url.PathUnescape(value)
	if err != nil {
		return "", badPINAttribute()
	}
	switch name {
	case "pin-value":
		return value, nil
	case "pin-source":
		file := strings.TrimPrefix(strings.TrimPrefix(value, "file:"), "//")
		if file == "" || file == value && !filepath.IsAbs(value) {
			return "", badPINAttribute()
		}
		b, err := os.ReadFile(file)
		if err != nil {
			return "", pinSourceUnreadable(err)
		}
		return strings.TrimRight(string(b), "\r\n"), nil
	}
	return "", badPINAttribute()
}

// once gives a PIN that nobody is there to correct.
func once(pin string) cardauth.Prompt {
	return func(_ context.Context, r cardauth.PINRequest) (string, error) {
		if r.Wrong {
			return "", &cardauth.PINError{Card: r.Card, Tries: r.Tries, Final: r.Final}
		}
		return pin, nil
	}
}

// prompt asks for PINs at the terminal. Once talking is set the keyboard belongs to the commands, and a PIN takes the place of the next.
func (p *program) prompt(talking *atomic.Bool, in *input) cardauth.Prompt {
	return func(ctx context.Context, r cardauth.PINRequest) (string, error) {
		switch {
		case !p.input:
			return "", pinNeeded(r.Card)
		case talking.Load():
			return p.secretAmongCommands(ctx, r, in)
		}
		return p.secret(ctx, pinPrompt(r))
	}
}

// secretAmongCommands asks for a PIN while commands are typed.
func (p *program) secretAmongCommands(ctx context.Context, r cardauth.PINRequest, in *input) (string, error) {
	if err := p.hidden.hide(p.quiet); err != nil {
		return "", pinNeeded(r.Card)
	}
	defer p.hidden.show()
	fmt.Fprint(p.stderr, pinPrompt(r))
	l, err := in.askSecret(ctx)
	if err == nil && l.end {
		err = pinNeeded(r.Card)
	}
	return l.text, err
}

// Package cards finds the person's card and opens it: Opener.Open, and Command for peer cards.
package cards

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
	"time"

	"sinete/cardauth"
	"sinete/cardauth/pkcs11card"
	"sinete/cardauth/softcard"
	"sinete/cmd/peer/internal/screen"
	"sinete/cmd/peer/internal/terminal"
	"sinete/cmd/peer/internal/trouble"
)

// Source is how cards are found and opened; tests put others in their place.
type Source struct {
	OpenToken  func(ctx context.Context, uri string, prompt cardauth.Prompt, o pkcs11card.Options) (cardauth.Card, error)
	ListTokens func(modules []string) ([]pkcs11card.Token, error)
	Memory     string // file with the key of the card that was chosen last; empty: nothing is remembered
}

// ThisSource is that of this machine.
func ThisSource() Source {
	return Source{OpenToken: pkcs11card.OpenWith, ListTokens: pkcs11card.List, Memory: memoryFile()}
}

// Opener opens a card for whoever is at the terminal.
type Opener struct {
	Source
	terminal.Terminal
	In     *terminal.Input
	Accept func(chain [][]byte) error // whether a card's chain leads to a trusted authority; nil: any will do
	Idle   time.Duration              // after so long without a signature the card is locked; 0: never
	Warn   func(e screen.Warning)     // what happens to the card while they talk; nil: nobody is told
	// talking, once set, gives the keyboard to the commands: a PIN then takes the place of the next.
	Talking atomic.Bool
	Hidden  terminal.Hidden // while a PIN is typed among commands
}

// Open opens the card of that name; of an empty one, the card that is there.
func (o *Opener) Open(ctx context.Context, name string) (cardauth.Card, error) {
	switch soft, isSoft := strings.CutPrefix(name, "soft:"); {
	case isSoft:
		return openSoft(ctx, soft, o.prompt)
	case name == "":
		name = "pkcs11:"
	case !strings.HasPrefix(name, "pkcs11:"):
		return nil, trouble.BadCardName(name)
	}
	options := pkcs11card.Options{Accept: o.Accept, Preferred: o.Remembered(), Notify: o.cardNotice, Idle: o.Idle}
	card, err := o.OpenToken(ctx, name, o.prompt, options)
	several, ok := trouble.AsError[*pkcs11card.AmbiguousError](err)
	if !ok || !o.Input {
		return card, err
	}
	uri, err := o.choose(ctx, several.URIs)
	if err != nil {
		return nil, err
	}
	if card, err = o.OpenToken(ctx, uri, o.prompt, options); err == nil {
		o.remember(card)
	}
	return card, err
}

// Peek returns the certificates of the card that Open opens, the person's first, as far as they can be seen without its PIN; nil where
// they cannot.
func (o *Opener) Peek(name string) [][]byte {
	if soft, ok := strings.CutPrefix(name, "soft:"); ok {
		path, _ := CutPIN(soft)
		chain, _ := softcard.Chain(path) // Open says what is wrong
		return chain
	}
	if name == "" {
		name = "pkcs11:"
	}
	paths, err := pkcs11card.Modules(name)
	if err != nil {
		return nil
	}
	tokens, _ := o.ListTokens(paths)
	found, err := pkcs11card.FindWith(name, tokens, pkcs11card.Options{Accept: o.Accept, Preferred: o.Remembered()})
	if err != nil {
		return nil
	}
	return found.Chain
}

// Remembered is the key of the card that the person chose last time, zero if none is known.
func (s *Source) Remembered() (key [32]byte) {
	b, err := os.ReadFile(s.Memory)
	if err != nil || hex.DecodedLen(len(b)) != len(key) {
		return key
	}
	if _, err := hex.Decode(key[:], b); err != nil {
		return [32]byte{}
	}
	return key
}

// remember keeps the key of a card that the person has chosen. Where that cannot be written, they are asked again next time.
func (s *Source) remember(card cardauth.Card) {
	if s.Memory == "" {
		return
	}
	key := pkcs11card.KeyHash(card.Certificate())
	if os.MkdirAll(filepath.Dir(s.Memory), 0o700) == nil {
		_ = os.WriteFile(s.Memory, []byte(hex.EncodeToString(key[:])), 0o600)
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
func (o *Opener) cardNotice(card string, n pkcs11card.Notice) {
	switch {
	case n == pkcs11card.NoticeOther:
		if o.Warn != nil {
			o.Warn(otherCard(card))
		}
	case o.Input:
		fmt.Fprintln(o.Stderr, cardNotice(card, n))
	}
}

// choose has the person pick one of several cards.
func (o *Opener) choose(ctx context.Context, uris []string) (string, error) {
	fmt.Fprintln(o.Stderr, whichCard)
	descriptions := o.describe(uris)
	for i := range uris {
		fmt.Fprintf(o.Stderr, "%3d  %s\n", i+1, screen.Safe(descriptions[i]))
	}
	for {
		fmt.Fprint(o.Stderr, whichNumber(len(uris)))
		select {
		case l := <-o.In.Ask():
			o.In.Took()
			if l.End {
				return "", &pkcs11card.AmbiguousError{URIs: uris}
			}
			if n, err := strconv.Atoi(strings.TrimSpace(l.Text)); err == nil && n >= 1 && n <= len(uris) {
				return uris[n-1], nil
			}
		case <-ctx.Done():
			return "", ctx.Err()
		}
	}
}

// describe says of each URI whose certificate it is and where, as far as that can be seen.
func (s *Source) describe(uris []string) []string {
	tokens, _ := s.ListTokens(nil) // what cannot be listed goes by its URI
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
	path, attribute := CutPIN(name)
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

// CutPIN takes the attribute with the PIN off a soft card's name.
func CutPIN(name string) (path, attribute string) {
	if i := strings.LastIndex(name, "?pin-"); i >= 0 {
		return name[:i], name[i+1:]
	}
	return name, ""
}

func softPIN(attribute string) (string, error) {
	name, value, _ := strings.Cut(attribute, "=")
	value, err := url.PathUnescape(value)
	if err != nil {
		return "", trouble.BadPINAttribute()
	}
	switch name {
	case "pin-value":
		return value, nil
	case "pin-source":
		file := strings.TrimPrefix(strings.TrimPrefix(value, "file:"), "//")
		if file == "" || file == value && !filepath.IsAbs(value) {
			return "", trouble.BadPINAttribute()
		}
		b, err := os.ReadFile(file)
		if err != nil {
			return "", trouble.PinSourceUnreadable(err)
		}
		return strings.TrimRight(string(b), "\r\n"), nil
	}
	return "", trouble.BadPINAttribute()
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

// prompt asks for PINs at the terminal.
func (o *Opener) prompt(ctx context.Context, r cardauth.PINRequest) (string, error) {
	switch {
	case !o.Input:
		return "", trouble.PinNeeded(r.Card)
	case o.Talking.Load():
		return o.secretAmongCommands(ctx, r)
	}
	return o.Secret(ctx, pinPrompt(r))
}

// secretAmongCommands asks for a PIN while commands are typed.
func (o *Opener) secretAmongCommands(ctx context.Context, r cardauth.PINRequest) (string, error) {
	if err := o.Hidden.Hide(o.Quiet); err != nil {
		return "", trouble.PinNeeded(r.Card)
	}
	defer o.Hidden.Show()
	fmt.Fprint(o.Stderr, pinPrompt(r))
	l, err := o.In.AskSecret(ctx)
	if err == nil && l.End {
		err = trouble.PinNeeded(r.Card)
	}
	return l.Text, err
}

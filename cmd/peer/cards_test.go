package main

import (
	"context"
	"encoding/hex"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"sinete/cardauth"
	"sinete/cardauth/pkcs11card"
	"sinete/cardauth/pkcs11card/profile"
	"sinete/internal/trialpki"
)

// What peer cards shows as chosen is what peer chat opens, whatever decides between several; and where nothing does, neither chooses.
func TestCardsAndChatAgree(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("XDG_CONFIG_HOME", dir)
	w, err := trialpki.Create(filepath.Join(dir, "sinete"), trialpki.Options{}) // with the usual trust folder
	if err != nil {
		t.Fatal(err)
	}
	elsewhere, err := trialpki.New(trialpki.Options{})
	if err != nil {
		t.Fatal(err)
	}
	on := func(token string, id byte, w *trialpki.World, until time.Time) pkcs11card.Token {
		i, err := w.IssuePerson(trialpki.Person{Name: "ana", NotBefore: until.AddDate(-2, 0, 0), NotAfter: until})
		if err != nil {
			t.Fatal(err)
		}
		return pkcs11card.Token{Module: "m", Present: true, Label: token, Login: true, Profile: profile.Profile{Authenticates: 1},
			Certificates: []pkcs11card.Certificate{{Certificate: i.Certificate, ID: []byte{id}, URI: "pkcs11:token=" + token}}}
	}
	next := time.Now().AddDate(1, 0, 0)
	mine, yours, strange := on("mine", 1, w, next), on("yours", 1, w, next), on("strange", 1, elsewhere, next)
	expired, signature := on("expired", 1, w, time.Now().AddDate(0, 0, -1)), on("signature", 2, w, next)
	for _, c := range []struct {
		tokens      []pkcs11card.Token
		remembered  *pkcs11card.Token
		want, cause string
	}{
		{[]pkcs11card.Token{mine}, nil, "mine", "only"},
		{[]pkcs11card.Token{expired, mine}, nil, "mine", "valid"},
		{[]pkcs11card.Token{strange, mine}, nil, "mine", "trusted"},
		{[]pkcs11card.Token{strange, mine}, &strange, "mine", "trusted"},
		{[]pkcs11card.Token{yours, mine}, &mine, "mine", "remembered"},
		{[]pkcs11card.Token{signature, mine}, nil, "mine", "purpose"},
		{[]pkcs11card.Token{yours, mine}, nil, "", ""},
	} {
		memory := filepath.Join(dir, "card")
		content := ""
		if c.remembered != nil {
			key := pkcs11card.KeyHash(c.remembered.Certificates[0].Certificate)
			content = hex.EncodeToString(key[:])
		}
		if err := os.WriteFile(memory, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		run := func(args ...string) (out, opened string) {
			var b strings.Builder
			p := &program{stdout: &b, stderr: &b, stdin: strings.NewReader(""), memory: memory,
				listTokens: func([]string) ([]pkcs11card.Token, error) { return c.tokens, nil },
				openToken: func(_ context.Context, uri string, _ cardauth.Prompt, o pkcs11card.Options) (cardauth.Card, error) {
					if f, err := pkcs11card.FindWith(uri, c.tokens, o); err == nil {
						opened = f.Token.Label
					}
					return nil, errors.New("enough")
				}}
			p.run(args)
			return b.String(), opened
		}
		cards, _ := run("cards", "--json")
		_, opened := run("chat", "r:1", "--revocation", "off")
		shown := ""
		for _, token := range c.tokens {
			if strings.Contains(cards, `"uri":"pkcs11:token=`+token.Label+`"`) && strings.Contains(cards, `"chosen":true,"why":"`+c.cause+`"`) && token.Label == c.want {
				shown = token.Label
			}
		}
		if n := strings.Count(cards, `"chosen":true`); shown != c.want || opened != c.want || n > 1 || c.want == "" && n > 0 {
			t.Errorf("want %q (%s), opened %q, shown\n%s", c.want, c.cause, opened, cards)
		}
	}
}

// The time of --idle-logout is that of the card, too.
func TestIdleLogoutIsTheCardsToo(t *testing.T) {
	dir := t.TempDir()
	if _, err := trialpki.Create(dir, trialpki.Options{}); err != nil {
		t.Fatal(err)
	}
	for flag, want := range map[string]time.Duration{"--idle-logout=15m": 15 * time.Minute, "--idle-logout=0": 0} {
		got := time.Duration(-1)
		var out strings.Builder
		p := &program{stdout: &out, stderr: &out, stdin: strings.NewReader(""),
			openToken: func(_ context.Context, _ string, _ cardauth.Prompt, o pkcs11card.Options) (cardauth.Card, error) {
				got = o.Idle
				return nil, errors.New("enough")
			}}
		p.run([]string{"chat", "r:1", "--revocation=off", flag, "--trust", filepath.Join(dir, "trust")})
		if got != want {
			t.Errorf("%s: the card is opened with %v\n%s", flag, got, &out)
		}
	}
}

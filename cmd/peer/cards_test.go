package main

import (
	"context"
	"crypto/x509"
	"crypto/x509/pkix"
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
	"sinete/cmd/peer/internal/cards"
	"sinete/cmd/peer/internal/terminal"
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
			p := &program{Terminal: terminal.Terminal{Stdout: &b, Stderr: &b, Stdin: strings.NewReader("")}, Source: cards.Source{Memory: memory,
				ListTokens: func([]string) ([]pkcs11card.Token, error) { return c.tokens, nil },
				OpenToken: func(_ context.Context, uri string, _ cardauth.Prompt, o pkcs11card.Options) (cardauth.Card, error) {
					if f, err := pkcs11card.FindWith(uri, c.tokens, o); err == nil {
						opened = f.Token.Label
					}
					return nil, errors.New("enough")
				}}}
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
		p := &program{Terminal: terminal.Terminal{Stdout: &out, Stderr: &out, Stdin: strings.NewReader("")},
			Source: cards.Source{OpenToken: func(_ context.Context, _ string, _ cardauth.Prompt, o pkcs11card.Options) (cardauth.Card, error) {
				got = o.Idle
				return nil, errors.New("enough")
			}}}
		p.run([]string{"chat", "r:1", "--revocation=off", flag, "--trust", filepath.Join(dir, "trust")})
		if got != want {
			t.Errorf("%s: the card is opened with %v\n%s", flag, got, &out)
		}
	}
}

func TestCards(t *testing.T) {
	usable := pkcs11card.Certificate{Certificate: person("Ana"), Label: "AUTH", URI: "pkcs11:token=a"}
	signature := pkcs11card.Certificate{Certificate: person("Ana S"), Label: "SIGN", URI: "pkcs11:x", Refuse: "its signatures are legally binding"}
	again, other, authority := usable, usable, signature
	authority.Certificate = person("State CA")
	authority.IsCA = true
	expired, early := usable, usable
	expired.Certificate, early.Certificate = person("Eva"), person("Zé")
	expired.NotAfter, early.NotBefore = time.Date(2020, 1, 2, 12, 0, 0, 0, time.UTC), time.Now().AddDate(1, 0, 0)
	again.URI, other.Certificate = "pkcs11:token=again", person("Rui")
	token := func(module string, c ...pkcs11card.Certificate) pkcs11card.Token {
		return pkcs11card.Token{Module: module, Reader: "R", Present: true, Label: "T", Certificates: c}
	}
	for _, c := range []struct {
		tokens []pkcs11card.Token
		err    error
		status int
		want   []string
	}{
		{[]pkcs11card.Token{token("m", signature, usable, authority), token("n", again), {Reader: "E"}}, nil, 0,
			[]string{`"uri":"pkcs11:token=a","name":"Ana","label":"AUTH","key":"","not_after":"2030-01-01T00:00:00Z","usable":true,"reason":"","chosen":true,"why":"only"`,
				`"reason":"its signatures are legally binding","chosen":false`, `"reader":"E","present":false`}},
		{[]pkcs11card.Token{token("m", usable, other)}, nil, 0, []string{`"chosen":false`}},
		{[]pkcs11card.Token{token("m", expired, early)}, nil, 1, []string{`"usable":false,"reason":"it was valid until 2020-01-02","chosen":false`,
			`"usable":false,"reason":"it is valid from `, `{"event":"error","code":"no-card"`}},
		{[]pkcs11card.Token{token("m", usable, expired)}, nil, 0, []string{`"usable":true,"reason":"","chosen":true,"why":"valid"`, `"reason":"it was valid until 2020-01-02"`}},
		{[]pkcs11card.Token{token("m", usable)}, &pkcs11card.ModuleError{Module: "n", Call: "dlopen", Err: errors.New("x")}, 0,
			[]string{`"chosen":true`, `{"event":"warning","code":"card-module"`}},
		{[]pkcs11card.Token{token("m", signature)}, nil, 1, []string{`{"event":"error","code":"no-card"`}},
		{nil, nil, 1, []string{`{"event":"error","code":"no-card"`}},
		{nil, &pkcs11card.UnsupportedError{What: "no cgo"}, 1, []string{`{"event":"error","code":"card-unsupported"`}},
	} {
		var out, errs strings.Builder
		p := &program{Terminal: terminal.Terminal{Stdout: &out, Stderr: &errs}, Source: cards.Source{ListTokens: func(m []string) ([]pkcs11card.Token, error) {
			if len(m) != 2 || m[0] != "a,b" {
				t.Errorf("modules %q", m)
			}
			return c.tokens, c.err
		}}}
		if status := p.run([]string{"cards", "--json", "--module", "a,b", "--module=c"}); status != c.status {
			t.Errorf("status %d, want %d: %s", status, c.status, &out)
		}
		for _, want := range c.want {
			if !strings.Contains(out.String(), want) {
				t.Errorf("%s lacks %s", &out, want)
			}
		}
		if n := strings.Count(out.String(), `"chosen":true`); n > 1 || c.status == 1 && n > 0 {
			t.Errorf("%d are chosen: %s", n, &out)
		}
		out.Reset()
		if status := p.run([]string{"cards", "--module", "a,b", "--module=c"}); strings.Contains(out.String(), "State CA") || status != c.status || strings.Contains(out.String(), "<U+") {
			t.Errorf("in lines: status %d, %q", status, out.String())
		}
	}
}

func person(name string) *x509.Certificate {
	return &x509.Certificate{Raw: []byte(name), Subject: pkix.Name{CommonName: name}, NotAfter: time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)}
}

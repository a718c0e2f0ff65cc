package main

import (
	"context"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"sinete/cardauth"
	"sinete/cardauth/pkcs11card"
	"sinete/cardauth/softcard"
	"sinete/internal/trialpki"
)

// softCard makes a soft card whose PIN is "12?4" and returns its path.
func softCard(t *testing.T) string {
	t.Helper()
	w, err := trialpki.New(trialpki.Options{})
	if err != nil {
		t.Fatal(err)
	}
	ana, err := w.IssuePerson(trialpki.Person{Name: "ana"})
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "ana.card")
	if err := softcard.Create(path, ana.Key, ana.Chain, "12?4", softcard.Options{Memory: 8}); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestOpenSoftCard(t *testing.T) {
	path := softCard(t)
	pin := filepath.Join(t.TempDir(), "pin")
	if err := os.WriteFile(pin, []byte("12?4\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	p := &program{}
	var talking atomic.Bool
	for name, code := range map[string]string{
		"soft:" + path + "?pin-value=12?4":                 "",
		"soft:" + path + "?pin-value=12%3F4":               "",
		"soft:" + path + "?pin-source=file:" + pin:         "",
		"soft:" + path + "?pin-source=file://" + pin:       "",
		"soft:" + path + "?pin-source=" + pin:              "",
		"soft:" + path + "?pin-value=1111":                 "pin-wrong",
		"soft:" + path + "?pin-value=%zz":                  "card-name",
		"soft:" + path + "?pin-source=" + "relative":       "card-name",
		"soft:" + path + "?pin-color=red":                  "card-name",
		"soft:" + path + "?pin-source=file:" + pin + ".no": "pin-needed",
		"soft:" + path: "pin-needed",
		"soft:" + pin:  "card-unreadable",
		"soft:nowhere": "no-card",
		path:           "card-name",
	} {
		card, err := p.openCard(t.Context(), name, nil, p.prompt(&talking, nil))
		got := ""
		if err != nil {
			got = explain(err).code
		}
		if got != code || (card != nil) != (code == "") {
			t.Errorf("%s: %v, %q, want %q", name, card, got, code)
		}
	}
}

// TestPINOfURI: a PIN that nobody is there to correct is tried once.
func TestPINOfURI(t *testing.T) {
	if pin, err := once("1")(t.Context(), cardauth.PINRequest{}); pin != "1" || err != nil {
		t.Error(pin, err)
	}
	if pin, err := once("1")(t.Context(), cardauth.PINRequest{Wrong: true}); err == nil || explain(err).code != "pin-wrong" {
		t.Error(pin, err)
	}
}

func TestPINPrompt(t *testing.T) {
	var prompts []string
	answers := []string{"0000", "12?4"}
	p := &program{terminal: terminal{input: true, secret: func(_ context.Context, prompt string) (string, error) {
		prompts = append(prompts, prompt)
		return answers[len(prompts)-1], nil
	}}}
	var talking atomic.Bool
	card, err := p.openCard(t.Context(), "soft:"+softCard(t), nil, p.prompt(&talking, nil))
	if err != nil {
		t.Fatal(err)
	}
	if card.Certificate() == nil || len(prompts) != 2 || prompts[0] != "3 tries are left. PIN of ana.card: " || prompts[1] != "Wrong PIN. 2 tries are left. PIN of ana.card: " {
		t.Errorf("%q", prompts)
	}
	if s := pinPrompt(cardauth.PINRequest{Card: "c", Tries: 1, Final: true}); s != "LAST TRY: a wrong PIN locks the card. PIN of c: " {
		t.Error(s)
	}
	if s := pinPrompt(cardauth.PINRequest{Card: "c", CAN: true}); s != "The six digits printed on c (the CAN, not the PIN): " {
		t.Error(s)
	}
}

// A PIN that is wanted while commands are typed takes the place of the next line, and of no other.
func TestPINAmongCommands(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		typed := make(chan string)
		in := newInput(&typist{lines: typed})
		var shown lockedBuffer
		hidden := 0
		p := &program{stderr: &shown, terminal: terminal{input: true, quiet: func() (func(), error) {
			hidden++
			return func() { hidden-- }, nil
		}}}
		var talking atomic.Bool
		talking.Store(true)
		commands := in.ask()
		synctest.Wait()
		pins := make(chan string)
		ask := func(ctx context.Context) {
			pin, err := p.prompt(&talking, in)(ctx, cardauth.PINRequest{Card: "c", Tries: -1})
			if err != nil {
				pin = explain(err).code
			}
			pins <- pin
		}
		for range 2 { // while the same command is awaited
			go ask(t.Context())
			synctest.Wait()
			if prompts := shown.take(); len(prompts) != 1 || string(prompts[0]) != "PIN of c: " || hidden != 1 {
				t.Errorf("%q, hidden %d", prompts, hidden)
			}
			typed <- "1234\n"
			if pin := <-pins; pin != "1234" || hidden != 0 {
				t.Errorf("PIN %q, hidden %d", pin, hidden)
			}
		}
		ctx, cancel := context.WithCancel(t.Context())
		go ask(ctx)
		synctest.Wait()
		cancel()
		if pin := <-pins; pin != "interrupted" || hidden != 0 {
			t.Errorf("%q, hidden %d", pin, hidden)
		}
		typed <- "list\n"
		if l := <-commands; l.text != "list" {
			t.Errorf("the command is %q", l.text)
		}
		in.took()
		go ask(t.Context()) // while none is awaited
		typed <- "5678\n"
		if pin := <-pins; pin != "5678" {
			t.Errorf("PIN %q", pin)
		}
		go ask(t.Context())
		synctest.Wait()
		close(typed)
		if pin := <-pins; pin != "pin-needed" {
			t.Errorf("%q at the end of input", pin)
		}
		if l := <-in.ask(); !l.end {
			t.Errorf("%+v at the end of input", l)
		}
		go ask(t.Context())
		if pin := <-pins; pin != "pin-needed" { // the end of input stays
			t.Errorf("%q after the end of input", pin)
		}
		p.hidden.end()
		if _, err := p.prompt(&talking, in)(t.Context(), cardauth.PINRequest{}); explain(err).code != "pin-needed" || hidden != 0 {
			t.Errorf("asked when the program has ended: %v", err)
		}
		p = &program{terminal: p.terminal}
		p.quiet = func() (func(), error) { return nil, errors.ErrUnsupported }
		if _, err := p.prompt(&talking, in)(t.Context(), cardauth.PINRequest{}); explain(err).code != "pin-needed" {
			t.Errorf("asked where what is typed cannot be hidden: %v", err)
		}
	})
}

// twoCards answers like a machine with two cards in it.
func twoCards(opened *string) *program {
	uris := []string{"pkcs11:token=a", "pkcs11:token=b"}
	return &program{
		openToken: func(_ context.Context, uri string, _ cardauth.Prompt, _ pkcs11card.Options) (cardauth.Card, error) {
			*opened = uri
			if uri == "pkcs11:" {
				return nil, &pkcs11card.AmbiguousError{URIs: uris}
			}
			return &softcard.Card{}, nil
		},
		listTokens: func([]string) ([]pkcs11card.Token, error) {
			b := pkcs11card.Certificate{Certificate: person("Rui"), Label: "AUTH", URI: uris[1]}
			return []pkcs11card.Token{{Label: "b", Reader: "Reader 2", Certificates: []pkcs11card.Certificate{b}}}, errors.New("half of it")
		},
	}
}

func noToken(context.Context, string, cardauth.Prompt, pkcs11card.Options) (cardauth.Card, error) {
	return nil, &pkcs11card.NotFoundError{URI: "pkcs11:", Reason: "no reader"}
}

func person(name string) *x509.Certificate {
	return &x509.Certificate{Raw: []byte(name), Subject: pkix.Name{CommonName: name}, NotAfter: time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)}
}

func TestChooseCard(t *testing.T) {
	var opened string
	var errs strings.Builder
	p := twoCards(&opened)
	p.input, p.stderr = true, &errs
	if _, err := p.openCard(t.Context(), "", newInput(strings.NewReader("x\n3\n 2\nlist\n")), nil); err != nil || opened != "pkcs11:token=b" {
		t.Errorf("%s, %v", opened, err)
	}
	for _, want := range []string{"  1  pkcs11:token=a\n", "  2  Rui  AUTH  b  Reader 2\n", "number, 1 to 2: number, 1 to 2: number, 1 to 2: "} {
		if !strings.Contains(errs.String(), want) {
			t.Errorf("%q lacks %q", errs.String(), want)
		}
	}
	if _, err := p.openCard(t.Context(), "", newInput(strings.NewReader("")), nil); explain(err).code != "card-ambiguous" {
		t.Errorf("%v", err)
	}
	p.input = false
	if _, err := p.openCard(t.Context(), "", nil, nil); explain(err).code != "card-ambiguous" || opened != "pkcs11:" {
		t.Errorf("%v", err)
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
		p := &program{stdout: &out, stderr: &errs, listTokens: func(m []string) ([]pkcs11card.Token, error) {
			if len(m) != 2 || m[0] != "a,b" {
				t.Errorf("modules %q", m)
			}
			return c.tokens, c.err
		}}
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

// The card that somebody chose is taken the next time.
func TestRememberedCard(t *testing.T) {
	w, err := trialpki.New(trialpki.Options{})
	if err != nil {
		t.Fatal(err)
	}
	ana, err := w.IssuePerson(trialpki.Person{Name: "ana"})
	if err != nil {
		t.Fatal(err)
	}
	card, err := softcard.FromKey(ana.Key, ana.Chain, 0)
	if err != nil {
		t.Fatal(err)
	}
	var errs strings.Builder
	uris := []string{"pkcs11:token=a", "pkcs11:token=b"}
	p := &program{stderr: &errs, memory: filepath.Join(t.TempDir(), "sinete", "card"), terminal: terminal{input: true},
		listTokens: func([]string) ([]pkcs11card.Token, error) { return nil, nil }}
	p.openToken = func(_ context.Context, uri string, _ cardauth.Prompt, o pkcs11card.Options) (cardauth.Card, error) {
		if uri == "pkcs11:" && o.Preferred != pkcs11card.KeyHash(ana.Certificate) {
			return nil, &pkcs11card.AmbiguousError{URIs: uris}
		}
		return card, nil
	}
	for range 2 { // the second time without being asked
		if _, err := p.openCard(t.Context(), "", newInput(strings.NewReader("1\n")), nil); err != nil {
			t.Fatal(err)
		}
	}
	if n := strings.Count(errs.String(), whichCard); n != 1 {
		t.Errorf("asked %d times", n)
	}
	for _, broken := range []string{"", "00", strings.Repeat("x", 64)} {
		if err := os.WriteFile(p.memory, []byte(broken), 0o600); err != nil {
			t.Fatal(err)
		}
		if p.remembered() != [32]byte{} {
			t.Errorf("%q was believed", broken)
		}
	}
}

func TestReaderLines(t *testing.T) {
	e := readerEvent{Module: "/m.so", Reader: "R", Present: true, Token: "T", Profile: "Cartão de Cidadão v2", PIN: "each-time",
		Certificates: []certificateEntry{{Name: "Ana", Label: "AUTH", Key: "P-256", NotAfter: "x", URI: "pkcs11:", Usable: true, Chosen: true, Why: "remembered"}}}
	got := strings.Join(readerLines(e), "\n")
	for _, want := range []string{"Cartão de Cidadão v2, asks for its PIN at each signature", "through /m.so", "Ana, AUTH, P-256, valid", "this one is used: you chose it last time"} {
		if !strings.Contains(got, want) {
			t.Errorf("%s lacks %q", got, want)
		}
	}
}

// Everybody is told of another card, at a terminal or not; what a card waits for is for who sits there.
func TestCardNotices(t *testing.T) {
	var errs strings.Builder
	var warnings []warningEvent
	p := &program{stderr: &errs, warn: func(e warningEvent) { warnings = append(warnings, e) }}
	p.cardNotice("Ana's", pkcs11card.NoticePad)
	p.cardNotice("Ana's", pkcs11card.NoticeOther)
	if len(warnings) != 1 || warnings[0].Code != "card-other" || !strings.Contains(warnings[0].Text, "Ana's") || errs.Len() > 0 {
		t.Errorf("%+v, %s", warnings, &errs)
	}
	p.input = true
	p.cardNotice("Ana's", pkcs11card.NoticePad)
	if len(warnings) != 1 || !strings.Contains(errs.String(), "Enter the PIN of Ana's") {
		t.Errorf("%+v, %s", warnings, &errs)
	}
}

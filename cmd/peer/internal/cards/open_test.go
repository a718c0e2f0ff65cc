package cards

import (
	"context"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"

	"sinete/cardauth"
	"sinete/cardauth/pkcs11card"
	"sinete/cardauth/softcard"
	"sinete/cmd/peer/internal/screen"
	"sinete/cmd/peer/internal/terminal"
	"sinete/cmd/peer/internal/trouble"
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
	o := &Opener{}
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
		card, err := o.Open(t.Context(), name)
		got := ""
		if err != nil {
			got = trouble.Explain(err).Code
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
	if pin, err := once("1")(t.Context(), cardauth.PINRequest{Wrong: true}); err == nil || trouble.Explain(err).Code != "pin-wrong" {
		t.Error(pin, err)
	}
}

func TestPINPrompt(t *testing.T) {
	var prompts []string
	answers := []string{"0000", "12?4"}
	o := &Opener{Terminal: terminal.Terminal{Input: true, Secret: func(_ context.Context, prompt string) (string, error) {
		prompts = append(prompts, prompt)
		return answers[len(prompts)-1], nil
	}}}
	card, err := o.Open(t.Context(), "soft:"+softCard(t))
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
		r, typed := io.Pipe()
		in := terminal.NewInput(r)
		var shown strings.Builder
		hidden := 0
		o := &Opener{In: in, Terminal: terminal.Terminal{Stderr: &shown, Input: true, Quiet: func() (func(), error) {
			hidden++
			return func() { hidden-- }, nil
		}}}
		o.Talking.Store(true)
		commands := in.Ask()
		synctest.Wait()
		pins := make(chan string)
		ask := func(ctx context.Context) {
			pin, err := o.prompt(ctx, cardauth.PINRequest{Card: "c", Tries: -1})
			if err != nil {
				pin = trouble.Explain(err).Code
			}
			pins <- pin
		}
		for range 2 { // while the same command is awaited
			go ask(t.Context())
			synctest.Wait()
			if shown.String() != "PIN of c: " || hidden != 1 {
				t.Errorf("%q, hidden %d", &shown, hidden)
			}
			shown.Reset()
			fmt.Fprintln(typed, "1234")
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
		fmt.Fprintln(typed, "list")
		if l := <-commands; l.Text != "list" {
			t.Errorf("the command is %q", l.Text)
		}
		in.Took()
		go ask(t.Context()) // while none is awaited
		fmt.Fprintln(typed, "5678")
		if pin := <-pins; pin != "5678" {
			t.Errorf("PIN %q", pin)
		}
		go ask(t.Context())
		synctest.Wait()
		typed.Close()
		if pin := <-pins; pin != "pin-needed" {
			t.Errorf("%q at the end of input", pin)
		}
		if l := <-in.Ask(); !l.End {
			t.Errorf("%+v at the end of input", l)
		}
		go ask(t.Context())
		if pin := <-pins; pin != "pin-needed" { // the end of input stays
			t.Errorf("%q after the end of input", pin)
		}
		o.Hidden.End()
		if _, err := o.prompt(t.Context(), cardauth.PINRequest{}); trouble.Explain(err).Code != "pin-needed" || hidden != 0 {
			t.Errorf("asked when the program has ended: %v", err)
		}
		o = &Opener{In: in, Terminal: o.Terminal}
		o.Talking.Store(true)
		o.Quiet = func() (func(), error) { return nil, errors.ErrUnsupported }
		if _, err := o.prompt(t.Context(), cardauth.PINRequest{}); trouble.Explain(err).Code != "pin-needed" {
			t.Errorf("asked where what is typed cannot be hidden: %v", err)
		}
	})
}

// twoCards answers like a machine with two cards in it.
func twoCards(opened *string) *Opener {
	uris := []string{"pkcs11:token=a", "pkcs11:token=b"}
	return &Opener{Source: Source{
		OpenToken: func(_ context.Context, uri string, _ cardauth.Prompt, _ pkcs11card.Options) (cardauth.Card, error) {
			*opened = uri
			if uri == "pkcs11:" {
				return nil, &pkcs11card.AmbiguousError{URIs: uris}
			}
			return &softcard.Card{}, nil
		},
		ListTokens: func([]string) ([]pkcs11card.Token, error) {
			b := pkcs11card.Certificate{Certificate: &x509.Certificate{Subject: pkix.Name{CommonName: "Rui"}}, Label: "AUTH", URI: uris[1]}
			return []pkcs11card.Token{{Label: "b", Reader: "Reader 2", Certificates: []pkcs11card.Certificate{b}}}, errors.New("half of it")
		},
	}}
}

// opens opens the card that is there, for whoever types that.
func (o *Opener) opens(t *testing.T, in *terminal.Input) (cardauth.Card, error) {
	o.In = in
	return o.Open(t.Context(), "")
}

func TestChooseCard(t *testing.T) {
	var opened string
	var errs strings.Builder
	o := twoCards(&opened)
	o.Input, o.Stderr = true, &errs
	if _, err := o.opens(t, terminal.NewInput(strings.NewReader("x\n3\n 2\nlist\n"))); err != nil || opened != "pkcs11:token=b" {
		t.Errorf("%s, %v", opened, err)
	}
	for _, want := range []string{"  1  pkcs11:token=a\n", "  2  Rui  AUTH  b  Reader 2\n", "number, 1 to 2: number, 1 to 2: number, 1 to 2: "} {
		if !strings.Contains(errs.String(), want) {
			t.Errorf("%q lacks %q", errs.String(), want)
		}
	}
	if _, err := o.opens(t, terminal.NewInput(strings.NewReader(""))); trouble.Explain(err).Code != "card-ambiguous" {
		t.Errorf("%v", err)
	}
	o.Input = false
	if _, err := o.opens(t, nil); trouble.Explain(err).Code != "card-ambiguous" || opened != "pkcs11:" {
		t.Errorf("%v", err)
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
	o := &Opener{Terminal: terminal.Terminal{Stderr: &errs, Input: true}, Source: Source{Memory: filepath.Join(t.TempDir(), "sinete", "card"),
		ListTokens: func([]string) ([]pkcs11card.Token, error) { return nil, nil }}}
	o.OpenToken = func(_ context.Context, uri string, _ cardauth.Prompt, o pkcs11card.Options) (cardauth.Card, error) {
		if uri == "pkcs11:" && o.Preferred != pkcs11card.KeyHash(ana.Certificate) {
			return nil, &pkcs11card.AmbiguousError{URIs: uris}
		}
		return card, nil
	}
	for range 2 { // the second time without being asked
		if _, err := o.opens(t, terminal.NewInput(strings.NewReader("1\n"))); err != nil {
			t.Fatal(err)
		}
	}
	if n := strings.Count(errs.String(), whichCard); n != 1 {
		t.Errorf("asked %d times", n)
	}
	for _, broken := range []string{"", "00", strings.Repeat("x", 64)} {
		if err := os.WriteFile(o.Memory, []byte(broken), 0o600); err != nil {
			t.Fatal(err)
		}
		if o.Remembered() != [32]byte{} {
			t.Errorf("%q was believed", broken)
		}
	}
}

// Everybody is told of another card, at a terminal or not; what a card waits for is for who sits there.
func TestCardNotices(t *testing.T) {
	var errs strings.Builder
	var warnings []screen.Warning
	o := &Opener{Terminal: terminal.Terminal{Stderr: &errs}, Warn: func(e screen.Warning) { warnings = append(warnings, e) }}
	o.cardNotice("Ana's", pkcs11card.NoticePad)
	o.cardNotice("Ana's", pkcs11card.NoticeOther)
	if len(warnings) != 1 || warnings[0].Code != "card-other" || !strings.Contains(warnings[0].Text, "Ana's") || errs.Len() > 0 {
		t.Errorf("%+v, %s", warnings, &errs)
	}
	o.Input = true
	o.cardNotice("Ana's", pkcs11card.NoticePad)
	if len(warnings) != 1 || !strings.Contains(errs.String(), "Enter the PIN of Ana's") {
		t.Errorf("%+v, %s", warnings, &errs)
	}
}

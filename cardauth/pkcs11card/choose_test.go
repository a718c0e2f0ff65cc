package pkcs11card

import (
	"crypto/x509"
	"errors"
	"slices"
	"testing"

	"sinete/cardauth/pkcs11card/internal/cryptoki"
	"sinete/internal/trialpki"
	"sinete/wire"
)

func TestChoose(t *testing.T) {
	w, err := trialpki.New(trialpki.Options{})
	if err != nil {
		t.Fatal(err)
	}
	cert := func(label, refuse string) Certificate {
		i, err := w.IssuePerson(trialpki.Person{Name: label})
		if err != nil {
			t.Fatal(err)
		}
		return Certificate{Certificate: i.Certificate, Label: label, URI: "pkcs11:object=" + label, Refuse: refuse}
	}
	ana, rui, no := cert("ana", ""), cert("rui", ""), cert("no", "it is not to be used")
	old, early := ana, rui
	old.Certificate, early.Certificate = aged(old.Certificate, -10), aged(early.Certificate, 10)
	onlyRui := func(chain [][]byte) error {
		if slices.Equal(chain[0], rui.Raw) {
			return nil
		}
		return errors.New("nobody knows the issuer")
	}
	token := func(module string, slot uint, login bool, c ...Certificate) Token {
		return Token{Module: module, Slot: slot, Present: true, Login: login, Certificates: c}
	}
	for name, tt := range map[string]struct {
		uri     URI
		tokens  []Token
		options Options
		want    int // index of the token; -1 not found, -2 ambiguous
	}{
		"nothing":                         {tokens: nil, want: -1},
		"one":                             {tokens: []Token{token("m", 0, true, ana)}},
		"refused":                         {tokens: []Token{token("m", 0, false, no)}, want: -1},
		"refused beside another":          {tokens: []Token{token("m", 0, true, no), token("m", 1, true, ana)}, want: 1},
		"two on one, login will tell":     {tokens: []Token{token("m", 0, true, ana, rui)}},
		"on two tokens":                   {tokens: []Token{token("m", 0, true, ana), token("m", 1, true, rui)}, want: -2},
		"on two tokens, one named":        {uri: URI{Object: "rui"}, tokens: []Token{token("m", 0, true, ana), token("m", 1, true, rui)}, want: 1},
		"one through two modules":         {tokens: []Token{token("m", 0, true, ana), token("n", 0, true, ana)}},
		"the same on two tokens":          {tokens: []Token{token("m", 0, true, ana), token("m", 1, true, ana)}, want: -2},
		"hidden until login":              {tokens: []Token{token("m", 0, true)}},
		"nothing, and no login":           {tokens: []Token{token("m", 0, false)}, want: -1},
		"perhaps hidden in one of two":    {tokens: []Token{token("m", 0, true), token("m", 1, true)}, want: -1},
		"an expired one beside":           {tokens: []Token{token("m", 0, true, old), token("m", 1, true, rui)}, want: 1},
		"one to come beside":              {tokens: []Token{token("m", 0, true, early), token("m", 1, true, ana)}, want: 1},
		"both out of their validity":      {tokens: []Token{token("m", 0, true, old), token("m", 1, true, early)}, want: -2},
		"expired and alone":               {tokens: []Token{token("m", 0, true, old)}},
		"one that is trusted":             {options: Options{Accept: onlyRui}, tokens: []Token{token("m", 0, true, ana), token("m", 1, true, rui)}, want: 1},
		"none that is trusted":            {options: Options{Accept: onlyRui}, tokens: []Token{token("m", 0, true, ana)}},
		"chosen last time":                {options: Options{Preferred: KeyHash(rui.Certificate)}, tokens: []Token{token("m", 0, true, ana), token("m", 1, true, rui)}, want: 1},
		"chosen last time and expired":    {options: Options{Preferred: KeyHash(old.Certificate)}, tokens: []Token{token("m", 0, true, old), token("m", 1, true, rui)}, want: 1},
		"another certificate is asked of": {uri: URI{ID: []byte{1}}, tokens: []Token{token("m", 0, false, ana)}, want: -1},
	} {
		got, err := tt.uri.choose(tt.tokens, tt.options)
		var nf *NotFoundError
		var ambiguous *AmbiguousError
		switch {
		case tt.want == -1 && errors.As(err, &nf):
		case tt.want == -2 && errors.As(err, &ambiguous):
		case tt.want >= 0 && err == nil && got == &tt.tokens[tt.want]:
		default:
			t.Errorf("%s: %+v, %v", name, got, err)
		}
	}
}

func TestRefuseUsage(t *testing.T) {
	for usage, ok := range map[x509.KeyUsage]bool{
		x509.KeyUsageDigitalSignature:                             true,
		x509.KeyUsageDigitalSignature | x509.KeyUsageKeyAgreement: true,
		0:                              false,
		x509.KeyUsageKeyAgreement:      false,
		x509.KeyUsageContentCommitment: false,
		x509.KeyUsageDigitalSignature | x509.KeyUsageContentCommitment: false,
	} {
		if got := refuseUsage(&x509.Certificate{KeyUsage: usage}); (got == "") != ok {
			t.Errorf("usage %b: %q", usage, got)
		}
	}
	if refuseUsage(&x509.Certificate{KeyUsage: x509.KeyUsageDigitalSignature, IsCA: true}) == "" {
		t.Error("an authority's was taken")
	}
}

func TestChainOf(t *testing.T) {
	w, err := trialpki.New(trialpki.Options{})
	if err != nil {
		t.Fatal(err)
	}
	i, err := w.IssuePerson(trialpki.Person{Name: "ana"})
	if err != nil {
		t.Fatal(err)
	}
	all := []Certificate{{Certificate: w.Root.Certificate}, {Certificate: w.Services.Certificate}, {Certificate: w.State.Certificate},
		{Certificate: i.Certificate}, {Certificate: w.Authentication.Certificate}, {Certificate: w.Card.Certificate}}
	same := func(a, b [][]byte) bool { return slices.EqualFunc(a, b, slices.Equal) }
	if got := chainOf(i.Certificate, all, 5); !same(got, i.Chain) {
		t.Errorf("a chain of %d", len(got))
	}
	if got := chainOf(i.Certificate, all, 3); !same(got, i.Chain[:3]) {
		t.Errorf("a chain of %d where 3 are allowed", len(got))
	}
	if got := chainOf(i.Certificate, all[:3], 5); !same(got, i.Chain[:1]) {
		t.Errorf("a chain of %d where the issuer is missing", len(got))
	}
}

// aged is a certificate that is so many years older, or younger.
func aged(c *x509.Certificate, years int) *x509.Certificate {
	other := *c
	other.NotBefore, other.NotAfter = c.NotBefore.AddDate(years, 0, 0), c.NotAfter.AddDate(years, 0, 0)
	return &other
}

func TestMechanism(t *testing.T) {
	all := []uint64{cryptoki.MechRSAPSS, cryptoki.MechSHA256RSAPSS, cryptoki.MechRSAPKCS, cryptoki.MechSHA256RSA, cryptoki.MechECDSA}
	for _, tt := range []struct {
		list, right []uint64
		scheme      wire.Scheme
		want        uint64
		made        wire.Scheme // 0: none
	}{
		{all, nil, wire.SchemeRSAPKCS1, cryptoki.MechSHA256RSA, wire.SchemeRSAPKCS1},
		{all, nil, wire.SchemeP384, cryptoki.MechECDSA, wire.SchemeP384},
		{all[:3], nil, wire.SchemeRSAPKCS1, cryptoki.MechRSAPKCS, wire.SchemeRSAPKCS1},
		{all[:2], nil, wire.SchemeRSAPKCS1, cryptoki.MechSHA256RSAPSS, wire.SchemeRSAPSS},
		{all[:1], nil, wire.SchemeRSAPKCS1, cryptoki.MechRSAPSS, wire.SchemeRSAPSS},
		{all[:3], []uint64{cryptoki.MechSHA256RSA}, wire.SchemeRSAPKCS1, 0, 0}, // lists what it does wrong
		{all, []uint64{cryptoki.MechRSAPKCS}, wire.SchemeRSAPKCS1, cryptoki.MechRSAPKCS, wire.SchemeRSAPKCS1},
		{all[:4], nil, wire.SchemeP256, 0, 0},
		{nil, nil, wire.SchemeRSAPKCS1, 0, 0},
	} {
		if m, made, ok := mechanism(tt.list, tt.right, tt.scheme); m != tt.want || made != tt.made || ok != (tt.made != 0) {
			t.Errorf("%x of %x for %v: %x, %v", tt.list, tt.right, tt.scheme, m, made)
		}
	}
}

package cardauth_test

import (
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"net/url"
	"strings"
	"testing"
	"unicode/utf8"

	"pgregory.net/rapid"

	"sinete/cardauth"
	"sinete/wire"
)

func TestIdentity(t *testing.T) {
	anchor := &x509.Certificate{RawSubjectPublicKeyInfo: []byte("anchor")}
	const at = "@79bfb0e2ba76b9d4" // SHA-256 of "anchor", computed elsewhere
	two := pkix.AttributeTypeAndValue{Type: []int{2, 5, 4, 5}, Value: "1"}
	for _, c := range []struct {
		cert x509.Certificate
		want string // empty: refused
	}{
		{x509.Certificate{Subject: pkix.Name{SerialNumber: "BI12345678"}}, "BI12345678" + at},
		{x509.Certificate{Subject: pkix.Name{SerialNumber: "BI1"}, EmailAddresses: []string{"a@b.pt"}}, "BI1" + at},
		{x509.Certificate{EmailAddresses: []string{"João.Silva@Example.PT", "second@b.pt"}}, "mailto:jo%C3%A3o.silva%40example.pt" + at},
		{x509.Certificate{Subject: pkix.Name{SerialNumber: "a b#c%d@e\x00\x7fé~!"}}, "a%20b%23c%25d%40e%00%7F%C3%A9~!" + at},
		{x509.Certificate{Subject: pkix.Name{SerialNumber: strings.Repeat("1", wire.MaxIdentity-17)}}, strings.Repeat("1", wire.MaxIdentity-17) + at},
		{x509.Certificate{Subject: pkix.Name{SerialNumber: strings.Repeat("1", wire.MaxIdentity-16)}}, ""},
		{x509.Certificate{Subject: pkix.Name{CommonName: "Nobody"}}, ""},
		{x509.Certificate{EmailAddresses: []string{""}}, ""},
		{x509.Certificate{Subject: pkix.Name{SerialNumber: "mailto:a@b.pt"}}, ""},
		{x509.Certificate{Subject: pkix.Name{SerialNumber: "1", Names: []pkix.AttributeTypeAndValue{two, two}}}, ""},
	} {
		got, err := cardauth.Identity(&c.cert, anchor)
		if got != c.want {
			t.Errorf("%q %q: got %q, %v; want %q", c.cert.Subject.SerialNumber, c.cert.EmailAddresses, got, err, c.want)
		}
		var none *cardauth.IdentityError
		if c.want == "" && (!errors.As(err, &none) || wire.CodeOf(err) != wire.CodeCertificateInvalid) {
			t.Errorf("%q: got %v", c.cert.Subject.SerialNumber, err)
		}
	}
}

func TestIdentityTellsPeopleApart(t *testing.T) {
	anchor := &x509.Certificate{RawSubjectPublicKeyInfo: []byte("anchor")}
	rapid.Check(t, func(t *rapid.T) {
		serial := rapid.StringN(1, 20, 40).Filter(func(s string) bool { return !strings.HasPrefix(s, "mailto:") }).Draw(t, "serial")
		id, err := cardauth.Identity(&x509.Certificate{Subject: pkix.Name{SerialNumber: serial}}, anchor)
		if err != nil {
			t.Fatal(err)
		}
		first, _, _ := strings.Cut(id, "@")
		if strings.ContainsFunc(id, func(r rune) bool { return r <= ' ' || r > '~' || r == '#' }) {
			t.Fatalf("%q is not printable ASCII", id)
		}
		if back, err := url.PathUnescape(first); err != nil || back != serial {
			t.Fatalf("%q came back as %q, %v", serial, back, err)
		}
	})
}

func TestIdentityOutlivesACertificate(t *testing.T) {
	w := newWorld(t)
	sibling := newAuthority(t, w.root, "Sub") // the same name, another key: the authority of another year
	elsewhere := newAuthority(t, nil, "Root") // another anchor of the same name
	identity := func(a *authority, cert *x509.Certificate, also ...*x509.Certificate) string {
		t.Helper()
		p := *w.policy
		p.Anchors = append(p.Anchors, elsewhere.cert)
		party, err := p.VerifyPerson(ders(append([]*x509.Certificate{cert}, also...)...), nil)
		if err != nil {
			t.Fatal(err)
		}
		return party.Identity
	}
	first := identity(w.sub, w.sub.person(), w.sub.cert)
	if again := identity(sibling, sibling.person(), sibling.cert); again != first {
		t.Errorf("a renewed card became %s, was %s", again, first)
	}
	if other := identity(elsewhere, elsewhere.person()); other == first {
		t.Error("another anchor's person has the same identity")
	}
}

func TestDisplayName(t *testing.T) {
	for name, want := range map[string]string{
		"Conceição Estêvão":            "Conceição Estêvão",
		"Ana\u00a0Maria":               "Ana Maria",
		"  Ana ":                       "Ana",
		"":                             "",
		"a\nb\x1b[31mc\u009b":          "a\ufffdb\ufffd[31mc\ufffd",
		"a\u202eb\u200bc\u2066d\ufeff": "a\ufffdb\ufffdc\ufffdd\ufffd",
		"a\u3164b\u034fc\ufe0fd\u2800": "a\ufffdb\ufffdc\ufffdd\ufffd",
		"a\xffb":                       "a\ufffdb",
		strings.Repeat("é", 100):       strings.Repeat("é", 100),
		strings.Repeat("é", 101):       strings.Repeat("é", 100),
		"a" + strings.Repeat("é", 100): "a" + strings.Repeat("é", 99),
	} {
		got := cardauth.DisplayName(&x509.Certificate{Subject: pkix.Name{CommonName: name}})
		if got != want || len(got) > wire.MaxName || !utf8.ValidString(got) || !wire.ValidText(got) {
			t.Errorf("%q became %q, want %q", name, got, want)
		}
	}
}

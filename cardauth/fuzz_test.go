package cardauth_test

import (
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"sinete/cardauth"
	"sinete/wire"
)

// identityForm is section 7.1: nothing in an identity can be taken for a blank, a comment, a command's sign or an end of line.
var identityForm = regexp.MustCompile(`^([!-"$&-?A-~]|%[0-9A-F]{2})+@[0-9a-f]{16}$`)

// Whatever an authority has put into a certificate, its identity has the form of one, and says whose certificate it is.
func FuzzIdentity(f *testing.F) {
	seeds := [][2]string{
		{"BI12345678", ""}, {"BI1", "a@b.pt"}, {"", "João.Silva@Example.PT"}, {"a b#c%d@e\x00\x7fé~!", ""}, {"", ""}, {"mailto:a@b.pt", ""},
		{strings.Repeat("1", wire.MaxIdentity-17), ""}, {strings.Repeat("#", wire.MaxIdentity/3), ""}, {"%41", ""}, {"A", ""}, {"\xff\u202e", "\u212a@b"},
	}
	if len(seeds) == 0 {
		f.Fatal("no seeds")
	}
	for _, s := range seeds {
		f.Add(s[0], s[1])
	}
	anchor := &x509.Certificate{RawSubjectPublicKeyInfo: []byte("anchor")}
	f.Fuzz(func(t *testing.T, serial, address string) {
		id, err := cardauth.Identity(&x509.Certificate{Subject: pkix.Name{SerialNumber: serial}, EmailAddresses: []string{address}}, anchor)
		who := serial
		if serial == "" {
			who = "mailto:" + strings.ToLower(address)
		}
		due := serial != "" && !strings.HasPrefix(serial, "mailto:") || serial == "" && address != ""
		if err != nil {
			var none *cardauth.IdentityError
			if !errors.As(err, &none) || id != "" || due && 3*len(who)+17 <= wire.MaxIdentity {
				t.Fatalf("%q %q: %q, %v", serial, address, id, err)
			}
			return
		}
		if !due || len(id) > wire.MaxIdentity || !identityForm.MatchString(id) || !wire.ValidText(id) {
			t.Fatalf("%q %q: %q", serial, address, id)
		}
		first, _, _ := strings.Cut(id, "@")
		if back, err := url.PathUnescape(first); err != nil || back != who {
			t.Fatalf("%q is the identity of %q and of %q, %v", id, who, back, err)
		}
	})
}

package cards

import (
	"cmp"
	"crypto/ecdsa"
	"crypto/rsa"
	"fmt"
	"slices"
	"time"

	"sinete/cardauth"
	"sinete/cardauth/pkcs11card"
	"sinete/cmd/peer/internal/screen"
	"sinete/cmd/peer/internal/settings"
	"sinete/cmd/peer/internal/trouble"
)

// Command is peer cards and its flags.
type Command struct {
	Module []string `placeholder:"SO" sep:"none" help:"PKCS#11 module to look at. May be repeated. Default: the well-known ones that are installed, or $$SINETE_PKCS11_MODULE."`
	Trust  string   `placeholder:"DIR" help:"As for chat, which takes a certificate of one of these authorities before others. Default: sinete/trust in your configuration folder, where it is there."`
	JSON   bool     `name:"json" help:"One JSON object a line instead of text."`
}

// Help is what peer cards --help shows below its first line.
func (*Command) Help() string { return aboutCards }

// Run shows what could be read even where something could not. The status is 1 where no card is usable.
func (c *Command) Run(s *Source, out screen.Screen) int {
	o := pkcs11card.Options{Preferred: s.Remembered()}
	if _, policy, err := settings.LoadTrust(c.Trust); err == nil {
		o.Accept = settings.Trusts(policy)
	} else if c.Trust != "" {
		t := trouble.Explain(err)
		out.Show(screen.FailureOf(t))
		return t.Status
	}
	tokens, err := s.ListTokens(c.Module)
	if len(tokens) == 0 {
		if err == nil {
			err = &pkcs11card.NotFoundError{URI: "pkcs11:", Reason: NoReader}
		}
		t := trouble.Explain(err)
		out.Show(screen.FailureOf(t))
		return t.Status
	}
	readers, usable := readersOf(tokens, o, time.Now())
	for _, e := range readers {
		out.Show(e)
	}
	if err != nil {
		t := trouble.Explain(err)
		out.Show(screen.Warning{Code: t.Code, Text: t.Text()})
	}
	switch {
	case usable == 0:
		t := trouble.Explain(&pkcs11card.NotFoundError{URI: "pkcs11:", Reason: noneUsable})
		out.Show(screen.FailureOf(t))
		return t.Status
	case !anyChosen(readers):
		out.Show(screen.Notice{Text: severalUsable})
	}
	return trouble.StatusDone
}

// readersOf describes what was found, and counts the certificates that can be used. One that several modules show is one, in the
// first of them. The one that is chosen is that which Open would open with o.
func readersOf(tokens []pkcs11card.Token, o pkcs11card.Options, now time.Time) (readers []screen.Reader, usable int) {
	chosen, err := pkcs11card.FindWith("pkcs11:", tokens, o)
	seen := map[string]bool{}
	for _, t := range tokens {
		r := screen.Reader{Module: t.Module, Reader: t.Reader, Present: t.Present, Token: t.Label, Serial: t.Serial,
			Certificates: make([]screen.CertificateEntry, 0, len(t.Certificates))}
		if t.Present {
			r.Profile, r.PIN = t.Profile.Name, whenPIN(t)
		}
		for _, cert := range t.Certificates {
			e := screen.CertificateEntry{URI: cert.URI, Name: cardauth.DisplayName(cert.Certificate), Label: cert.Label, Key: KeyName(cert.PublicKey),
				NotAfter: cert.NotAfter.UTC().Format(time.RFC3339), Reason: cmp.Or(cert.Refuse, outOfValidity(cert.Certificate, now)), Authority: cert.IsCA}
			e.Holder, e.Number = t.Profile.Holder(cert.Certificate)
			e.Usable = e.Reason == ""
			if e.Usable && !seen[string(cert.Raw)] {
				seen[string(cert.Raw)] = true
				usable++
			}
			if err == nil && e.Usable && chosen.Token.Module == t.Module && chosen.Certificate.URI == cert.URI {
				e.Chosen, e.Why = true, string(chosen.Why)
			}
			r.Certificates = append(r.Certificates, e)
		}
		readers = append(readers, r)
	}
	return readers, usable
}

func anyChosen(readers []screen.Reader) bool {
	return slices.ContainsFunc(readers, func(r screen.Reader) bool {
		return slices.ContainsFunc(r.Certificates, func(c screen.CertificateEntry) bool { return c.Chosen })
	})
}

// whenPIN is when a card asks for its PIN, as far as that shows before login.
func whenPIN(t pkcs11card.Token) string {
	switch {
	case t.Profile.EachTime:
		return "each-time"
	case t.Login && t.Pad:
		return "pad"
	case t.Login:
		return "once"
	}
	return ""
}

func KeyName(key any) string {
	switch k := key.(type) {
	case *rsa.PublicKey:
		return fmt.Sprintf("RSA %d", k.N.BitLen())
	case *ecdsa.PublicKey:
		return k.Params().Name
	}
	return ""
}

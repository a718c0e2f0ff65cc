package pkcs11card

import (
	"crypto/ecdsa"
	"crypto/rsa"
	"crypto/x509"
	"errors"
	"os"
	"runtime"
	"slices"
	"strings"
	"time"

	"sinete/cardauth"
	"sinete/cardauth/pkcs11card/profile"
	"sinete/wire"
)

// candidate is a certificate that could be opened, with where it is.
type candidate struct {
	token *Token
	cert  *Certificate
}

// candidates are the certificates that the URI names and that may be a person's card. One that several modules show is
// taken from the first of them.
func (u *URI) candidates(tokens []Token) []candidate {
	var found []candidate
	for i := range tokens {
		t := &tokens[i]
		for j := range t.Certificates {
			c := &t.Certificates[j]
			elsewhere := func(f candidate) bool { return f.token.Module != t.Module && f.cert.Equal(c.Certificate) }
			if c.Refuse == "" && u.matchesCertificate(c) && !slices.ContainsFunc(found, elsewhere) {
				found = append(found, candidate{t, c})
			}
		}
	}
	return found
}

// preferred narrows what was found down, where several are left, to those within their validity, to those whose chain is
// accepted, to the one that was chosen last time, and to that which authenticates on this kind of card. A wish that nobody fulfils is none: what is wrong with an expired card is
// better told when it is used.
func preferred(found []candidate, o Options) ([]candidate, Why) {
	now, why := time.Now(), WhyOnly
	for _, wish := range []struct {
		Why
		granted func(candidate) bool
	}{
		{WhyValid, func(c candidate) bool { return !now.Before(c.cert.NotBefore) && !now.After(c.cert.NotAfter) }},
		{WhyTrusted, func(c candidate) bool {
			return o.Accept == nil || o.Accept(chainOf(c.cert.Certificate, c.token.Certificates, wire.MaxChain)) == nil
		}},
		{WhyRemembered, func(c candidate) bool { return KeyHash(c.cert.Certificate) == o.Preferred }},
		{WhyPurpose, func(c candidate) bool {
			a := c.token.Profile.Authenticates
			return a != 0 && slices.Equal(c.cert.ID, []byte{a})
		}},
	} {
		best := slices.DeleteFunc(slices.Clone(found), func(c candidate) bool { return !wish.granted(c) })
		if len(best) > 0 && len(best) < len(found) {
			found, why = best, wish.Why
		}
	}
	return found, why
}

// choose returns the one token to open, which may still have several certificates: which of them have a key is known
// after login only. A token that shows no certificate before login is taken where it is the only one.
func (u *URI) choose(tokens []Token, o Options) (*Token, error) {
	if len(tokens) == 0 {
		return nil, &NotFoundError{URI: u.String(), Reason: "there is no such token"}
	}
	found, _ := preferred(u.candidates(tokens), o)
	if len(found) == 0 {
		if len(tokens) == 1 && tokens[0].Login {
			return &tokens[0], nil
		}
		return nil, &NotFoundError{URI: u.String(), Reason: refusals(tokens)}
	}
	for _, f := range found[1:] {
		if f.token != found[0].token {
			return nil, ambiguous(found)
		}
	}
	return found[0].token, nil
}

// onlyToken is the one token that the URI names, whatever is on it.
func (u *URI) onlyToken(tokens []Token) (*Token, error) {
	switch len(tokens) {
	case 0:
		return nil, &NotFoundError{URI: u.String(), Reason: "there is no such token"}
	case 1:
		return &tokens[0], nil
	}
	e := &AmbiguousError{}
	for _, t := range tokens {
		e.URIs = append(e.URIs, URI{Token: t.Label, Serial: t.Serial, ModulePath: t.Module}.String())
	}
	return nil, e
}

func ambiguous(found []candidate) error {
	e := &AmbiguousError{}
	for _, f := range found {
		e.URIs = append(e.URIs, f.cert.URI)
	}
	return e
}

// refusals says why the certificates of the tokens will not do.
func refusals(tokens []Token) string {
	var why []string
	for _, t := range tokens {
		for _, c := range t.Certificates {
			if c.Refuse != "" && !c.IsCA {
				why = append(why, c.Label+": "+c.Refuse)
			}
		}
	}
	if why == nil {
		return "no certificate on the token is for authentication with a key on it"
	}
	return strings.Join(why, "; ")
}

// modules are the paths that the URI leaves.
func (u *URI) modules() []string {
	if u.ModulePath != "" {
		return []string{u.ModulePath}
	}
	return slices.DeleteFunc(ModulePaths(), func(p string) bool {
		return u.ModuleName != "" && u.ModuleName != profile.ModuleName(p)
	})
}

func (u *URI) matchesToken(t *Token) bool {
	return t.Present && (u.Token == "" || u.Token == t.Label) && (u.Serial == "" || u.Serial == t.Serial) &&
		(u.Manufacturer == "" || u.Manufacturer == t.Manufacturer) && (u.Model == "" || u.Model == t.Model) &&
		(u.Slot == nil || *u.Slot == t.Slot)
}

func (u *URI) matchesCertificate(c *Certificate) bool {
	return (u.Object == "" || u.Object == c.Label) && (len(u.ID) == 0 || slices.Equal(u.ID, c.ID))
}

// refuseUsage says why a certificate is none of a person who authenticates; empty where it is one.
func refuseUsage(c *x509.Certificate) string {
	err := cardauth.CheckUsage(c)
	if refused, ok := errors.AsType[*cardauth.CertificateError](err); ok {
		return refused.Reason
	}
	if err != nil {
		return err.Error()
	}
	return ""
}

// uri names a certificate on the token.
func (t *Token) uri(c *Certificate) string {
	return URI{Token: t.Label, Serial: t.Serial, Object: c.Label, ID: c.ID, ModulePath: t.Module}.String()
}

// chainOf puts leaf's issuers behind it as far as others has them, without the anchor.
func chainOf(leaf *x509.Certificate, others []Certificate, most int) [][]byte {
	chain := [][]byte{leaf.Raw}
	for top := leaf; len(chain) < most; {
		i := slices.IndexFunc(others, func(c Certificate) bool {
			return c.IsCA && top.CheckSignatureFrom(c.Certificate) == nil
		})
		if i < 0 || others[i].CheckSignatureFrom(others[i].Certificate) == nil {
			break
		}
		top = others[i].Certificate
		chain = append(chain, top.Raw)
	}
	return chain
}

// recognise is the token's profile, by what it shows.
func recognise(t *Token) profile.Profile {
	f := profile.Facts{Module: t.Module, Manufacturer: t.Manufacturer, Model: t.Model, Label: t.Label}
	for _, c := range t.Certificates {
		if c.Refuse != "" {
			continue
		}
		switch c.PublicKey.(type) {
		case *rsa.PublicKey:
			f.Key = "RSA"
		case *ecdsa.PublicKey:
			f.Key = "EC"
		}
		break
	}
	return profile.Of(f)
}

func staticReaders(module string) bool { p := profile.OfModule(module); return p.StaticReaders }

// readsTerminal reports whether the module's dialog needs the terminal: there is no screen for it.
func readsTerminal(module string) bool {
	p := profile.OfModule(module)
	return p.Terminal && runtime.GOOS == "linux" && os.Getenv("DISPLAY") == "" && os.Getenv("WAYLAND_DISPLAY") == ""
}

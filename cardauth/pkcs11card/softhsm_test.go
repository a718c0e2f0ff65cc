//go:build cgo

package pkcs11card

import (
	"context"
	"crypto"
	"crypto/elliptic"
	"fmt"
	"os"
	"testing"

	"go.uber.org/goleak"

	"sinete/cardauth"
	"sinete/cardauth/cardtest"
	"sinete/cardauth/pkcs11card/internal/cryptoki"
	"sinete/internal/trialpki"
	"sinete/wire"
)

const userPIN = "4711"

// module is SoftHSM2's, with a token for each test that needs one of its own.
var softhsm string

var world *trialpki.World

func TestMain(m *testing.M) {
	ChildMain()
	path, remove, err := cardtest.SoftHSM(userPIN, "rsa2048", "rsa3072", "p256", "p384", "imported", "pin", "shared", "ambiguous",
		"empty", "found", "binding", "always", "recovery", "renewal", "busy", "twin one", "twin two", serverToken)
	if err == nil {
		world, err = trialpki.New(trialpki.Options{})
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	softhsm = path
	goleak.VerifyTestMain(m, goleak.Cleanup(func(code int) {
		remove()
		os.Exit(code)
	}))
}

func uri(token string) string {
	return URI{Token: token, ModulePath: softhsm}.String()
}

// pins answers with one PIN after the other and keeps what it was shown.
type pins struct {
	answers []string
	shown   []cardauth.PINRequest
}

func (p *pins) prompt(_ context.Context, r cardauth.PINRequest) (string, error) {
	p.shown = append(p.shown, r)
	if len(p.answers) == 0 {
		return "", context.Canceled
	}
	a := p.answers[0]
	p.answers = p.answers[1:]
	return a, nil
}

func right(context.Context, cardauth.PINRequest) (string, error) { return userPIN, nil }

func issueTo(p trialpki.Person) func(crypto.PublicKey) ([][]byte, error) {
	return func(pub crypto.PublicKey) ([][]byte, error) {
		p.Public = pub
		i, err := world.IssuePerson(p)
		if err != nil {
			return nil, err
		}
		return i.Chain, nil
	}
}

// fill puts a P-256 card on the token unless r says another kind.
func fill(t *testing.T, token string, r StoreRequest, extra ...cryptoki.Attribute) string {
	t.Helper()
	if r.Curve == nil && r.RSABits == 0 {
		r.Curve = elliptic.P256()
	}
	if r.Issue == nil {
		r.Issue = issueTo(trialpki.Person{Name: "ana"})
	}
	r.Extra = extra
	u, err := Store(t.Context(), uri(token), right, r)
	if err != nil {
		t.Fatal(err)
	}
	return u
}

func open(t *testing.T, uri string, prompt cardauth.Prompt) *card {
	t.Helper()
	c, err := Open(t.Context(), uri, prompt)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	})
	return c.(*card)
}

// seals makes a seal; the card verifies it itself.
func seals(t *testing.T, c cardauth.Card) {
	t.Helper()
	if _, err := c.SealRoot(t.Context(), wire.SealInput{Leaves: 1}); err != nil {
		t.Fatal(err)
	}
}

var kinds = []struct {
	token   string
	request StoreRequest
	scheme  wire.Scheme
}{
	{"rsa2048", StoreRequest{RSABits: 2048}, wire.SchemeRSAPKCS1},
	{"rsa3072", StoreRequest{RSABits: 3072}, wire.SchemeRSAPKCS1},
	{"p256", StoreRequest{Curve: elliptic.P256()}, wire.SchemeP256},
	{"p384", StoreRequest{Curve: elliptic.P384()}, wire.SchemeP384},
}

func TestSuite(t *testing.T) {
	for _, k := range kinds {
		t.Run(k.token, func(t *testing.T) {
			u := fill(t, k.token, k.request)
			cardtest.Run(t, func(t *testing.T) cardauth.Card {
				c, err := Open(t.Context(), u, right)
				if err != nil {
					t.Fatal(err)
				}
				if c.Scheme() != k.scheme || len(c.Chain()) != 4 || c.Software() {
					t.Errorf("scheme %v, a chain of %d, software %v", c.Scheme(), len(c.Chain()), c.Software())
				}
				return c
			})
		})
	}
}

// Both mechanisms of PSS, with both sizes of key, as a token without PKCS #1 v1.5 would have them.
func TestSuiteWithPSS(t *testing.T) {
	for token, bits := range map[string]int{"rsa2048": 2048, "rsa3072": 3072} {
		for _, mech := range []uint64{cryptoki.MechSHA256RSAPSS, cryptoki.MechRSAPSS} {
			t.Run(fmt.Sprintf("%s/%#x", token, mech), func(t *testing.T) {
				u := fill(t, token, StoreRequest{RSABits: bits})
				cardtest.Run(t, func(t *testing.T) cardauth.Card {
					opened, err := Open(t.Context(), u, right)
					if err != nil {
						t.Fatal(err)
					}
					c := opened.(*card)
					var ok bool
					if c.mech, c.scheme, ok = mechanism([]uint64{mech}, nil, c.scheme); !ok || c.scheme != wire.SchemeRSAPSS {
						t.Fatalf("chose %#x, %v", c.mech, c.scheme)
					}
					return c
				})
			})
		}
	}
}

// A token that hashes nothing itself is given the DigestInfo.
func TestSuiteWithDigestInfo(t *testing.T) {
	u := fill(t, "rsa2048", StoreRequest{RSABits: 2048})
	cardtest.Run(t, func(t *testing.T) cardauth.Card {
		c, err := Open(t.Context(), u, right)
		if err != nil {
			t.Fatal(err)
		}
		if m := c.(*card).mech; m != cryptoki.MechSHA256RSA {
			t.Errorf("chose mechanism %#x", m)
		}
		c.(*card).mech = cryptoki.MechRSAPKCS
		return c
	})
}

func TestImportedKeys(t *testing.T) {
	for i, k := range kinds {
		k.request.ID = []byte{byte(i + 1)}
		k.request.Issue = issueTo(trialpki.Person{Name: "ana"})
		k.request.Import = true
		u, err := Store(t.Context(), uri("imported"), right, k.request)
		if err != nil {
			t.Fatal(err)
		}
		seals(t, open(t, u, right))
	}
}

// Package pkcs11card is a person's card behind a PKCS #11 module: an identity card, a PIV token, an HSM.
//
//	tokens, err := pkcs11card.List(nil)                                 // what is there
//	card, err := pkcs11card.Open(ctx, "pkcs11:token=CITIZEN%20CARD", prompt)
//
// The certificate is chosen by what it may do, never by its label: it has a private key of equal CKA_ID, and its key usage
// has digitalSignature and not contentCommitment, since a signature with that is legally binding.
//
// A module is loaded and initialised once and stays so for the life of the process: finalising it would take it from
// everybody else in the process. All calls to it are made by one goroutine. Without cgo everything here answers with an
// UnsupportedError.
package pkcs11card

import (
	"crypto"
	"crypto/elliptic"
	"crypto/x509"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"sinete/cardauth"
)

// ModuleVariable is the environment variable with the path of the module to use where the URI names none.
const ModuleVariable = "SINETE_PKCS11_MODULE"

// Token is a reader with the token in it.
type Token struct {
	Module                             string // path
	Slot                               uint
	Reader                             string
	Present                            bool // false: the reader is empty, and nothing below is set
	Label, Serial, Manufacturer, Model string
	Login                              bool // wants a PIN once, at login; otherwise it asks by itself, or never
	PIN                                PINTries
	Certificates                       []Certificate
}

// PINTries is what a token says of the tries that are left, without a number. Some say nothing before a PIN has been wrong.
type PINTries string

const (
	PINUntouched PINTries = ""       // all, or the token does not say
	PINLow       PINTries = "low"    // a wrong PIN has been given since the last right one
	PINFinal     PINTries = "final"  // one more wrong PIN locks it
	PINLocked    PINTries = "locked" // none
)

// Certificate is a certificate on a token.
type Certificate struct {
	*x509.Certificate
	Label  string
	ID     []byte
	URI    string
	Refuse string // why it cannot be a person's card here; empty where it can
}

// ModulePaths are the modules that are looked at where a URI names none: $SINETE_PKCS11_MODULE, or those of the well-known
// ones that are installed.
func ModulePaths() []string {
	if p := os.Getenv(ModuleVariable); p != "" {
		return []string{p}
	}
	var paths []string
	var infos []os.FileInfo
	for _, p := range wellKnown {
		info, err := os.Stat(p)
		// Distributions link one place to the other; a module seen twice would make every card ambiguous.
		if err == nil && !slices.ContainsFunc(infos, func(i os.FileInfo) bool { return os.SameFile(i, info) }) {
			paths, infos = append(paths, p), append(infos, info)
		}
	}
	return paths
}

// Vendors' own modules stand before OpenSC, which reads some of the same cards less well.
var wellKnown = []string{
	"/usr/local/lib/libpteidpkcs11.so",
	"/usr/local/lib/libpteidpkcs11.dylib",
	`C:\Windows\System32\pteidpkcs11.dll`,
	"/usr/lib/x86_64-linux-gnu/libbeidpkcs11.so.0",
	"/usr/lib/x86_64-linux-gnu/libykcs11.so",
	"/usr/lib/x86_64-linux-gnu/opensc-pkcs11.so",
	"/usr/lib/aarch64-linux-gnu/opensc-pkcs11.so",
	"/usr/lib64/opensc-pkcs11.so",
	"/usr/lib64/pkcs11/opensc-pkcs11.so",
	"/usr/lib/opensc-pkcs11.so",
	"/usr/local/lib/opensc-pkcs11.so",
	"/Library/OpenSC/lib/opensc-pkcs11.so",
	`C:\Program Files\OpenSC Project\OpenSC\pkcs11\opensc-pkcs11.dll`,
	"/usr/lib/softhsm/libsofthsm2.so",
	"/usr/lib/x86_64-linux-gnu/softhsm/libsofthsm2.so",
	"/usr/lib/aarch64-linux-gnu/softhsm/libsofthsm2.so",
	"/usr/lib64/softhsm/libsofthsm2.so",
	"/usr/lib64/pkcs11/libsofthsm2.so",
	"/usr/local/lib/softhsm/libsofthsm2.so",
	"/opt/homebrew/lib/softhsm/libsofthsm2.so",
}

// StoreRequest is a key to be made on a token, and who certifies it.
type StoreRequest struct {
	Curve   elliptic.Curve // P-256 or P-384; nil for RSA
	RSABits int            // where Curve is nil
	// Issue returns the chain for the key, DER, the person's certificate first.
	Issue func(crypto.PublicKey) (chain [][]byte, err error)
	Label string // of the objects, before " CERTIFICATE" and " KEY"; CITIZEN AUTHENTICATION if empty
	ID    []byte // CKA_ID, 45 (hexadecimal) if empty; what had it is replaced
}

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

// choose returns the one token to open, which may still have several certificates: which of them have a key is known
// after login only. A token that shows no certificate before login is taken where it is the only one.
func (u *URI) choose(tokens []Token) (*Token, error) {
	if len(tokens) == 0 {
		return nil, &NotFoundError{URI: u.String(), Reason: "there is no such token"}
	}
	found := u.candidates(tokens)
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
		return u.ModuleName != "" && u.ModuleName != moduleName(p)
	})
}

func moduleName(path string) string {
	base := filepath.Base(path)
	return strings.TrimPrefix(strings.TrimSuffix(base, filepath.Ext(base)), "lib")
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

package pkcs11card

import "sinete/wire"

// Found is a card as it can be seen without its PIN.
type Found struct {
	Token       Token
	Certificate Certificate
	Chain       [][]byte // DER: the certificate and its issuers as far as the token shows them, the anchor left out
	Why         Why
}

// Why is what told a certificate from the others that would do.
type Why string

const (
	WhyOnly       Why = "only"       // there is no other
	WhyValid      Why = "valid"      // it is within its validity
	WhyTrusted    Why = "trusted"    // its chain is accepted
	WhyRemembered Why = "remembered" // it was chosen last time
	WhyPurpose    Why = "purpose"    // on this kind of card it is the one that authenticates
)

// Modules are the modules that Open looks at for this URI. Errors: URIError, NotFoundError.
func Modules(uri string) ([]string, error) {
	u, err := ParseURI(uri)
	if err != nil {
		return nil, err
	}
	modules := u.modules()
	if len(modules) == 0 {
		return nil, &NotFoundError{URI: u.String(), Reason: "no PKCS #11 module was found", NoModule: true}
	}
	return modules, nil
}

// Find returns the card that Open would open, of those that List showed. It asks for no PIN, so a token that hides its
// certificates until login is not found here. Errors: URIError, NotFoundError, AmbiguousError.
func Find(uri string, tokens []Token) (*Found, error) { return FindWith(uri, tokens, Options{}) }

// FindWith is Find for OpenWith.
func FindWith(uri string, tokens []Token, o Options) (*Found, error) {
	u, err := ParseURI(uri)
	if err != nil {
		return nil, err
	}
	var match []Token
	for i := range tokens {
		if u.matchesToken(&tokens[i]) {
			match = append(match, tokens[i])
		}
	}
	t, err := u.choose(match, o)
	if err != nil {
		return nil, err
	}
	_, why := preferred(u.candidates(match), o)
	found, _ := preferred(u.candidates([]Token{*t}), o)
	switch len(found) {
	case 0:
		return nil, &NotFoundError{URI: u.String(), Reason: "the token shows no such certificate before login"}
	case 1:
		c := found[0].cert
		return &Found{Token: *t, Certificate: *c, Chain: chainOf(c.Certificate, t.Certificates, wire.MaxChain), Why: why}, nil
	}
	return nil, ambiguous(found)
}

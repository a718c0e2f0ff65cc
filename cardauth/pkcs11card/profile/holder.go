package profile

import (
	"crypto/x509"
	"encoding/asn1"
	"strings"

	"sinete/cardauth"
)

var (
	oidSurname   = asn1.ObjectIdentifier{2, 5, 4, 4}
	oidGivenName = asn1.ObjectIdentifier{2, 5, 4, 42}
)

// Holder is the name and the number of whom the certificate was issued to, as the card shows them to its owner. Other people
// see DisplayName and the identity of protocol.md section 7.1, which need no profile. Both are personal data; what a certificate
// does not say is empty.
func (p *Profile) Holder(c *x509.Certificate) (name, number string) {
	name = cardauth.DisplayName(c)
	if p.NameApart {
		if apart := strings.TrimSpace(first(c, oidGivenName) + " " + first(c, oidSurname)); apart != "" {
			name = apart
		}
	}
	number = shown(c.Subject.SerialNumber)
	for _, before := range p.NumberAfter {
		if rest, cut := strings.CutPrefix(number, before); cut {
			return name, rest
		}
	}
	return name, number
}

func first(c *x509.Certificate, oid asn1.ObjectIdentifier) string {
	for _, n := range c.Subject.Names {
		if text, ok := n.Value.(string); ok && n.Type.Equal(oid) {
			return shown(text)
		}
	}
	return ""
}

// shown makes a text safe to show, as display names are.
func shown(text string) string {
	var c x509.Certificate
	c.Subject.CommonName = text
	return cardauth.DisplayName(&c)
}

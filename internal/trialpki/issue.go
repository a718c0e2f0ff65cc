package trialpki

import (
	"crypto"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"fmt"
	"net"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// Person is somebody to be given a card.
type Person struct {
	Name       string           // what the world knows the person by: letters, digits, '-', '_' and '.'
	CommonName string           // the full name; if empty, Name with a capital and a surname
	Key        KeyType          // P256 if empty
	Public     crypto.PublicKey // the key where it lies elsewhere, on a token; then Key is ignored
	NotBefore  time.Time        // an hour ago if zero
	NotAfter   time.Time        // in five years if zero
	// Edit changes the certificate before it is signed, for tests that want a strange one.
	Edit func(*x509.Certificate)
}

// Relay is what a relay's certificate is to say.
type Relay struct {
	// Names are the DNS names and IP addresses besides localhost, 127.0.0.1 and ::1. The first is the common name.
	Names     []string
	Key       KeyType                 // P256 if empty
	Public    crypto.PublicKey        // as in Person
	NotBefore time.Time               // an hour ago if zero
	NotAfter  time.Time               // in two years if zero
	Edit      func(*x509.Certificate) // as in Person
}

// Issued is a certificate with what belongs to it.
type Issued struct {
	Certificate *x509.Certificate
	Key         crypto.Signer // nil where Public was given
	Chain       [][]byte      // DER, the certificate first, the root left out
}

// IssuePerson gives a person a card. A name that has had one gets the same subject serialNumber, and so is the same identity.
func (w *World) IssuePerson(p Person) (*Issued, error) {
	if !validName(p.Name) {
		return nil, fmt.Errorf("%q is no name for a person here: letters, digits, '-', '_' and '.', a letter or digit first", p.Name)
	}
	number, err := w.serialNumber(p.Name)
	if err != nil {
		return nil, err
	}
	key, pub, err := keyOr(p.Key, p.Public)
	if err != nil {
		return nil, err
	}
	c := &x509.Certificate{
		Subject:   citizen(p, number),
		NotBefore: orElse(p.NotBefore, w.now().Add(-time.Hour)),
		NotAfter:  orElse(p.NotAfter, w.now().AddDate(5, 0, 0)),
		KeyUsage:  usage(pub, x509.KeyUsageDigitalSignature|x509.KeyUsageKeyAgreement),
	}
	return w.issue("person", p.Name, c, p.Edit, key, pub, w.Authentication, w.Card, w.State)
}

// IssueRelay makes a relay's certificate and key.
func (w *World) IssueRelay(r Relay) (*Issued, error) {
	key, pub, err := keyOr(r.Key, r.Public)
	if err != nil {
		return nil, err
	}
	c := &x509.Certificate{
		NotBefore:   orElse(r.NotBefore, w.now().Add(-time.Hour)),
		NotAfter:    orElse(r.NotAfter, w.now().AddDate(2, 0, 0)),
		KeyUsage:    x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	names := slices.Concat(r.Names, []string{"localhost", "127.0.0.1", "::1"})
	for i, n := range names {
		if slices.Contains(names[:i], n) {
			continue
		}
		if ip := net.ParseIP(n); ip != nil {
			c.IPAddresses = append(c.IPAddresses, ip)
		} else if validName(n) {
			c.DNSNames = append(c.DNSNames, n)
		} else {
			return nil, fmt.Errorf("%q is no host name", n)
		}
	}
	c.Subject = pkix.Name{CommonName: names[0], Organization: []string{"Sinete Trial"}, Country: []string{"PT"}}
	return w.issue("relay", strings.ReplaceAll(names[0], ":", "-"), c, r.Edit, key, pub, w.Services, w.State)
}

func (w *World) issue(kind, name string, c *x509.Certificate, edit func(*x509.Certificate), key crypto.Signer, pub crypto.PublicKey,
	issuers ...Authority) (*Issued, error) {
	c.BasicConstraintsValid = true
	w.nameResponder(c, issuers[0])
	if edit != nil {
		edit(c)
	}
	cert, err := sign(c, pub, issuers[0])
	if err != nil {
		return nil, err
	}
	i := &Issued{Certificate: cert, Key: key, Chain: [][]byte{cert.Raw}}
	for _, a := range issuers {
		i.Chain = append(i.Chain, a.Certificate.Raw)
	}
	return i, w.record(kind, name, cert)
}

func keyOr(k KeyType, pub crypto.PublicKey) (crypto.Signer, crypto.PublicKey, error) {
	if pub != nil {
		return nil, pub, nil
	}
	if k == "" {
		k = P256
	}
	key, err := k.Generate()
	if err != nil {
		return nil, nil, err
	}
	return key, key.Public(), nil
}

// usage takes key agreement away from keys that cannot do it.
func usage(pub crypto.PublicKey, u x509.KeyUsage) x509.KeyUsage {
	if _, ok := pub.(interface{ Size() int }); ok { // RSA
		return u &^ x509.KeyUsageKeyAgreement
	}
	return u
}

func orElse(t, def time.Time) time.Time {
	if t.IsZero() {
		return def
	}
	return t
}

// citizen is the subject as the Cartão de Cidadão writes it.
func citizen(p Person, number string) pkix.Name {
	full := p.CommonName
	if full == "" {
		r, n := utf8.DecodeRuneInString(p.Name)
		full = string(unicode.ToUpper(r)) + p.Name[n:] + " da Conceição"
	}
	given, surname, _ := strings.Cut(full, " ")
	// One attribute after the other, as cards have them: the fields of pkix.Name would join the units into one.
	var n pkix.Name
	for _, a := range []struct {
		kind  asn1.ObjectIdentifier
		value string
	}{
		{asn1.ObjectIdentifier{2, 5, 4, 6}, "PT"},
		{asn1.ObjectIdentifier{2, 5, 4, 10}, "Cartão de Cidadão"},
		{asn1.ObjectIdentifier{2, 5, 4, 11}, "Cidadão Português"},
		{asn1.ObjectIdentifier{2, 5, 4, 11}, "Autenticação do Cidadão"},
		{asn1.ObjectIdentifier{2, 5, 4, 4}, surname},
		{asn1.ObjectIdentifier{2, 5, 4, 42}, given},
		{asn1.ObjectIdentifier{2, 5, 4, 5}, number},
		{asn1.ObjectIdentifier{2, 5, 4, 3}, full},
	} {
		if a.value != "" {
			n.ExtraNames = append(n.ExtraNames, pkix.AttributeTypeAndValue{Type: a.kind, Value: a.value})
		}
	}
	return n
}

// validName reports whether s can be a file name everywhere.
func validName(s string) bool {
	for i, r := range s {
		if !unicode.IsLetter(r) && !unicode.IsDigit(r) && (i == 0 || !strings.ContainsRune("-_.", r)) {
			return false
		}
	}
	return s != "" && len(s) <= 100
}

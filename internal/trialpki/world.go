// Package trialpki makes certificates for trials and tests: a hierarchy with the shape of the Cartão de Cidadão's, the
// people below it and relays beside them. It is never for production: its authorities' keys lie about in the clear.
//
//	w, err := trialpki.New(trialpki.Options{})                         // in memory; Create and Open keep it in a directory
//	alice, err := w.IssuePerson(trialpki.Person{Name: "alice"})        // again: a renewed card of the same person
//	relay, err := w.IssueRelay(trialpki.Relay{Names: []string{"relay.example"}})
//
// The chain of a person is person, authentication CA, card CA, state CA, and above it the root; that of a relay is relay,
// services CA, state CA.
package trialpki

import (
	"crypto"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/binary"
	"fmt"
	"math/big"
	"path/filepath"
	"sync"
	"time"
)

// Options of a world; the zero value works.
type Options struct {
	OCSP string           // URL of the responder that all certificates name; none if empty
	Now  func() time.Time // the clock, time.Now if nil
}

// Authority is a certification authority with its key.
type Authority struct {
	Certificate *x509.Certificate
	Key         crypto.Signer
	file        string // its name in a directory, and in the URL of its CRL
}

// World is a hierarchy. Its methods may be called concurrently.
type World struct {
	Root, State, Card, Authentication, Services Authority

	ocsp string
	now  func() time.Time
	dir  string // empty: in memory

	// In memory, where there is no directory.
	mu       sync.Mutex
	people   map[string]string              // serialNumber to name
	byName   map[string][]*x509.Certificate // issued
	bySerial map[string]*x509.Certificate   // the same, by their serial number in hexadecimal
	revoked  map[string]*revocation         // likewise
}

// level describes an authority: where it is kept, who signs it, with what key.
type level struct {
	file   string
	name   pkix.Name
	key    KeyType
	of     func(*World) *Authority
	issuer func(*World) *Authority
}

var levels = []level{
	{"root", pkix.Name{CommonName: "Sinete Trial State Root", Organization: []string{"Sinete Trial"}, Country: []string{"PT"}}, P384,
		func(w *World) *Authority { return &w.Root }, func(w *World) *Authority { return &w.Root }},
	{"state-ca", pkix.Name{CommonName: "Sinete Trial State CA", Organization: []string{"Sinete Trial"}, Country: []string{"PT"}}, P384,
		func(w *World) *Authority { return &w.State }, func(w *World) *Authority { return &w.Root }},
	{"card-ca", pkix.Name{CommonName: "Sinete Trial Cartão de Cidadão 001", Organization: []string{"Sinete Trial"}, Country: []string{"PT"}}, P384,
		func(w *World) *Authority { return &w.Card }, func(w *World) *Authority { return &w.State }},
	{"authentication-ca", pkix.Name{CommonName: "Sinete Trial EC de Autenticação do Cartão de Cidadão 0001", Organization: []string{"Sinete Trial"},
		OrganizationalUnit: []string{"subECEstado"}, Country: []string{"PT"}}, P256,
		func(w *World) *Authority { return &w.Authentication }, func(w *World) *Authority { return &w.Card }},
	{"services-ca", pkix.Name{CommonName: "Sinete Trial Services CA", Organization: []string{"Sinete Trial"}, Country: []string{"PT"}}, P256,
		func(w *World) *Authority { return &w.Services }, func(w *World) *Authority { return &w.State }},
}

func empty(o Options) *World {
	w := &World{ocsp: o.OCSP, now: o.Now, people: map[string]string{}, byName: map[string][]*x509.Certificate{},
		bySerial: map[string]*x509.Certificate{}, revoked: map[string]*revocation{}}
	if w.now == nil {
		w.now = time.Now
	}
	return w
}

// New makes a hierarchy in memory.
func New(o Options) (*World, error) {
	w := empty(o)
	for _, l := range levels {
		if err := w.makeAuthority(l); err != nil {
			return nil, fmt.Errorf("%s: %w", l.file, err)
		}
	}
	return w, nil
}

func (w *World) makeAuthority(l level) error {
	key, err := l.key.Generate()
	if err != nil {
		return err
	}
	id, err := keyID(key.Public())
	if err != nil {
		return err
	}
	a, issuer := l.of(w), l.issuer(w)
	a.Key, a.file = key, l.file
	c := &x509.Certificate{
		Subject:      l.name,
		SubjectKeyId: id,
		// Well before anything below it, so that expired certificates can be issued today.
		NotBefore:             w.now().AddDate(-1, 0, 0),
		NotAfter:              w.now().AddDate(20, 0, 0),
		IsCA:                  true,
		BasicConstraintsValid: true,
		KeyUsage:              x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
	}
	by := *issuer
	if issuer == a {
		by.Certificate = c
	} else {
		w.nameResponder(c, by)
	}
	a.Certificate, err = sign(c, key.Public(), by)
	return err
}

// sign makes a certificate of the template. Serial numbers are random: worlds on disk need no common counter.
func sign(c *x509.Certificate, pub crypto.PublicKey, issuer Authority) (*x509.Certificate, error) {
	serial := make([]byte, 16)
	rand.Read(serial)
	serial[0] = serial[0]&0x7f | 0x40 // positive, and of one length
	c.SerialNumber = new(big.Int).SetBytes(serial)
	der, err := x509.CreateCertificate(rand.Reader, c, issuer.Certificate, pub, issuer.Key)
	if err != nil {
		return nil, err
	}
	return x509.ParseCertificate(der)
}

// nameResponder puts the URLs for the status of c into it: OCSP at the URL itself, the issuer's CRL beneath.
func (w *World) nameResponder(c *x509.Certificate, issuer Authority) {
	if w.ocsp == "" {
		return
	}
	c.OCSPServer = []string{w.ocsp}
	c.CRLDistributionPoints = []string{w.ocsp + "/" + issuer.file + ".crl"}
}

func keyID(pub crypto.PublicKey) ([]byte, error) {
	der, err := x509.MarshalPKIXPublicKey(pub)
	if err != nil {
		return nil, err
	}
	sum := sha256.Sum256(der)
	return sum[:20], nil
}

// OCSP is the URL that the certificates name, empty where they name none.
func (w *World) OCSP() string { return w.ocsp }

// Anchors is the pool with the root.
func (w *World) Anchors() *x509.CertPool {
	p := x509.NewCertPool()
	p.AddCert(w.Root.Certificate)
	return p
}

// serialNumber returns the subject's serialNumber of that name, the same one whenever it is asked for. It is the first
// one free from a place that the name gives, so that worlds made by the same commands have the same numbers.
func (w *World) serialNumber(name string) (string, error) {
	sum := sha256.Sum256([]byte(name))
	start := binary.BigEndian.Uint64(sum[:8])
	for i := range uint64(1000) {
		number := fmt.Sprintf("BI%d", 10_000_000+(start+i)%90_000_000)
		owner, err := w.claim(number, name)
		if err != nil {
			return "", err
		}
		if owner == name {
			return number, nil
		}
	}
	return "", fmt.Errorf("no serialNumber is free for %q", name)
}

func (w *World) claim(number, name string) (owner string, err error) {
	if w.dir != "" {
		return claimFile(filepath.Join(w.dir, "ca", "people", number), name)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.people[number] == "" {
		w.people[number] = name
	}
	return w.people[number], nil
}

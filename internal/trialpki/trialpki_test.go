package trialpki

import (
	"crypto/ecdsa"
	"crypto/rsa"
	"crypto/x509"
	"errors"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

var noon = time.Date(2030, 6, 1, 12, 0, 0, 0, time.UTC)

func world(t *testing.T, o Options) *World {
	t.Helper()
	if o.Now == nil {
		o.Now = func() time.Time { return noon }
	}
	w, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	return w
}

func person(t *testing.T, w *World, p Person) *Issued {
	t.Helper()
	i, err := w.IssuePerson(p)
	if err != nil {
		t.Fatal(err)
	}
	return i
}

// verify checks the chain as a peer would have it, root apart.
func verify(w *World, i *Issued, at time.Time, dns string) error {
	inter := x509.NewCertPool()
	for _, der := range i.Chain[1:] {
		c, err := x509.ParseCertificate(der)
		if err != nil {
			return err
		}
		inter.AddCert(c)
	}
	_, err := i.Certificate.Verify(x509.VerifyOptions{Roots: w.Anchors(), Intermediates: inter, CurrentTime: at, DNSName: dns,
		KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageAny}})
	return err
}

func TestPersonLooksLikeACitizen(t *testing.T) {
	w := world(t, Options{OCSP: "http://ocsp.test"})
	i := person(t, w, Person{Name: "joão", CommonName: "João Simões de Sá", Key: P384})
	c := i.Certificate
	if err := verify(w, i, noon, ""); err != nil {
		t.Fatal(err)
	}
	if len(i.Chain) != 4 {
		t.Errorf("a chain of %d", len(i.Chain))
	}
	if c.Subject.CommonName != "João Simões de Sá" || !strings.HasPrefix(c.Subject.SerialNumber, "BI") ||
		!slices.Equal(c.Subject.OrganizationalUnit, []string{"Cidadão Português", "Autenticação do Cidadão"}) {
		t.Errorf("subject %v", c.Subject)
	}
	var given, surname string
	for _, n := range c.Subject.Names {
		switch n.Type.String() {
		case "2.5.4.42":
			given = n.Value.(string)
		case "2.5.4.4":
			surname = n.Value.(string)
		}
	}
	if given != "João" || surname != "Simões de Sá" {
		t.Errorf("given %q, surname %q", given, surname)
	}
	if c.KeyUsage != x509.KeyUsageDigitalSignature|x509.KeyUsageKeyAgreement || c.ExtKeyUsage != nil || c.IsCA {
		t.Errorf("usage %b, extended %v, CA %v", c.KeyUsage, c.ExtKeyUsage, c.IsCA)
	}
	if !slices.Equal(c.OCSPServer, []string{"http://ocsp.test"}) ||
		!slices.Equal(c.CRLDistributionPoints, []string{"http://ocsp.test/authentication-ca.crl"}) {
		t.Errorf("OCSP %v, CRL %v", c.OCSPServer, c.CRLDistributionPoints)
	}
	if k, ok := i.Key.Public().(*ecdsa.PublicKey); !ok || k.Params().BitSize != 384 {
		t.Errorf("key %T", i.Key.Public())
	}
}

func TestRSAHasNoKeyAgreement(t *testing.T) {
	w := world(t, Options{})
	i := person(t, w, Person{Name: "rita", Key: RSA2048})
	if i.Certificate.KeyUsage != x509.KeyUsageDigitalSignature {
		t.Errorf("usage %b", i.Certificate.KeyUsage)
	}
	if k, ok := i.Key.Public().(*rsa.PublicKey); !ok || k.N.BitLen() != 2048 {
		t.Errorf("key %T", i.Key.Public())
	}
	if i.Certificate.OCSPServer != nil {
		t.Error("a responder that nobody named")
	}
}

func TestRenewalKeepsTheIdentity(t *testing.T) {
	w := world(t, Options{})
	a, b, other := person(t, w, Person{Name: "ana"}), person(t, w, Person{Name: "ana"}), person(t, w, Person{Name: "rui"})
	if a.Certificate.Subject.SerialNumber != b.Certificate.Subject.SerialNumber {
		t.Error("another serialNumber after renewal")
	}
	if a.Certificate.Subject.SerialNumber == other.Certificate.Subject.SerialNumber {
		t.Error("two people with one serialNumber")
	}
	if a.Certificate.PublicKey.(*ecdsa.PublicKey).Equal(b.Certificate.PublicKey) {
		t.Error("the same key after renewal")
	}
	if a.Certificate.SerialNumber.Cmp(b.Certificate.SerialNumber) == 0 {
		t.Error("the same certificate serial number after renewal")
	}
}

// Whoever comes second to a serialNumber gets another one, and keeps it.
func TestClaimedSerialNumber(t *testing.T) {
	for _, kept := range []string{"memory", "directory"} {
		w := world(t, Options{})
		first, err := w.serialNumber("ana")
		if err != nil {
			t.Fatal(err)
		}
		w = world(t, Options{})
		if kept == "directory" {
			if w, err = Create(t.TempDir(), Options{}); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := w.claim(first, "somebody"); err != nil {
			t.Fatal(err)
		}
		second, err := w.serialNumber("ana")
		if err != nil {
			t.Fatal(err)
		}
		again, err := w.serialNumber("ana")
		if err != nil {
			t.Fatal(err)
		}
		if second == first || again != second {
			t.Errorf("%s: %s was taken, then %s and %s", kept, first, second, again)
		}
	}
}

func TestExpired(t *testing.T) {
	w := world(t, Options{})
	i := person(t, w, Person{Name: "eva", NotBefore: noon.Add(-48 * time.Hour), NotAfter: noon.Add(-24 * time.Hour)})
	var invalid x509.CertificateInvalidError
	if err := verify(w, i, noon, ""); !errors.As(err, &invalid) || invalid.Reason != x509.Expired {
		t.Errorf("got %v", err)
	}
	if err := verify(w, i, noon.Add(-30*time.Hour), ""); err != nil {
		t.Errorf("while it was valid: %v", err)
	}
}

func TestRelay(t *testing.T) {
	w := world(t, Options{})
	i, err := w.IssueRelay(Relay{Names: []string{"relay.example", "192.0.2.7"}})
	if err != nil {
		t.Fatal(err)
	}
	for _, n := range []string{"relay.example", "localhost", "192.0.2.7", "127.0.0.1", "::1"} {
		if err := verify(w, i, noon, n); err != nil {
			t.Errorf("%s: %v", n, err)
		}
	}
	c := i.Certificate
	if c.Subject.CommonName != "relay.example" || c.KeyUsage != x509.KeyUsageDigitalSignature ||
		!slices.Equal(c.ExtKeyUsage, []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}) {
		t.Errorf("name %q, usage %b, extended %v", c.Subject.CommonName, c.KeyUsage, c.ExtKeyUsage)
	}
	if !slices.ContainsFunc(c.IPAddresses, net.IPv6loopback.Equal) {
		t.Errorf("addresses %v", c.IPAddresses)
	}
	if _, err := w.IssueRelay(Relay{Names: []string{"a b"}}); err == nil {
		t.Error("a host name with a space")
	}
}

func TestNames(t *testing.T) {
	w := world(t, Options{})
	for _, n := range []string{"", ".", "..", "../a", "a/b", "-a", "a b", "a\x00", strings.Repeat("a", 101)} {
		if _, err := w.IssuePerson(Person{Name: n}); err == nil {
			t.Errorf("%q was taken", n)
		}
	}
}

func TestDirectory(t *testing.T) {
	dir := t.TempDir()
	clock := func() time.Time { return noon }
	made, err := Create(dir, Options{OCSP: "http://ocsp.test", Now: clock})
	if err != nil {
		t.Fatal(err)
	}
	a := person(t, made, Person{Name: "ana"})
	w, err := Open(dir, Options{Now: clock})
	if err != nil {
		t.Fatal(err)
	}
	b := person(t, w, Person{Name: "ana"})
	if err := verify(made, b, noon, ""); err != nil {
		t.Error(err)
	}
	if a.Certificate.Subject.SerialNumber != b.Certificate.Subject.SerialNumber {
		t.Error("another serialNumber after opening")
	}
	if !slices.Equal(a.Certificate.OCSPServer, b.Certificate.OCSPServer) ||
		!slices.Equal(a.Certificate.CRLDistributionPoints, b.Certificate.CRLDistributionPoints) {
		t.Error("other URLs after opening")
	}
	issued, err := filepath.Glob(filepath.Join(dir, "ca", "issued", "person", "ana", "*.pem"))
	if err != nil || len(issued) != 2 {
		t.Errorf("issued: %v, %v", issued, err)
	}
	keys, err := filepath.Glob(filepath.Join(dir, "ca", "*.key"))
	if err != nil || len(keys) != len(levels) {
		t.Errorf("keys: %v, %v", keys, err)
	}
	for _, k := range keys {
		if s, err := os.Stat(k); err != nil || s.Mode().Perm() != 0o600 {
			t.Errorf("%s: mode %v, %v", k, s.Mode(), err)
		}
	}
	if _, err := Create(dir, Options{}); !errors.Is(err, fs.ErrExist) {
		t.Errorf("made over another: %v", err)
	}
	if err := os.Remove(filepath.Join(dir, "ca", "card-ca.key")); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(dir, Options{}); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("opened without a key: %v", err)
	}
}

func TestConcurrentIssuing(t *testing.T) {
	dir := t.TempDir()
	if _, err := Create(dir, Options{}); err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	numbers := make([]string, 16)
	for i := range numbers {
		wg.Go(func() {
			w, err := Open(dir, Options{})
			if err != nil {
				t.Error(err)
				return
			}
			p, err := w.IssuePerson(Person{Name: []string{"ana", "rui"}[i%2]})
			if err != nil {
				t.Error(err)
				return
			}
			numbers[i] = p.Certificate.Subject.SerialNumber
		})
	}
	wg.Wait()
	for i, n := range numbers {
		if n != numbers[i%2] || n == numbers[(i+1)%2] {
			t.Fatalf("serialNumbers %v", numbers)
		}
	}
}

func TestClaimingAtOnce(t *testing.T) {
	for n := range 20 {
		path := filepath.Join(t.TempDir(), "BI1")
		var wg sync.WaitGroup
		owners := make([]string, 8)
		for i := range owners {
			wg.Go(func() {
				var err error
				if owners[i], err = claimFile(path, string(rune('a'+i))); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		if len(slices.Compact(owners)) != 1 {
			t.Fatalf("round %d: owners %q", n, owners)
		}
	}
}

// A relay's key is not written over, nor its chain, and no hierarchy is made beside either.
func TestWritesOverNothing(t *testing.T) {
	dir := t.TempDir()
	relay, err := world(t, Options{}).IssueRelay(Relay{})
	if err != nil {
		t.Fatal(err)
	}
	chain, key := filepath.Join(dir, "relay.pem"), filepath.Join(dir, "relay.key")
	if err := relay.WriteFiles(chain, key); err != nil {
		t.Fatal(err)
	}
	if err := relay.WriteFiles(chain, key); !errors.Is(err, fs.ErrExist) {
		t.Errorf("the key is written over: %v", err)
	}
	if err := relay.WriteFiles(chain, key+"2"); !errors.Is(err, fs.ErrExist) {
		t.Errorf("the chain is written over: %v", err)
	}
	for _, file := range []string{key, chain} {
		if _, err := Create(dir, Options{}); !errors.Is(err, fs.ErrExist) {
			t.Errorf("a hierarchy beside %s: %v", file, err)
		}
		if err := os.Remove(file); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := Create(dir, Options{}); err != nil {
		t.Error(err)
	}
}

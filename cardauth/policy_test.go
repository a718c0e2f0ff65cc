package cardauth_test

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"errors"
	"math/big"
	"slices"
	"strings"
	"testing"
	"time"

	"sinete/cardauth"
	"sinete/wire"
)

// refused checks the type and number of a refusal.
func refused(t *testing.T, what string, p *cardauth.Party, err error, n wire.Code) {
	t.Helper()
	var ce *cardauth.CertificateError
	var ie *cardauth.IdentityError
	if p != nil || !errors.As(err, &ce) && !errors.As(err, &ie) || wire.CodeOf(err) != n {
		t.Errorf("%s: got %v, want %v", what, err, n)
	}
}

func TestVerifyPerson(t *testing.T) {
	w := newWorld(t)
	c := w.sub.person()
	p, err := w.policy.VerifyPerson(ders(c, w.sub.cert), nil)
	if err != nil {
		t.Fatal(err)
	}
	if p.Name != "Conceição Estêvão" || !strings.HasPrefix(p.Identity, "BI12345678@") {
		t.Errorf("name %q, identity %q", p.Name, p.Identity)
	}
	if !p.Certificate.Equal(c) || !p.Anchor.Equal(w.root.cert) || !slices.EqualFunc(p.Chain, ders(c, w.sub.cert), slices.Equal) {
		t.Error("certificate, anchor or chain is another")
	}
	if p.CertificateHash != sha256.Sum256(c.Raw) || p.KeyHash != sha256.Sum256(c.RawSubjectPublicKeyInfo) {
		t.Error("a hash is another")
	}
}

func TestVerifyRelay(t *testing.T) {
	w := newWorld(t)
	chain := ders(w.sub.relay(), w.sub.cert)
	for _, name := range []string{"relay.example.org", "Relay.Example.org", "192.0.2.1", "2001:db8::1"} {
		p, err := w.policy.VerifyRelay(chain, nil, name)
		if err != nil || p.Name != name || p.Identity != "" {
			t.Errorf("%s: %+v, %v", name, p, err)
		}
	}
	for _, name := range []string{"", "other.example.org", "192.0.2.2", "The relay"} {
		p, err := w.policy.VerifyRelay(chain, nil, name)
		refused(t, "relay as "+name, p, err, wire.CodeCertificateInvalid)
	}
}

func TestPersonIsNoRelayAndRelayNoPerson(t *testing.T) {
	w := newWorld(t)
	p, err := w.policy.VerifyPerson(ders(w.sub.relay(), w.sub.cert), nil)
	refused(t, "relay as person", p, err, wire.CodeCertificateInvalid)
	named := w.sub.person(func(c *x509.Certificate) { c.DNSNames = []string{"relay.example.org"} })
	p, err = w.policy.VerifyRelay(ders(named, w.sub.cert), nil, "relay.example.org")
	refused(t, "person as relay", p, err, wire.CodeCertificateInvalid)
}

func criticalExtension(oid ...int) change {
	return func(c *x509.Certificate) {
		c.ExtraExtensions = append(c.ExtraExtensions, pkix.Extension{Id: oid, Critical: true, Value: []byte{5, 0}})
	}
}

func TestLeavesThatAreAccepted(t *testing.T) {
	w := newWorld(t)
	any := func(u ...x509.ExtKeyUsage) change { return func(c *x509.Certificate) { c.ExtKeyUsage = u } }
	for name, f := range map[string]change{
		"clientAuth":      any(x509.ExtKeyUsageClientAuth),
		"emailProtection": any(x509.ExtKeyUsageEmailProtection),
		"unknown usage": func(c *x509.Certificate) {
			c.UnknownExtKeyUsage = []asn1.ObjectIdentifier{{1, 3, 6, 1, 4, 1, 311, 20, 2, 2}}
		},
		"critical QCStatements": criticalExtension(1, 3, 6, 1, 5, 5, 7, 1, 3),
	} {
		if _, err := w.policy.VerifyPerson(ders(w.sub.person(f), w.sub.cert), nil); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// hugeRSA is a public key of that length, nobody's.
func hugeRSA(bits uint) *rsa.PublicKey {
	n := new(big.Int).Lsh(big.NewInt(1), bits-1)
	return &rsa.PublicKey{N: n.Add(n, big.NewInt(1)), E: 65537}
}

func TestLeavesThatAreRefused(t *testing.T) {
	w := newWorld(t)
	for name, c := range map[string]struct {
		change
		code wire.Code
	}{
		"an authority": {func(c *x509.Certificate) {
			c.IsCA, c.BasicConstraintsValid = true, true
			c.KeyUsage |= x509.KeyUsageCertSign
		}, wire.CodeCertificateInvalid},
		"no digitalSignature": {func(c *x509.Certificate) { c.KeyUsage = x509.KeyUsageKeyAgreement }, wire.CodeCertificateInvalid},
		"no key usage":        {func(c *x509.Certificate) { c.KeyUsage = 0 }, wire.CodeCertificateInvalid},
		"contentCommitment": {func(c *x509.Certificate) {
			c.KeyUsage |= x509.KeyUsageContentCommitment
		}, wire.CodeCertificateInvalid},
		"no identity":                {func(c *x509.Certificate) { c.Subject.SerialNumber = "" }, wire.CodeCertificateInvalid},
		"unknown critical extension": {criticalExtension(1, 2, 3), wire.CodeCertificateInvalid},
		"unknown beside QCStatements": {func(c *x509.Certificate) {
			criticalExtension(1, 3, 6, 1, 5, 5, 7, 1, 3)(c)
			criticalExtension(1, 2, 3)(c)
		}, wire.CodeCertificateInvalid},
		"expired": {func(c *x509.Certificate) {
			c.NotBefore, c.NotAfter = testNow.AddDate(-2, 0, 0), testNow.Add(-time.Second)
		}, wire.CodeCertificateExpired},
		"not yet valid": {func(c *x509.Certificate) {
			c.NotBefore, c.NotAfter = testNow.Add(time.Second), testNow.AddDate(1, 0, 0)
		}, wire.CodeCertificateExpired},
		"larger than 8 KiB": {func(c *x509.Certificate) {
			c.ExtraExtensions = []pkix.Extension{{Id: []int{1, 2, 3}, Value: make([]byte, wire.MaxCertificate)}}
		}, wire.CodeCertificateInvalid},
	} {
		p, err := w.policy.VerifyPerson(ders(w.sub.person(c.change), w.sub.cert), nil)
		refused(t, name, p, err, c.code)
	}
}

func TestKeysOfLeaves(t *testing.T) {
	w := newWorld(t)
	ec := func(c elliptic.Curve) any {
		k, err := ecdsa.GenerateKey(c, rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		return &k.PublicKey
	}
	for _, c := range []struct {
		name string
		key  any
		ok   bool
	}{
		{"RSA-1024", hugeRSA(1024), false}, {"RSA-2047", hugeRSA(2047), false}, {"RSA-2048", hugeRSA(2048), true},
		{"RSA-4096", hugeRSA(4096), true}, {"RSA-4097", hugeRSA(4097), false}, {"RSA-8192", hugeRSA(8192), false},
		{"P-224", ec(elliptic.P224()), false}, {"P-256", ec(elliptic.P256()), true}, {"P-384", ec(elliptic.P384()), true},
		{"P-521", ec(elliptic.P521()), true}, {"Ed25519", ed25519.PublicKey(make([]byte, 32)), false},
	} {
		leaf := w.sub.issue(personTemplate(), c.key, nil)
		p, err := w.policy.VerifyPerson(ders(leaf, w.sub.cert), nil)
		if c.ok && err != nil {
			t.Errorf("%s: %v", c.name, err)
		} else if !c.ok {
			refused(t, c.name, p, err, wire.CodeCertificateInvalid)
		}
	}
}

func TestIssuersThatAreRefused(t *testing.T) {
	w := newWorld(t)
	for name, c := range map[string]struct {
		change
		code wire.Code
	}{
		"no authority":     {func(c *x509.Certificate) { c.IsCA = false }, wire.CodeCertificateInvalid},
		"no keyCertSign":   {func(c *x509.Certificate) { c.KeyUsage = x509.KeyUsageCRLSign }, wire.CodeCertificateInvalid},
		"no key usage":     {func(c *x509.Certificate) { c.KeyUsage = 0 }, wire.CodeCertificateInvalid},
		"unknown critical": {criticalExtension(1, 2, 3), wire.CodeCertificateInvalid},
		"expired": {func(c *x509.Certificate) {
			c.NotBefore, c.NotAfter = testNow.AddDate(-2, 0, 0), testNow.Add(-time.Second)
		}, wire.CodeCertificateExpired},
	} {
		sub := newAuthority(t, w.root, "Sub", c.change)
		p, err := w.policy.VerifyPerson(ders(sub.person(), sub.cert), nil)
		refused(t, name, p, err, c.code)

		// The same for one that the verifier itself was configured with.
		own := *w.policy
		own.Intermediates = []*x509.Certificate{sub.cert}
		p, err = own.VerifyPerson(ders(sub.person()), nil)
		refused(t, name+", configured", p, err, c.code)
	}
}

func TestSHA1Refused(t *testing.T) {
	w := newWorld(t)
	sub := newAuthority(t, w.root, "Sub", func(c *x509.Certificate) { c.SignatureAlgorithm = x509.ECDSAWithSHA1 })
	p, err := w.policy.VerifyPerson(ders(sub.person(), sub.cert), nil)
	refused(t, "issuer signed with SHA-1", p, err, wire.CodeCertificateInvalid)
	leaf := w.sub.person(func(c *x509.Certificate) { c.SignatureAlgorithm = x509.ECDSAWithSHA1 })
	p, err = w.policy.VerifyPerson(ders(leaf, w.sub.cert), nil)
	refused(t, "leaf signed with SHA-1", p, err, wire.CodeCertificateInvalid)
}

func TestChains(t *testing.T) {
	w := newWorld(t)
	second := newAuthority(t, w.sub, "Second")
	leaf := second.person()
	evil := newAuthority(t, nil, "Evil root")
	twin := newAuthority(t, nil, "Root") // the trusted root's name, another key
	twinSub := newAuthority(t, twin, "Sub")
	deep := []*x509.Certificate{}
	for a := w.root; len(deep) < 5; {
		a = newAuthority(t, a, "Level")
		deep = append(deep, a.cert)
		if len(deep) == 5 {
			deep = append(deep, a.person())
		}
	}
	slices.Reverse(deep)

	for _, c := range []struct {
		name  string
		chain [][]byte
		ok    bool
	}{
		{"in order", ders(leaf, second.cert, w.sub.cert), true},
		{"reordered", ders(leaf, w.sub.cert, second.cert), true},
		{"duplicates", ders(leaf, second.cert, second.cert, second.cert, w.sub.cert), true},
		{"with the anchor", ders(leaf, second.cert, w.sub.cert, w.root.cert), true},
		{"with a stranger's", ders(leaf, second.cert, w.sub.cert, evil.cert), true},
		{"one missing", ders(leaf, w.sub.cert), false},
		{"leaf not first", ders(second.cert, leaf, w.sub.cert), false},
		{"the anchor alone", ders(w.root.cert), false},
		{"an authority alone", ders(w.sub.cert), false},
		{"an anchor of their own", ders(evil.person(), evil.cert), false},
		{"an anchor of the same name", ders(twin.person(), twin.cert), false},
		{"a sibling of the same name", ders(twinSub.person(), w.sub.cert), false},
		{"none", nil, false},
		{"an empty one", [][]byte{leaf.Raw, nil}, false},
		{"trailing bytes", [][]byte{append(slices.Clone(leaf.Raw), 0), second.cert.Raw, w.sub.cert.Raw}, false},
		{"no certificate", [][]byte{[]byte("hello")}, false},
		{"six", ders(leaf, second.cert, w.sub.cert, w.sub.cert, w.sub.cert, w.sub.cert), false},
		{"a hundred", slices.Repeat(ders(leaf), 100), false},
		{"a key not allowed among them", ders(leaf, second.cert, w.sub.cert,
			w.sub.issue(personTemplate(), hugeRSA(8192), nil)), false},
	} {
		p, err := w.policy.VerifyPerson(c.chain, nil)
		if c.ok && err != nil {
			t.Errorf("%s: %v", c.name, err)
		} else if c.ok && !slices.EqualFunc(p.Chain, ders(leaf, second.cert, w.sub.cert), slices.Equal) {
			t.Errorf("%s: the party's chain is not that from leaf to anchor", c.name)
		} else if !c.ok {
			refused(t, c.name, p, err, wire.CodeCertificateInvalid)
		}
	}

	if _, err := w.policy.VerifyPerson(ders(deep[1:]...), nil); err == nil {
		t.Error("an authority passed for a person")
	}
	own := *w.policy
	own.Intermediates = []*x509.Certificate{deep[1], deep[2], deep[3], deep[4], deep[5]}
	p, err := own.VerifyPerson(ders(deep[0]), nil)
	refused(t, "six with the configured ones", p, err, wire.CodeCertificateInvalid)
	own.Intermediates = []*x509.Certificate{second.cert, w.sub.cert}
	if _, err := own.VerifyPerson(ders(leaf), nil); err != nil {
		t.Errorf("intermediates configured: %v", err)
	}
}

func TestAnchorThatIsALeaf(t *testing.T) {
	w := newWorld(t)
	leaf := w.sub.person()
	own := *w.policy
	own.Anchors = []*x509.Certificate{leaf}
	p, err := own.VerifyPerson(ders(leaf), nil)
	refused(t, "a person's certificate as anchor", p, err, wire.CodeCertificateInvalid)
}

func TestAnchorWithoutKeyCertSign(t *testing.T) {
	root := newAuthority(t, nil, "Old root", func(c *x509.Certificate) { c.KeyUsage = 0 })
	w := newWorld(t)
	w.policy.Anchors = []*x509.Certificate{root.cert}
	p, err := w.policy.VerifyPerson(ders(root.person()), nil)
	refused(t, "anchor", p, err, wire.CodeCertificateInvalid)
}

func TestKeyOfAnAnchor(t *testing.T) {
	key, err := rsa.GenerateKey(rand.Reader, 1024)
	if err != nil {
		t.Fatal(err)
	}
	weak := &authority{t, issue(t, nil, &x509.Certificate{
		Subject: pkix.Name{CommonName: "Weak root"}, IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}, &key.PublicKey, key), key}
	w := newWorld(t)
	w.policy.Anchors = []*x509.Certificate{weak.cert}
	p, err := w.policy.VerifyPerson(ders(weak.person()), nil)
	refused(t, "an anchor of RSA-1024", p, err, wire.CodeCertificateInvalid)
}

// Whoever has two ways up has the identity of the anchor that was configured first.
func TestFirstAnchorCounts(t *testing.T) {
	a, b := newAuthority(t, nil, "A"), newAuthority(t, nil, "B")
	sub := newAuthority(t, a, "Sub")
	cross := issue(t, b, &x509.Certificate{
		Subject: pkix.Name{CommonName: "Sub"}, IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}, sub.key.Public(), nil)
	w := newWorld(t)
	leaf := sub.person()
	for _, anchors := range [][]*x509.Certificate{{a.cert, b.cert}, {b.cert, a.cert}} {
		w.policy.Anchors = anchors
		for _, chain := range [][][]byte{ders(leaf, sub.cert, cross), ders(leaf, cross, sub.cert)} {
			p, err := w.policy.VerifyPerson(chain, nil)
			if err != nil || !p.Anchor.Equal(anchors[0]) {
				t.Errorf("%v, or another anchor than the first", err)
			}
		}
	}
}

func TestPolicyThatSaysNothing(t *testing.T) {
	w := newWorld(t)
	chain := ders(w.sub.person(), w.sub.cert)
	nothing := cardauth.Policy{Now: w.policy.Now}
	p, err := nothing.VerifyPerson(chain, nil)
	refused(t, "no anchors", p, err, wire.CodeCertificateInvalid)
	w.policy.Revocation = nil
	p, err = w.policy.VerifyPerson(chain, nil)
	refused(t, "no revocation", p, err, wire.CodeRevocationUnknown)
	p, err = w.policy.VerifyRelay(ders(w.sub.relay(), w.sub.cert), nil, "relay.example.org")
	refused(t, "no revocation, relay", p, err, wire.CodeRevocationUnknown)
}

func TestStaplesThatAreRefused(t *testing.T) {
	w := newWorld(t)
	chain := ders(w.sub.person(), w.sub.cert)
	for name, staples := range map[string][][]byte{
		"more than certificates": {nil, nil, nil},
		"one too large":          {make([]byte, wire.MaxStaple+1)},
	} {
		p, err := w.policy.VerifyPerson(chain, staples)
		refused(t, name, p, err, wire.CodeCertificateInvalid)
	}
}

func TestEveryByteOfALeafCounts(t *testing.T) {
	w := newWorld(t)
	leaf := w.sub.person().Raw
	for i := range leaf {
		b := slices.Clone(leaf)
		b[i] ^= 1 << (i % 8)
		if p, err := w.policy.VerifyPerson([][]byte{b, w.sub.cert.Raw}, nil); err == nil {
			t.Errorf("byte %d flipped and accepted as %s", i, p.Identity)
		}
		if _, err := w.policy.VerifyPerson([][]byte{leaf[:i], w.sub.cert.Raw}, nil); err == nil {
			t.Errorf("accepted the first %d bytes", i)
		}
	}
}

// A subject is personal: it stands in the error for the screen, and not in the text that is logged.
func TestErrorsDoNotNamePeople(t *testing.T) {
	w := newWorld(t)
	_, err := w.policy.VerifyPerson(ders(w.sub.person(func(c *x509.Certificate) { c.KeyUsage = 0 }), w.sub.cert), nil)
	var ce *cardauth.CertificateError
	if !errors.As(err, &ce) || ce.Subject != "Conceição Estêvão" || strings.Contains(err.Error(), "Concei") {
		t.Errorf("got %v of %q", err, ce.Subject)
	}
}

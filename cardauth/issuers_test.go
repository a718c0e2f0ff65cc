package cardauth

import (
	"bytes"
	"crypto/x509"
	"slices"
	"testing"

	"sinete/internal/trialpki"
)

// People whose chains end in the same authorities share their certificates, and nobody holds on to the bytes that a chain came in.
func TestIssuersAreShared(t *testing.T) {
	w, err := trialpki.New(trialpki.Options{})
	if err != nil {
		t.Fatal(err)
	}
	p := &Policy{Anchors: []*x509.Certificate{w.Root.Certificate}, Revocation: RevocationOff}
	accept := func(name string) *Party {
		t.Helper()
		issued, err := w.IssuePerson(trialpki.Person{Name: name})
		if err != nil {
			t.Fatal(err)
		}
		var message [][]byte
		for _, der := range issued.Chain {
			message = append(message, bytes.Clone(der))
		}
		party, err := p.VerifyPerson(message, nil)
		if err != nil {
			t.Fatal(err)
		}
		shown := party.Shown(message)
		for _, der := range message {
			clear(der)
		}
		if !slices.EqualFunc(shown, issued.Chain, bytes.Equal) || !slices.EqualFunc(party.Chain, issued.Chain, bytes.Equal) {
			t.Errorf("%s's chain changes with the message that it came in", name)
		}
		for i := range shown {
			if &shown[i][0] != &party.Chain[i][0] {
				t.Errorf("%s's certificate %d is kept twice", name, i)
			}
		}
		return party
	}
	ana, rui := accept("ana"), accept("rui")
	for i, c := range rui.verified {
		if same := c == ana.verified[i]; same != (i > 0) {
			t.Errorf("certificate %d is one for both: %v", i, same)
		}
	}
	// What nobody accepted is not shared, and what is shared is bounded.
	var s shared
	other, err := trialpki.New(trialpki.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if s.share([]*x509.Certificate{other.State.Certificate}, ana.verified); len(s.byHash) != 0 {
		t.Error("a certificate that stands in no accepted chain is shared")
	}
	for i := range 2 * mostShared {
		c := &x509.Certificate{Raw: []byte{byte(i), byte(i >> 8)}}
		s.share([]*x509.Certificate{c}, []*x509.Certificate{c})
	}
	if len(s.byHash) > mostShared {
		t.Errorf("%d are shared", len(s.byHash))
	}
}

// The ways above one leaf serve the next of the same issuer, and are not kept without end.
func TestWaysAreRemembered(t *testing.T) {
	w, err := trialpki.New(trialpki.Options{})
	if err != nil {
		t.Fatal(err)
	}
	p := &Policy{Anchors: []*x509.Certificate{w.Root.Certificate}, Revocation: RevocationOff}
	var memory paths
	for i, name := range []string{"ana", "rui"} {
		issued, err := w.IssuePerson(trialpki.Person{Name: name})
		if err != nil {
			t.Fatal(err)
		}
		certs, err := parseChain(issued.Chain, nil)
		if err != nil {
			t.Fatal(err)
		}
		found := memory.from(p, certs, p.now())
		if i == 0 && found != nil || i == 1 && (len(found) != 1 || len(found[0]) != len(certs)+1 || found[0][0] != certs[0]) {
			t.Errorf("%d ways of %s are known", len(found), name)
		}
		built, err := p.build(certs, p.now())
		if err != nil {
			t.Fatal(err)
		}
		memory.remember(p, certs, built, p.now())
	}
	if n := len(memory.known); n != 1 {
		t.Errorf("%d ways for one issuer", n)
	}
	for i := range 2 * mostWays {
		leaf := &x509.Certificate{RawIssuer: []byte{byte(i), byte(i >> 8)}}
		memory.remember(p, []*x509.Certificate{leaf}, [][]*x509.Certificate{{leaf, leaf}}, p.now())
	}
	if n := len(memory.known); n > mostWays {
		t.Errorf("%d are remembered", n)
	}
}

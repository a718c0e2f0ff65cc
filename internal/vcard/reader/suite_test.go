//go:build cgo

package reader_test

import (
	"crypto/x509"
	"errors"
	"testing"

	"sinete/cardauth"
	"sinete/cardauth/cardtest"
	"sinete/cardauth/pkcs11card"
	"sinete/internal/trialpki"
	"sinete/internal/vcard"
	"sinete/internal/vcard/reader"
	"sinete/wire"
)

const slot9A, slot9C = "id=%01", "id=%02"

func TestPIVRunsTheSuite(t *testing.T) {
	r := reader.Start(t)
	for kind, scheme := range map[trialpki.KeyType]wire.Scheme{
		trialpki.P256: wire.SchemeP256, trialpki.P384: wire.SchemeP384,
		trialpki.RSA2048: wire.SchemeRSAPKCS1, trialpki.RSA3072: wire.SchemeRSAPKCS1,
	} {
		t.Run(string(kind), func(t *testing.T) {
			chip, certificate := reader.NewPIV(t, world(), "ana", kind)
			r.Insert(t, chip)
			ana := knows(reader.PIVPIN)
			cardtest.Run(t, func(t *testing.T) cardauth.Card {
				c, err := pkcs11card.Open(t.Context(), uri(t, r, slot9A), ana.prompt)
				if err != nil {
					t.Fatal(err)
				}
				if !c.Certificate().Equal(certificate) || c.Scheme() != scheme || c.Software() ||
					c.(cardauth.Demanding).PINEachTime() {
					t.Errorf("opened %q, %v, software %v", c.Certificate().Subject, c.Scheme(), c.Software())
				}
				return c
			})
			if n := chip.Counts(); n.Wrong != 0 || n.Signatures == 0 {
				t.Errorf("%+v", n)
			}
		})
	}
}

func TestCitizenRunsTheSuite(t *testing.T) {
	r := reader.Start(t)
	for _, kind := range []trialpki.KeyType{trialpki.RSA2048, trialpki.RSA3072} {
		t.Run(string(kind), func(t *testing.T) {
			chip, certificate := reader.NewCitizen(t, world(), "ana", kind)
			r.Insert(t, chip)
			ana := knows(reader.AuthenticationPIN)
			cardtest.Run(t, func(t *testing.T) cardauth.Card {
				c, err := pkcs11card.Open(t.Context(), uri(t, r, ""), ana.prompt)
				if err != nil {
					t.Fatal(err)
				}
				if !c.Certificate().Equal(certificate) || len(c.Chain()) != 3 || c.Scheme() != wire.SchemeRSAPKCS1 {
					t.Errorf("opened %q, a chain of %d, %v", c.Certificate().Subject, len(c.Chain()), c.Scheme())
				}
				return c
			})
			if chip.TriesLeft(1) != 3 || chip.TriesLeft(2) != 3 || chip.TriesLeft(3) != 3 {
				t.Error("a PIN was tried that is not for authentication")
			}
		})
	}
}

// What the cards bring is enough for the policy of trials, which knows the other authorities.
func TestChainsVerify(t *testing.T) {
	r := reader.Start(t)
	w := world()
	p := &cardauth.Policy{Anchors: []*x509.Certificate{w.Root.Certificate}, Revocation: cardauth.RevocationOff,
		Intermediates: []*x509.Certificate{w.State.Certificate, w.Card.Certificate, w.Authentication.Certificate}}
	token, _ := reader.NewPIV(t, w, "ana", trialpki.P256)
	citizen, _ := reader.NewCitizen(t, w, "ana", trialpki.RSA2048)
	var identities []string
	for _, s := range []struct {
		chip *vcard.Card
		path string
		pin  string
	}{{token, slot9A, reader.PIVPIN}, {citizen, "", reader.AuthenticationPIN}} {
		r.Insert(t, s.chip)
		party, err := p.VerifyPerson(open(t, uri(t, r, s.path), knows(s.pin).prompt).Chain(), nil)
		if err != nil {
			t.Fatal(err)
		}
		identities = append(identities, party.Identity)
	}
	if identities[0] != identities[1] {
		t.Errorf("one person with two cards is %q", identities)
	}
}

// The certificate is chosen by what it is for. On this card it stands under the name of the other.
func TestChosenByUsageAndNotByLabel(t *testing.T) {
	r := reader.Start(t)
	issue := func(usage x509.KeyUsage) vcard.Key {
		t.Helper()
		i, err := world().IssuePerson(trialpki.Person{Name: "ana", Key: trialpki.RSA2048, Edit: func(c *x509.Certificate) { c.KeyUsage = usage }})
		if err != nil {
			t.Fatal(err)
		}
		return vcard.Key{Private: i.Key, Certificate: i.Certificate.Raw}
	}
	chip, err := vcard.NewCitizen(vcard.Citizen{
		Authentication: issue(x509.KeyUsageDigitalSignature | x509.KeyUsageContentCommitment), Signature: issue(x509.KeyUsageDigitalSignature),
		PINs: [3]string{"1111", "2222", "3333"}})
	if err != nil {
		t.Fatal(err)
	}
	r.Insert(t, chip)
	tokens, err := pkcs11card.List([]string{r.Module(t)})
	if err != nil {
		t.Fatal(err)
	}
	f, err := pkcs11card.Find(uri(t, r, ""), tokens)
	if err != nil || f.Certificate.Label != "CITIZEN SIGNATURE CERTIFICATE" {
		t.Fatalf("found %+v, %v", f, err)
	}
	seals(t, open(t, uri(t, r, ""), knows("2222").prompt))
	if n := chip.Counts(); n.Wrong != 0 || n.Signatures != 1 {
		t.Errorf("%+v", n)
	}
}

func TestWrongPIN(t *testing.T) {
	r := reader.Start(t)
	chip, _ := reader.NewPIV(t, world(), "ana", trialpki.P256)
	r.Insert(t, chip)
	ana := knows("000000", reader.PIVPIN)
	seals(t, open(t, uri(t, r, slot9A), ana.prompt))
	asked := ana.asked()
	if len(asked) != 2 || asked[0].Wrong || !asked[1].Wrong || asked[1].Final {
		t.Errorf("asked %+v", asked)
	}
	if n := chip.Counts(); n.Wrong != 1 || chip.TriesLeft(1) != 3 {
		t.Errorf("%+v, %d tries left", n, chip.TriesLeft(1))
	}
}

func TestLastTryIsTold(t *testing.T) {
	r := reader.Start(t)
	for name, chip := range bothKinds(t) {
		t.Run(name, func(t *testing.T) {
			r.Insert(t, chip.Card)
			ana := knows("0000", "0001", chip.pin)
			seals(t, open(t, uri(t, r, chip.path), ana.prompt))
			asked := ana.asked()
			if len(asked) != 3 || asked[1].Final || !asked[2].Final || asked[2].Tries != 1 {
				t.Errorf("asked %+v", asked)
			}
		})
	}
}

func TestLocked(t *testing.T) {
	r := reader.Start(t)
	for name, chip := range bothKinds(t) {
		t.Run(name, func(t *testing.T) {
			r.Insert(t, chip.Card)
			for range 2 { // the second time nobody is asked, or nobody's PIN gets to the card
				var e *cardauth.PINError
				_, err := pkcs11card.Open(t.Context(), uri(t, r, chip.path), knows("0000").prompt)
				if !errors.As(err, &e) || !e.Locked {
					t.Errorf("got %v", err)
				}
			}
			if chip.TriesLeft(1) != 0 || chip.Counts().Wrong != vcard.DefaultTries {
				t.Errorf("%d tries left, %+v", chip.TriesLeft(1), chip.Counts())
			}
		})
	}
}

// Nobody but a person may spend the last try.
func TestPINOfAURINeverLocks(t *testing.T) {
	r := reader.Start(t)
	for name, chip := range bothKinds(t) {
		t.Run(name, func(t *testing.T) {
			r.Insert(t, chip.Card)
			for range 5 {
				var e *cardauth.PINError
				if _, err := pkcs11card.Open(t.Context(), uri(t, r, chip.path)+"&pin-value=0000", nil); !errors.As(err, &e) {
					t.Errorf("got %v", err)
				}
			}
			if chip.TriesLeft(1) != 1 {
				t.Errorf("%d tries left", chip.TriesLeft(1))
			}
		})
	}
}

type kind struct {
	*vcard.Card
	path, pin string
}

func bothKinds(t *testing.T) map[string]kind { t.Helper(); return bothKindsOf(t, "ana") }

func bothKindsOf(t *testing.T, name string) map[string]kind {
	t.Helper()
	token, _ := reader.NewPIV(t, world(), name, trialpki.P256)
	citizen, _ := reader.NewCitizen(t, world(), name, trialpki.RSA2048)
	return map[string]kind{"PIV": {token, slot9A, reader.PIVPIN}, "Cartão de Cidadão": {citizen, "", reader.AuthenticationPIN}}
}

// Both keys of a PIV token may have the usage of authentication. The one in 9A is it, and 9C is for whoever asks for it.
func TestSlot9AIsChosen(t *testing.T) {
	r := reader.Start(t)
	chip, certificate := reader.NewPIV(t, world(), "ana", trialpki.P256)
	r.Insert(t, chip)
	tokens, err := pkcs11card.List([]string{r.Module(t)})
	if err != nil {
		t.Fatal(err)
	}
	f, err := pkcs11card.Find(uri(t, r, ""), tokens)
	if err != nil || !f.Certificate.Equal(certificate) || f.Why != pkcs11card.WhyPurpose {
		t.Errorf("found %+v, %v", f, err)
	}
	c := open(t, uri(t, r, ""), knows(reader.PIVPIN).prompt)
	if !c.Certificate().Equal(certificate) {
		t.Error("opened another certificate")
	}
	seals(t, c)
}

func TestSignatureKeyOfPIVWantsThePINEachTime(t *testing.T) {
	r := reader.Start(t)
	chip, _ := reader.NewPIV(t, world(), "ana", trialpki.P256)
	r.Insert(t, chip)
	ana := knows(reader.PIVPIN)
	c := open(t, uri(t, r, slot9C), ana.prompt)
	if d, ok := c.(cardauth.Demanding); !ok || !d.PINEachTime() {
		t.Error("nobody is told that it wants the PIN each time")
	}
	login := len(ana.asked())
	const signatures = 3
	for range signatures {
		seals(t, c)
	}
	if n := len(ana.asked()); n != login+signatures {
		t.Errorf("asked %d times in all, %d at login", n, login)
	}
	if n := chip.Counts(); n.Signatures != signatures || n.Wrong != 0 {
		t.Errorf("%+v", n)
	}
}

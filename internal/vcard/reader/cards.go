package reader

import (
	"crypto"
	"crypto/x509"
	"sync"
	"testing"

	"sinete/internal/trialpki"
	"sinete/internal/vcard"
)

// The PINs of the cards made here.
const (
	PIVPIN            = "123456"
	AuthenticationPIN = "1111"
	SignaturePIN      = "2222"
	AddressPIN        = "3333"
)

// NewPIV makes a PIV token for a person of the world, with a key of that kind for both slots. It returns the certificate that
// authenticates, too. There is none of an authority on such a token.
func NewPIV(t testing.TB, w *trialpki.World, name string, kind trialpki.KeyType) (*vcard.Card, *x509.Certificate) {
	t.Helper()
	// Both certificates may authenticate, as those of real tokens may; only 9C wants its PIN each time.
	first, firstCertificate := key(t, w, name, kind, nil)
	second, _ := key(t, w, name, kind, nil)
	c, err := vcard.NewPIV(vcard.PIV{Authentication: first, Signature: second, PIN: PIVPIN})
	if err != nil {
		t.Fatal(err)
	}
	return c, firstCertificate
}

// NewCitizen makes a Cartão de Cidadão of the first kind for a person of the world, with RSA keys of that kind. It returns the
// certificate that authenticates, too.
func NewCitizen(t testing.TB, w *trialpki.World, name string, kind trialpki.KeyType) (*vcard.Card, *x509.Certificate) {
	t.Helper()
	authentication, certificate := key(t, w, name, kind, nil)
	signature, _ := key(t, w, name, kind, func(c *x509.Certificate) { c.KeyUsage = x509.KeyUsageContentCommitment })
	c, err := vcard.NewCitizen(vcard.Citizen{
		Authentication: authentication, Signature: signature,
		AuthenticationCA: w.Authentication.Certificate.Raw, RootCA: w.Card.Certificate.Raw, // the card's root is the state's subject
		PINs: [3]string{AuthenticationPIN, SignaturePIN, AddressPIN},
	})
	if err != nil {
		t.Fatal(err)
	}
	return c, certificate
}

func key(t testing.TB, w *trialpki.World, name string, kind trialpki.KeyType, edit func(*x509.Certificate)) (vcard.Key, *x509.Certificate) {
	t.Helper()
	private, err := keys.of(name, kind)
	if err != nil {
		t.Fatal(err)
	}
	i, err := w.IssuePerson(trialpki.Person{Name: name, Public: private.Public(), Edit: edit})
	if err != nil {
		t.Fatal(err)
	}
	return vcard.Key{Private: private, Certificate: i.Certificate.Raw}, i.Certificate
}

// keys are made once in a process for a name and a kind: RSA takes its time.
var keys keyRing

type keyRing struct {
	mu   sync.Mutex
	made map[string]crypto.Signer
}

func (r *keyRing) of(name string, kind trialpki.KeyType) (crypto.Signer, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	id := name + "/" + string(kind)
	if k := r.made[id]; k != nil {
		return k, nil
	}
	k, err := kind.Generate()
	if err != nil {
		return nil, err
	}
	if r.made == nil {
		r.made = map[string]crypto.Signer{}
	}
	r.made[id] = k
	return k, nil
}

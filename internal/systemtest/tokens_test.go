//go:build cgo

package systemtest

import (
	"context"
	"crypto"
	"crypto/elliptic"
	"crypto/tls"
	"crypto/x509"
	"testing"

	"sinete/cardauth"
	"sinete/cardauth/cardtest"
	"sinete/cardauth/pkcs11card"
	"sinete/internal/trialpki"
	"sinete/internal/vcard/reader"
	"sinete/peer"
	"sinete/relay"
)

// says is a person who knows one PIN.
func says(pin string) cardauth.Prompt {
	return func(context.Context, cardauth.PINRequest) (string, error) { return pin, nil }
}

// A relay whose key never leaves its HSM serves two people.
func TestRelayKeyInAnHSM(t *testing.T) {
	module, remove, err := cardtest.SoftHSM("4711", "relay")
	must(t, err)
	t.Cleanup(remove)
	pki, err := trialpki.New(trialpki.Options{})
	must(t, err)
	for name, request := range map[string]pkcs11card.StoreRequest{"P-256": {Curve: elliptic.P256()}, "RSA": {RSABits: 2048}} {
		t.Run(name, func(t *testing.T) {
			request.Issue = func(pub crypto.PublicKey) ([][]byte, error) {
				i, err := pki.IssueRelay(trialpki.Relay{Names: []string{relayName}, Public: pub})
				if err != nil {
					return nil, err
				}
				return i.Chain, nil
			}
			uri, err := pkcs11card.Store(t.Context(), pkcs11card.URI{Token: "relay", ModulePath: module}.String(), says("4711"), request)
			must(t, err)
			key, err := pkcs11card.OpenServerKey(t.Context(), uri+"&pin-value=4711", nil)
			must(t, err)
			t.Cleanup(func() { must(t, key.Close()) })
			w := newWorld(t, nil, func(cfg *relay.Config) {
				cfg.Card, cfg.Certificate = key, tls.Certificate{Certificate: key.Chain(), PrivateKey: key, Leaf: key.Certificate(),
					SupportedSignatureAlgorithms: key.TLSAlgorithms()}
				cfg.Policy.Anchors = append(cfg.Policy.Anchors, pki.Root.Certificate)
			})
			a, b := connect(t, w.login(w.card("alice")), w.login(w.card("bob")))
			n := sendText(t, a, "sealed by an HSM")
			if m := next[*peer.Message](t, b); m.Text != "sealed by an HSM" {
				t.Errorf("bob received %+v", m)
			}
			delivered(t, a, n)
		})
	}
}

// A card in a reader logs in and talks.
func TestTalkWithACardInAReader(t *testing.T) {
	r := reader.Start(t)
	w := newWorld(t, nil, nil)
	w.stop()
	w.policy.Intermediates = []*x509.Certificate{w.pki.State.Certificate, w.pki.Card.Certificate, w.pki.Authentication.Certificate}
	w.start()
	chip, certificate := reader.NewPIV(t, w.pki, "alice", trialpki.P256)
	r.Insert(t, chip)
	card, err := pkcs11card.Open(t.Context(), "pkcs11:id=%01?module-path="+r.Module(t), says(reader.PIVPIN))
	must(t, err)
	t.Cleanup(func() { must(t, card.Close()) })
	if !card.Certificate().Equal(certificate) {
		t.Fatalf("opened the certificate of %q", card.Certificate().Subject)
	}

	a, b := connect(t, w.login(card), w.login(w.card("bob")))
	n := sendText(t, a, "from a card in a reader")
	if m := next[*peer.Message](t, b); m.Text != "from a card in a reader" {
		t.Errorf("bob received %+v", m)
	}
	delivered(t, a, n)
	if chip.Counts().Signatures == 0 {
		t.Error("the card in the reader signed nothing")
	}
}

//go:build cgo

package pkcs11card

import (
	"context"
	"crypto"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
	"sync"
	"testing"

	"sinete/cardauth"
	"sinete/cardauth/cardtest"
	"sinete/cardauth/pkcs11card/internal/cryptoki"
	"sinete/internal/trialpki"
	"sinete/wire"
)

const serverToken = "server"

var servers = []struct {
	name    string
	request StoreRequest
	scheme  wire.Scheme
}{
	{"p256", StoreRequest{Curve: elliptic.P256(), ID: []byte{1}}, wire.SchemeP256},
	{"p384", StoreRequest{Curve: elliptic.P384(), ID: []byte{2}}, wire.SchemeP384},
	{"rsa2048", StoreRequest{RSABits: 2048, ID: []byte{3}}, wire.SchemeRSAPSS},
}

// issueRelay certifies a key on a token as a relay's, and keeps the chain in the end.
func issueRelay(chain *[][]byte) func(crypto.PublicKey) ([][]byte, error) {
	return func(pub crypto.PublicKey) ([][]byte, error) {
		i, err := world.IssueRelay(trialpki.Relay{Names: []string{"relay.example"}, Public: pub})
		if err != nil {
			return nil, err
		}
		*chain = i.Chain
		return i.Chain, nil
	}
}

// withPINOf is the URI with the PIN in it, as a server has it.
func withPINOf(uri string) string { return uri + "&pin-value=" + userPIN }

func openServer(t *testing.T, uri string, chain [][]byte) *ServerKey {
	t.Helper()
	k, err := OpenServerKey(t.Context(), uri, chain)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := k.Close(); err != nil {
			t.Error(err)
		}
	})
	return k
}

func TestServerKey(t *testing.T) {
	for _, s := range servers {
		t.Run(s.name, func(t *testing.T) {
			var chain [][]byte
			s.request.Issue = issueRelay(&chain)
			u := withPINOf(fill(t, serverToken, s.request))
			for name, given := range map[string][][]byte{"certificate in a file": chain, "certificate on the token": nil} {
				t.Run(name, func(t *testing.T) {
					k := openServer(t, u, given)
					if k.Scheme() != s.scheme || k.Software() || len(k.Chain()) != len(chain) {
						t.Errorf("scheme %v, software %v, a chain of %d", k.Scheme(), k.Software(), len(k.Chain()))
					}
					shakeHands(t, k)
				})
			}
			cardtest.Run(t, func(t *testing.T) cardauth.Card {
				k, err := OpenServerKey(t.Context(), u, chain)
				if err != nil {
					t.Fatal(err)
				}
				return k
			})
		})
	}
}

// shakeHands makes connections of TLS 1.3 with the key, several at once.
func shakeHands(t *testing.T, k *ServerKey) {
	t.Helper()
	certificate := tls.Certificate{Certificate: k.Chain(), PrivateKey: k, Leaf: k.Certificate(), SupportedSignatureAlgorithms: k.TLSAlgorithms()}
	roots := x509.NewCertPool()
	roots.AddCert(world.Root.Certificate)
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			a, b := net.Pipe()
			server := tls.Server(a, &tls.Config{MinVersion: tls.VersionTLS13, Certificates: []tls.Certificate{certificate}})
			client := tls.Client(b, &tls.Config{MinVersion: tls.VersionTLS13, RootCAs: roots, ServerName: "relay.example"})
			done := make(chan error, 1)
			go func() {
				done <- server.HandshakeContext(t.Context())
				_, _ = server.Read(make([]byte, 1)) // until the client closes
				_ = server.Close()
			}()
			if err := errors.Join(client.HandshakeContext(t.Context()), <-done); err != nil {
				t.Error(err)
			}
			_ = client.Close()
		})
	}
	all.Wait()
}

// A person's key never becomes one that signs digests, whoever asks.
func TestNoServerKeyForAPerson(t *testing.T) {
	var chain [][]byte
	person := fill(t, serverToken, StoreRequest{ID: []byte{4}, Issue: func(pub crypto.PublicKey) (c [][]byte, err error) {
		chain, err = issueTo(trialpki.Person{Name: "ana"})(pub)
		return chain, err
	}})
	var no *UnsupportedError
	if _, err := OpenServerKey(t.Context(), withPINOf(person), chain); !errors.As(err, &no) {
		t.Errorf("with the certificate in a file: %v", err)
	}
	var none *NotFoundError
	if _, err := OpenServerKey(t.Context(), withPINOf(person), nil); !errors.As(err, &none) {
		t.Errorf("with the certificate on the token: %v", err)
	}
	// And a relay's certificate for somebody else's key does not help.
	relay, err := world.IssueRelay(trialpki.Relay{Names: []string{"relay.example"}})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := OpenServerKey(t.Context(), withPINOf(person), relay.Chain); !errors.As(err, &none) {
		t.Errorf("with another key's certificate: %v", err)
	}
}

func TestServerKeyIsRefused(t *testing.T) {
	var chain [][]byte
	u := fill(t, serverToken, StoreRequest{ID: []byte{5}, Issue: issueRelay(&chain)})
	var none *UnsupportedError
	if _, err := OpenServerKey(t.Context(), u, chain); !errors.As(err, &none) {
		t.Errorf("without a PIN: %v", err)
	}
	var wrong *cardauth.PINError
	if _, err := OpenServerKey(t.Context(), u+"&pin-value=0000", chain); !errors.As(err, &wrong) {
		t.Errorf("with a wrong PIN: %v", err)
	}
	always := fill(t, serverToken, StoreRequest{ID: []byte{6}, Issue: issueRelay(&chain)}, cryptoki.Bool(cryptoki.AttrAlwaysAuthenticate, true))
	if _, err := OpenServerKey(t.Context(), withPINOf(always), chain); !errors.As(err, &none) {
		t.Errorf("a key that wants the PIN each time: %v", err)
	}
	certificate, err := x509.ParseCertificate(chain[0])
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := serverMechanism([]uint64{cryptoki.MechRSAPKCS, cryptoki.MechSHA256RSA}, certificate); !errors.As(err, &none) {
		t.Errorf("a token without the mechanism: %v", err)
	}
}

func TestServerKeySignsNothingElse(t *testing.T) {
	var chain [][]byte
	k := openServer(t, withPINOf(fill(t, serverToken, StoreRequest{ID: []byte{7}, Issue: issueRelay(&chain)})), chain)
	digest := make([]byte, 48)
	for name, opts := range map[string]crypto.SignerOpts{
		"another hash": crypto.SHA384, "no hash": crypto.Hash(0), "PSS": &rsa.PSSOptions{SaltLength: 32, Hash: crypto.SHA256},
	} {
		var no *UnsupportedError
		if _, err := k.Sign(rand.Reader, digest[:32], opts); !errors.As(err, &no) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := k.Sign(rand.Reader, digest, crypto.SHA256); err == nil {
		t.Error("signed a digest of the wrong length")
	}
}

// A server outlives the child that has the module, and logs in again by itself.
func TestServerKeySurvivesItsModule(t *testing.T) {
	var chain [][]byte
	k := openServer(t, withPINOf(fill(t, serverToken, StoreRequest{ID: []byte{8}, Issue: issueRelay(&chain)})), chain)
	if err := k.holder.Module.Restart(t.Context(), k.holder.Life); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if _, err := k.SealRoot(context.Background(), wire.SealInput{Leaves: 1}); err != nil {
			t.Error(err)
		}
	}
}

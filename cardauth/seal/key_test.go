package seal_test

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/sha512"
	"errors"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"sinete/cardauth/seal"
	"sinete/wire"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// testKey signs with a key in memory, after a delay.
type testKey struct {
	private  crypto.Signer
	scheme   wire.Scheme
	software bool
	delay    time.Duration

	mu     sync.Mutex
	starts []time.Time
	fail   error // of the next signature
}

func newKey(t testing.TB, scheme wire.Scheme) *testKey {
	t.Helper()
	k := &testKey{scheme: scheme}
	var err error
	switch scheme {
	case wire.SchemeRSAPKCS1, wire.SchemeRSAPSS:
		k.private, err = rsa.GenerateKey(rand.Reader, 2048)
	case wire.SchemeP256:
		k.private, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	case wire.SchemeP384:
		k.private, err = ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	case wire.SchemeEd25519:
		_, k.private, err = ed25519.GenerateKey(rand.Reader)
	}
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func (k *testKey) Scheme() wire.Scheme { return k.scheme }
func (k *testKey) Software() bool      { return k.software }

func (k *testKey) SealRoot(ctx context.Context, in wire.SealInput) ([]byte, error) {
	k.mu.Lock()
	k.starts = append(k.starts, time.Now())
	err := k.fail
	k.fail = nil
	k.mu.Unlock()
	if k.delay > 0 {
		select {
		case <-time.After(k.delay):
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	if err != nil {
		return nil, err
	}
	return k.sign(in.Append(nil))
}

func (k *testKey) sign(message []byte) ([]byte, error) {
	switch k.scheme {
	case wire.SchemeEd25519:
		return k.private.Sign(nil, message, crypto.Hash(0))
	case wire.SchemeP384:
		h := sha512.Sum384(message)
		return k.private.Sign(rand.Reader, h[:], crypto.SHA384)
	case wire.SchemeRSAPSS:
		h := sha256.Sum256(message)
		return k.private.Sign(rand.Reader, h[:], &rsa.PSSOptions{SaltLength: 32, Hash: crypto.SHA256})
	case wire.SchemeP256, wire.SchemeRSAPKCS1:
		h := sha256.Sum256(message)
		return k.private.Sign(rand.Reader, h[:], crypto.SHA256)
	}
	return nil, errors.New("no such scheme")
}

var testDigest = wire.SignerHash([]byte("a certificate"), nil)

func (k *testKey) signer() seal.Signer {
	return seal.Signer{Key: k.private.Public(), Scheme: k.scheme, Digest: testDigest}
}

// statements makes a prepare function for heads.
func statements(bytes ...string) func() []seal.Statement {
	var s []seal.Statement
	for _, b := range bytes {
		s = append(s, seal.Statement{Purpose: wire.PurposeHead, Bytes: []byte(b)})
	}
	return func() []seal.Statement { return s }
}

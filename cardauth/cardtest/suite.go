// Package cardtest is the one test suite that every kind of card runs, and what tests need in the place of a card.
//
//	cardtest.Run(t, func(t *testing.T) cardauth.Card { ... })     // the suite
//	fake := cardtest.NewFake(card, 500*time.Millisecond)          // a slow card, whose signatures are counted
package cardtest

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/x509"
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"

	"sinete/cardauth"
	"sinete/wire"
)

// Run runs the suite. open returns a card that nobody else closes; the suite closes it, and calls open several times.
func Run(t *testing.T, open func(t *testing.T) cardauth.Card) {
	with := func(f func(t *testing.T, c cardauth.Card)) func(t *testing.T) {
		return func(t *testing.T) {
			c := open(t)
			t.Cleanup(func() {
				if err := c.Close(); err != nil {
					t.Error(err)
				}
			})
			f(t, c)
		}
	}
	t.Run("seals", with(testSeals))
	t.Run("chain", with(testChain))
	t.Run("concurrent", with(testConcurrent))
	t.Run("cancelled", with(testCancelled))
	t.Run("closed", with(testClosed))
}

func testSeals(t *testing.T, c cardauth.Card) {
	for range 3 {
		if err := sealOnce(c); err != nil {
			t.Fatal(err)
		}
	}
}

func testChain(t *testing.T, c cardauth.Card) {
	chain := c.Chain()
	if len(chain) < 1 || len(chain) > wire.MaxChain {
		t.Fatalf("%d certificates", len(chain))
	}
	var below *x509.Certificate
	for i, der := range chain {
		cert, err := x509.ParseCertificate(der)
		if err != nil {
			t.Fatalf("certificate %d: %v", i, err)
		}
		switch {
		case i == 0 && !cert.Equal(c.Certificate()):
			t.Error("the first certificate is not the person's")
		case i > 0 && below.CheckSignatureFrom(cert) != nil:
			t.Errorf("certificate %d did not issue the one before it", i)
		}
		if i > 0 && cert.CheckSignatureFrom(cert) == nil {
			t.Errorf("certificate %d is an anchor", i)
		}
		below = cert
	}
}

func testConcurrent(t *testing.T, c cardauth.Card) {
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 3 {
				if err := sealOnce(c); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
}

func testCancelled(t *testing.T, c cardauth.Card) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := c.SealRoot(ctx, randomInput()); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	if err := sealOnce(c); err != nil {
		t.Errorf("afterwards: %v", err)
	}
}

func testClosed(t *testing.T, c cardauth.Card) {
	for range 2 {
		if err := c.Close(); err != nil {
			t.Fatal(err)
		}
		if _, err := c.SealRoot(t.Context(), randomInput()); !errors.Is(err, cardauth.ErrClosed) {
			t.Errorf("got %v", err)
		}
	}
}

func randomInput() wire.SealInput {
	in := wire.SealInput{Time: 1_900_000_000, Leaves: 4}
	rand.Read(in.Signer[:])
	rand.Read(in.Root[:])
	return in
}

func sealOnce(c cardauth.Card) error {
	in := randomInput()
	sig, err := c.SealRoot(context.Background(), in)
	if err != nil {
		return err
	}
	return verify(c.Certificate(), c.Scheme(), signedBytes(in), sig)
}

// signedBytes is protocol.md section 4.1 written a second time, so that the suite does not follow a mistake in wire.
func signedBytes(in wire.SealInput) []byte {
	b := []byte(strings.Repeat(" ", 64) + "sinete/1 seal\x00")
	b = append(b, in.Signer[:]...)
	b = binary.BigEndian.AppendUint64(b, in.Time)
	b = binary.BigEndian.AppendUint32(b, in.Leaves)
	return append(b, in.Root[:]...)
}

// verify is protocol.md section 3.8's table of schemes, without the code that cards use for it.
func verify(c *x509.Certificate, s wire.Scheme, message, sig []byte) error {
	h256, h384 := sha256.Sum256(message), sha512.Sum384(message)
	ok := false
	switch k := c.PublicKey.(type) {
	case *rsa.PublicKey:
		switch s {
		case wire.SchemeRSAPKCS1:
			return rsa.VerifyPKCS1v15(k, crypto.SHA256, h256[:], sig)
		case wire.SchemeRSAPSS:
			return rsa.VerifyPSS(k, crypto.SHA256, h256[:], sig, &rsa.PSSOptions{SaltLength: 32})
		}
	case *ecdsa.PublicKey:
		switch s {
		case wire.SchemeP256:
			ok = k.Params().BitSize == 256 && ecdsa.VerifyASN1(k, h256[:], sig)
		case wire.SchemeP384:
			ok = k.Params().BitSize == 384 && ecdsa.VerifyASN1(k, h384[:], sig)
		}
	}
	if !ok {
		return fmt.Errorf("a signature that does not verify as %v under %T", s, c.PublicKey)
	}
	return nil
}

package main

import (
	"context"
	"crypto"
	"crypto/tls"
	"encoding/pem"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"time"

	"sinete/cardauth"
	"sinete/cardauth/pkcs11card"
	"sinete/cardauth/seal"
	"sinete/cardauth/softcard"
)

// keyTime is how long an HSM may take to show its key.
const keyTime = 30 * time.Second

// inHSM reports whether a setting names something on a token, and not a file.
func inHSM(s string) bool { return strings.HasPrefix(s, "pkcs11:") }

// withoutPIN is a setting fit for people and logs.
func withoutPIN(s string) string {
	if u, err := pkcs11card.ParseURI(s); err == nil {
		return u.String()
	}
	return s
}

// keyPath is where the key lies, or would if it were in a file: what is kept beside it stays there.
func (s settings) keyPath() string {
	if inHSM(s.Key) {
		return filepath.Join(filepath.Dir(s.Levels), defaults().Key)
	}
	return s.Key
}

// release gives the HSM back, if the key is in one.
func release(c tls.Certificate) error {
	if k, ok := c.PrivateKey.(*pkcs11card.ServerKey); ok {
		return k.Close()
	}
	return nil
}

// loadKey reads the relay's certificate and key, or finds them in an HSM, which must be released.
func (s settings) loadKey() (c tls.Certificate, err error) {
	if !inHSM(s.Key) {
		if inHSM(s.Certificate) {
			return c, badKeyPair(errors.New("the certificate is on a token, so the key must be there as well"))
		}
		if c, err = tls.LoadX509KeyPair(s.Certificate, s.Key); err != nil {
			return c, badKeyPair(err)
		}
		return c, nil
	}
	var chain [][]byte // nil: the token's
	if !inHSM(s.Certificate) {
		if chain, err = readChain(s.Certificate); err != nil {
			return c, badKeyPair(err)
		}
	} else if s.Certificate != s.Key {
		return c, badKeyPair(errors.New("certificate and key name different things on a token"))
	}
	ctx, cancel := context.WithTimeout(context.Background(), keyTime)
	defer cancel()
	k, err := pkcs11card.OpenServerKey(ctx, s.Key, chain)
	if err != nil {
		return c, badHSM(err)
	}
	return tls.Certificate{Certificate: k.Chain(), PrivateKey: k, Leaf: k.Certificate(), SupportedSignatureAlgorithms: k.TLSAlgorithms()}, nil
}

func readChain(file string) (chain [][]byte, err error) {
	b, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	for block, rest := pem.Decode(b); block != nil; block, rest = pem.Decode(rest) {
		if block.Type == "CERTIFICATE" {
			chain = append(chain, block.Bytes)
		}
	}
	if chain == nil {
		return nil, errors.New(file + ": no certificate (PEM)")
	}
	return chain, nil
}

// sealingCard makes the relay's TLS key one that seals.
func sealingCard(c tls.Certificate) (cardauth.Card, error) {
	if k, ok := c.PrivateKey.(*pkcs11card.ServerKey); ok {
		return k, nil
	}
	key, ok := c.PrivateKey.(crypto.Signer)
	if !ok {
		return nil, errors.New("the key cannot sign")
	}
	scheme, err := seal.DefaultScheme(c.Leaf.PublicKey)
	if err != nil {
		return nil, err
	}
	return softcard.FromKey(key, c.Certificate, scheme)
}

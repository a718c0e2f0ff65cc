package transporttest

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"math/big"
	"sync"
	"time"
)

// Certificate returns a self-made P-256 certificate, the same at every call.
var Certificate = sync.OnceValue(func() tls.Certificate { return NewCertificate("relay.test") })

// NewCertificate makes a certificate for a name, valid from 1990 to 2100.
func NewCertificate(name string) tls.Certificate {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		panic(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1),
		Subject:      pkix.Name{CommonName: name},
		DNSNames:     []string{name},
		NotBefore:    time.Date(1990, 1, 1, 0, 0, 0, 0, time.UTC),
		NotAfter:     time.Date(2100, 1, 1, 0, 0, 0, 0, time.UTC),
		KeyUsage:     x509.KeyUsageDigitalSignature,
		ExtKeyUsage:  []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		panic(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

// ErrNotPinned is what Trust says about any other certificate.
var ErrNotPinned = errors.New("not the certificate that the test trusts")

// Trust returns a transport.ClientConfig.VerifyServer that accepts one certificate.
func Trust(c tls.Certificate) func(chain [][]byte) error {
	return func(chain [][]byte) error {
		if len(chain) == 0 || !bytes.Equal(chain[0], c.Certificate[0]) {
			return ErrNotPinned
		}
		return nil
	}
}

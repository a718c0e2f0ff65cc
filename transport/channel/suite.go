package channel

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/ecdh"
	"crypto/mlkem"
	"crypto/rand"
	"crypto/sha256"
	"crypto/sha512"
	"hash"

	"golang.org/x/crypto/chacha20poly1305"

	"sinete/wire"
)

// parameters are a row of protocol.md section 3.1.
type parameters struct {
	group  wire.Group
	keyLen int
	aead   func(key []byte) (cipher.AEAD, error)
	hash   func() hash.Hash
}

var suites = map[wire.Suite]parameters{
	wire.SuiteX25519MLKEM768AES256GCM: {wire.GroupX25519MLKEM768, 32, newGCM, sha512.New384},
	wire.SuiteX25519MLKEM768ChaCha20:  {wire.GroupX25519MLKEM768, 32, chacha20poly1305.New, sha256.New},
	wire.SuiteX25519AES256GCM:         {wire.GroupX25519, 32, newGCM, sha256.New},
	wire.SuiteX25519ChaCha20:          {wire.GroupX25519, 32, chacha20poly1305.New, sha256.New},
	wire.SuiteP256AES128GCM:           {wire.GroupP256, 16, newGCM, sha256.New},
}

// Suites lists all suites, best first.
func Suites() []wire.Suite {
	return []wire.Suite{wire.SuiteX25519MLKEM768AES256GCM, wire.SuiteX25519MLKEM768ChaCha20, wire.SuiteX25519AES256GCM,
		wire.SuiteX25519ChaCha20, wire.SuiteP256AES128GCM}
}

func newGCM(key []byte) (cipher.AEAD, error) {
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	return cipher.NewGCM(block)
}

const (
	encapsulationKeyLen = mlkem.EncapsulationKeySize768
	ciphertextLen       = mlkem.CiphertextSize768
)

// keyShare is the initiator's secret behind one share of its hello.
type keyShare struct {
	group wire.Group
	ec    *ecdh.PrivateKey
	kem   *mlkem.DecapsulationKey768 // hybrid group only
}

func curve(g wire.Group) ecdh.Curve {
	if g == wire.GroupP256 {
		return ecdh.P256()
	}
	return ecdh.X25519()
}

func newKeyShare(g wire.Group) (*keyShare, error) {
	k := &keyShare{group: g}
	var err error
	if k.ec, err = curve(g).GenerateKey(rand.Reader); err != nil {
		return nil, err
	}
	if g == wire.GroupX25519MLKEM768 {
		k.kem, err = mlkem.GenerateKey768()
	}
	return k, err
}

func (k *keyShare) share() wire.Share {
	var b []byte
	if k.kem != nil {
		b = k.kem.EncapsulationKey().Bytes()
	}
	return wire.Share{Group: k.group, Data: append(b, k.ec.PublicKey().Bytes()...)}
}

// finish computes the shared secret from the responder's share.
func (k *keyShare) finish(data []byte) ([]byte, error) {
	var kem []byte
	if k.kem != nil {
		if len(data) < ciphertextLen {
			return nil, errShare
		}
		var err error
		if kem, err = k.kem.Decapsulate(data[:ciphertextLen]); err != nil {
			return nil, errShare
		}
		data = data[ciphertextLen:]
	}
	return withECDH(kem, k.ec, data)
}

// answerShare makes the responder's share for the initiator's, and the shared secret.
func answerShare(s wire.Share) (wire.Share, []byte, error) {
	ec, err := curve(s.Group).GenerateKey(rand.Reader)
	if err != nil {
		return wire.Share{}, nil, err
	}
	var answer, kem []byte
	data := s.Data
	if s.Group == wire.GroupX25519MLKEM768 {
		if len(data) < encapsulationKeyLen {
			return wire.Share{}, nil, errShare
		}
		ek, err := mlkem.NewEncapsulationKey768(data[:encapsulationKeyLen])
		if err != nil {
			return wire.Share{}, nil, errShare
		}
		kem, answer = ek.Encapsulate()
		data = data[encapsulationKeyLen:]
	}
	secret, err := withECDH(kem, ec, data)
	if err != nil {
		return wire.Share{}, nil, err
	}
	return wire.Share{Group: s.Group, Data: append(answer, ec.PublicKey().Bytes()...)}, secret, nil
}

// withECDH is ML-KEM's secret, if any, then that of the curve. It erases both where they were.
func withECDH(kem []byte, own *ecdh.PrivateKey, other []byte) ([]byte, error) {
	defer clear(kem)
	pub, err := own.Curve().NewPublicKey(other)
	if err != nil {
		return nil, errShare
	}
	s, err := own.ECDH(pub) // refuses the all-zero result of low-order points
	if err != nil {
		return nil, errShare
	}
	defer clear(s)
	return append(append(make([]byte, 0, len(kem)+len(s)), kem...), s...), nil
}

var errShare = wire.Errorf(wire.CodeAuthenticationFailed, "a key share that is no valid key of its group")

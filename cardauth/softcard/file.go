package softcard

import (
	"context"
	"crypto"
	"crypto/cipher"
	"crypto/rand"
	"crypto/x509"
	"encoding/binary"
	"encoding/hex"
	"encoding/pem"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"

	"golang.org/x/crypto/argon2"
	"golang.org/x/crypto/chacha20poly1305"

	"sinete/cardauth"
	"sinete/wire"
)

// A soft card is a file of PEM blocks: one blockType with these headers and, as its bytes, the key (PKCS #8) encrypted with
// XChaCha20-Poly1305 under argon2id(PIN, salt); then the certificates, the person's first.
//
//	Version  1
//	Scheme   TLS SignatureScheme, decimal
//	Memory   argon2id's, KiB
//	Time     argon2id's passes
//	Salt     16 bytes, hexadecimal
//	Nonce    24 bytes, hexadecimal
//
// Associated data is all of that and the certificates (header.associated): whoever cannot decrypt the key cannot give it
// another certificate or scheme either.
const blockType = "SINETE SOFT CARD KEY"

const (
	maxFile   = 64 << 10
	maxMemory = 1 << 20 // KiB: more than this is an attack on who opens the file
	maxTime   = 16
	maxAsks   = 3
	saltSize  = 16
)

// Options of Create; the zero value is what people should have.
type Options struct {
	Scheme wire.Scheme // 0: the key's default
	Memory uint32      // of argon2id, KiB; 64 MiB if 0
	Time   uint32      // of argon2id, passes; 1 if 0
}

// FormatError says that a file is no soft card of a version known here.
type FormatError struct{ Path, Reason string }

func (e *FormatError) Error() string { return fmt.Sprintf("%s is no soft card: %s", e.Path, e.Reason) }

type header struct {
	scheme       wire.Scheme
	memory, time uint32
	salt, nonce  []byte
}

func (h *header) associated(chain [][]byte) []byte {
	b := []byte("sinete soft card 1\x00")
	b = binary.BigEndian.AppendUint16(b, uint16(h.scheme))
	b = binary.BigEndian.AppendUint32(b, h.memory)
	b = binary.BigEndian.AppendUint32(b, h.time)
	for _, v := range append([][]byte{h.salt, h.nonce}, chain...) {
		b = wire.AppendLen32(b, v)
	}
	return b
}

// sealed returns the key's encryption under the PIN; unsealed is its reverse.
func (h *header) sealed(pin string, chain [][]byte, key []byte) ([]byte, error) {
	aead, err := h.cipher(pin)
	if err != nil {
		return nil, err
	}
	return aead.Seal(nil, h.nonce, key, h.associated(chain)), nil
}

func (h *header) unsealed(pin string, chain [][]byte, box []byte) ([]byte, error) {
	aead, err := h.cipher(pin)
	if err != nil {
		return nil, err
	}
	return aead.Open(nil, h.nonce, box, h.associated(chain))
}

func (h *header) cipher(pin string) (cipher.AEAD, error) {
	password := []byte(pin)
	defer clear(password)
	key := argon2.IDKey(password, h.salt, h.time, h.memory, 1, chacha20poly1305.KeySize)
	defer clear(key)
	return chacha20poly1305.NewX(key)
}

// Create writes a soft card, readable by its owner alone, in the place of whatever was at path. The chain is as FromKey
// takes it, 8 KiB a certificate at most.
func Create(path string, key crypto.Signer, chain [][]byte, pin string, o Options) error {
	c, err := FromKey(key, chain, o.Scheme)
	if err != nil {
		return err
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return fmt.Errorf("softcard: %w", err)
	}
	defer clear(der)
	h := header{scheme: c.scheme, memory: o.Memory, time: o.Time, salt: make([]byte, saltSize), nonce: make([]byte, chacha20poly1305.NonceSizeX)}
	if h.memory == 0 {
		h.memory = 64 << 10
	}
	if h.time == 0 {
		h.time = 1
	}
	if h.memory > maxMemory || h.time > maxTime {
		return fmt.Errorf("softcard: argon2id with %d KiB and %d passes is beyond %d and %d", h.memory, h.time, maxMemory, maxTime)
	}
	rand.Read(h.salt)
	rand.Read(h.nonce)
	box, err := h.sealed(pin, chain, der)
	if err != nil {
		return err
	}
	b := pem.EncodeToMemory(&pem.Block{Type: blockType, Bytes: box, Headers: map[string]string{
		"Version": "1",
		"Scheme":  strconv.Itoa(int(h.scheme)),
		"Memory":  strconv.Itoa(int(h.memory)),
		"Time":    strconv.Itoa(int(h.time)),
		"Salt":    hex.EncodeToString(h.salt),
		"Nonce":   hex.EncodeToString(h.nonce),
	}})
	for _, cert := range chain {
		b = append(b, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert})...)
	}
	if _, _, _, err := parse(path, b); err != nil {
		return err // rather than a file that nobody could open
	}
	return replaceFile(path, b)
}

// replaceFile lets nobody see half a card, and a crash leaves the old one or the new.
func replaceFile(path string, b []byte) error {
	f, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+"-")
	if err != nil {
		return err
	}
	defer os.Remove(f.Name())
	_, err = f.Write(b)
	if err == nil {
		err = f.Sync()
	}
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	if err != nil {
		return err
	}
	return os.Rename(f.Name(), path)
}

// Open reads a soft card and asks for its PIN, three times at most; after that the error is a cardauth.PINError. A file
// that is none is a FormatError.
func Open(ctx context.Context, path string, prompt cardauth.Prompt) (*Card, error) {
	h, box, chain, err := read(path)
	if err != nil {
		return nil, err
	}
	name := filepath.Base(path)
	for ask := range maxAsks {
		pin, err := prompt(ctx, cardauth.PINRequest{Card: name, Tries: maxAsks - ask, Wrong: ask > 0})
		if err != nil {
			return nil, err
		}
		der, err := h.unsealed(pin, chain, box)
		if err != nil {
			continue
		}
		key, err := x509.ParsePKCS8PrivateKey(der)
		clear(der)
		if err != nil {
			return nil, &FormatError{path, err.Error()}
		}
		signer, ok := key.(crypto.Signer)
		if !ok {
			return nil, &FormatError{path, "a key that cannot sign"}
		}
		return FromKey(signer, chain, h.scheme)
	}
	return nil, &cardauth.PINError{Card: name}
}

// Chain reads the certificates of a soft card, DER, the person's first. It needs no PIN, so that nobody has vouched for them:
// they show what is in the file. A file that is none is a FormatError.
func Chain(path string) ([][]byte, error) {
	_, _, chain, err := read(path)
	return chain, err
}

func read(path string) (h header, box []byte, chain [][]byte, err error) {
	f, err := os.Open(path)
	if err != nil {
		return header{}, nil, nil, err
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err != nil {
		return header{}, nil, nil, err
	}
	return parse(path, b)
}

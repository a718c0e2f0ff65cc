package softcard

import (
	"bytes"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"testing"

	"golang.org/x/crypto/chacha20poly1305"

	"sinete/internal/trialpki"
	"sinete/wire"
)

// Whatever a card file holds: it is no card, or one whose numbers keep to their limits before anybody computes with them.
func FuzzParse(f *testing.F) {
	card := written(f)
	head, tail, found := bytes.Cut(card, []byte("-----BEGIN CERTIFICATE"))
	if !found {
		f.Fatal("no seeds")
	}
	tail = append([]byte("-----BEGIN CERTIFICATE"), tail...)
	small := encode(header{wire.SchemeP256, 64, 1, make([]byte, saltSize), make([]byte, chacha20poly1305.NonceSizeX)}, []byte("box"), [][]byte{{1}})
	for _, b := range [][]byte{
		small, card, head, tail, nil, slices.Concat(tail, head), slices.Concat(head, card), slices.Concat(card, tail, tail, tail, tail, tail, tail),
		slices.Concat([]byte("\n\n "), card, []byte("\n")), slices.Concat(card, []byte("x")),
		bytes.Replace(card, []byte("Memory: 64"), []byte("Memory: 4294967295"), 1),
		bytes.Replace(card, []byte("Version: 1"), []byte("Version: 2"), 1),
		bytes.ReplaceAll(card, []byte("\n"), []byte("\r\n")),
	} {
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		h, box, chain, err := parse("card", b)
		if err != nil {
			var format *FormatError
			if !errors.As(err, &format) || format.Path != "card" || format.Reason == "" {
				t.Fatal(err)
			}
			return
		}
		if h.memory < 8 || h.memory > maxMemory || h.time < 1 || h.time > maxTime || h.scheme == 0 ||
			len(h.salt) != saltSize || len(h.nonce) != chacha20poly1305.NonceSizeX {
			t.Fatalf("%+v", h)
		}
		if len(chain) < 1 || len(chain) > wire.MaxChain || slices.ContainsFunc(chain, func(der []byte) bool { return len(der) > wire.MaxCertificate }) {
			t.Fatalf("%d certificates", len(chain))
		}
		h2, box2, chain2, err := parse("card", encode(h, box, chain))
		if err != nil || !bytes.Equal(box, box2) || !bytes.Equal(h.associated(chain), h2.associated(chain2)) {
			t.Fatalf("written again, it is another card: %v", err)
		}
	})
}

func encode(h header, box []byte, chain [][]byte) []byte {
	b := pem.EncodeToMemory(&pem.Block{Type: blockType, Bytes: box, Headers: map[string]string{
		"Version": "1", "Scheme": strconv.Itoa(int(h.scheme)), "Memory": strconv.Itoa(int(h.memory)), "Time": strconv.Itoa(int(h.time)),
		"Salt": hex.EncodeToString(h.salt), "Nonce": hex.EncodeToString(h.nonce)}})
	for _, der := range chain {
		b = append(b, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})...)
	}
	return b
}

// written is a card as Create writes it.
func written(f *testing.F) []byte {
	w, err := trialpki.New(trialpki.Options{})
	if err != nil {
		f.Fatal(err)
	}
	person, err := w.IssuePerson(trialpki.Person{Name: "ana"})
	if err != nil {
		f.Fatal(err)
	}
	path := filepath.Join(f.TempDir(), "card")
	if err := Create(path, person.Key, person.Chain, "1234", Options{Memory: 64}); err != nil {
		f.Fatal(err)
	}
	b, err := os.ReadFile(path)
	if err != nil {
		f.Fatal(err)
	}
	return b
}

package seal_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"

	"pgregory.net/rapid"

	"sinete/cardauth/seal"
	"sinete/wire"
)

var schemes = []wire.Scheme{wire.SchemeRSAPKCS1, wire.SchemeRSAPSS, wire.SchemeP256, wire.SchemeP384, wire.SchemeEd25519}

// sealed makes one batch of n heads and returns their seals. The statement of i is head(i).
func sealed(t testing.TB, key *testKey, n int) []wire.Seal {
	t.Helper()
	s := seal.NewSealer(key, testDigest, seal.Config{})
	defer s.Close()
	seals, err := s.Seal(context.Background(), "", func() (batch []seal.Statement) {
		for i := range n {
			batch = append(batch, seal.Statement{Purpose: wire.PurposeHead, Bytes: head(i)})
		}
		return batch
	})
	if err != nil {
		t.Fatal(err)
	}
	return seals
}

func head(i int) []byte { return fmt.Appendf(nil, "head %d", i) }

// refused checks that err is what a seal that is not right gives.
func refused(t testing.TB, what string, err error) {
	t.Helper()
	var v *seal.VerifyError
	if !errors.As(err, &v) || wire.CodeOf(err) != wire.CodeIntegrity {
		t.Errorf("%s: got %v", what, err)
	}
}

func TestEveryScheme(t *testing.T) {
	for _, scheme := range schemes {
		t.Run(scheme.String(), func(t *testing.T) {
			key := newKey(t, scheme)
			for _, n := range []int{1, 3} {
				for i, sl := range sealed(t, key, n) {
					if err := seal.NewVerifier(0).Verify(key.signer(), wire.PurposeHead, head(i), sl); err != nil {
						t.Error(err)
					}
				}
			}
		})
	}
}

func TestSchemeMustFitTheKey(t *testing.T) {
	rsaKey := func(bits int) *rsa.PublicKey {
		k, err := rsa.GenerateKey(rand.Reader, bits)
		if err != nil {
			t.Fatal(err)
		}
		return &k.PublicKey
	}
	ecKey := func(c elliptic.Curve) *ecdsa.PublicKey {
		k, err := ecdsa.GenerateKey(c, rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		return &k.PublicKey
	}
	long := rsaKey(2048)
	long.N.Lsh(long.N, 4096-2048+1) // no key of anybody's, but of the length that matters
	for _, c := range []struct {
		name string
		key  any
		fits []wire.Scheme
	}{
		{"RSA-2048", rsaKey(2048), []wire.Scheme{wire.SchemeRSAPKCS1, wire.SchemeRSAPSS}},
		{"RSA-1024", rsaKey(1024), nil},
		{"RSA of 4,097 bits", long, nil},
		{"P-256", ecKey(elliptic.P256()), []wire.Scheme{wire.SchemeP256}},
		{"P-384", ecKey(elliptic.P384()), []wire.Scheme{wire.SchemeP384}},
		{"P-521", ecKey(elliptic.P521()), nil},
		{"Ed25519", ed25519.PublicKey(make([]byte, 32)), []wire.Scheme{wire.SchemeEd25519}},
		{"a short Ed25519 key", ed25519.PublicKey(make([]byte, 31)), nil},
		{"no key", nil, nil},
		{"something else", "key", nil},
	} {
		for _, scheme := range append(schemes, 0, 0x0203) {
			err := seal.CheckKey(c.key, scheme)
			if fits := slices.Contains(c.fits, scheme); fits && err != nil {
				t.Errorf("%s with %v: %v", c.name, scheme, err)
			} else if !fits {
				refused(t, fmt.Sprintf("%s with %v", c.name, scheme), err)
				refused(t, fmt.Sprintf("%s with %v", c.name, scheme),
					seal.VerifySignature(c.key, scheme, []byte("m"), make([]byte, 64)))
				refused(t, fmt.Sprintf("%s with %v", c.name, scheme),
					seal.NewVerifier(1).Verify(seal.Signer{Key: c.key, Scheme: scheme}, wire.PurposeHead, nil,
						wire.Seal{Scheme: scheme, Leaves: 1, Signature: make([]byte, 64)}))
			}
		}
	}
}

// forgeries are all the ways in which a right seal of head(2) in a batch of 5 is made wrong.
func forgeries(key *testKey, seals []wire.Seal) map[string]func(v *seal.Verifier) error {
	type attempt struct {
		signer    seal.Signer
		purpose   wire.Purpose
		statement []byte
		seal      wire.Seal
	}
	change := func(f func(a *attempt)) func(v *seal.Verifier) error {
		a := attempt{key.signer(), wire.PurposeHead, head(2), seals[2]}
		a.seal.Path = slices.Clone(a.seal.Path)
		a.seal.Signature = slices.Clone(a.seal.Signature)
		f(&a)
		return func(v *seal.Verifier) error { return v.Verify(a.signer, a.purpose, a.statement, a.seal) }
	}
	return map[string]func(v *seal.Verifier) error{
		"another statement":     change(func(a *attempt) { a.statement = head(3) }),
		"another purpose":       change(func(a *attempt) { a.purpose = wire.PurposeResponder }),
		"another signer":        change(func(a *attempt) { a.signer.Digest[31] ^= 1 }),
		"another scheme":        change(func(a *attempt) { a.seal.Scheme = wire.SchemeP384 }),
		"another scheme pinned": change(func(a *attempt) { a.signer.Scheme = wire.SchemeP384 }),
		"changed salt":          change(func(a *attempt) { a.seal.Salt[0] ^= 1 }),
		"changed time":          change(func(a *attempt) { a.seal.Time++ }),
		"changed path":          change(func(a *attempt) { a.seal.Path[1][7] ^= 0x80 }),
		"path of a batch-mate":  change(func(a *attempt) { a.seal.Path = seals[3].Path }),
		"place of a batch-mate": change(func(a *attempt) { a.seal.Path, a.seal.Index = seals[3].Path, 3 }),
		"short path":            change(func(a *attempt) { a.seal.Path = a.seal.Path[:2] }),
		"short path, half the leaves": change(func(a *attempt) {
			a.seal.Path, a.seal.Leaves = a.seal.Path[:2], 4
		}),
		"long path":           change(func(a *attempt) { a.seal.Path = append(a.seal.Path, [32]byte{}) }),
		"no path":             change(func(a *attempt) { a.seal.Path, a.seal.Leaves, a.seal.Index = nil, 1, 0 }),
		"index beyond leaves": change(func(a *attempt) { a.seal.Index += 8 }),
		"no leaves":           change(func(a *attempt) { a.seal.Leaves = 0 }),
		"leaves no power of two": change(func(a *attempt) {
			a.seal.Leaves = 9
		}),
		"too many leaves": change(func(a *attempt) {
			a.seal.Leaves, a.seal.Path = 1<<17, make([][32]byte, 17)
		}),
		"no signature":    change(func(a *attempt) { a.seal.Signature = nil }),
		"short signature": change(func(a *attempt) { a.seal.Signature = a.seal.Signature[:63] }),
		"long signature":  change(func(a *attempt) { a.seal.Signature = append(a.seal.Signature, 0) }),
		"purpose not delegated": change(func(a *attempt) {
			a.signer.Delegation = &wire.Delegation{Purposes: 1 << wire.PurposeInitiator, NotAfter: a.seal.Time}
		}),
		"after the delegation's end": change(func(a *attempt) {
			a.signer.Delegation = &wire.Delegation{Purposes: 1 << wire.PurposeHead, NotAfter: a.seal.Time - 1}
		}),
		"a node of the tree as the leaf": change(func(a *attempt) {
			// What the parent of leaf 2 hashes, offered as a statement with the rest of its path.
			left := seal.Leaf(wire.PurposeHead, seals[2].Salt, head(2))
			a.statement = append(append([]byte{1}, left[:]...), seals[2].Path[0][:]...)
			a.seal.Leaves, a.seal.Index, a.seal.Path = 4, 1, seals[2].Path[1:]
		}),
	}
}

func TestForgeriesRefused(t *testing.T) {
	key := newKey(t, wire.SchemeEd25519)
	seals := sealed(t, key, 5)
	for name, attempt := range forgeries(key, seals) {
		refused(t, name, attempt(seal.NewVerifier(0)))

		// A signature that is remembered must open no other door.
		v := seal.NewVerifier(100)
		if err := v.Verify(key.signer(), wire.PurposeHead, head(2), seals[2]); err != nil {
			t.Fatal(err)
		}
		refused(t, name+", remembered", attempt(v))
		if err := v.Verify(key.signer(), wire.PurposeHead, head(2), seals[2]); err != nil {
			t.Errorf("after %s the right seal was refused: %v", name, err)
		}
	}
}

func TestAnotherKeyRefused(t *testing.T) {
	for _, scheme := range schemes {
		key, other := newKey(t, scheme), newKey(t, scheme)
		sl := sealed(t, key, 1)[0]
		v := seal.NewVerifier(10)
		if err := v.Verify(key.signer(), wire.PurposeHead, head(0), sl); err != nil {
			t.Fatal(err)
		}
		refused(t, scheme.String(), v.Verify(other.signer(), wire.PurposeHead, head(0), sl))
	}
}

// A path is worth nothing in another batch of the same signer, even for the same statement.
func TestMovedPathRefused(t *testing.T) {
	key := newKey(t, wire.SchemeEd25519)
	a, b := sealed(t, key, 4)[1], sealed(t, key, 4)[1]
	a.Signature, a.Time = b.Signature, b.Time
	refused(t, "moved path", seal.NewVerifier(0).Verify(key.signer(), wire.PurposeHead, head(1), a))
}

func TestEveryBitCounts(t *testing.T) {
	for _, scheme := range []wire.Scheme{wire.SchemeEd25519, wire.SchemeP256, wire.SchemeRSAPKCS1} {
		key := newKey(t, scheme)
		right := sealed(t, key, 3)[2]
		v := seal.NewVerifier(10)
		if err := v.Verify(key.signer(), wire.PurposeHead, head(2), right); err != nil {
			t.Fatal(err)
		}
		encoded := right.Append(nil)
		for bit := range len(encoded) * 8 {
			b := slices.Clone(encoded)
			b[bit/8] ^= 1 << (bit % 8)
			sl, err := wire.ParseSeal(b)
			if err != nil {
				continue
			}
			if v.Verify(key.signer(), wire.PurposeHead, head(2), sl) == nil {
				t.Errorf("%v: bit %d of %d flipped and nobody noticed", scheme, bit, len(encoded)*8)
			}
		}
	}
}

func TestEveryPathVerifies(t *testing.T) {
	key := newKey(t, wire.SchemeEd25519)
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(1, 300).Draw(t, "statements")
		s := seal.NewSealer(key, testDigest, seal.Config{})
		defer s.Close()
		seals, err := s.Seal(context.Background(), "", func() (batch []seal.Statement) {
			for i := range n {
				batch = append(batch, seal.Statement{Purpose: wire.PurposeHead, Bytes: head(i)})
			}
			return batch
		})
		if err != nil || len(seals) != n {
			t.Fatalf("%d seals of %d, %v", len(seals), n, err)
		}
		v := seal.NewVerifier(4)
		for i, sl := range seals {
			if int(sl.Leaves) != seal.PaddedLeaves(n) {
				t.Fatalf("%d leaves for %d statements", sl.Leaves, n)
			}
			if err := v.Verify(key.signer(), wire.PurposeHead, head(i), sl); err != nil {
				t.Fatalf("statement %d: %v", i, err)
			}
		}
	})
}

// Equal statements look different in every batch, and so do their paths.
func TestLeavesAreSalted(t *testing.T) {
	key := newKey(t, wire.SchemeEd25519)
	a, b := sealed(t, key, 3), sealed(t, key, 3)
	for i := range a {
		if a[i].Salt == b[i].Salt || a[i].Path[0] == b[i].Path[0] {
			t.Errorf("statement %d: a salt or a path twice", i)
		}
		if i > 0 && a[i].Salt == a[i-1].Salt {
			t.Errorf("statement %d: the salt of its neighbour", i)
		}
	}
	if a[2].Path[0] == ([32]byte{}) {
		t.Error("padding that is not random")
	}
}

func TestVerifierIsSafeForConcurrentUse(t *testing.T) {
	key := newKey(t, wire.SchemeEd25519)
	batches := [][]wire.Seal{sealed(t, key, 4), sealed(t, key, 4), sealed(t, key, 4)}
	v := seal.NewVerifier(2)
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for i := range 60 {
				if err := v.Verify(key.signer(), wire.PurposeHead, head(i%4), batches[i%3][i%4]); err != nil {
					t.Error(err)
				}
				if i%10 == 0 {
					v.Forget(testDigest)
				}
			}
		})
	}
	wg.Wait()
}

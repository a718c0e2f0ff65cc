package seal_test

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"fmt"
	"testing"

	"sinete/cardauth/seal"
	"sinete/wire"
)

func BenchmarkMerkle(b *testing.B) {
	for _, n := range []int{1, 16, 256, 4096} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			leaves := make([][32]byte, n)
			b.ReportAllocs()
			for b.Loop() {
				tree := seal.NewTree(leaves)
				paths := make([][32]byte, 0, n*tree.Height())
				for i := range leaves {
					paths = tree.AppendPath(paths, i)
				}
			}
		})
	}
}

// benchKeys are all kinds of keys that seal.
func benchKeys(b *testing.B) map[string]*testKey {
	rsa3072, err := rsa.GenerateKey(rand.Reader, 3072)
	if err != nil {
		b.Fatal(err)
	}
	return map[string]*testKey{
		"p256": newKey(b, wire.SchemeP256), "p384": newKey(b, wire.SchemeP384), "ed25519": newKey(b, wire.SchemeEd25519),
		"rsa2048": newKey(b, wire.SchemeRSAPKCS1), "rsa2048-pss": newKey(b, wire.SchemeRSAPSS),
		"rsa3072": {private: rsa3072, scheme: wire.SchemeRSAPKCS1},
	}
}

func BenchmarkSealer(b *testing.B) {
	for name, key := range benchKeys(b) {
		for _, callers := range []int{1, 64, 1024} {
			b.Run(fmt.Sprintf("%s/%d", name, callers), func(b *testing.B) {
				key.software = true
				s := seal.NewSealer(key, testDigest, seal.Config{})
				defer s.Close()
				b.ReportAllocs()
				b.SetParallelism(max(1, callers/2))
				prepare := statements("a head")
				b.RunParallel(func(pb *testing.PB) {
					for pb.Next() {
						if _, err := s.Seal(context.Background(), "", prepare); err != nil {
							b.Error(err)
						}
					}
				})
				b.ReportMetric(float64(s.Signatures())/float64(b.N), "signatures/op")
			})
		}
	}
}

func BenchmarkVerify(b *testing.B) {
	for name, key := range benchKeys(b) {
		for how, remember := range map[string]int{"cold": 0, "remembered": 1024} {
			b.Run(name+"/"+how, func(b *testing.B) {
				sl := sealed(b, key, 64)[13]
				v := seal.NewVerifier(remember)
				signer := key.signer()
				statement := head(13)
				b.ReportAllocs()
				for b.Loop() {
					if err := v.Verify(signer, wire.PurposeHead, statement, sl); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}

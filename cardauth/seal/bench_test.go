package seal_test

import (
	"context"
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

func BenchmarkSealer(b *testing.B) {
	for _, scheme := range []wire.Scheme{wire.SchemeP256, wire.SchemeP384, wire.SchemeRSAPKCS1, wire.SchemeEd25519} {
		for _, callers := range []int{1, 64, 1024} {
			b.Run(fmt.Sprintf("%v/%d", scheme, callers), func(b *testing.B) {
				key := newKey(b, scheme)
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
	for _, scheme := range []wire.Scheme{wire.SchemeP256, wire.SchemeP384, wire.SchemeRSAPKCS1, wire.SchemeEd25519} {
		for name, remember := range map[string]int{"cold": 0, "remembered": 1024} {
			b.Run(fmt.Sprintf("%v/%s", scheme, name), func(b *testing.B) {
				key := newKey(b, scheme)
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

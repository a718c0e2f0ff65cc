//go:build cgo

package pkcs11card

import (
	"testing"

	"sinete/internal/trialpki"
	"sinete/wire"
)

// What a signature costs through the child process, the module's own work and the verification with it.
func BenchmarkSealRoot(b *testing.B) {
	for _, k := range kinds {
		b.Run(k.token, func(b *testing.B) {
			r := k.request
			r.Issue = issueTo(trialpki.Person{Name: "ana"})
			u, err := Store(b.Context(), uri(k.token), right, r)
			if err != nil {
				b.Fatal(err)
			}
			c, err := Open(b.Context(), u, right)
			if err != nil {
				b.Fatal(err)
			}
			defer c.Close()
			for b.Loop() {
				if _, err := c.SealRoot(b.Context(), wire.SealInput{Leaves: 1}); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

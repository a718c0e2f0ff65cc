//go:build !cgo

package pkcs11card

import (
	"errors"
	"testing"
)

func TestWithoutCgo(t *testing.T) {
	const uri = "pkcs11:?module-path=/x.so"
	_, list := List([]string{"/x.so"})
	_, open := Open(t.Context(), uri, nil)
	_, store := Store(t.Context(), uri, nil, StoreRequest{})
	for _, err := range []error{list, open, store} {
		var e *UnsupportedError
		if !errors.As(err, &e) {
			t.Errorf("got %v", err)
		}
	}
}

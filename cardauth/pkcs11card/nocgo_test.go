//go:build !cgo

package pkcs11card

import (
	"errors"
	"testing"
)

func TestWithoutCgo(t *testing.T) {
	_, list := List(nil)
	_, open := Open(t.Context(), "pkcs11:", nil)
	_, store := Store(t.Context(), "pkcs11:", nil, StoreRequest{})
	for _, err := range []error{list, open, store} {
		var e *UnsupportedError
		if !errors.As(err, &e) {
			t.Errorf("got %v", err)
		}
	}
}

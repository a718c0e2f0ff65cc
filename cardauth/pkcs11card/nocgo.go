//go:build !cgo

package pkcs11card

import (
	"context"

	"sinete/cardauth"
)

var errNoCgo = &UnsupportedError{"this program was built without cgo and cannot load PKCS #11 modules"}

// List needs cgo.
func List([]string) ([]Token, error) { return nil, errNoCgo }

// Open needs cgo.
func Open(context.Context, string, cardauth.Prompt) (cardauth.Card, error) { return nil, errNoCgo }

// Store needs cgo.
func Store(context.Context, string, cardauth.Prompt, StoreRequest) (string, error) {
	return "", errNoCgo
}

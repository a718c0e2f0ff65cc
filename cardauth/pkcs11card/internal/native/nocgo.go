//go:build !cgo

// Package native makes the calls to a PKCS #11 module. This program was built without cgo and has none.
package native

import "sinete/cardauth/pkcs11card/internal/cryptoki"

// Module is never there.
type Module struct{}

// Load needs cgo.
func Load(string) (*Module, *cryptoki.Fault) {
	return nil, &cryptoki.Fault{Call: "dlopen", Text: "this program was built without cgo"}
}

// Close does nothing.
func (*Module) Close() {}

// Do is never called.
func (*Module) Do(*cryptoki.Request) *cryptoki.Response { return &cryptoki.Response{} }

// Built reports whether this program can load modules.
const Built = false

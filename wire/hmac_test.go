package wire

import (
	"crypto/hmac"
	"crypto/sha256"
	"testing"
)

func TestHMACIsThatOfTheLibrary(t *testing.T) {
	for n := range 2100 { // beyond what fits the stack
		key, message := data32("key"), data("message", n)
		library := hmac.New(sha256.New, key[:])
		library.Write(message)
		if got := HMAC(&key, message[:n/3], message[n/3:]); [32]byte(library.Sum(nil)) != got {
			t.Fatalf("%d bytes: %x", n, got)
		}
	}
}

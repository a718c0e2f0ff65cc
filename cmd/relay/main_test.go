package main

import (
	"os"
	"testing"

	"sinete/cardauth/pkcs11card"
)

func TestMain(m *testing.M) {
	pkcs11card.ChildMain() // the tests are the program that a PKCS #11 module's child process is made of
	os.Exit(m.Run())
}

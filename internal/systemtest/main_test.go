package systemtest

import (
	"os"
	"testing"

	"sinete/cardauth/pkcs11card"
)

func TestMain(m *testing.M) {
	pkcs11card.ChildMain()
	os.Exit(m.Run())
}

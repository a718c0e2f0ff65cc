package systemtest

import (
	"os"
	"testing"

	"sinete/cardauth/pkcs11card"
	"sinete/internal/vcard/reader"
)

func TestMain(m *testing.M) {
	pkcs11card.ChildMain()
	os.Exit(reader.Main(m))
}

package peer

import (
	"bytes"
	"encoding/hex"
	"net"
	"strings"
	"testing"
)

// A machine is the same each time, another one with another secret, and neither its secret nor an address stands in what people read.
func TestThisMachine(t *testing.T) {
	secret := bytes.Repeat([]byte{0xa5}, 32)
	m := ThisMachine(secret)
	if again := ThisMachine(secret); !bytes.Equal(m.Facts, again.Facts) || m.Description != again.Description {
		t.Errorf("%+v, then %+v", m, again)
	}
	other, bare := ThisMachine(bytes.Repeat([]byte{1}, 32)), ThisMachine(nil)
	if bytes.Equal(m.Facts, other.Facts) || bytes.Equal(m.Facts, bare.Facts) || !bytes.Contains(m.Facts, []byte(hex.EncodeToString(secret))) {
		t.Error("the secret does not stand among the facts")
	}
	if m.Description != other.Description || strings.Contains(m.Description, hex.EncodeToString(secret[:4])) {
		t.Errorf("described as %s", m.Description)
	}
	for _, a := range builtIn() {
		if address, err := net.ParseMAC(a); err != nil || address[0]&2 != 0 || strings.Contains(m.Description, a) {
			t.Errorf("%s, %v", a, err)
		}
	}
}

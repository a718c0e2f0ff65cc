//go:build cgo

package main

import (
	"os"
	"testing"
)

// Cards of SoftHSM2, by PKCS #11, and soft ones in turns.
func TestLoadSoftHSM(t *testing.T) {
	for _, key := range []string{"p256", "rsa2048"} {
		r, err := load(bounded(t), options(t, "-n", "200", "-window", "64", "-card", "softhsm", "-key", key), os.Stderr)
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range []*Figures{&r.Figures, r.Beside} {
			if err := f.faults(r.BesideName); err != nil || f.Received != 200 || f.Signatures == 0 {
				t.Errorf("%s: %.0f messages received, %.0f signatures: %v", key, f.Received, f.Signatures, err)
			}
		}
		if r.BesideName != "soft cards" {
			t.Errorf("beside it %q was measured", r.BesideName)
		}
	}
}

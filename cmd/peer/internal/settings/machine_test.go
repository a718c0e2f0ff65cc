package settings

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

func TestMachineSecret(t *testing.T) {
	config := t.TempDir()
	t.Setenv("XDG_CONFIG_HOME", config)
	usual := filepath.Join(config, "sinete", "machine")
	first, err := MachineSecret("")
	if err != nil || len(first) != 32 {
		t.Fatalf("%x, %v", first, err)
	}
	if info, err := os.Stat(usual); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info, err)
	}
	again, err := MachineSecret(usual)
	if err != nil || !bytes.Equal(again, first) {
		t.Errorf("%x after %x, %v", again, first, err)
	}
	other, err := MachineSecret(filepath.Join(config, "new folder", "file"))
	if err != nil || bytes.Equal(other, first) {
		t.Errorf("%x after %x, %v", other, first, err)
	}
	entries, err := os.ReadDir(filepath.Dir(usual))
	if err != nil || len(entries) != 1 {
		t.Errorf("%v, %v", entries, err)
	}
	for _, bad := range []string{"", "00", strings.Repeat("0", 63), strings.Repeat("0", 66), strings.Repeat("x", 64)} {
		if err := os.WriteFile(usual, []byte(bad), 0o600); err != nil {
			t.Fatal(err)
		}
		if secret, err := MachineSecret(""); err == nil {
			t.Errorf("%q is taken as %x", bad, secret)
		}
		if left, _ := os.ReadFile(usual); string(left) != bad {
			t.Errorf("%q was overwritten", bad)
		}
	}
	if _, err := MachineSecret(config); err == nil {
		t.Error("a folder is taken")
	}
}

// Programs that start at once have the same secret.
func TestMachineSecretAtOnce(t *testing.T) {
	file := filepath.Join(t.TempDir(), "machine")
	var secrets [8][]byte
	var all sync.WaitGroup
	for i := range secrets {
		all.Go(func() { secrets[i], _ = MachineSecret(file) })
	}
	all.Wait()
	for _, s := range secrets {
		if len(s) != 32 || !bytes.Equal(s, secrets[0]) {
			t.Fatalf("%x", secrets)
		}
	}
}

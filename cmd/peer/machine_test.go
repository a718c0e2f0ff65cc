package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"sinete/cmd/peer/internal/screen"
	"sinete/cmd/peer/internal/stores"
	"sinete/cmd/peer/internal/terminal"
	"sinete/cmd/peer/internal/trouble"
)

// The usual file may be missing, with a warning; one that was named may not.
func TestMachineFile(t *testing.T) {
	blocked := filepath.Join(t.TempDir(), "blocked")
	if err := os.WriteFile(blocked, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("XDG_CONFIG_HOME", blocked)
	for _, c := range []struct{ file, warning, code string }{
		{filepath.Join(t.TempDir(), "machine"), "", ""},
		{"", `{"event":"warning","code":"machine-file","text":"`, ""},
		{blocked, "", "machine-file"},
		{filepath.Join(blocked, "machine"), "", "machine-file"},
	} {
		var out strings.Builder
		m, err := (&chatCommand{Machine: stores.Given(c.file)}).thisMachine(screen.New(&terminal.Terminal{Stdout: &out}, true))
		if code := codeOf(err); code != c.code || (m == nil) != (err != nil) {
			t.Errorf("%q: %+v, %v", c.file, m, err)
		}
		if !strings.HasPrefix(out.String(), c.warning) || (out.Len() > 0) != (c.warning != "") {
			t.Errorf("%q shows %s", c.file, &out)
		}
	}
}

func codeOf(err error) string {
	if err == nil {
		return ""
	}
	return trouble.Explain(err).Code
}

package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// proveMessages has Alice make evidence of what she and Bruno said, and somebody else verify it, who has nothing but the file and the root's certificate.
func proveMessages(w *world) error {
	file, trust := filepath.Join(w.dir, "evidence.zip"), filepath.Join(w.dir, "trust")
	if _, err := run(w.path("peer"), "evidence", "export", "--store", w.store("alice"), "--with", "Bruno Araújo", "--all", "--trust", trust, file); err != nil {
		return err
	}
	out, err := run(w.path("peer"), "evidence", "verify", "--trust", trust, "--json", file)
	if err != nil {
		return err
	}
	if n := strings.Count(out, `"confirmed_at"`); n < 3 || !strings.Contains(out, `"state":"verified"`) {
		return fmt.Errorf("%w: %s", errJudged, out)
	}
	b, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	b[len(b)/2] ^= 1
	changed := filepath.Join(w.dir, "changed.zip")
	if err := os.WriteFile(changed, b, 0o600); err != nil {
		return err
	}
	if out, err := run(w.path("peer"), "evidence", "verify", "--trust", trust, "--json", changed); err == nil || !strings.Contains(out+err.Error(), "evidence-invalid") {
		return fmt.Errorf("%w: of changed evidence %s", errJudged, out)
	}
	return nil
}

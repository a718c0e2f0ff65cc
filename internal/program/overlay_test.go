package program

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// A program is built with what an overlay says, in a file that is there and in one that is not; and a place that is no longer there, or is
// there twice, is told.
func TestOverlay(t *testing.T) {
	root, dir := t.TempDir(), t.TempDir()
	for name, text := range map[string]string{"go.mod": "module one\n", "main.go": "package main\n\nfunc main() { print(one()); print(one()) }\n"} {
		if err := os.WriteFile(filepath.Join(root, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	added := filepath.Join(dir, "added")
	if err := os.WriteFile(added, []byte("package main\n\nfunc one() int { return 1 }\n\nfunc two() int { return 2 }\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, old := range []string{"print(one())", "print(two())"} {
		if _, err := Overlay(dir, root, []Change{{"main.go", old, "print(two())"}}, nil); err == nil || !strings.Contains(err.Error(), "main.go") {
			t.Errorf("%q is not there once, and that is told so: %v", old, err)
		}
	}
	overlay, err := Overlay(dir, root, []Change{{"main.go", "{ print(one());", "{ print(two());"}, {"main.go", "two()); print(one())", "two()); print(two())"}},
		map[string]string{"one.go": added})
	if err != nil {
		t.Fatal(err)
	}
	t.Chdir(root)
	if err := Build(dir, "-overlay", overlay, "."); err != nil {
		t.Fatal(err)
	}
	p, err := Command{Name: "one", Path: filepath.Join(dir, "one"), Patience: 1e10}.Start()
	if err != nil {
		t.Fatal(err)
	}
	if status, err := p.Wait(); err != nil || status != 0 || p.Stderr() != "22" {
		t.Errorf("it ends with %d, %v, and says %q", status, err, p.Stderr())
	}
}

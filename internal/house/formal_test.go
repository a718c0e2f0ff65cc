package house

import (
	"os"
	"path/filepath"
	"slices"
	"testing"

	"sinete/internal/formal"
)

// TestVerdicts: the table of verdicts in docs/security.md is what make formal checks, so nobody reads a promise there that no prover keeps.
func TestVerdicts(t *testing.T) {
	models, err := formal.LoadAll(os.DirFS(filepath.Join(root, "docs", "formal")))
	if err != nil {
		t.Fatal(err)
	}
	var want [][]string
	for _, m := range models {
		for _, row := range m.Table() {
			want = append(want, row.Cells())
		}
	}
	got := tableIn(t, "docs/security.md", "What has been proved")
	if len(want) < 10 || !slices.EqualFunc(got, want, slices.Equal) {
		t.Errorf("the table in docs/security.md is not what docs/formal says; go run ./internal/formal/prove -table docs/formal prints it\n%v\n%v", got, want)
	}
}

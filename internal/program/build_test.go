package program

import (
	"os"
	"path/filepath"
	"testing"
)

// A tree that belongs to somebody else, and flags that ask for the version control system's stamp, do not break a build.
func TestBuildUnderAnotherOwner(t *testing.T) {
	t.Setenv("GIT_TEST_ASSUME_DIFFERENT_OWNER", "1")
	t.Setenv("GOFLAGS", "-buildvcs=true")
	dir := filepath.Join(t.TempDir(), "bin")
	if err := Build(dir, "sinete/internal/demo"); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(dir, "demo")); err != nil {
		t.Error(err)
	}
	if Build(dir, "sinete/none") == nil {
		t.Error("a package that is not there was built")
	}
}

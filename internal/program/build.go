package program

import (
	"fmt"
	"os/exec"
	"path/filepath"
)

// Build builds programs into a folder, as tests want them. what is flags of go build and packages.
//
// Nobody reads a test's programs' version, and the stamp of the version control system fails where the tree belongs to somebody
// else, hence without it, whatever GOFLAGS says.
func Build(dir string, what ...string) error {
	args := append([]string{"build", "-buildvcs=false", "-o", dir + string(filepath.Separator)}, what...)
	if out, err := exec.Command("go", args...).CombinedOutput(); err != nil {
		return fmt.Errorf("go build %q: %w\n%s", what, err, out)
	}
	return nil
}

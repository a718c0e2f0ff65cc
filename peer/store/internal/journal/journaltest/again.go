package journaltest

import (
	"os"
	"os/exec"
	"testing"
)

const inner = "SINETE_TEST_AGAIN"

// Again returns a command that runs the calling test once more in a process of its own, in which Inner is true.
func Again(t *testing.T, wrapper ...string) *exec.Cmd {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	args := append(wrapper, self, "-test.run=^"+t.Name()+"$", "-test.count=1")
	cmd := exec.Command(args[0], args[1:]...)
	cmd.Env = append(os.Environ(), inner+"=1")
	return cmd
}

// Inner reports whether this is the process that Again started.
func Inner() bool { return os.Getenv(inner) != "" }

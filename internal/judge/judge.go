// Package judge is what tests of proofs share: somebody who has nothing but the files of a bundle, or of a fork proof.
package judge

import (
	"bytes"
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// Judge is a machine that has nothing but openssl, sha256sum and a shell.
type Judge struct {
	t     testing.TB
	path  string
	shell []string
}

// New is one with that shell, and the arguments that it is given first.
func New(t testing.TB, shell ...string) *Judge {
	t.Helper()
	j := &Judge{t, t.TempDir(), shell}
	for _, name := range []string{"openssl", "sha256sum", shell[0]} {
		program, err := exec.LookPath(name)
		if err == nil {
			err = os.Symlink(program, filepath.Join(j.path, name))
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	return j
}

// Folder writes files into a new one.
func (j *Judge) Folder(files map[string][]byte) (dir string) {
	j.t.Helper()
	dir = j.t.TempDir()
	for name, content := range files {
		if err := os.WriteFile(filepath.Join(dir, name), content, 0o600); err != nil {
			j.t.Fatal(err)
		}
	}
	return dir
}

// Run runs the script of a folder.
func (j *Judge) Run(dir string, arguments ...string) (status int, stdout, stderr string) {
	j.t.Helper()
	ctx, cancel := context.WithTimeout(j.t.Context(), time.Minute) // what was changed may wait for ever
	defer cancel()
	c := exec.CommandContext(ctx, filepath.Join(j.path, j.shell[0]), append(append(j.shell[1:len(j.shell):len(j.shell)], "verify.sh"), arguments...)...)
	c.WaitDelay = time.Second // its children may live on
	c.Dir, c.Env = dir, []string{"PATH=" + j.path}
	var out, err bytes.Buffer
	c.Stdout, c.Stderr = &out, &err
	var exit *exec.ExitError
	if e := c.Run(); e != nil && !errors.As(e, &exit) && ctx.Err() == nil {
		j.t.Fatal(e)
	}
	return c.ProcessState.ExitCode(), out.String(), err.String()
}

// In is the same judge for a part of a test.
func (j *Judge) In(t testing.TB) *Judge { return &Judge{t, j.path, j.shell} }

// Accepts wants the script to verify everything.
func (j *Judge) Accepts(dir string, arguments ...string) (words string) {
	j.t.Helper()
	status, stdout, stderr := j.Run(dir, arguments...)
	if status != 0 || !strings.Contains(stdout, "\nVERIFIED\n") || stderr != "" {
		j.t.Fatalf("status %d\n%s\n%s", status, stdout, stderr)
	}
	return stdout
}

// Refuses wants the script to say why.
func (j *Judge) Refuses(dir, why string, arguments ...string) {
	j.t.Helper()
	status, stdout, stderr := j.Run(dir, arguments...)
	if status != 1 || strings.Contains(stdout, "VERIFIED") || !strings.HasPrefix(stderr, "REFUSED: ") || !strings.Contains(stderr, why) {
		j.t.Errorf("status %d, %q where it should say %q", status, stderr, why)
	}
}

//go:build cgo && linux

package processtest

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// Output that goes to a full disk ends a program with status 1, and says why.
func TestFullOutput(t *testing.T) {
	t.Parallel()
	full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
	must(t, err)
	defer full.Close()
	for _, args := range [][]string{{"--help"}, {"doctor", "--card", soft("alice"), "--trust", filepath.Join(trial, "trust"), "--revocation", "off"}} {
		said := &strings.Builder{}
		c := exec.Command(filepath.Join(bin, "peer"), args...)
		c.Stdout, c.Stderr = full, said
		if _ = c.Run(); c.ProcessState.ExitCode() != 1 || !strings.Contains(said.String(), "no space left on device\n  Nothing can be shown any more") {
			t.Errorf("peer %v: %v, %s", args, c.ProcessState, said)
		}
	}
}

// A message for which there is no room where the output goes does not count as shown: the next start shows it.
func TestMessageNotShown(t *testing.T) {
	t.Parallel()
	disk, kept := t.TempDir(), t.TempDir()
	if err := syscall.Mount("sinete", disk, "tmpfs", 0, "size=16k"); err != nil {
		t.Fatalf("a full disk cannot be tried without a small one, which needs root to be mounted: %v", err)
	}
	t.Cleanup(func() { must(t, syscall.Unmount(disk, 0)) })
	r := startRelay(t, trial)
	alice := login(t, r, soft("alice"))
	peer := append([]string{filepath.Join(bin, "peer")}, chatArgs(r.address, soft("bruno"), "--store", kept, "--connect", "Alice")...)
	bruno := start(t, "bruno's program", "/bin/sh", testEnv(), append([]string{"-c", `exec "$@" >` + filepath.Join(disk, "shown"), "sh"}, peer...)...)
	id := alice.event("conversation", "state", "open")["id"]
	text := strings.Repeat("x", 20_000)
	alice.says(fmt.Sprintf("send##%v##%s", id, text))
	bruno.ends(1)
	if said := bruno.Stderr(); !strings.Contains(said, "no space left on device") {
		t.Errorf("it said: %s", said)
	}
	again := chat(t, r.address, soft("bruno"), nil, "--store", kept)
	again.event("message", "earlier", true, "text", text)
	again.leave()
	alice.leave()
	r.stop()
}

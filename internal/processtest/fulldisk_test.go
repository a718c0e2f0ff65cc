//go:build cgo && linux

package processtest

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// The disk with the levels is full: a change says so and changes nothing, the relay goes on with the levels that it has, and there being
// room again is enough.
func TestFullDisk(t *testing.T) {
	t.Parallel()
	disk := t.TempDir()
	if err := syscall.Mount("sinete", disk, "tmpfs", 0, "size=16k"); err != nil {
		t.Fatalf("a full disk cannot be tried without a small one, which needs root to be mounted: %v", err)
	}
	t.Cleanup(func() { must(t, syscall.Unmount(disk, 0)) })
	config, err := os.ReadFile(filepath.Join(trial, "relay.toml"))
	must(t, err)
	file := filepath.Join(trial, "full-disk.toml")
	levels := filepath.Join(disk, "levels")
	text := strings.Replace(string(config), `levels = "levels"`, `levels = "`+levels+`"`, 1)
	if text == string(config) {
		t.Fatalf("the configuration names no levels file:\n%s", config)
	}
	must(t, os.WriteFile(file, []byte(text), 0o600))
	must(t, os.WriteFile(levels, nil, 0o600))
	level := func(args ...string) (string, error) {
		out, err := exec.Command(filepath.Join(bin, "relay"), append([]string{"level"}, append(args, "--config", file)...)...).CombinedOutput()
		return string(out), err
	}
	r := startRelayWith(t, file)
	alice, bruno := login(t, r, soft("alice")), login(t, r, soft("bruno"))
	alice.says("list")
	people, _ := alice.event("peers")["peers"].([]any)
	his, _ := people[0].(map[string]any)
	set := func(rank string) (string, error) { return level("set", his["identity"].(string), rank) }
	has := func(rank string) { // from his next login on
		t.Helper()
		bruno.leave()
		bruno = chat(t, r.address, soft("bruno"), nil)
		if e := bruno.event("session", "state", "open"); !e.Is("session", "level", rank) {
			t.Errorf("bruno has not level %s: %v", rank, e)
		}
	}
	if out, err := set("3"); err != nil {
		t.Fatal(out)
	}
	has("3")

	filler := filepath.Join(disk, "filler")
	must(t, exec.Command("sh", "-c", "cat /dev/zero > "+filler+" || true").Run())
	before, err := os.ReadFile(levels)
	must(t, err)
	out, err := set("4")
	if err == nil || !strings.Contains(out, "no space left on device") || !strings.Contains(out, "Nothing was changed") {
		t.Errorf("on a full disk: %v\n%s", err, out)
	}
	if after, err := os.ReadFile(levels); err != nil || string(after) != string(before) {
		t.Errorf("the file is %q, %v", after, err)
	}
	has("3")
	must(t, os.Remove(filler))
	if out, err := set("4"); err != nil {
		t.Errorf("with room again: %v\n%s", err, out)
	}
	has("4")
	alice.leave()
	bruno.leave()
	r.stop()
}

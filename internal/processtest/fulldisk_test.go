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

// smallDisk is a folder with room for 16 KiB.
func smallDisk(t *testing.T) string {
	t.Helper()
	disk := t.TempDir()
	if err := syscall.Mount("sinete", disk, "tmpfs", 0, "size=16k"); err != nil {
		t.Fatalf("a full disk cannot be tried without a small one, which needs root to be mounted: %v", err)
	}
	t.Cleanup(func() { must(t, syscall.Unmount(disk, 0)) })
	return disk
}

// fill takes all the room that a disk has, until the file is removed.
func fill(t *testing.T, disk string) (filler string) {
	t.Helper()
	filler = filepath.Join(disk, "filler")
	must(t, exec.Command("sh", "-c", "cat /dev/zero > "+filler+" || true").Run())
	return filler
}

// The disk with the levels is full: a change says so and changes nothing, the relay goes on with the levels that it has, and there being
// room again is enough.
func TestFullDisk(t *testing.T) {
	t.Parallel()
	disk := smallDisk(t)
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

	filler := fill(t, disk)
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

// What is exported onto a full disk says of which file that is, and leaves nothing there.
func TestFullDiskOfExports(t *testing.T) {
	t.Parallel()
	store, disk := kept(t), smallDisk(t)
	fill(t, disk)
	file, secret := filepath.Join(disk, "file"), filepath.Join(t.TempDir(), "secret")
	must(t, os.WriteFile(secret, []byte("correct horse"), 0o600))
	full := "write " + file + ": no space left on device. "
	tells(t, 1, []string{"evidence", "export", "--store", store, "--with", "Bruno", "--all", "--trust", filepath.Join(trial, "trust"), file},
		"error", "code", "evidence-file", "text", "the file of the evidence: "+full+"Is that its name, and may you read and write there?")
	tells(t, 1, []string{"store", "export", store, file, "--export-passphrase", "file:" + secret},
		"error", "code", "export-unusable", "text", "the export: "+full+"An export is written to a file that is not there yet, and read from one that peer store export has written whole.")
	if left, err := os.ReadDir(disk); err != nil || len(left) != 1 {
		t.Errorf("on the disk are %v, %v", left, err)
	}
}

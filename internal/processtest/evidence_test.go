//go:build cgo

package processtest

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// kept is a store with a message each way between Alice and Bruno, whose programs have ended.
func kept(t *testing.T) (store string) {
	t.Helper()
	store = t.TempDir()
	r := startRelay(t, trial)
	alice := chat(t, r.address, soft("alice"), nil, "--store", store, "--store-key", "nothing")
	alice.event("session", "state", "open")
	a, b := connected(t, alice, login(t, r, soft("bruno")), "Alice", "Bruno")
	talk(t, a, b, "which is to be proved")
	a.leave()
	b.leave()
	r.stop()
	return store
}

// tells runs peer with --json to its end, which has that status; the first such event must have these fields (name, value, ...).
func tells(t *testing.T, status int, args []string, event string, fields ...any) {
	t.Helper()
	p := start(t, "peer "+strings.Join(args, " "), filepath.Join(bin, "peer"), nil, append(args, "--json")...)
	for {
		e, err := p.Next()
		must(t, err)
		switch {
		case e.Is(event, fields...):
			p.ends(status)
			return
		case e["event"] == event:
			t.Fatalf("%s: %v, not %v", p.Name, e, fields)
		}
	}
}

// evidence is written over a file that is there with --force only, and then whole or not at all; what is wrong with the file has its own code.
func TestEvidenceFiles(t *testing.T) {
	t.Parallel()
	store, dir, trust := kept(t), t.TempDir(), filepath.Join(trial, "trust")
	file := filepath.Join(dir, "evidence.zip")
	export := func(file string, more ...string) []string {
		return append([]string{"evidence", "export", "--store", store, "--with", "Bruno", "--trust", trust, file}, more...)
	}
	verify := func(file string) []string { return []string{"evidence", "verify", "--trust", trust, file} }
	unusable := func(what, path, why string) string {
		advice := "Is that its name, and may you read and write there?"
		if strings.HasSuffix(why, "exists") {
			advice = "Name another one. peer evidence export --force writes over one that is there."
		}
		return fmt.Sprintf("the file of the evidence: %s %s: %s. %s", what, path, why, advice)
	}

	must(t, os.WriteFile(file, []byte("of before"), 0o644))
	tells(t, 1, export(file, "--all"), "error", "code", "evidence-file", "text", unusable("write", file, "file already exists"))
	tells(t, 1, export(file, "--message", "sent:9", "--force"), "error", "code", "evidence-missing")
	if b, err := os.ReadFile(file); err != nil || string(b) != "of before" {
		t.Errorf("what was there is %q, %v", b, err)
	}
	tells(t, 3, verify(file), "error", "code", "evidence-invalid")
	tells(t, 0, export(file, "--all", "--force"), "evidence", "state", "written", "file", file, "messages", 2)
	tells(t, 0, verify(file), "evidence", "state", "verified", "file", file, "messages", 2)
	if info, err := os.Stat(file); err != nil || info.Mode() != 0o600 {
		t.Errorf("anybody may read it: %v, %v", info, err)
	}
	tells(t, 0, export(file, "--message", "received:1", "--force"), "evidence", "state", "written", "messages", 1)

	// What cannot be a file, or cannot be read, and what is too large to be a bundle.
	folder := filepath.Join(dir, "folder")
	must(t, os.Mkdir(folder, 0o700))
	tells(t, 1, export(folder, "--all"), "error", "code", "evidence-file", "text", unusable("write", folder, "file already exists"))
	tells(t, 1, export(folder, "--all", "--force"), "error", "code", "evidence-file", "text", unusable("rename", folder+".new "+folder, "file exists"))
	nowhere := filepath.Join(dir, "nowhere", "evidence.zip")
	tells(t, 1, export(nowhere, "--all"), "error", "code", "evidence-file", "text", unusable("open", nowhere, "no such file or directory"))
	tells(t, 1, verify(nowhere), "error", "code", "evidence-file", "text", unusable("open", nowhere, "no such file or directory"))
	tells(t, 1, verify(folder), "error", "code", "evidence-file", "text", unusable("read", folder, "is a directory"))
	huge := filepath.Join(t.TempDir(), "huge.zip")
	must(t, os.WriteFile(huge, nil, 0o600))
	must(t, os.Truncate(huge, 256<<20+1))
	tells(t, 3, verify(huge), "error", "code", "evidence-invalid", "text",
		"this proves nothing: more than 65535 files or 256 MiB. Somebody has changed it, it was damaged on its way, or it is of a later version. Have it sent again.")

	left, err := os.ReadDir(dir)
	must(t, err)
	if len(left) != 2 || left[0].Name() != "evidence.zip" || left[1].Name() != "folder" {
		t.Errorf("left behind: %v", left)
	}
}

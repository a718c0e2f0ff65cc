package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"sinete/internal/program"
)

// build makes the programs that are demonstrated.
func build(t *testing.T) string {
	t.Helper()
	bin := t.TempDir()
	if err := program.Build(bin, "sinete/cmd/..."); err != nil {
		t.Fatal(err)
	}
	return bin
}

// The demonstration works, and it fails, naming the step, whatever step the world is broken before.
func TestEveryStepCanFail(t *testing.T) {
	bin := build(t)
	if err := demonstrate(bin, filepath.Join(t.TempDir(), "world"), ""); err != nil {
		t.Fatalf("without sabotage: %v", err)
	}
	patience = 4 * time.Second
	for _, s := range steps {
		t.Run(s.name, func(t *testing.T) {
			err := demonstrate(bin, filepath.Join(t.TempDir(), "world"), s.name)
			if err == nil || !strings.Contains(err.Error(), `step "`+s.name+`" failed`) {
				t.Errorf("sabotaged, it says: %v", err)
			}
		})
	}
}

// The line that testpki card prints for use logs in as it stands, but for the relay's address and the PIN, which nobody is there
// to type.
func TestPrintedLineWorks(t *testing.T) {
	w := &world{bin: build(t), dir: filepath.Join(t.TempDir(), "a world")}
	defer w.end()
	for _, do := range []func(*world) error{makeWorld, startResponder, startRelay} {
		if err := do(w); err != nil {
			t.Fatal(err)
		}
	}
	out, err := run(w.path("testpki"), "card", w.dir, "zita")
	if err != nil {
		t.Fatal(err)
	}
	_, line, _ := strings.Cut(out, "\nuse ")
	line, _, _ = strings.Cut(line, "\n")
	line = strings.NewReplacer("RELAY", w.address, "zita.card", "zita.card?pin-value=1234").Replace(line)
	cmd := exec.Command("sh", "-c", line)
	cmd.Env = append(os.Environ(), "PATH="+w.bin+string(os.PathListSeparator)+os.Getenv("PATH"))
	cmd.Stdin = strings.NewReader("disconnect\n")
	if out, err := cmd.CombinedOutput(); err != nil || !strings.Contains(string(out), "logged in") {
		t.Errorf("%s: %v\n%s", line, err, out)
	}
}

package main

import (
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// build makes the programs that are demonstrated.
func build(t *testing.T) string {
	t.Helper()
	bin := t.TempDir()
	out, err := exec.Command("go", "build", "-o", bin+"/", "sinete/cmd/...").CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
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

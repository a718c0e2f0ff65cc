package wire

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

const decoder = "testdata/decode.py"

// decode runs the decoder that was written from the text alone over every file of the folder.
func decode(t *testing.T, folder string) (report string, agreed bool) {
	t.Helper()
	python, err := exec.LookPath("python3")
	if err != nil {
		t.Fatalf("%v: the second decoder is Python; scripts/need.sh installs it, or as root: apt-get install python3", err)
	}
	if _, err := os.ReadFile(decoder); err != nil { // so that a change of it is not hidden by the cache of test results
		t.Fatal(err)
	}
	files, err := filepath.Glob(filepath.Join(folder, "*.txt"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no vectors in %s: %v", folder, err)
	}
	out, err := exec.CommandContext(t.Context(), python, append([]string{decoder}, files...)...).CombinedOutput()
	var failed *exec.ExitError
	if err != nil && !errors.As(err, &failed) {
		t.Fatal(err)
	}
	return string(out), err == nil
}

func TestDecoderAgrees(t *testing.T) {
	report, agreed := decode(t, vectorFolder)
	if n := len(vectors()); !agreed || !strings.Contains(report, fmt.Sprintf("%d vectors, %d agree, 0 do not", n, n)) {
		t.Errorf("of %d vectors:\n%s", n, report)
	}
}

// TestDecoderNoticesEveryLie: it must refuse each file whose label is the opposite, and each with one other value.
func TestDecoderNoticesEveryLie(t *testing.T) {
	lies := []vector{}
	lie := func(v vector, what string) {
		v.name = fmt.Sprintf("%s--%s", v.name, what)
		lies = append(lies, v)
	}
	for _, v := range vectors() {
		flipped := v
		flipped.expect = "ok"
		if v.expect == "ok" {
			flipped.expect = "malformed"
		}
		lie(flipped, "label")
		if v.expect != "ok" {
			continue
		}
		_, rest, err := v.run()
		if err != nil {
			t.Fatal(err)
		}
		for i := len(v.fields) - len(rest); i < len(v.fields); i++ { // what comes out
			other := v
			other.fields = slices.Clone(v.fields)
			other.fields[i].value = append([]byte{1}, v.fields[i].value...)
			if len(v.fields[i].value) > 0 {
				other.fields[i].value = slices.Clone(v.fields[i].value)
				other.fields[i].value[0] ^= 1
			}
			lie(other, fmt.Sprintf("field-%d", i))
		}
		missing := v
		missing.fields = v.fields[:len(v.fields)-1]
		lie(missing, "last-field-missing")
	}

	folder := t.TempDir()
	for _, v := range lies {
		if err := os.WriteFile(filepath.Join(folder, v.name+".txt"), []byte(v.format()), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	report, agreed := decode(t, folder)
	if agreed || !strings.Contains(report, fmt.Sprintf("%d vectors, 0 agree, %d do not", len(lies), len(lies))) {
		for _, v := range lies {
			if !strings.Contains(report, v.name+".txt: ") {
				t.Errorf("%s is believed", v.name)
			}
		}
		t.Fatalf("%d lies: %s", len(lies), report[strings.LastIndex(strings.TrimSpace(report), "\n")+1:])
	}
}

package export

import (
	"bytes"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"sinete/internal/judge"
	"sinete/peer/evidence/internal/bundle"
)

// change is another value for a byte of a file.
type change struct {
	file  string
	at    int
	value byte
}

// changes are some for every byte of every file: of verify.sh, where it checks itself, all that mean something to a shell.
func changes(files map[string][]byte) (all []change) {
	script := files[bundle.Script]
	first, last := bytes.Index(script, []byte("set -fu")), bytes.LastIndex(script, []byte("again=$("))
	for _, name := range slices.Sorted(maps.Keys(files)) {
		for i, b := range files[name] {
			values := []byte{b ^ 1}
			if name == bundle.Script && (i < first || i >= last) {
				values = append(values, " \t\n#'\"`$\\(){};&|<>=!*?~-01x"...)
			}
			for _, v := range values {
				if v != b {
					all = append(all, change{name, i, v})
				}
			}
		}
	}
	return all
}

// Whatever byte of whatever file is changed, the script does not accept. EVERY is how many changes one of is made, 1 for all.
func TestScriptRefusesEveryByte(t *testing.T) {
	files, err := bundle.Unpack(small(t).Bundle)
	must(t, err)
	sampled(t, files, changes(files), func(t *testing.T, j *judge.Judge, dir string, c change) {
		must(t, os.WriteFile(filepath.Join(dir, c.file), c.in(files), 0o600))
		status, stdout, _ := j.Run(dir)
		if status == 0 || strings.Contains(stdout, "VERIFIED") {
			t.Errorf("%s with %q at %d: status %d\n%s", c.file, c.value, c.at, status, stdout)
		}
	})
}

// The same where the manifest was made to fit: the script refuses for what the proof says, like Verify.
func TestScriptRefusesEveryByteOfTheProof(t *testing.T) {
	files, err := bundle.Unpack(small(t).Bundle)
	must(t, err)
	proof := maps.Clone(files)
	maps.DeleteFunc(proof, func(name string, _ []byte) bool { return bundle.Derived(name) })
	sampled(t, files, changes(proof), func(t *testing.T, j *judge.Judge, dir string, c change) {
		again := maps.Clone(files)
		again[c.file] = c.in(files)
		again[bundle.Manifest] = bundle.ManifestOf(again)
		for _, name := range []string{c.file, bundle.Manifest} {
			must(t, os.WriteFile(filepath.Join(dir, name), again[name], 0o600))
		}
		j.Refuses(dir, "")
	})
}

// in is the file as changed.
func (c change) in(files map[string][]byte) []byte {
	b := bytes.Clone(files[c.file])
	b[c.at] = c.value
	return b
}

// sampled tries one of EVERY changes, in two folders that hold the files again each time.
func sampled(t *testing.T, files map[string][]byte, all []change, try func(t *testing.T, j *judge.Judge, dir string, c change)) {
	every := 499
	if s := os.Getenv("EVERY"); s != "" {
		n, err := strconv.Atoi(s)
		must(t, err)
		every = n
	}
	j := judge.New(t, "sh")
	j.Accepts(j.Folder(files))
	first := rand.IntN(every)
	t.Logf("one of %d changes from number %d on, of %d", every, first, len(all))
	for worker := range 2 {
		t.Run(strconv.Itoa(worker), func(t *testing.T) {
			t.Parallel()
			j := j.In(t)
			dir := j.Folder(files)
			for i := first + worker*every; i < len(all); i += 2 * every {
				try(t, j, dir, all[i])
				restore(t, dir, files)
			}
		})
	}
}

// restore undoes what was changed, and what a changed script did, which may write where it should read.
func restore(t *testing.T, dir string, files map[string][]byte) {
	there, err := os.ReadDir(dir)
	must(t, err)
	for _, f := range there {
		if _, ours := files[f.Name()]; !ours {
			must(t, os.RemoveAll(filepath.Join(dir, f.Name())))
		}
	}
	for name, content := range files {
		if now, err := os.ReadFile(filepath.Join(dir, name)); err != nil || !bytes.Equal(now, content) {
			must(t, os.WriteFile(filepath.Join(dir, name), content, 0o600))
		}
	}
}

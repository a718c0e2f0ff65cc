package levels

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"sinete/wire"
)

const (
	ana  = "BI111@0123456789abcdef"
	rui  = "BI222@0123456789abcdef"
	eva  = "mailto:eva%40example.org@fedcba9876543210"
	file = `# Levels of the office

BI111@0123456789abcdef 3 ops crypto   # Ana, until May
mailto:eva%40example.org@fedcba9876543210 0
`
)

func level(rank uint16, compartments ...string) wire.Level {
	return wire.Level{Rank: rank, Compartments: compartments}
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o640); err != nil {
		t.Fatal(err)
	}
}

func read(t *testing.T, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestRead(t *testing.T) {
	path := filepath.Join(t.TempDir(), "levels")
	write(t, path, file)
	got, err := Read(path)
	if err != nil {
		t.Fatal(err)
	}
	want := []Entry{{ana, level(3, "crypto", "ops")}, {eva, level(0)}}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
}

func TestDamage(t *testing.T) {
	path := filepath.Join(t.TempDir(), "levels")
	for text, reason := range map[string]string{
		"BI111 3":                               "no identity",
		"BI111@0123456789ABCDEF 3":              "no identity",
		"BI 1@0123456789abcdef 3":               "no identity",
		"BI%2g@0123456789abcdef 3":              "no identity",
		strings.Repeat("9", 184) + ana + " 3":   "no identity",
		ana:                                     "no rank",
		ana + " secret":                         "no rank",
		ana + " -1":                             "no rank",
		ana + " 65536":                          "no rank",
		ana + " 1 Crypto":                       "no compartments",
		ana + " 1 ops ops":                      "no compartments",
		ana + " 1" + strings.Repeat(" ops", 17): "no compartments",
		ana + " 1\n" + ana + " 1":               "already",
	} {
		last := 2 + strings.Count(text, "\n")
		write(t, path, "# a comment\n"+text+"\n")
		_, err := Read(path)
		var damage *SyntaxError
		if !errors.As(err, &damage) || damage.Line != last || damage.Path != path || !strings.Contains(damage.Reason, reason) {
			t.Errorf("%q: %v, not %q in line %d", text, err, reason, last)
		}
		if err := Set(path, Entry{rui, level(1)}); !errors.As(err, &damage) {
			t.Errorf("%q: Set: %v", text, err)
		}
		if got := read(t, path); got != "# a comment\n"+text+"\n" {
			t.Errorf("%q: a damaged file was written over with %q", text, got)
		}
	}
}

// TestEdit shows that a change is one of one line: comments, notes and the order of the others are people's.
func TestEdit(t *testing.T) {
	path := filepath.Join(t.TempDir(), "levels")
	write(t, path, file)
	const top, below = "# Levels of the office\n\n", eva + " 0\n" + rui + " 2 crypto ops\n"
	for _, step := range []struct {
		do   func() error
		want string
	}{
		{func() error { return Set(path, Entry{rui, level(2, "ops", "crypto")}) }, file + rui + " 2 crypto ops\n"},
		{func() error { return Set(path, Entry{ana, level(4)}) }, top + ana + " 4 # Ana, until May\n" + below},
		{func() error { return Unset(path, ana) }, top + below},
	} {
		if err := step.do(); err != nil {
			t.Fatal(err)
		}
		if got := read(t, path); got != step.want {
			t.Fatalf("got %q, want %q", got, step.want)
		}
	}
	var unknown *UnknownIdentityError
	if err := Unset(path, ana); !errors.As(err, &unknown) || unknown.Identity != ana {
		t.Errorf("unset twice: %v", err)
	}
	for _, e := range []Entry{{"BI111", level(1)}, {"", level(1)}, {ana, level(1, "A")}, {ana, level(1, "a", "a")}} {
		var invalid *InvalidEntryError
		if err := Set(path, e); !errors.As(err, &invalid) {
			t.Errorf("%v: %v", e, err)
		}
	}
	if got := read(t, path); got != top+below {
		t.Errorf("a refused change wrote %q", got)
	}
}

// TestReplace shows that a change puts a new file in the place of the old one, which keeps its mode and owner and leaves nothing
// half made beside it; and that a first entry makes the file.
func TestReplace(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "levels")
	if err := Set(path, Entry{ana, level(1)}); err != nil {
		t.Fatal(err)
	}
	first, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if first.Mode().Perm() != 0o600 {
		t.Errorf("a new file has mode %v", first.Mode())
	}
	owner := os.Getuid()
	if owner == 0 {
		owner = 4711 // only root can give a file away
	}
	if err := errors.Join(os.Chmod(path, 0o640), os.Chown(path, owner, -1)); err != nil {
		t.Fatal(err)
	}
	if err := Set(path, Entry{rui, level(2)}); err != nil {
		t.Fatal(err)
	}
	second, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if os.SameFile(first, second) {
		t.Error("the file was written over in place")
	}
	if uid := second.Sys().(*syscall.Stat_t).Uid; second.Mode().Perm() != 0o640 || int(uid) != owner {
		t.Errorf("mode %v, owner %d", second.Mode(), uid)
	}
	left, err := filepath.Glob(filepath.Join(dir, ".*"))
	if err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
	if err := Set(filepath.Join(dir, "none", "levels"), Entry{ana, level(1)}); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("no folder: %v", err)
	}
}

func TestChangesAtOnceAreAllKept(t *testing.T) {
	path := filepath.Join(t.TempDir(), "levels")
	var wait sync.WaitGroup
	for i := range 20 {
		wait.Go(func() {
			if err := Set(path, Entry{fmt.Sprintf("BI%d@0123456789abcdef", i), level(uint16(i))}); err != nil {
				t.Error(err)
			}
		})
	}
	wait.Wait()
	entries, err := Read(path)
	if err != nil || len(entries) != 20 {
		t.Errorf("%d of 20 entries, %v", len(entries), err)
	}
}

// TestEveryEntryComesBack: whatever Set takes, Read returns, and Unset leaves the file as it was.
func TestEveryEntryComesBack(t *testing.T) {
	path := filepath.Join(t.TempDir(), "levels")
	rapid.Check(t, func(r *rapid.T) {
		write(t, path, file)
		e := Entry{rapid.StringMatching(`([!-"$&-?A-~]|%[0-9A-F]{2}){1,50}@[0-9a-f]{16}`).Draw(r, "identity"),
			level(rapid.Uint16().Draw(r, "rank"), rapid.SliceOfNDistinct(rapid.StringMatching(`[a-z0-9-]{1,32}`), 0, 16, rapid.ID).
				Draw(r, "compartments")...)}
		if err := Set(path, e); err != nil {
			r.Fatal(err)
		}
		entries, err := Read(path)
		slices.Sort(e.Level.Compartments)
		if err != nil || len(entries) != 3 || entries[2].Identity != e.Identity || !entries[2].Level.Equal(e.Level) {
			r.Fatalf("%v came back in %v, %v", e, entries, err)
		}
		if err := Unset(path, e.Identity); err != nil {
			r.Fatal(err)
		}
		if got := read(t, path); got != file {
			r.Fatalf("%q is left", got)
		}
	})
}

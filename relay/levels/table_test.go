package levels

import (
	"bytes"
	"errors"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestTableFollowsItsFile changes the file in every way and asks the table.
func TestTableFollowsItsFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "levels")
	write(t, path, ana+" 1\n")
	var log bytes.Buffer
	table, err := Open(path, slog.New(slog.NewTextHandler(&log, nil)))
	if err != nil {
		t.Fatal(err)
	}
	expect := func(what string, rank int) {
		t.Helper()
		l, known := table.Lookup(ana)
		if !known {
			l.Rank = 0
		}
		if int(l.Rank) != rank || known != (rank > 0) {
			t.Errorf("%s: rank %d, known %v; not %d", what, l.Rank, known, rank)
		}
	}
	faults := func(want int) {
		t.Helper()
		if got := strings.Count(log.String(), "level=ERROR"); got != want {
			t.Errorf("%d faults logged, not %d: %s", got, want, log.String())
		}
	}
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	expect("at first", 1)

	must(Set(path, Entry{ana, level(2)}))
	expect("set", 2)

	write(t, path, ana+" 3\n")
	must(os.Chtimes(path, time.Time{}, time.Unix(1, 0)))
	expect("edited in place, same size", 3)

	write(t, path, "what?\n")
	for range 3 {
		expect("damaged", 3)
	}
	faults(1)

	must(os.Remove(path))
	for range 3 {
		expect("gone", 3)
	}
	faults(2)

	must(Set(path, Entry{ana, level(4)}))
	expect("back", 4)
	faults(2)

	must(Unset(path, ana))
	expect("unset", 0)
}

func TestOpenRefuses(t *testing.T) {
	path := filepath.Join(t.TempDir(), "levels")
	if _, err := Open(path, slog.New(slog.DiscardHandler)); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("missing: %v", err)
	}
	write(t, path, "what?\n")
	var damage *SyntaxError
	if table, err := Open(path, slog.New(slog.DiscardHandler)); !errors.As(err, &damage) || table != nil {
		t.Errorf("damaged: %v, %v", table, err)
	}
}

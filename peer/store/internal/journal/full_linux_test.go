package journal_test

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"sinete/peer/store/internal/journal"
	"sinete/peer/store/internal/journal/journaltest"
)

// TestFullDisk fills a real disk, makes room, and goes on, a few times.
func TestFullDisk(t *testing.T) {
	journaltest.OnSmallDisk(t, "size=256k", func(dir string) {
		d := journal.Dir(dir)
		j, _, _ := open(t, d, journal.Mark{})
		ballast := filepath.Join(dir, "ballast")
		if err := os.WriteFile(ballast, make([]byte, 128<<10), 0o600); err != nil {
			t.Fatal(err)
		}
		var want [][]byte
		for round := range 3 {
			n := len(want)
			var err error
			for err == nil {
				record := bytes.Repeat([]byte{byte(len(want))}, 1000+5000*round)
				if err = j.Append(record).Wait(); err == nil {
					want = append(want, record)
				}
			}
			var full *journal.FullError
			if !errors.As(err, &full) || !errors.Is(err, syscall.ENOSPC) {
				t.Fatal(err)
			}
			if len(want) == n {
				t.Fatalf("round %d: no room was found", round)
			}
			if _, err := j.Rewrite(func(_ journal.Position, r []byte) ([]byte, bool) { return r, true }); !errors.As(err, &full) {
				t.Fatal(err)
			}
			_, got, damage := openCopy(t, dir)
			if !same(got, want) || damage != nil {
				t.Fatalf("round %d: %d records, want %d; %v", round, len(got), len(want), damage)
			}
			if err := os.Truncate(ballast, int64(80-40*min(round, 2))<<10); err != nil {
				t.Fatal(err)
			}
		}
		if err := j.Append([]byte("there is room again")).Wait(); err != nil {
			t.Fatal(err)
		}
		closed(t, j)
		j, got, damage := open(t, d, journal.Mark{})
		closed(t, j)
		if !same(got, append(want, []byte("there is room again"))) || damage != nil {
			t.Fatalf("%d records, want %d; %v", len(got), len(want)+1, damage)
		}
	})
}

// openCopy opens the journal in a folder as a crash would leave it now.
func openCopy(t *testing.T, dir string) (*journaltest.Disk, [][]byte, []journal.Damage) {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(dir, "journal"))
	if err != nil {
		t.Fatal(err)
	}
	return reopen(t, b)
}

// TestFileSizeLimit runs into the limit of a process (RLIMIT_FSIZE), which fails in the middle of a write.
func TestFileSizeLimit(t *testing.T) {
	if !journaltest.Inner() {
		if out, err := journaltest.Again(t).CombinedOutput(); err != nil || !bytes.HasPrefix(out, []byte("PASS")) {
			t.Fatalf("%v\n%s", err, out)
		}
		return
	}
	dir := t.TempDir()
	j, _, _ := open(t, journal.Dir(dir), journal.Mark{})
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_FSIZE, &limit); err != nil {
		t.Fatal(err)
	}
	limit.Cur = 10_000
	if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &limit); err != nil {
		t.Fatal(err)
	}
	first := []byte("fits")
	if err := j.Append(first).Wait(); err != nil {
		t.Fatal(err)
	}
	var full *journal.FullError
	if err := j.Append(make([]byte, 20_000)).Wait(); !errors.As(err, &full) || !errors.Is(err, syscall.EFBIG) {
		t.Fatal(err)
	}
	second := []byte("fits, too")
	if err := j.Append(second).Wait(); err != nil {
		t.Fatal(err)
	}
	closed(t, j)
	_, got, damage := openCopy(t, dir)
	if !same(got, [][]byte{first, second}) || damage != nil {
		t.Fatalf("%q, %v", got, damage)
	}
}

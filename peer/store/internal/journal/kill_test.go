package journal_test

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"sync"
	"testing"

	"sinete/peer/store/internal/journal"
	"sinete/peer/store/internal/journal/journaltest"
)

// TestKill kills a program with SIGKILL, over and over, in the middle of appending and rewriting. What it said was acknowledged is there.
func TestKill(t *testing.T) {
	if journaltest.Inner() {
		appendUntilKilled(t, os.Getenv("JOURNAL"))
	}
	dir := t.TempDir()
	random := rand.New(rand.NewPCG(1, 1))
	acknowledged := map[uint64]bool{}
	unacknowledged, torn, damaged := 0, 0, 0
	for range 25 {
		cmd := journaltest.Again(t)
		cmd.Env = append(cmd.Env, "JOURNAL="+dir)
		cmd.Stderr = os.Stderr
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		lines := bufio.NewScanner(out)
		for left := 100 + random.IntN(300); lines.Scan(); left-- {
			var n uint64
			if _, err := fmt.Sscan(lines.Text(), &n); err != nil {
				t.Fatalf("%q: %v", lines.Text(), err)
			}
			acknowledged[n] = true
			if left == 0 {
				cmd.Process.Kill()
			}
		}
		io.Copy(io.Discard, out)
		if err := cmd.Wait(); err == nil || err.Error() != "signal: killed" {
			t.Fatal(err)
		}
		there := map[uint64]bool{}
		j, damage, err := journal.Open(journal.Dir(dir), testKey, testID, journal.Mark{}, func(_ journal.Position, r []byte) error {
			there[number(r)] = true
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		closed(t, j)
		for n := range acknowledged {
			if !there[n] {
				t.Errorf("%d was acknowledged and is not there", n)
			}
		}
		unacknowledged += len(there) - len(acknowledged)
		for n := range there {
			acknowledged[n] = true // It must stay from now on.
		}
		for _, d := range damage {
			if d.Kind == journal.Torn {
				torn++
			} else {
				damaged++
			}
		}
	}
	t.Logf("%d records acknowledged or found, %d of them found without having been acknowledged, %d torn ends", len(acknowledged), unacknowledged, torn)
	if damaged > 0 || unacknowledged == 0 || len(acknowledged) < 2500 {
		t.Errorf("%d damaged places; the kills met nothing that was under way, or next to nothing was done", damaged)
	}
}

// appendUntilKilled appends numbers from several goroutines, prints each that is safe, and rewrites the journal now and then.
func appendUntilKilled(t *testing.T, dir string) {
	next := uint64(0)
	j, _, err := journal.Open(journal.Dir(dir), testKey, testID, journal.Mark{}, func(_ journal.Position, r []byte) error {
		next = max(next, number(r)+1)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	var mu sync.Mutex
	large := make(chan struct{})
	for range 4 {
		go func() {
			for {
				record := make([]byte, 8+rand.IntN(20_000))
				mu.Lock()
				n := next
				next++
				binary.BigEndian.PutUint64(record, n)
				ticket := j.Append(record)
				mu.Unlock()
				if err := ticket.Wait(); err != nil {
					panic(err)
				}
				fmt.Println(n)
				if n%40 == 0 {
					large <- struct{}{}
				}
			}
		}()
	}
	for range large {
		if _, err := j.Rewrite(func(_ journal.Position, r []byte) ([]byte, bool) { return r[:8], true }); err != nil {
			panic(err)
		}
	}
}

package levels

import (
	"bufio"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

// The test's program can be told to be an administrator who changes everybody's level again and again, and says when that is done.
const administrator = "SINETE_TEST_LEVELS"

func TestMain(m *testing.M) {
	path := os.Getenv(administrator)
	if path == "" {
		os.Exit(m.Run())
	}
	for rank := uint16(1); ; rank++ {
		for _, identity := range []string{ana, rui} {
			if err := Set(path, Entry{identity, level(rank)}); err != nil {
				fmt.Println(err)
				os.Exit(1)
			}
		}
		fmt.Println(rank)
	}
}

// An administrator's program is killed in the middle of whatever it does, many times: the file is the old one or the new one, whole, and
// what was half made does not pile up beside it.
func TestKilledInTheMiddle(t *testing.T) {
	path := filepath.Join(t.TempDir(), "levels")
	var crowd strings.Builder
	for i := range 2000 {
		fmt.Fprintf(&crowd, "PT%d@0123456789abcdef 7 # a note that makes the line longer\n", i)
	}
	if err := os.WriteFile(path, []byte(crowd.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	for kill := range 30 {
		child := exec.Command(os.Args[0])
		child.Env = append(os.Environ(), administrator+"="+path)
		out, err := child.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := child.Start(); err != nil {
			t.Fatal(err)
		}
		said := bufio.NewScanner(out)
		last := 0
		for last < 1+rand.IntN(3) && said.Scan() { // it is at work, and goes on
			if last, err = strconv.Atoi(said.Text()); err != nil {
				t.Fatal(said.Text())
			}
		}
		<-time.After(rand.N(4 * time.Millisecond))
		if err := child.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		for said.Scan() {
			last, _ = strconv.Atoi(said.Text())
		}
		_ = child.Wait() // it was killed

		entries, err := Read(path)
		if err != nil || len(entries) != 2002 {
			t.Fatalf("kill %d: %d entries, %v", kill, len(entries), err)
		}
		hers, his := int(entries[2000].Level.Rank), int(entries[2001].Level.Rank)
		if hers != last && hers != last+1 || his != last && his != last+1 || his > hers {
			t.Fatalf("kill %d: ranks %d and %d, after %d was done", kill, hers, his, last)
		}
	}
	left, err := os.ReadDir(filepath.Dir(path))
	if err != nil || len(left) > 3 { // the file, its lock, and what the last one was at
		t.Errorf("%d files are left: %v, %v", len(left), left, err)
	}
	if err := Set(path, Entry{ana, level(1)}); err != nil {
		t.Error(err)
	}
	if left, err := filepath.Glob(filepath.Join(filepath.Dir(path), ".*")); err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}

package audit

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"sinete/wire"
)

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// sealer is a relay's key that any reader of the test can forge, and verify its check.
func sealer(_ context.Context, statement []byte) (wire.Seal, [32]byte, error) {
	sum := sha256.Sum256(statement)
	return wire.Seal{Scheme: wire.SchemeP256, Signature: sum[:], Time: 1, Leaves: 1}, [32]byte{7}, nil
}

func verify(h Head) error {
	want, by, err := sealer(context.Background(), h.AuditHead.Append(nil))
	if err != nil || by != h.Certificate || !bytes.Equal(want.Append(nil), h.Seal.Append(nil)) {
		return errors.New("not sealed by the test")
	}
	return nil
}

func open(t testing.TB, dir string, o Options) *Log {
	t.Helper()
	l, err := Open(dir, o)
	must(t, err)
	t.Cleanup(func() { _ = l.Close() })
	return l
}

func grow(t testing.TB, l *Log, n int) {
	t.Helper()
	for range n {
		must(t, l.Append(Record{Event: Login, Identity: fmt.Sprint("BI", l.Size(), "@0123456789abcdef")}))
	}
}

func read(t testing.TB, dir string) *Reader {
	t.Helper()
	r, err := Read(dir)
	must(t, err)
	t.Cleanup(func() { r.Close() })
	return r
}

// check expects a log in which nothing is wrong.
func check(t testing.TB, dir string) Report {
	t.Helper()
	report, err := read(t, dir).Check(verify)
	must(t, err)
	return report
}

func damaged(t *testing.T, what string, err error) {
	t.Helper()
	if _, ok := errors.AsType[*DamageError](err); !ok {
		t.Errorf("%s: %v (%T)", what, err, err)
	}
}

// A log grows through restarts and files; every record in it can be proved, and that it only grew from any of its heads.
func TestGrowAndProve(t *testing.T) {
	dir := t.TempDir()
	o := Options{FileBytes: 600}
	var heads []Head
	for i := range 9 {
		l := open(t, dir, o)
		grow(t, l, i+1)
		must(t, l.Seal(t.Context(), sealer))
		must(t, l.Close())
		h, _ := read(t, dir).Head()
		heads = append(heads, h)
	}
	r := read(t, dir)
	report, err := r.Check(verify)
	if want := (Report{Records: 46, Present: 46, Heads: 9, Verified: 9}); err != nil || report != want {
		t.Fatalf("%+v, %v", report, err)
	}
	for n := range r.Size() {
		p, err := r.ProveRecord(n)
		must(t, err)
		holds(t, p)
	}
	for i, before := range heads {
		must(t, r.Covers(before))
		for _, after := range heads[i:] {
			p, err := r.ProveGrowth(before, after)
			must(t, err)
			holds(t, p)
		}
	}
	if _, err := r.ProveRecord(r.Size()); !errors.As(err, new(*NotCoveredError)) {
		t.Errorf("a record that is not there: %v", err)
	}
	if files, _ := recordFiles(dir); len(files) < 5 {
		t.Errorf("%d files of records", len(files))
	}
}

// holds expects a proof to be right, in the form in which it travels too, and wrong when anything in it is another.
func holds(t *testing.T, p *Proof) {
	t.Helper()
	b, err := json.Marshal(p)
	must(t, err)
	again, err := ParseProof(b)
	must(t, err)
	must(t, again.Check(verify))
	for what, lie := range map[string]func(p *Proof){
		"the head's size": func(p *Proof) { p.Head.Size++ },
		"the head's root": func(p *Proof) { p.Head.Root[0] ^= 1 },
		"the record":      func(p *Proof) { p.Record += " " },
		"the number":      func(p *Proof) { p.Number++ },
		"the first head":  func(p *Proof) { p.Before.Root[0] ^= 1 },
		"the first size":  func(p *Proof) { p.Before.Size++ },
		"a hash":          func(p *Proof) { p.Hashes[0][0] ^= 1 },
		"a hash less":     func(p *Proof) { p.Hashes = p.Hashes[1:] },
	} {
		lied, err := ParseProof(b)
		must(t, err)
		of := strings.HasPrefix(what, "the first")
		if record := what == "the record" || what == "the number"; record && p.Before != nil || of && p.Before == nil ||
			strings.HasPrefix(what, "a hash") && len(p.Hashes) == 0 {
			continue
		}
		if lie(lied); lied.Check(verify) == nil {
			t.Errorf("a proof passes whose lie is %s: %s", what, b)
		}
	}
}

// Old files of records may be moved away: what is there can still be shown and proved, and so can the growth of the log.
func TestFilesMovedAway(t *testing.T) {
	dir := t.TempDir()
	o := Options{FileBytes: 300}
	l := open(t, dir, o)
	grow(t, l, 3)
	must(t, l.Seal(t.Context(), sealer))
	before, _ := read(t, dir).Head()
	grow(t, l, 20)
	must(t, l.Seal(t.Context(), sealer))
	must(t, l.Close())
	firsts, err := recordFiles(dir)
	must(t, err)
	for _, first := range firsts[:len(firsts)-2] {
		must(t, os.Remove(filepath.Join(dir, recordsName(first))))
	}
	kept := firsts[len(firsts)-2]
	r := read(t, dir)
	report, err := r.Check(verify)
	if err != nil || report.Present != 24-kept || report.Verified != 2 {
		t.Errorf("%+v, %v", report, err)
	}
	p, err := r.ProveRecord(kept)
	must(t, err)
	must(t, p.Check(verify))
	_, err = r.ProveRecord(0)
	damaged(t, "a record that is not there any more", err)
	after, _ := r.Head()
	p, err = r.ProveGrowth(before, after)
	must(t, err)
	must(t, p.Check(verify))

	for _, first := range firsts[len(firsts)-2:] { // and the last, too
		must(t, os.Remove(filepath.Join(dir, recordsName(first))))
	}
	l = open(t, dir, o)
	if l.Size() != 24 {
		t.Errorf("goes on with record %d", l.Size())
	}
	grow(t, l, 1)
	must(t, l.Seal(t.Context(), sealer))
	if report := check(t, dir); report.Records != 25 || report.Present != 1 || report.Open != 0 {
		t.Errorf("%+v", report)
	}
}

// Whatever is changed, taken out or put in below a sealed head is found, byte for byte.
func TestEveryByteCounts(t *testing.T) {
	dir := t.TempDir()
	l := open(t, dir, Options{})
	grow(t, l, 5)
	must(t, l.Seal(t.Context(), sealer))
	must(t, l.Close())
	for _, name := range []string{recordsName(0), hashesName, headsName} {
		path := filepath.Join(dir, name)
		good, err := os.ReadFile(path)
		must(t, err)
		for i := range good {
			bad := append([]byte(nil), good...)
			bad[i] ^= 1
			must(t, os.WriteFile(path, bad, 0o600))
			r, err := Read(dir)
			var report Report
			if err == nil {
				report, err = r.Check(verify)
				r.Close()
			}
			if err == nil && report.Verified == 1 && report.Present == 6 {
				t.Fatalf("%s: byte %d is %q in place of %q, and nobody sees it: %s", name, i, bad[i], good[i], bad)
			}
		}
		must(t, os.WriteFile(path, good, 0o600))
	}
	if report := check(t, dir); report.Verified != 1 {
		t.Errorf("%+v", report)
	}
}

// A log that was cut behind a head's back, or exchanged, is not gone on with.
func TestOpenRefusesWhatWasCut(t *testing.T) {
	cut := func(name string, n int64) func(t *testing.T, dir string) {
		return func(t *testing.T, dir string) {
			path := filepath.Join(dir, name)
			info, err := os.Stat(path)
			must(t, err)
			must(t, os.Truncate(path, info.Size()-n))
		}
	}
	for name, do := range map[string]func(t *testing.T, dir string){
		"a record less":      cut(recordsName(0), 2),
		"records and hashes": func(t *testing.T, dir string) { cut(recordsName(0), 2)(t, dir); cut(hashesName, 64)(t, dir) },
		"another record": func(t *testing.T, dir string) {
			path := filepath.Join(dir, recordsName(0))
			b, err := os.ReadFile(path)
			must(t, err)
			must(t, os.WriteFile(path, []byte(strings.Replace(string(b), "BI3", "BI9", 1)), 0o600))
			must(t, os.Remove(filepath.Join(dir, hashesName)))
		},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			l := open(t, dir, Options{})
			grow(t, l, 5)
			must(t, l.Seal(t.Context(), sealer))
			must(t, l.Close())
			do(t, dir)
			_, err := Open(dir, Options{})
			damaged(t, name, err)
		})
	}
}

func TestOneWriter(t *testing.T) {
	dir := t.TempDir()
	l := open(t, dir, Options{})
	if _, err := Open(dir, Options{}); !errors.As(err, new(*InUseError)) {
		t.Errorf("a second program writes: %v", err)
	}
	must(t, l.Close())
	open(t, dir, Options{})
	for _, name := range []string{recordsName(0), hashesName, headsName} {
		info, err := os.Stat(filepath.Join(dir, name))
		must(t, err)
		if info.Mode() != 0o600 {
			t.Errorf("%s has mode %v", name, info.Mode())
		}
	}
}

// Heads come by themselves: after so many records, or so long after the first.
func TestHeadsFallDue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir := t.TempDir()
		l := open(t, dir, Options{HeadEvery: 10, HeadAfter: time.Minute})
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() {
			defer close(done)
			l.Run(ctx, sealer, func(err error) { t.Error(err) })
		}()
		heads := func() int { synctest.Wait(); return check(t, dir).Heads }
		if n := heads(); n != 0 {
			t.Errorf("%d heads at once", n)
		}
		grow(t, l, 9)
		if n := heads(); n != 1 {
			t.Errorf("%d heads over 10 records", n)
		}
		grow(t, l, 1)
		time.Sleep(time.Minute) // virtual
		if n := heads(); n != 2 {
			t.Errorf("%d heads after a minute", n)
		}
		time.Sleep(time.Hour)
		if n := heads(); n != 2 {
			t.Errorf("%d heads while nothing happens", n)
		}
		cancel()
		<-done
	})
}

// sick is a disk on which writing fails for a while, each time after some bytes.
type sick struct {
	room     int // bytes; -1: as many as there are
	truncate bool
}

type sickFile struct {
	file
	*sick
}

var errFull = errors.New("no space left")

func (f sickFile) WriteAt(b []byte, at int64) (int, error) {
	if f.room < 0 || f.room >= len(b) {
		if f.room > 0 {
			f.room -= len(b)
		}
		return f.file.WriteAt(b, at)
	}
	n, _ := f.file.WriteAt(b[:f.room], at)
	f.room = 0
	return n, errFull
}

func (f sickFile) Truncate(size int64) error {
	if f.truncate {
		return errFull
	}
	return f.file.Truncate(size)
}

// A disk that fills up at any byte of a record costs that record and no other, whether or not what was half written can be taken back; how many were lost
// stands in the next one.
func TestFullDisk(t *testing.T) {
	for room := 0; room < 400; room += 3 {
		dir := t.TempDir()
		disk := &sick{room: -1}
		o := Options{FileBytes: 200, open: func(path string) (file, error) {
			f, err := openFile(path)
			return sickFile{f, disk}, err
		}}
		l := open(t, dir, o)
		grow(t, l, 2)
		must(t, l.Seal(t.Context(), sealer))
		disk.room, disk.truncate = room, room%4 == 0
		lost := 0
		for range 4 {
			if err := l.Append(Record{Event: Login, Identity: "BI1@0123456789abcdef"}); err != nil {
				if !errors.Is(err, errFull) {
					t.Fatal(err)
				}
				lost++
			}
		}
		size := l.Size()
		disk.room, disk.truncate = -1, false
		if room%2 == 0 { // killed, and started again
			must(t, l.Close())
			l = open(t, dir, Options{FileBytes: 200})
			if l.Size() < size || l.Size() > size+1 { // a record whose hashes did not fit is whole
				t.Fatalf("room for %d bytes: %d records, and %d after a restart", room, size, l.Size())
			}
			lost = 0
		}
		must(t, l.Append(Record{Event: Stopped}))
		must(t, l.Seal(t.Context(), sealer))
		r := read(t, dir)
		report, err := r.Check(verify)
		if err != nil || report.Open != 0 || report.Records != report.Present {
			t.Fatalf("room for %d bytes: %+v, %v", room, report, err)
		}
		for _, data := range r.Records(r.Size() - 1) {
			var last Record
			must(t, json.Unmarshal(data, &last))
			if last.Event != Stopped || last.Missed != lost {
				t.Fatalf("room for %d bytes: %d were lost, and the next record says %s", room, lost, data)
			}
		}
		must(t, l.Close())
	}
}

const killed = "SINETE_AUDIT_TEST_DIR"

// TestMain is the program that is killed, too: it writes until then, and says how far it came.
func TestMain(m *testing.M) {
	dir := os.Getenv(killed)
	if dir == "" {
		os.Exit(m.Run())
	}
	l, err := Open(dir, Options{FileBytes: 4000, HeadEvery: 16})
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	for {
		if err := l.Append(Record{Event: Login, Identity: strings.Repeat("x", int(l.Size()%150))}); err != nil {
			os.Exit(1)
		}
		if l.Size()%16 == 0 {
			_ = l.Seal(context.Background(), sealer)
		}
		fmt.Println(l.Size())
	}
}

// A program that is killed while it writes, again and again, loses no record that it had written, and its log stays one log.
func TestKilled(t *testing.T) {
	dir := t.TempDir()
	said := int64(0)
	for i := range 25 {
		c := exec.Command(os.Args[0])
		c.Env = append(os.Environ(), killed+"="+dir)
		out, err := c.StdoutPipe()
		must(t, err)
		must(t, c.Start())
		lines := bufio.NewScanner(out)
		for n := 0; n < 10+7*i && lines.Scan(); n++ {
			if _, err := fmt.Sscan(lines.Text(), &said); err != nil {
				t.Fatalf("after %d records: %s", said, lines.Text())
			}
		}
		must(t, c.Process.Kill())
		for lines.Scan() { // what it said before it died counts
			_, _ = fmt.Sscan(lines.Text(), &said)
		}
		_ = c.Wait()
	}
	l := open(t, dir, Options{FileBytes: 4000})
	if l.Size() < said {
		t.Errorf("%d records, and %d had been written", l.Size(), said)
	}
	must(t, l.Seal(t.Context(), sealer))
	if report := check(t, dir); report.Present != report.Records || report.Open != 0 || report.Heads < 10 {
		t.Errorf("%+v", report)
	}
	if l.Size() < 500 {
		t.Errorf("only %d records in all", l.Size())
	}
}

// Whatever lies in the files, nothing panics; and a log that opens can be written, sealed and, where its records were its own, checked.
func FuzzFiles(f *testing.F) {
	dir := f.TempDir()
	l := open(f, dir, Options{})
	grow(f, l, 3)
	must(f, l.Seal(f.Context(), sealer))
	must(f, l.Close())
	var seeds [3][]byte
	for i, name := range []string{recordsName(0), hashesName, headsName} {
		b, err := os.ReadFile(filepath.Join(dir, name))
		must(f, err)
		seeds[i] = b
	}
	f.Add(seeds[0], seeds[1], seeds[2])
	f.Add(seeds[0], []byte{}, []byte{})
	f.Add([]byte("\n\n{}\n"), seeds[1][:40], seeds[2][:len(seeds[2])-1])
	f.Fuzz(func(t *testing.T, records, hashes, heads []byte) {
		dir := t.TempDir()
		for name, b := range map[string][]byte{recordsName(0): records, hashesName: hashes, headsName: heads} {
			must(t, os.WriteFile(filepath.Join(dir, name), b, 0o600))
		}
		if r, err := Read(dir); err == nil {
			_, _ = r.Check(verify)
			_, _ = r.ProveRecord(0)
			r.Close()
		}
		l, err := Open(dir, Options{})
		if err != nil {
			return
		}
		defer l.Close()
		before := l.Size()
		must(t, l.Append(Record{Event: Started}))
		must(t, l.Seal(t.Context(), sealer))
		if r := read(t, dir); r.Size() != before+1 {
			t.Errorf("%d records after %d and one more", r.Size(), before)
		}
	})
}

func FuzzProof(f *testing.F) {
	dir := f.TempDir()
	l := open(f, dir, Options{})
	grow(f, l, 3)
	must(f, l.Seal(f.Context(), sealer))
	r := read(f, dir)
	p, err := r.ProveRecord(2)
	must(f, err)
	h, _ := r.Head()
	growth, err := r.ProveGrowth(h, h)
	must(f, err)
	for _, p := range []*Proof{p, growth} {
		b, err := json.Marshal(p)
		must(f, err)
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		if p, err := ParseProof(b); err == nil {
			_ = p.Check(verify)
		}
	})
}

package journal_test

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"

	"sinete/peer/store/internal/journal"
	"sinete/peer/store/internal/journal/journaltest"
)

var (
	testKey = [32]byte{1, 2, 3}
	testID  = [16]byte{4, 5, 6}
)

// overhead is what a record takes in the file beside its own bytes (docs/store.md section 3).
const overhead = 28 + 24 + 16

// open opens the journal on a disk from the mark on and returns what it visits.
func open(t testing.TB, d journal.Disk, from journal.Mark) (*journal.Journal, [][]byte, []journal.Damage) {
	t.Helper()
	var got [][]byte
	j, damage, err := journal.Open(d, testKey, testID, from, func(_ journal.Position, r []byte) error {
		got = append(got, bytes.Clone(r))
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return j, got, damage
}

func closed(t testing.TB, j *journal.Journal) {
	t.Helper()
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
}

// reopen opens the journal that has these bytes, and closes it again.
func reopen(t *testing.T, b []byte) (*journaltest.Disk, [][]byte, []journal.Damage) {
	t.Helper()
	d := &journaltest.Disk{}
	d.Put("journal", b)
	j, got, damage := open(t, d, journal.Mark{})
	closed(t, j)
	return d, got, damage
}

// made is a journal of these records: its bytes, where each record begins, and its generation.
func made(t testing.TB, records [][]byte) ([]byte, []journal.Mark) {
	t.Helper()
	d := &journaltest.Disk{}
	j, _, _ := open(t, d, journal.Mark{})
	positions := j.Append(records...).Positions
	closed(t, j)
	marks := make([]journal.Mark, len(positions))
	for i, p := range positions {
		marks[i] = journal.Mark{Generation: j.Mark().Generation, Position: p}
	}
	return d.Bytes("journal"), marks
}

func sized(r *rand.ChaCha8, sizes ...int) [][]byte {
	var all [][]byte
	for _, n := range sizes {
		b := make([]byte, n)
		r.Read(b)
		all = append(all, b)
	}
	return all
}

func same(a, b [][]byte) bool { return slices.EqualFunc(a, b, bytes.Equal) }

// prefix is a journal's file that was cut.
type prefix struct{ b []byte }

func (p *prefix) Open(string) (journal.File, error) { return p, nil }
func (p *prefix) Rename(string, string) error       { return errors.New("nothing is renamed") }
func (p *prefix) Remove(string) error               { return nil }
func (p *prefix) Sync() error                       { return nil }
func (p *prefix) Close() error                      { return nil }
func (p *prefix) Size() (int64, error)              { return int64(len(p.b)), nil }
func (p *prefix) Truncate(size int64) error         { p.b = p.b[:size]; return nil }

func (p *prefix) WriteAt([]byte, int64) (int, error) { return 0, errors.New("nothing is written") }

func (p *prefix) ReadAt(b []byte, at int64) (int, error) { return copy(b, p.b[at:]), nil }

// TestCutAtEveryByte opens a journal of a megabyte cut at each of its bytes, from the mark of the record before the one that the cut goes through,
// and at each end of a record from the start. With the race detector, which has nothing to find here, it leaves most of the bytes out.
func TestCutAtEveryByte(t *testing.T) {
	r := rand.NewChaCha8([32]byte{7})
	random := rand.New(r)
	var sizes []int
	for total := 0; total < 1<<20; {
		n := 100 + random.IntN(2000)
		if len(sizes)%200 == 100 {
			n = 60_000
		}
		sizes, total = append(sizes, n), total+n
	}
	records := sized(r, sizes...)
	whole, marks := made(t, records)
	if len(whole) < 1<<20 {
		t.Fatalf("%d bytes", len(whole))
	}

	check := func(first, complete, cut int, mark journal.Mark) {
		p, i := &prefix{whole[:cut:cut]}, first
		j, damage, err := journal.Open(p, testKey, testID, mark, func(_ journal.Position, record []byte) error {
			if i >= complete || !bytes.Equal(record, records[i]) {
				t.Errorf("cut at byte %d: a wrong record %d", cut, i)
			}
			i++
			return nil
		})
		if err != nil {
			t.Error(err)
			return
		}
		closed(t, j)
		if i != complete {
			t.Errorf("cut at byte %d: %d records from %d on, want %d", cut, i-first, first, complete-first)
		}
		end := len(whole)
		if complete < len(marks) {
			end = int(marks[complete].Offset)
		}
		if len(p.b) != end {
			t.Errorf("cut at byte %d: the file has %d bytes, want %d", cut, len(p.b), end)
		}
		want := journal.Damage{Kind: journal.Torn, At: journal.Position{Offset: int64(end), Number: uint64(complete)}, Bytes: int64(cut - end)}
		if torn := cut > end; len(damage) > 1 || (len(damage) == 1) != torn || torn && damage[0] != want {
			t.Errorf("cut at byte %d: %+v, want %+v", cut, damage, want)
		}
	}

	var wg sync.WaitGroup
	work := make(chan int)
	for range runtime.GOMAXPROCS(0) {
		wg.Go(func() {
			for i := range work {
				end := len(whole)
				if i+1 < len(marks) {
					end = int(marks[i+1].Offset)
				}
				check(0, i, int(marks[i].Offset), journal.Mark{})
				before := max(0, i-1)
				for cut := int(marks[i].Offset); cut < end && !t.Failed(); cut += stride {
					check(before, i, cut, marks[before])
				}
			}
		})
	}
	for i := range records {
		work <- i
	}
	close(work)
	wg.Wait()
	check(0, len(records), len(whole), journal.Mark{})
}

func TestEveryFlippedByteCostsItsRecord(t *testing.T) {
	r := rand.NewChaCha8([32]byte{8})
	records := sized(r, 40, 0, 1, 100, 17, 333, 5, 64, 1, 200)
	whole, marks := made(t, records)
	for at := range whole {
		i, _ := slices.BinarySearchFunc(marks, int64(at)+1, func(m journal.Mark, offset int64) int { return int(m.Offset - offset) })
		i--
		for bit := range 8 {
			b := bytes.Clone(whole)
			b[at] ^= 1 << bit
			d, got, damage := reopen(t, b)
			if want := slices.Delete(slices.Clone(records), i, i+1); !same(got, want) {
				t.Fatalf("byte %d of record %d: %d records, want %d", at, i, len(got), len(want))
			}
			want := journal.Damage{Kind: journal.Damaged, At: marks[i].Position, Bytes: int64(len(records[i]) + overhead), Records: 1}
			if len(damage) != 1 || damage[0] != want {
				t.Fatalf("byte %d of record %d: %+v, want %+v", at, i, damage, want)
			}
			if bit == 0 {
				goesOnAfterDamage(t, d, got, want)
			}
		}
	}
}

// goesOnAfterDamage appends to a damaged journal and repairs it.
func goesOnAfterDamage(t *testing.T, d *journaltest.Disk, got [][]byte, damage journal.Damage) {
	t.Helper()
	got = append(got, []byte("more"))
	j, _, _ := open(t, d, journal.Mark{})
	j.Append([]byte("more"))
	closed(t, j)
	j, again, still := open(t, d, journal.Mark{})
	if !same(again, got) || len(still) != 1 || still[0] != damage {
		t.Fatalf("%d records and %+v, want %d and %+v", len(again), still, len(got), damage)
	}
	repaired, err := j.Rewrite(func(_ journal.Position, r []byte) ([]byte, bool) { return r, true })
	if err != nil || len(repaired) != 1 || repaired[0] != damage {
		t.Fatal(repaired, err)
	}
	closed(t, j)
	j, again, still = open(t, d, journal.Mark{})
	closed(t, j)
	if !same(again, got) || len(still) != 0 {
		t.Fatalf("%d records and %+v, want %d", len(again), still, len(got))
	}
}

// TestTampering moves whole records about: what an intruder who has no key can do.
func TestTampering(t *testing.T) {
	r := rand.NewChaCha8([32]byte{9})
	records := sized(r, 50, 50, 50, 50, 50)
	const size = 50 + overhead
	whole, _ := made(t, records)
	other, _ := made(t, records)
	piece := func(from []byte, i int) []byte { return from[i*size : (i+1)*size] }
	join := func(pieces ...[]byte) []byte { return bytes.Join(pieces, nil) }
	at := func(place, number int) journal.Position {
		return journal.Position{Offset: int64(place) * size, Number: uint64(number)}
	}
	for _, test := range []struct {
		name   string
		file   []byte
		want   string // numbers of the records that come back
		damage []journal.Damage
	}{
		{"dropped", join(whole[:2*size], whole[3*size:]), "0134", []journal.Damage{{journal.Missing, at(2, 2), 0, 1}}},
		{"the first two dropped", whole[2*size:], "234", []journal.Damage{{journal.Missing, at(0, 0), 0, 2}}},
		{"repeated", join(whole[:3*size], piece(whole, 1), whole[3*size:]), "01234", []journal.Damage{{journal.Misplaced, at(3, 3), size, 0}}},
		{"swapped", join(piece(whole, 0), piece(whole, 2), piece(whole, 1), whole[3*size:]), "0234",
			[]journal.Damage{{journal.Missing, at(1, 1), 0, 1}, {journal.Misplaced, at(2, 3), size, 0}}},
		{"of another journal", join(whole[:2*size], piece(other, 2), whole[3*size:]), "0134",
			[]journal.Damage{{journal.Misplaced, at(2, 2), size, 0}, {journal.Missing, at(3, 2), 0, 1}}},
		{"two overwritten", join(whole[:size], bytes.Repeat([]byte("x"), 2*size), whole[3*size:]), "034",
			[]journal.Damage{{journal.Damaged, at(1, 1), 2 * size, 2}}},
		{"rubbish between", join(whole[:2*size], []byte("rubbish"), whole[2*size:]), "01234",
			[]journal.Damage{{journal.Damaged, at(2, 2), 7, 0}}},
		{"zeros at the end", join(whole, make([]byte, 5000)), "01234", []journal.Damage{{journal.Torn, at(5, 5), 5000, 0}}},
		{"rubbish at the end", join(whole, bytes.Repeat([]byte("x"), 5000)), "01234", []journal.Damage{{journal.Damaged, at(5, 5), 5000, 1}}},
		{"nothing but rubbish", bytes.Repeat([]byte("x"), 1<<20), "", []journal.Damage{{journal.Damaged, at(0, 0), 1 << 20, 1}}},
		{"the last two damaged", damaged(whole, 3*size+60, 4*size+60), "012", []journal.Damage{{journal.Damaged, at(3, 3), 2 * size, 2}}},
		{"damaged, and torn after it", damaged(whole[:4*size+40], 3*size+60), "012",
			[]journal.Damage{{journal.Damaged, at(3, 3), size + 40, 1}}},
		{"a false header", join(whole[:3*size], whole[2*size:][:28], whole[3*size:]), "01234", []journal.Damage{{journal.Damaged, at(3, 3), 28, 0}}},
		{"a beginning", whole[:20], "", []journal.Damage{{journal.Torn, at(0, 0), 20, 0}}},
	} {
		t.Run(test.name, func(t *testing.T) {
			_, got, damage := reopen(t, test.file)
			var want [][]byte
			for _, c := range test.want {
				want = append(want, records[c-'0'])
			}
			if !same(got, want) {
				t.Errorf("%d records, want %s", len(got), test.want)
			}
			if !slices.Equal(damage, test.damage) {
				t.Errorf("%+v, want %+v", damage, test.damage)
			}
		})
	}
}

// damaged returns b with these bytes altered.
func damaged(b []byte, at ...int) []byte {
	b = bytes.Clone(b)
	for _, i := range at {
		b[i]++
	}
	return b
}

func TestOtherKeyOrStore(t *testing.T) {
	whole, _ := made(t, [][]byte{[]byte("one"), []byte("two")})
	for name, as := range map[string]struct {
		key [32]byte
		id  [16]byte
	}{"key": {[32]byte{9}, testID}, "store": {testKey, [16]byte{9}}} {
		d := &journaltest.Disk{}
		d.Put("journal", whole)
		j, damage, err := journal.Open(d, as.key, as.id, journal.Mark{}, func(journal.Position, []byte) error {
			t.Error(name, "a record")
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		closed(t, j)
		if len(damage) != 1 || damage[0].Records != 2 {
			t.Error(name, damage)
		}
	}
}

func TestNothingIsInTheClear(t *testing.T) {
	text := strings.Repeat("nobody may read this", 10)
	whole, _ := made(t, [][]byte{[]byte(text)})
	if bytes.Contains(whole, []byte("nobody")) {
		t.Error("the text is in the file")
	}
}

func TestMarks(t *testing.T) {
	records := sized(rand.NewChaCha8([32]byte{10}), 10, 20, 30, 40)
	whole, marks := made(t, records)
	d := &journaltest.Disk{}
	d.Put("journal", whole)
	for i, m := range marks {
		j, got, damage := open(t, d, m)
		closed(t, j)
		if !same(got, records[i:]) || damage != nil {
			t.Errorf("from record %d: %d records, %v", i, len(got), damage)
		}
	}
	j, _, _ := open(t, d, journal.Mark{})
	end := j.Mark()
	if want := (journal.Position{Offset: int64(len(whole)), Number: 4}); end.Position != want {
		t.Errorf("%+v, want %+v", end.Position, want)
	}
	closed(t, j)
	j, got, damage := open(t, d, end)
	closed(t, j)
	if got != nil || damage != nil {
		t.Error(got, damage)
	}

	refused := func(b []byte, m journal.Mark, shorter bool) {
		t.Helper()
		d := &journaltest.Disk{}
		d.Put("journal", b)
		_, _, err := journal.Open(d, testKey, testID, m, nil)
		if e := (*journal.MarkError)(nil); !errors.As(err, &e) || e.Shorter != shorter {
			t.Errorf("%v, want a MarkError, shorter %v", err, shorter)
		}
	}
	refused(whole[:len(whole)-1], end, true)
	refused(nil, end, true)
	other, _ := made(t, records)
	refused(other, end, false)
	refused(other[:20], end, true)
}

func TestDamageInFrontOfAMark(t *testing.T) {
	records := sized(rand.NewChaCha8([32]byte{11}), 10, 20, 30, 40)
	whole, marks := made(t, records)
	whole[5]++ // The generation is found in the next record.
	d := &journaltest.Disk{}
	d.Put("journal", whole)
	j, got, damage := open(t, d, marks[2])
	defer closed(t, j)
	if !same(got, records[2:]) || damage != nil {
		t.Error(got, damage)
	}
	var e *journal.Damage
	if _, err := j.Read(marks[0].Position); !errors.As(err, &e) || e.Kind != journal.Damaged || e.At != marks[0].Position {
		t.Error(err)
	}
	if b, err := j.Read(marks[1].Position); err != nil || !bytes.Equal(b, records[1]) {
		t.Error(b, err)
	}
}

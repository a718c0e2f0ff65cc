package journal_test

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"syscall"
	"testing"

	"sinete/peer/store/internal/journal"
	"sinete/peer/store/internal/journal/journaltest"
	"sinete/wire"
)

// book is what a program knows about the records it appended: each is a number of eight bytes and some more.
type book struct {
	next         uint64
	safe         []uint64        // Append's Wait said so
	written      []uint64        // AppendUnsynced's Wait said so
	refused      map[uint64]bool // Wait failed
	dropped      map[uint64]bool // a rewriting left it out
	maybeDropped map[uint64]bool // a rewriting that failed was to leave it out
}

func newBook() *book {
	return &book{refused: map[uint64]bool{}, dropped: map[uint64]bool{}, maybeDropped: map[uint64]bool{}}
}

func number(record []byte) uint64 { return binary.BigEndian.Uint64(record) }

// work does some of everything with a journal, and notes what was promised.
func (b *book) work(j *journal.Journal, r *rand.Rand, steps int) {
	type waiting struct {
		ticket *journal.Ticket
		number uint64
		sync   bool
	}
	var all []waiting
	settle := func() {
		for _, w := range all {
			switch err := w.ticket.Wait(); {
			case err != nil:
				b.refused[w.number] = true
			case w.sync:
				b.safe = append(b.safe, w.number)
			default:
				b.written = append(b.written, w.number)
			}
		}
		all = nil
	}
	for range steps {
		switch n := r.IntN(20); {
		case n == 0:
			settle()
			leftOut := map[uint64]bool{}
			_, err := j.Rewrite(func(_ journal.Position, record []byte) ([]byte, bool) {
				if n := number(record); n%5 == 3 {
					leftOut[n] = true
					return nil, false
				}
				return record, true
			})
			for n := range leftOut {
				b.dropped[n] = err == nil
				b.maybeDropped[n] = true
			}
		case n < 4:
			settle()
		default:
			record := make([]byte, 8+r.IntN(9000))
			binary.BigEndian.PutUint64(record, b.next)
			if w := (waiting{number: b.next, sync: n < 12}); w.sync {
				w.ticket = j.Append(record)
				all = append(all, w)
			} else {
				w.ticket = j.AppendUnsynced(record)
				all = append(all, w)
			}
			b.next++
		}
	}
	settle()
}

// check compares what came back with what was promised. After a loss of power a record that was only written may be gone, and one that failed may be there.
func (b *book) check(got []uint64, powerLoss bool) error {
	if !slices.IsSorted(got) || len(slices.Compact(slices.Clone(got))) != len(got) {
		return fmt.Errorf("out of order or twice: %v", got)
	}
	there := map[uint64]bool{}
	for _, n := range got {
		there[n] = true
	}
	promised := b.safe
	if !powerLoss {
		promised = append(slices.Clone(b.safe), b.written...)
		for n := range b.refused {
			if there[n] {
				return fmt.Errorf("%d was refused and is there", n)
			}
		}
		for n, dropped := range b.dropped {
			if dropped && there[n] {
				return fmt.Errorf("%d was dropped and is there", n)
			}
		}
	}
	for _, n := range promised {
		if !there[n] && !b.maybeDropped[n] {
			return fmt.Errorf("%d was promised and is not there", n)
		}
	}
	return nil
}

func numbers(records [][]byte) (all []uint64) {
	for _, r := range records {
		all = append(all, number(r))
	}
	return all
}

// TestEveryFault lets each single thing that the disk does fail once, or from then on for a while, and sees the journal keep its promises and go on.
func TestEveryFault(t *testing.T) {
	for _, fault := range []error{syscall.ENOSPC, syscall.EIO} {
		for _, lasts := range []int{1, 4} {
			for at := 0; ; at++ {
				d := &journaltest.Disk{}
				j, _, _ := open(t, d, journal.Mark{})
				ops, failedSync := 0, false
				var hit []string
				d.Fail = func(op journaltest.Op) (int, error) {
					if op.Name == "close" {
						return 0, nil
					}
					if ops++; ops <= at || ops > at+lasts {
						return 0, nil
					}
					failedSync = failedSync || op.Name == "sync" && op.File == "journal"
					hit = append(hit, op.Name+" "+op.File)
					return op.Size * 2 / 3, fault
				}
				b, r := newBook(), rand.New(rand.NewPCG(1, 2))
				b.work(j, r, 60)
				d.Fail = nil
				missed := ops <= at
				safe := len(b.safe)
				b.work(j, r, 20)
				if len(b.safe) == safe {
					t.Fatalf("%v: does not go on", hit)
				}
				if failedSync {
					b.written = nil // A failed sync costs what was only written.
				}
				closed(t, j)
				j, got, damage := open(t, d, journal.Mark{})
				closed(t, j)
				if err := b.check(numbers(got), false); err != nil || damage != nil {
					t.Fatalf("%d for %d: %v: %v, %v", at, lasts, hit, err, damage)
				}
				if missed {
					break
				}
				if at > 500 {
					t.Fatal("the disk is never done")
				}
			}
		}
	}
}

func TestErrorsSayWhatFailed(t *testing.T) {
	for _, test := range []struct {
		op   string
		err  error
		full bool
	}{
		{"write", syscall.ENOSPC, true}, {"write", syscall.EDQUOT, true}, {"write", syscall.EFBIG, true}, {"sync", syscall.ENOSPC, true},
		{"write", syscall.EIO, false}, {"sync", syscall.EIO, false},
	} {
		d := &journaltest.Disk{}
		j, _, _ := open(t, d, journal.Mark{})
		d.Fail = func(op journaltest.Op) (int, error) {
			if op.Name == test.op {
				return op.Size / 2, test.err
			}
			return 0, nil
		}
		err := j.Append([]byte("one")).Wait()
		var full *journal.FullError
		var broken *journal.IOError
		if !errors.Is(err, test.err) || errors.As(err, &full) != test.full || errors.As(err, &broken) == test.full {
			t.Errorf("%s %v: %v", test.op, test.err, err)
		}
		if test.full && wire.CodeOf(err) != wire.CodeBusy || !test.full && (broken.Op != test.op || wire.CodeOf(err) != wire.CodeInternal) {
			t.Errorf("%s %v: %v", test.op, test.err, err)
		}
		if size := len(d.Bytes("journal")); size != 0 {
			t.Errorf("%s %v left %d bytes", test.op, test.err, size)
		}
		d.Fail = nil
		if err := j.Append([]byte("two")).Wait(); err != nil {
			t.Error(err)
		}
		closed(t, j)
		if _, got, damage := reopen(t, d.Bytes("journal")); !same(got, [][]byte{[]byte("two")}) || damage != nil {
			t.Errorf("%q, %v", got, damage)
		}
	}
}

// TestFailureTakesWhatWaitsBehindIt sees what was appended while a write failed fail with it, so that nothing is there without what came before it.
func TestFailureTakesWhatWaitsBehindIt(t *testing.T) {
	d := &journaltest.Disk{}
	j, _, _ := open(t, d, journal.Mark{})
	busy, writing := make(chan struct{}), make(chan struct{})
	d.Fail = func(op journaltest.Op) (int, error) {
		if op.Name != "write" {
			return 0, nil
		}
		close(writing)
		<-busy
		return op.Size, syscall.EIO
	}
	first := j.Append([]byte("first"))
	<-writing
	second := j.Append([]byte("second"))
	close(busy)
	for _, ticket := range []*journal.Ticket{first, second} {
		if err := ticket.Wait(); !errors.Is(err, syscall.EIO) {
			t.Error(err)
		}
	}
	d.Fail = nil
	third := j.Append([]byte("third"))
	if err := third.Wait(); err != nil || third.Positions[0] != first.Positions[0] {
		t.Error(err, third.Positions)
	}
	closed(t, j)
}

// TestLossOfPower stops the disk at every single thing it does, loses what it must not rely on, and sees everything promised there.
func TestLossOfPower(t *testing.T) {
	errOff := errors.New("the power is off")
	kinds := map[journal.Kind]int{}
	for seed := range uint64(6) {
		for at := 0; ; at++ {
			d := &journaltest.Disk{}
			j, _, _ := open(t, d, journal.Mark{})
			r := rand.New(rand.NewPCG(seed, uint64(at)))
			ops := 0
			var after *journaltest.Disk
			d.Fail = func(op journaltest.Op) (int, error) {
				if ops++; ops <= at {
					return 0, nil
				}
				return r.IntN(op.Size + 1), errOff
			}
			b := newBook()
			b.work(j, rand.New(rand.NewPCG(seed, 0)), 80)
			lost := ops > at
			after = d.PowerLoss(r)
			d.Fail = nil
			j.Close()
			var got [][]byte
			j, damage, err := journal.Open(after, testKey, testID, journal.Mark{}, func(_ journal.Position, record []byte) error {
				got = append(got, slices.Clone(record))
				return nil
			})
			if err != nil {
				t.Fatal(err)
			}
			for _, d := range damage {
				kinds[d.Kind]++
			}
			if err := b.check(numbers(got), true); err != nil {
				t.Fatalf("seed %d, at %d: %v; %v", seed, at, err, damage)
			}
			b.work(j, r, 10)
			closed(t, j)
			if !lost {
				break
			}
		}
	}
	if kinds[journal.Torn] < 10 || kinds[journal.Damaged] < 10 {
		t.Errorf("the losses of power were mild: %v", kinds)
	}
}

// TestNewNameMustBeSafe fails the sync of the folder after a rewriting: nothing counts as safe until it is made up for.
func TestNewNameMustBeSafe(t *testing.T) {
	d := &journaltest.Disk{}
	j, _, _ := open(t, d, journal.Mark{})
	j.Append([]byte("one"))
	d.Fail = func(op journaltest.Op) (int, error) {
		if op.Name == "names" {
			return 0, syscall.EIO
		}
		return 0, nil
	}
	before := j.Mark().Generation
	if _, err := j.Rewrite(func(_ journal.Position, r []byte) ([]byte, bool) { return r, true }); !errors.Is(err, syscall.EIO) {
		t.Fatal(err)
	}
	if j.Mark().Generation == before {
		t.Error("the old journal goes on")
	}
	if err := j.Append([]byte("two")).Wait(); !errors.Is(err, syscall.EIO) {
		t.Error(err)
	}
	d.Fail = nil
	if err := j.Append([]byte("three")).Wait(); err != nil {
		t.Error(err)
	}
	closed(t, j)
	if _, got, _ := reopen(t, d.Bytes("journal")); !same(got, [][]byte{[]byte("one"), []byte("three")}) {
		t.Errorf("%q", got)
	}
}

// TestOpeningMakesSafe opens what a killed program had only written, and loses power.
func TestOpeningMakesSafe(t *testing.T) {
	for seed := range uint64(20) {
		d := &journaltest.Disk{}
		killed, _, _ := open(t, d, journal.Mark{})
		if err := killed.AppendUnsynced([]byte("one")).Wait(); err != nil {
			t.Fatal(err)
		}
		j, _, _ := open(t, d, journal.Mark{})
		_, got, _ := reopen(t, d.PowerLoss(rand.New(rand.NewPCG(seed, 0))).Bytes("journal"))
		if !same(got, [][]byte{[]byte("one")}) {
			t.Fatalf("%q", got)
		}
		closed(t, killed)
		closed(t, j)
	}
}

// TestFailedSync cuts off everything since the last good one: also what was only written, and long ago.
func TestFailedSync(t *testing.T) {
	d := &journaltest.Disk{}
	j, _, _ := open(t, d, journal.Mark{})
	if err := j.Append([]byte("safe")).Wait(); err != nil {
		t.Fatal(err)
	}
	mark, size := j.Mark(), j.Size()
	written := j.AppendUnsynced([]byte("written"))
	if err := written.Wait(); err != nil {
		t.Fatal(err)
	}
	d.Fail = func(op journaltest.Op) (int, error) {
		if op.Name == "sync" {
			return 0, syscall.EIO
		}
		return 0, nil
	}
	if err := j.Append([]byte("refused")).Wait(); !errors.Is(err, syscall.EIO) {
		t.Fatal(err)
	}
	d.Fail = nil
	if j.Mark() != mark || j.Size() != size || len(d.Bytes("journal")) != int(size) {
		t.Errorf("%+v, %d bytes, want %+v, %d", j.Mark(), j.Size(), mark, size)
	}
	var gone *journal.Damage
	if _, err := j.Read(written.Positions[0]); !errors.As(err, &gone) || gone.Kind != journal.Missing {
		t.Error(err)
	}
	closed(t, j)
}

// TestCloseMakesTheNewNameSafe makes up for it when the journal is closed.
func TestCloseMakesTheNewNameSafe(t *testing.T) {
	for seed := range uint64(20) {
		d := &journaltest.Disk{}
		j, _, _ := open(t, d, journal.Mark{})
		if err := j.Append([]byte("one")).Wait(); err != nil { // so that nothing writes while Fail is set
			t.Fatal(err)
		}
		d.Fail = func(op journaltest.Op) (int, error) {
			if op.Name == "names" {
				return 0, syscall.EIO
			}
			return 0, nil
		}
		if _, err := j.Rewrite(func(journal.Position, []byte) ([]byte, bool) { return []byte("another"), true }); !errors.Is(err, syscall.EIO) {
			t.Fatal(err)
		}
		d.Fail = nil
		closed(t, j)
		if _, got, _ := reopen(t, d.PowerLoss(rand.New(rand.NewPCG(seed, 0))).Bytes("journal")); !same(got, [][]byte{[]byte("another")}) {
			t.Fatalf("%q", got)
		}
	}
}

package journal_test

import (
	"bytes"
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"

	"go.uber.org/goleak"

	"sinete/peer/store/internal/journal"
	"sinete/peer/store/internal/journal/journaltest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestWhatIsAppendedIsThereAgain(t *testing.T) {
	d := journal.Dir(t.TempDir())
	var want [][]byte
	for round := range 3 {
		j, got, damage := open(t, d, journal.Mark{})
		if !same(got, want) || damage != nil {
			t.Fatalf("round %d: %d records, want %d; %v", round, len(got), len(want), damage)
		}
		for i := range 50 {
			r := bytes.Repeat([]byte{byte(i)}, i*i*round)
			want = append(want, r)
			add := j.Append
			if i%2 == 0 {
				add = j.AppendUnsynced
			}
			ticket := add(r)
			if p := ticket.Positions; len(p) != 1 || p[0].Number != uint64(len(want)-1) {
				t.Fatalf("%v, want record %d", p, len(want)-1)
			}
			if again, err := j.Read(ticket.Positions[0]); err != nil || !bytes.Equal(again, r) {
				t.Fatalf("%x, %v", again, err)
			}
			if i%7 == 0 {
				if err := ticket.Wait(); err != nil {
					t.Fatal(err)
				}
			}
		}
		closed(t, j)
	}
}

// TestOneSyncForAllThatWait appends while the disk is busy with a first record.
func TestOneSyncForAllThatWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := &journaltest.Disk{}
		j, _, _ := open(t, d, journal.Mark{})
		ops, busy := map[string]int{}, make(chan struct{})
		d.Fail = func(op journaltest.Op) (int, error) {
			if ops[op.Name]++; op.Name == "write" && ops["write"] == 1 {
				<-busy
			}
			return 0, nil
		}
		first := j.Append([]byte("first"))
		synctest.Wait()
		var wg sync.WaitGroup
		for i := range 1000 {
			r := fmt.Append(nil, i)
			ticket := j.Append(r)
			if b, err := j.Read(ticket.Positions[0]); err != nil || !bytes.Equal(b, r) {
				t.Errorf("%q, %v", b, err)
			}
			wg.Go(func() {
				if err := ticket.Wait(); err != nil {
					t.Error(err)
				}
			})
		}
		if b, err := j.Read(first.Positions[0]); err != nil || string(b) != "first" {
			t.Errorf("%q, %v", b, err)
		}
		close(busy)
		wg.Wait()
		if ops["write"] != 2 || ops["sync"] != 2 {
			t.Errorf("%v, want 2 writes and 2 syncs", ops)
		}
		closed(t, j)
		if ops["sync"] != 2 {
			t.Errorf("%v, want no sync of what is safe", ops)
		}
	})
}

// TestUnsynced sees records written at once that nobody wants to be safe, and made safe with the next that must be, or when there are too many.
func TestUnsynced(t *testing.T) {
	d := &journaltest.Disk{}
	j, _, _ := open(t, d, journal.Mark{})
	ops := map[string]int{}
	d.Fail = func(op journaltest.Op) (int, error) {
		ops[op.Name]++
		return 0, nil
	}
	want := func(writes, syncs int) {
		t.Helper()
		if ops["write"] != writes || ops["sync"] != syncs {
			t.Errorf("%v, want %d writes, %d syncs", ops, writes, syncs)
		}
	}
	wait := func(ticket *journal.Ticket) {
		t.Helper()
		if err := ticket.Wait(); err != nil {
			t.Fatal(err)
		}
	}
	start := j.Mark()
	wait(j.AppendUnsynced([]byte("one")))
	wait(j.AppendUnsynced([]byte("two")))
	want(2, 0)
	if m := j.Mark(); m != start {
		t.Errorf("a mark after what is not safe: %+v", m)
	}
	wait(j.Append([]byte("three")))
	want(3, 1)
	wait(j.AppendUnsynced(make([]byte, 1<<20-1000)))
	want(4, 1)
	wait(j.AppendUnsynced(make([]byte, 1000)))
	want(5, 2)
	wait(j.AppendUnsynced([]byte("four")))
	closed(t, j)
	want(6, 3)
}

func TestAppendWaitsWhenTooMuchWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := &journaltest.Disk{}
		j, _, _ := open(t, d, journal.Mark{})
		busy, writes := make(chan struct{}), 0
		d.Fail = func(op journaltest.Op) (int, error) {
			if op.Name == "write" {
				writes++
				<-busy
			}
			return 0, nil
		}
		j.Append([]byte("first"))
		synctest.Wait()
		var tickets []*journal.Ticket
		through := 0
		go func() {
			for range 30 {
				tickets = append(tickets, j.Append(make([]byte, 1<<20)))
				through++
			}
		}()
		synctest.Wait()
		if through != 8 {
			t.Errorf("%d MiB wait, want 8", through)
		}
		close(busy)
		synctest.Wait()
		if through != 30 {
			t.Errorf("%d appended, want 30", through)
		}
		for _, ticket := range tickets {
			if err := ticket.Wait(); err != nil {
				t.Error(err)
			}
		}
		closed(t, j)
		_, got, _ := reopen(t, d.Bytes("journal"))
		if len(got) != 31 {
			t.Errorf("%d records, want 31", len(got))
		}
	})
}

func TestCloseLetsGoWhoWaitsForRoom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := &journaltest.Disk{}
		j, _, _ := open(t, d, journal.Mark{})
		busy := make(chan struct{})
		d.Fail = func(op journaltest.Op) (int, error) {
			if op.Name == "write" {
				<-busy
			}
			return 0, nil
		}
		j.Append([]byte("first"))
		synctest.Wait()
		waiting := j.Append(make([]byte, journal.MaxRecord), make([]byte, journal.MaxRecord))
		var refused *journal.Ticket
		go func() { refused = j.Append([]byte("last")) }()
		synctest.Wait()
		for range 2 {
			go func() { closed(t, j) }()
		}
		synctest.Wait()
		if err := refused.Wait(); err != journal.ErrClosed {
			t.Error(err)
		}
		close(busy)
		if err := waiting.Wait(); err != nil {
			t.Error(err)
		}
	})
}

func TestClosed(t *testing.T) {
	j, _, _ := open(t, &journaltest.Disk{}, journal.Mark{})
	ticket := j.Append([]byte("one"))
	closed(t, j)
	closed(t, j)
	if err := ticket.Wait(); err != nil {
		t.Error(err)
	}
	_, read := j.Read(ticket.Positions[0])
	_, scan := j.Scan(journal.Mark{}, nil)
	_, rewrite := j.Rewrite(nil)
	for _, err := range []error{j.Append([]byte("two")).Wait(), read, scan, rewrite} {
		if err != journal.ErrClosed {
			t.Error(err)
		}
	}
}

func TestRecordSizes(t *testing.T) {
	d := &journaltest.Disk{}
	j, _, _ := open(t, d, journal.Mark{})
	var e *journal.SizeError
	if err := j.Append([]byte("not alone"), make([]byte, journal.MaxRecord+1)).Wait(); !errors.As(err, &e) || e.Bytes != journal.MaxRecord+1 {
		t.Error(err)
	}
	long := bytes.Repeat([]byte("x"), journal.MaxRecord)
	j.Append(nil, long)
	closed(t, j)
	if _, got, damage := reopen(t, d.Bytes("journal")); !same(got, [][]byte{nil, long}) || damage != nil {
		t.Error(len(got), damage)
	}
}

func TestReadOfWrongPositions(t *testing.T) {
	j, _, _ := open(t, &journaltest.Disk{}, journal.Mark{})
	defer closed(t, j)
	ticket := j.Append([]byte("one"), []byte("two"))
	if err := ticket.Wait(); err != nil {
		t.Fatal(err)
	}
	second := ticket.Positions[1]
	for _, test := range []struct {
		at   journal.Position
		kind journal.Kind
	}{
		{journal.Position{Offset: second.Offset, Number: 0}, journal.Misplaced},
		{journal.Position{Offset: second.Offset + 1, Number: 1}, journal.Damaged},
		{journal.Position{Offset: j.Size(), Number: 2}, journal.Missing},
		{journal.Position{Offset: -1, Number: 0}, journal.Missing},
	} {
		var e *journal.Damage
		if _, err := j.Read(test.at); !errors.As(err, &e) || e.Kind != test.kind || e.At != test.at {
			t.Errorf("%+v: %v, want %s", test.at, err, test.kind)
		}
	}
}

func TestErrorOfVisitEndsOpenAndScan(t *testing.T) {
	whole, _ := made(t, [][]byte{[]byte("one"), []byte("two")})
	d := &journaltest.Disk{}
	d.Put("journal", whole)
	wrong := errors.New("wrong")
	visits := 0
	visit := func(journal.Position, []byte) error { visits++; return wrong }
	if _, _, err := journal.Open(d, testKey, testID, journal.Mark{}, visit); err != wrong || visits != 1 {
		t.Error(err, visits)
	}
	j, _, _ := open(t, d, journal.Mark{})
	defer closed(t, j)
	if _, err := j.Scan(journal.Mark{}, visit); err != wrong || visits != 2 {
		t.Error(err, visits)
	}
}

// TestManyAtOnce is for the race detector: everything at once, and everything that was acknowledged is there.
func TestManyAtOnce(t *testing.T) {
	d := journal.Dir(t.TempDir())
	j, _, _ := open(t, d, journal.Mark{})
	var wg sync.WaitGroup
	for g := range 8 {
		wg.Go(func() {
			for i := range 50 {
				add := j.Append
				if i%3 == 0 {
					add = j.AppendUnsynced
				}
				ticket := add([]byte{byte(g), byte(i)})
				if i%5 == 0 {
					if err := ticket.Wait(); err != nil {
						t.Error(err)
					}
				}
				j.Read(ticket.Positions[0]) // void after the rewriting
				j.Mark()
			}
		})
	}
	wg.Go(func() {
		for range 5 {
			if _, err := j.Rewrite(func(_ journal.Position, r []byte) ([]byte, bool) { return r, true }); err != nil {
				t.Error(err)
			}
			if damage, err := j.Scan(journal.Mark{}, func(journal.Position, []byte) error { return nil }); err != nil || damage != nil {
				t.Error(damage, err)
			}
		}
	})
	wg.Wait()
	closed(t, j)
	j, got, damage := open(t, d, journal.Mark{})
	closed(t, j)
	if len(got) != 400 || damage != nil {
		t.Fatal(len(got), damage)
	}
	next := map[byte]byte{}
	for _, r := range got {
		if r[1] != next[r[0]] {
			t.Fatalf("of %d: %d before %d", r[0], r[1], next[r[0]])
		}
		next[r[0]]++
	}
}

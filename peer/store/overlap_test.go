package store

import (
	"bytes"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"sinete/peer/store/internal/journal"
	"sinete/peer/store/internal/journal/journaltest"
	"sinete/peer/store/internal/record"
	"sinete/wire"
)

// failing is a disk that refuses to do what is stored in refuse.
func failing(refuse *atomic.Value) *journaltest.Disk {
	return &journaltest.Disk{Fail: func(op journaltest.Op) (int, error) {
		if op.Name != refuse.Load() {
			return 0, nil
		}
		return 0, map[string]error{"write": syscall.ENOSPC, "sync": syscall.EIO}[op.Name]
	}}
}

// left is what a program that is killed now leaves on its disk.
func left(disk *journaltest.Disk) *journaltest.Disk {
	left := &journaltest.Disk{}
	left.Put("journal", disk.Bytes("journal"))
	return left
}

// killed opens that.
func killed(t *testing.T, disk *journaltest.Disk) *Store {
	t.Helper()
	s, err := OpenOn(left(disk), [32]byte{1})
	must(t, err)
	t.Cleanup(func() { must(t, s.Close()) })
	return s
}

// What a conversation could not store, and its successor did, has come once, also when the first one tries again after that.
func TestReceiveAgainAfterSuccessor(t *testing.T) {
	var refuse atomic.Value
	disk := failing(&refuse)
	s, err := OpenOn(disk, [32]byte{1})
	must(t, err)
	defer s.Close()
	bob := s.Contact("bob", "Bob")
	late, flight := begin(bob), from(0, "a")
	refuse.Store("write")
	if _, err := late.Receive(flight); err == nil {
		t.Fatal("stored on a full disk")
	}
	refuse.Store("")
	to, err := begin(bob).Receive(from(0, "a"))
	must(t, err)
	_, err = late.Receive(flight)
	must(t, err)
	wantTexts(t, shown(bob, to), "a")
	after := killed(t, disk)
	wantTexts(t, history(t, after, Query{}), "received a")
	if n := after.Known("bob").Came(); n != 1 {
		t.Fatalf("%d came", n)
	}
}

// A record that is lost costs itself: what takes its place in the numbers is neither taken for what was delivered nor for what was shown.
func TestNumbersAfterDamage(t *testing.T) {
	for _, own := range []bool{true, false} {
		disk := &journaltest.Disk{}
		s, err := OpenOn(disk, [32]byte{1})
		must(t, err)
		bob := s.Contact("bob", "Bob")
		talk := begin(bob)
		must(t, talk.Save())
		if own {
			_, err = bob.Add("lost")
			must(t, err)
			talk.Delivered(1, &wire.SealEntry{Seal: someSeal().Seal, Head: someSeal().Head})
		} else {
			to, err := talk.Receive(from(0, "lost"))
			must(t, err)
			wantTexts(t, shown(bob, to), "lost")
		}
		must(t, s.Close())
		j, _, err := journal.Open(disk, [32]byte{1}, [16]byte{1}, journal.Mark{}, func(journal.Position, []byte) error { return nil })
		must(t, err)
		_, err = j.Rewrite(func(_ journal.Position, b []byte) ([]byte, bool) {
			return b, record.Kind(b[0]) != record.KindQueued && record.Kind(b[0]) != record.KindReceived
		})
		must(t, err)
		must(t, j.Close())
		disk = left(disk)

		s, err = OpenOn(disk, [32]byte{1})
		must(t, err)
		bob = s.Known("bob")
		talk = begin(bob)
		if own {
			_, err = bob.Add("next")
		} else {
			_, err = talk.Receive(from(1, "next"))
		}
		must(t, err)
		bob.store.disk.mark(bob) // as whatever comes further does
		must(t, s.Close())
		s, err = OpenOn(left(disk), [32]byte{1})
		must(t, err)
		bob = s.Known("bob")
		if own {
			wantTexts(t, texts(begin(bob).Take(9, 1<<20, 0)), "next")
			wantTexts(t, history(t, s, Query{}), "queued next")
		} else {
			wantTexts(t, shown(bob, bob.Came()), "next")
		}
		must(t, s.Close())
	}
}

// Whoever a contact's records speak of is said again in each conversation: a lost record does not make a stranger of them.
func TestNameAfterDamage(t *testing.T) {
	disk := &journaltest.Disk{}
	s, err := OpenOn(disk, [32]byte{1})
	must(t, err)
	bob := s.Contact("bob", "Bob")
	_, err = bob.Add("waits")
	must(t, err)
	must(t, begin(bob).Save())
	must(t, s.Close())
	b := disk.Bytes("journal")
	b[60] ^= 1 // in the first record
	disk.Put("journal", b)
	s, err = OpenOn(left(disk), [32]byte{1})
	must(t, err)
	defer s.Close()
	if len(s.Damage()) != 1 || s.Known("bob") == nil {
		t.Fatalf("damage %v, known: %v", s.Damage(), s.Known("bob"))
	}
	wantTexts(t, texts(begin(s.Known("bob")).Take(9, 1<<20, 0)), "waits")
}

// What a disk refuses does not pile up: marks that wait are written once, with the latest receipt of each channel.
func TestMarksDoNotPileUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var refuse atomic.Value
		s, err := OpenOn(failing(&refuse), [32]byte{1})
		must(t, err)
		defer s.Close()
		bob := s.Contact("bob", "Bob")
		talk := begin(bob)
		must(t, talk.Save())
		synctest.Wait()
		refuse.Store("write")
		for i := range uint64(9) {
			receipt := someSeal()
			receipt.Head.Mine.Count = i
			talk.Delivered(i, &receipt)
			time.Sleep(maxRefuse)
			synctest.Wait()
		}
		s.disk.mu.Lock()
		n := len(s.disk.records)
		s.disk.mu.Unlock()
		records, receipts := bob.marks()
		if n != 0 || len(records) != 1 || receipts[0].Head.Mine.Count != 8 {
			t.Errorf("%d records wait, and %d marks", n, len(records))
		}
		refuse.Store("")
	})
}

// A failed sync takes what was only written; what was shown and what failed is written again, so that it is neither shown nor sent after all.
func TestMarksAfterFailedSync(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var refuse atomic.Value
		disk := failing(&refuse)
		s, err := OpenOn(disk, [32]byte{1})
		must(t, err)
		defer s.Close()
		bob, eva := s.Contact("bob", "Bob"), s.Contact("eva", "Eva")
		to, err := begin(bob).Receive(from(0, "a"))
		must(t, err)
		_, err = bob.Add("in vain")
		must(t, err)
		_, err = eva.Add("first")
		must(t, err)
		synctest.Wait()
		wantTexts(t, shown(bob, to), "a")
		bob.Fail(wire.CodeFlowDenied)
		synctest.Wait()
		refuse.Store("sync")
		if _, err := eva.Add("second"); err == nil {
			t.Fatal("stored without a sync")
		}
		refuse.Store("")
		synctest.Wait()
		after := killed(t, disk)
		bob = after.Known("bob")
		wantTexts(t, shown(bob, bob.Came()))
		if n, _ := bob.Waiting(); n != 0 {
			t.Fatalf("%d wait that had failed", n)
		}
	})
}

// Who was told that a text will not be sent is not told another thing after a loss of power.
func TestFailedIsSafe(t *testing.T) {
	var syncs atomic.Int32
	s, err := OpenOn(&journaltest.Disk{Fail: func(op journaltest.Op) (int, error) {
		if op.Name == "sync" {
			syncs.Add(1)
		}
		return 0, nil
	}}, [32]byte{1})
	must(t, err)
	defer s.Close()
	bob := s.Contact("bob", "Bob")
	_, err = bob.Add("in vain")
	must(t, err)
	before := syncs.Load()
	bob.Fail(wire.CodeFlowDenied)
	if syncs.Load() == before {
		t.Fatal("what failed is not synced")
	}
}

// An export that lacks something is none.
func TestExportOnFullDisk(t *testing.T) {
	s := opened(t, t.TempDir())
	bob := s.Contact("bob", "Bob")
	for range 200 {
		_, err := bob.Add(string(bytes.Repeat([]byte{'x'}, 60_000)))
		must(t, err)
	}
	writes := 0
	to := &journaltest.Disk{Fail: func(op journaltest.Op) (int, error) {
		if op.Name == "write" {
			if writes++; writes == 1 {
				return 0, syscall.ENOSPC
			}
		}
		return 0, nil
	}}
	if err := copyTo(to, [32]byte{2}, [16]byte{2}, s.disk.journal); !errors.Is(err, syscall.ENOSPC) {
		t.Fatalf("%v", err)
	}
}

// Whatever is deleted meanwhile, by two at once, contacts and all that is known of them stay, and so does what comes late.
func TestDeleteBesideTheRest(t *testing.T) {
	disk := &journaltest.Disk{}
	s, err := OpenOn(disk, [32]byte{1})
	must(t, err)
	const people = 150
	done := make(chan struct{})
	var deleting sync.WaitGroup
	for range 2 {
		deleting.Go(func() {
			for {
				if _, err := s.Delete(Query{Search: "old"}); err != nil {
					t.Error(err)
				}
				select {
				case <-done:
					return
				default:
				}
			}
		})
	}
	for i := range people {
		c := s.Contact(fmt.Sprint("contact ", i), fmt.Sprint("Contact ", i))
		first := begin(c)
		_, err := c.Add(fmt.Sprint("old ", i), fmt.Sprint("failed ", i))
		must(t, err)
		first.Delivered(1, &wire.SealEntry{Seal: someSeal().Seal, Head: someSeal().Head})
		to, err := first.Receive(from(0, fmt.Sprint("old of ", i)))
		must(t, err)
		shown(c, to)
		second := begin(c)
		_, err = first.Receive(from(1, fmt.Sprint("late of ", i)))
		must(t, err)
		c.Fail(wire.CodeFlowDenied)
		_, err = c.Add(fmt.Sprint("new ", i))
		must(t, err)
		second.Left()
	}
	close(done)
	deleting.Wait()
	must(t, s.Close())
	s, err = OpenOn(left(disk), [32]byte{1})
	must(t, err)
	defer s.Close()
	for i := range people {
		c := s.Known(fmt.Sprint("contact ", i))
		if c == nil || c.Name() != fmt.Sprint("Contact ", i) {
			t.Fatalf("contact %d is forgotten", i)
		}
		if c.WasOpen() {
			t.Fatalf("what contact %d left is open", i)
		}
		wantTexts(t, texts(begin(c).Take(9, 1<<20, 0)), fmt.Sprint("new ", i))
		wantTexts(t, shown(c, c.Came()), fmt.Sprint("late of ", i))
	}
}

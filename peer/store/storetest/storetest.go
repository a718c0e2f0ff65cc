// Package storetest has stores for tests: on a disk in memory that fails when it is told to, and that outlives a program which is killed.
package storetest

import (
	"sync"
	"syscall"
	"testing"

	"sinete/peer/store"
	"sinete/peer/store/internal/journal/journaltest"
)

// Disk holds one store.
type Disk struct {
	disk *journaltest.Disk

	mu   sync.Mutex
	full bool
}

// NewDisk is an empty one.
func NewDisk() *Disk { return newDisk(&journaltest.Disk{}) }

func newDisk(files *journaltest.Disk) *Disk {
	d := &Disk{disk: files}
	files.Fail = func(op journaltest.Op) (int, error) {
		d.mu.Lock()
		defer d.mu.Unlock()
		if d.full && op.Name == "write" {
			return op.Size / 2, syscall.ENOSPC
		}
		return 0, nil
	}
	return d
}

// Fill has the disk refuse what is written, or take it again.
func (d *Disk) Fill(full bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.full = full
}

const journal = "journal"

// Kill is the disk as the next program finds it if this one is killed now.
func (d *Disk) Kill() *Disk {
	files := &journaltest.Disk{}
	files.Put(journal, d.disk.Bytes(journal))
	return newDisk(files)
}

// Damage changes a byte of the journal, at a part of its length between 0 and 1, before it is opened.
func (d *Disk) Damage(at float64) {
	b := d.disk.Bytes(journal)
	b[int(at*float64(len(b)))] ^= 1
	d.disk.Put(journal, b)
}

// Open opens the store until the test ends.
func (d *Disk) Open(t testing.TB) *store.Store {
	t.Helper()
	s, err := store.OpenOn(d.disk, [32]byte{1})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		d.Fill(false)
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

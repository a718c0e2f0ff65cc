package store

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"sync"
	"time"

	"sinete/peer/store/internal/journal"
	"sinete/peer/store/internal/record"
	"sinete/wire"
)

// disk is what a store outlives the program by.
type disk struct {
	journal *journal.Journal
	state   *snapshot
	owner   Owner
	unlock  func() error
	logger  *slog.Logger
	closing chan struct{}
	done    chan struct{} // closed when the scribe has ended

	rewriting sync.Mutex // held by whoever has states written, or relies on them; taken before all others

	mu      sync.Mutex
	wake    chan struct{} // raised when there is something to write
	taken   chan struct{} // raised when the disk has taken something
	records [][]byte      // that need no sync, in order
	bytes   int           // of records
	marked  map[*Contact]bool
	room    sync.Cond // bytes has fallen, or the store closes
	closed  bool
	blobs   map[[32]byte]bool // that are in the journal
	damage  []*Damage         // that was found, each once
}

const (
	maxNoted = 8 << 20 // bytes of records that wait to be written, after which flights wait
	// After the disk refused. Whoever is killed before the marks are written sees again what they saw, so it is soon.
	tryAgain  = 250 * time.Millisecond
	maxRefuse = 2 * time.Second
)

// FullError says that there is no room on the disk. Nothing is kept of what it answers; it may be tried again.
type FullError = journal.FullError

// IOError says that the disk failed. Nothing is kept of what it answers; it may be tried again.
type IOError = journal.IOError

// Damage is a place in the journal that has lost records.
type Damage = journal.Damage

// ErrClosed is what a store answers once it is closed.
var ErrClosed = journal.ErrClosed

// open reads the journal of a folder, from where the state stands or whole, and goes on in it.
func open(files journal.Disk, key [32]byte, id [16]byte, logger *slog.Logger, whole bool) (*Store, error) {
	if logger == nil {
		logger = slog.New(slog.DiscardHandler)
	}
	s, state, r := blank(files, key, id)
	var mark journal.Mark
	if !whole {
		mark = state.load(r)
	}
	j, damage, err := journal.Open(files, key, id, mark, r.visit)
	if _, other := errors.AsType[*journal.MarkError](err); other { // it was rewritten, say
		s, state, r = blank(files, key, id)
		mark = journal.Mark{}
		j, damage, err = journal.Open(files, key, id, mark, r.visit)
	}
	if err != nil {
		return nil, err
	}
	d := &disk{journal: j, state: state, blobs: r.blobs, unlock: func() error { return nil }, logger: logger, closing: make(chan struct{}), done: make(chan struct{}), wake: make(chan struct{}, 1), taken: make(chan struct{}, 1), marked: map[*Contact]bool{}}
	d.room.L = &d.mu
	d.found(damage)
	for _, c := range s.numbered {
		c.in.before = c.in.came
	}
	s.disk = d
	if j.Size()-mark.Offset > worthOne {
		d.snapshot(s)
	}
	go d.scribe(s)
	return s, nil
}

func blank(files journal.Disk, key [32]byte, id [16]byte) (*Store, *snapshot, *replay) {
	s := NewMemory()
	return s, newSnapshot(files, key, id), newReplay(s, map[[32]byte]bool{})
}

func (d *disk) snapshot(s *Store) {
	if err := d.state.save(s, d.journal.Mark()); err != nil {
		d.logger.Warn("the next start of the store will take longer", "err", err)
	}
}

// Damage is what was found in what has been read: when the store was opened (Options.Whole), and by History since. It is in the order in which it was
// found. Each cost the records that it names, and no others.
func (s *Store) Damage() []*Damage {
	d := s.disk
	if d == nil {
		return nil
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	return slices.Clone(d.damage)
}

// found adds what was not known.
func (d *disk) found(damage []Damage) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for i := range damage {
		one := &damage[i]
		if one.Kind != journal.Torn && // of which nothing was ever acknowledged
			!slices.ContainsFunc(d.damage, func(known *Damage) bool { return *known == *one }) {
			d.damage = append(d.damage, one)
		}
	}
}

// Close writes what waits and ends the store. Sessions that use it end before.
func (s *Store) Close() error {
	d := s.disk
	if d == nil {
		return nil
	}
	d.mu.Lock()
	again := d.closed
	if !again {
		d.closed = true
		close(d.closing)
		d.room.Broadcast()
	}
	d.mu.Unlock()
	<-d.done
	if again {
		return nil
	}
	d.rewriting.Lock() // a deletion ends first
	defer d.rewriting.Unlock()
	d.snapshot(s)
	return errors.Join(d.journal.Close(), d.unlock())
}

// note has a record written soon. It is of no harm if a loss of power takes it.
func (d *disk) note(r record.Record) {
	if d == nil {
		return
	}
	b := r.Append(nil)
	d.mu.Lock()
	defer d.mu.Unlock()
	d.records = append(d.records, b)
	d.bytes += len(b)
	raise(d.wake)
}

// waitForRoom waits while too much is noted, or until ctx ends.
func (d *disk) waitForRoom(ctx context.Context) {
	defer context.AfterFunc(ctx, func() {
		d.mu.Lock()
		defer d.mu.Unlock()
		d.room.Broadcast()
	})()
	d.mu.Lock()
	defer d.mu.Unlock()
	for d.bytes > maxNoted && !d.closed && ctx.Err() == nil {
		d.room.Wait()
	}
}

// mark has the marks of a contact written soon.
func (d *disk) mark(c *Contact) {
	if d == nil {
		return
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.marked[c] = true
	raise(d.wake)
}

// markAgain has all marks written again after a failed sync, which takes what was only written before.
func (s *Store) markAgain(err error) {
	if e, ok := errors.AsType[*IOError](err); ok && e.Op == "sync" {
		for _, c := range s.all() {
			s.disk.mark(c)
		}
	}
}

// has reports whether the journal has a blob.
func (d *disk) has(hash [32]byte) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.blobs[hash]
}

func (d *disk) keeps(blobs [][32]byte) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, h := range blobs {
		d.blobs[h] = true
	}
}

// scribe writes what is noted and marked, all that waits at once.
func (d *disk) scribe(s *Store) {
	defer close(d.done)
	delay := tryAgain
	for {
		select {
		case <-d.wake:
		case <-d.closing:
			_ = d.write() // what the disk refuses now comes again: it is unconfirmed, or known by its id
			return
		}
		err := d.write()
		if err == nil || errors.Is(err, ErrClosed) {
			delay = tryAgain
			continue
		}
		s.markAgain(err)
		if delay == tryAgain {
			d.logger.Warn("the store cannot be written", "err", err)
		}
		select {
		case <-time.After(delay):
		case <-d.taken:
		case <-d.closing:
		}
		delay = min(2*delay, maxRefuse)
		raise(d.wake)
	}
}

func (d *disk) write() error {
	d.mu.Lock()
	records, marked := d.records, d.marked
	d.records, d.marked = nil, map[*Contact]bool{}
	d.mu.Unlock()
	noted := len(records)
	receipts := map[*Contact][]wire.SealEntry{}
	for c := range marked {
		var marks [][]byte
		marks, receipts[c] = c.marks()
		records = append(records, marks...)
	}
	if len(records) == 0 {
		return nil
	}
	err := d.journal.AppendUnsynced(records...).Wait()
	if err != nil {
		for c := range marked {
			c.markAgain(receipts[c])
		}
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if err != nil {
		d.records = append(records[:noted:noted], d.records...)
		return err
	}
	for _, r := range records[:noted] {
		d.bytes -= len(r)
	}
	d.room.Broadcast()
	return nil
}

// marks are the records of how far things have come, and the receipts in them.
func (c *Contact) marks() (records [][]byte, receipts []wire.SealEntry) {
	c.mu.Lock()
	defer c.mu.Unlock()
	o := &c.out
	receipts, o.receipts = o.receipts, nil
	m := record.Marks{Contact: c.number, Shown: c.in.shown, Relayed: o.relayed, Delivered: o.delivered}
	for i := range receipts {
		m.Receipt = &receipts[i]
		records = append(records, m.Append(nil))
	}
	if len(receipts) == 0 {
		records = append(records, m.Append(nil))
	}
	return records, receipts
}

// markAgain has the marks written again that were not, with these receipts.
func (c *Contact) markAgain(receipts []wire.SealEntry) {
	c.mu.Lock()
	defer c.mu.Unlock()
	later := c.out.receipts
	if n := len(receipts); n > 0 && len(later) > 0 && receipts[n-1].Head.Channel == later[0].Head.Channel {
		receipts = receipts[:n-1] // the later one says more
	}
	c.out.receipts = append(receipts, later...)
	c.store.disk.mark(c)
}

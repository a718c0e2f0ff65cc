// Package journal is the append-only log of encrypted records that a store keeps everything in (docs/store.md section 3). Open reads what is
// there; Append adds a record, and Wait on its Ticket returns when it is safe: all that wait share one write and one sync.
package journal

import (
	"bytes"
	"crypto/rand"
	"errors"
	"io/fs"
	"sync"
)

const (
	name    = "journal"
	newName = "journal.new"
)

// Bytes in the file's form.
const (
	maxWaiting  = 8 << 20 // of records that wait to be written, after which Append waits, too
	maxUnsynced = 1 << 20 // of written records that no sync covers yet, after which one is made
)

// Journal is an open journal. Its methods may be called from everywhere at once.
type Journal struct {
	disk Disk
	wake chan struct{}
	done chan struct{} // closed when run is over

	commits sync.Mutex   // held by whoever writes to the file; taken before mu
	reading sync.RWMutex // held by whoever reads from file without mu; taken with mu
	dirty   bool         // under commits: there may be bytes after written
	renamed bool         // under commits: the file's name is not safe yet

	mu         sync.Mutex
	room       sync.Cond // batch was taken
	box        box
	file       File
	generation Generation
	next       Position // of the next record
	written    Position // the end of what is in the file; changed under commits, too
	synced     Position // the end of what is safe; likewise
	batch      *batch   // what waits to be written
	flying     *batch   // what is being written
	spare      []byte   // for the next batch
	closed     bool
}

// Open opens the journal on disk, or makes an empty one, and visits its records from the mark on: the zero Mark is its start. What visit is given is
// overwritten when it returns; its error ends Open. The key and the store's id must be those it was written with. Damage costs the records that it
// names and is no error. Errors: *MarkError, *IOError, *FullError.
func Open(disk Disk, key [32]byte, id [16]byte, from Mark, visit func(Position, []byte) error) (*Journal, []Damage, error) {
	if err := disk.Remove(newName); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, nil, failure("remove what a rewriting left", err)
	}
	file, err := disk.Open(name)
	if err != nil {
		return nil, nil, failure("open", err)
	}
	j := &Journal{disk: disk, box: newBox(key, id), file: file, wake: make(chan struct{}, 1), done: make(chan struct{})}
	j.room.L = &j.mu
	damage, err := j.recover(from, visit)
	if err != nil {
		file.Close()
		return nil, damage, err
	}
	go j.run()
	return j, damage, nil
}

func (j *Journal) recover(from Mark, visit func(Position, []byte) error) ([]Damage, error) {
	size, err := j.file.Size()
	if err != nil {
		return nil, failure("read", err)
	}
	s, err := begin(j.file, size, j.box, from)
	if err != nil {
		return nil, err
	}
	if err := s.scan(visit); err != nil {
		return s.damage, err
	}
	j.generation = s.generation
	if j.generation == (Generation{}) {
		rand.Read(j.generation[:])
	}
	if s.at.Offset < size {
		if err := j.file.Truncate(s.at.Offset); err != nil {
			return s.damage, failure("truncate", err)
		}
	}
	// What is there may have been written without being synced, by a program that was killed.
	if err := j.file.Sync(); err != nil {
		return s.damage, failure("sync", err)
	}
	if err := j.disk.Sync(); err != nil {
		return s.damage, failure("sync", err)
	}
	j.next, j.written, j.synced = s.at, s.at, s.at
	return s.damage, nil
}

// begin makes a scanner that begins at the mark.
func begin(file File, size int64, x box, from Mark) (*scanner, error) {
	s := newScanner(file, size, x)
	if from == (Mark{}) {
		return s, nil
	}
	first := newScanner(file, size, x)
	first.w.piece = 4 << 10
	errWhole := errors.New("a whole record")
	err := first.scan(func(Position, []byte) error { return errWhole })
	switch {
	case err != nil && err != errWhole:
		return nil, err
	case err == errWhole && first.generation != from.Generation:
		return nil, &MarkError{}
	case from.Offset > size:
		return nil, &MarkError{Shorter: true}
	}
	s.generation, s.at = from.Generation, from.Position
	return s, nil
}

// Mark returns the end of what is safe on disk, to open from it next time.
func (j *Journal) Mark() Mark {
	j.mu.Lock()
	defer j.mu.Unlock()
	return Mark{j.generation, j.synced}
}

// Size is that of the file, in bytes, with what waits to be written.
func (j *Journal) Size() int64 {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.next.Offset
}

// Read returns the record at a position that a ticket or a visit named, whether it is written already or not.
// Errors: *Damage, *IOError, ErrClosed.
func (j *Journal) Read(at Position) ([]byte, error) {
	j.mu.Lock()
	if j.closed {
		j.mu.Unlock()
		return nil, ErrClosed
	}
	x, generation, waits := j.box, j.generation, j.waiting(at)
	w := window{r: j.file, size: j.written.Offset, piece: 4 << 10}
	j.reading.RLock()
	defer j.reading.RUnlock()
	j.mu.Unlock()

	if waits != nil {
		w = window{size: at.Offset + int64(len(waits)), base: at.Offset, buf: waits}
	}
	if at.Offset < 0 || at.Offset >= w.size {
		return nil, &Damage{Missing, at, 0, 1}
	}
	raw, err := w.at(at.Offset, headerSize)
	if err != nil {
		return nil, err
	}
	h, ok := parseHeader(raw)
	switch {
	case !ok || h.size() > w.size-at.Offset:
		return nil, &Damage{Damaged, at, int64(len(raw)), 1}
	case h.number != at.Number || h.generation != generation:
		return nil, &Damage{Misplaced, at, h.size(), 1}
	}
	if raw, err = w.at(at.Offset, int(h.size())); err != nil {
		return nil, err
	}
	record, err := x.open(nil, raw)
	if err != nil {
		return nil, &Damage{Damaged, at, h.size(), 1}
	}
	return record, nil
}

// waiting returns a copy of the record at a position that is not in the file yet.
func (j *Journal) waiting(at Position) []byte {
	for _, b := range []*batch{j.flying, j.batch} {
		if b == nil || at.Offset < b.base.Offset || at.Offset >= b.end().Offset {
			continue
		}
		raw := b.bytes[at.Offset-b.base.Offset:]
		if h, ok := parseHeader(raw); ok && h.size() < int64(len(raw)) {
			raw = raw[:h.size()]
		}
		return bytes.Clone(raw)
	}
	return nil
}

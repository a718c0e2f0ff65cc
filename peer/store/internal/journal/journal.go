// Package journal is the append-only log of encrypted records that a store keeps everything in (docs/store.md section 3). Open reads what is
// there; Append adds a record, and Wait on its Ticket returns when it is safe: all that wait share one write and one sync.
package journal

import (
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
	box  box

	mu         sync.Mutex
	room       sync.Cond // batch was taken
	file       File
	generation Generation
	next       Position // of the next record
	batch      *batch   // records that wait
	flying     *batch   // records that are being written
	closed     bool

	wake chan struct{}
	done chan struct{}

	commits sync.Mutex // taken before mu by whoever writes to the file
	written Position   // the end of what is in the file
	synced  Position   // the end of what is safe
	dirty   bool       // there may be bytes after written
	renamed bool       // the file's name is not safe yet
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
	s := &scanner{w: window{r: file, size: size}, box: x}
	if from == (Mark{}) {
		return s, nil
	}
	errFound := errors.New("found")
	err := s.scan(func(Position, []byte) error { return errFound })
	switch {
	case err != nil && err != errFound:
		return nil, err
	case err == nil && from.Offset > 0 || err == errFound && s.generation == from.Generation && from.Offset > size:
		return nil, &MarkError{Shorter: true}
	case err == errFound && s.generation != from.Generation:
		return nil, &MarkError{}
	}
	s.generation, s.at, s.damage = from.Generation, from.Position, nil
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

// Read returns the record at a position that a ticket or a visit named. Errors: *Damage, *IOError, ErrClosed.
func (j *Journal) Read(at Position) ([]byte, error) {
	raw, err := j.raw(at)
	if err != nil {
		return nil, err
	}
	h, ok := parseHeader(raw)
	if !ok || h.size() != int64(len(raw)) {
		return nil, &Damage{Damaged, at, int64(len(raw)), 1}
	}
	if h.number != at.Number || h.generation != j.generation {
		return nil, &Damage{Misplaced, at, int64(len(raw)), 1}
	}
	record, err := j.box.open(nil, raw)
	if err != nil {
		return nil, &Damage{Damaged, at, int64(len(raw)), 1}
	}
	return record, nil
}

// raw returns the bytes of the record at a position, as they are in the file or wait to be written there.
func (j *Journal) raw(at Position) ([]byte, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.closed {
		return nil, ErrClosed
	}
	for _, b := range []*batch{j.batch, j.flying} {
		if b != nil && at.Offset >= b.base.Offset && at.Offset < b.end().Offset {
			raw := b.bytes[at.Offset-b.base.Offset:]
			if h, ok := parseHeader(raw); ok && h.size() <= int64(len(raw)) {
				raw = raw[:h.size()]
			}
			return append([]byte(nil), raw...), nil
		}
	}
	w := window{r: j.file, size: j.written.Offset}
	if at.Offset < 0 || at.Offset > w.size {
		return nil, &Damage{Missing, at, 0, 1}
	}
	raw, err := w.at(at.Offset, headerSize)
	if err != nil {
		return nil, err
	}
	if h, ok := parseHeader(raw); ok {
		return w.at(at.Offset, int(h.size()))
	}
	return raw, nil
}

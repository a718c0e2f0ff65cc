package journal

import "crypto/rand"

// Scan visits the records from the mark on, up to the last that was written when it began. What visit is given is overwritten when it returns; its
// error ends the scan. Meanwhile the journal may be appended to and rewritten: the scan goes on in the old file.
// Errors: *MarkError, *IOError, ErrClosed.
func (j *Journal) Scan(from Mark, visit func(Position, []byte) error) ([]Damage, error) {
	j.mu.Lock()
	x, size, closed := j.box, j.written.Offset, j.closed
	var file File
	var err error
	if !closed {
		file, err = j.disk.Open(name)
	}
	j.mu.Unlock()
	if closed {
		return nil, ErrClosed
	}
	if err != nil {
		return nil, failure("open", err)
	}
	defer file.Close()
	s, err := begin(file, size, x, from)
	if err != nil {
		return nil, err
	}
	err = s.scan(visit)
	return s.damage, err
}

// Rewrite puts a new generation of the journal into the place of this one, of the records that keep returns, unless it returns false: the record
// it was given or another one. A crash or an error leaves the old journal or the new one, whole: Mark's generation tells. Rewrite returns the damage that
// the old one had and the new one has not. In the new one all positions and marks of the old are void. Meanwhile everything else waits; keep must not call
// the journal.
// Errors: *FullError, *IOError, *SizeError, ErrClosed.
func (j *Journal) Rewrite(keep func(Position, []byte) ([]byte, bool)) ([]Damage, error) {
	j.commits.Lock()
	defer j.commits.Unlock()
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.closed {
		return nil, ErrClosed
	}
	if b := j.batch; b != nil {
		j.batch = nil
		synced, err := j.commit(b)
		j.settle(b, synced, err)
	}
	s := newScanner(j.file, j.written.Offset, j.box)
	s.generation = j.generation
	n, err := j.copy(s, keep)
	if err != nil {
		return nil, err
	}
	j.reading.Lock()
	j.file.Close()
	j.reading.Unlock()
	j.file, j.generation, j.dirty, j.renamed = n.file, n.generation, false, true
	j.next, j.written, j.synced = n.end, n.end, n.end
	return s.damage, j.nameSafe()
}

// rewriting is the file that a journal is copied to.
type rewriting struct {
	file       File
	generation Generation
	end        Position
	buf        []byte
}

// copy makes the new file and gives it the journal's name.
func (j *Journal) copy(s *scanner, keep func(Position, []byte) ([]byte, bool)) (n rewriting, err error) {
	if n.file, err = j.disk.Open(newName); err != nil {
		return n, failure("open", err)
	}
	defer func() {
		if err != nil {
			n.file.Close()
			j.disk.Remove(newName)
		}
	}()
	if err := n.file.Truncate(0); err != nil {
		return n, failure("truncate", err)
	}
	rand.Read(n.generation[:])
	err = s.scan(func(p Position, record []byte) error {
		record, ok := keep(p, record)
		if !ok {
			return nil
		}
		if len(record) > MaxRecord {
			return &SizeError{len(record)}
		}
		n.buf = j.box.append(n.buf, n.generation, n.end.Number, record)
		n.end.Number++
		if len(n.buf) < windowSize {
			return nil
		}
		return n.write()
	})
	if err != nil {
		return n, err
	}
	if err := n.write(); err != nil {
		return n, err
	}
	if err := n.file.Sync(); err != nil {
		return n, failure("sync", err)
	}
	if err := j.disk.Rename(newName, name); err != nil {
		return n, failure("rename", err)
	}
	return n, nil
}

func (n *rewriting) write() error {
	if _, err := n.file.WriteAt(n.buf, n.end.Offset); err != nil {
		return failure("write", err)
	}
	n.end.Offset += int64(len(n.buf))
	n.buf = n.buf[:0]
	return nil
}

// nameSafe makes the last rename safe: until then a loss of power may bring the old file back, so that nothing in the new one is safe.
func (j *Journal) nameSafe() error {
	if !j.renamed {
		return nil
	}
	if err := j.disk.Sync(); err != nil {
		return failure("sync", err)
	}
	j.renamed = false
	return nil
}

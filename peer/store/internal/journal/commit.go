package journal

import "errors"

// batch is records that are written together.
type batch struct {
	base    Position
	bytes   []byte
	records uint64
	sync    bool // somebody waits until it is safe
	done    chan struct{}
	err     error // before done is closed
}

func (b *batch) end() Position {
	return Position{b.base.Offset + int64(len(b.bytes)), b.base.Number + b.records}
}

// Ticket is what Append gives.
type Ticket struct {
	Positions []Position // of the records, in order; void when Wait fails
	batch     *batch
	err       error
}

// Wait returns nil when the records are in the journal. Errors: *FullError, *IOError, *SizeError, ErrClosed: then none of them is there. When the disk
// refuses, whatever was appended behind them meanwhile fails, too, as its own ticket says.
func (t *Ticket) Wait() error {
	if t.batch == nil {
		return t.err
	}
	<-t.batch.done
	return t.batch.err
}

// Append adds records, in order; Wait returns when they are safe from a loss of power. It does not wait for the disk unless 8 MiB wait already.
// A crash may leave the first few of them only.
func (j *Journal) Append(records ...[]byte) *Ticket { return j.append(true, records) }

// AppendUnsynced adds records that need not be safe from a loss of power: Wait returns when they are written, which survives the end of the program.
// The next record that must be safe makes them so, too.
func (j *Journal) AppendUnsynced(records ...[]byte) *Ticket { return j.append(false, records) }

func (j *Journal) append(sync bool, records [][]byte) *Ticket {
	for _, r := range records {
		if len(r) > MaxRecord {
			return &Ticket{err: &SizeError{len(r)}}
		}
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	for !j.closed && j.batch != nil && len(j.batch.bytes) >= maxWaiting {
		j.room.Wait()
	}
	if j.closed {
		return &Ticket{err: ErrClosed}
	}
	b := j.batch
	if b == nil {
		b = &batch{base: j.next, bytes: j.spare, done: make(chan struct{})}
		j.batch, j.spare = b, nil
	}
	t := &Ticket{batch: b, Positions: make([]Position, 0, len(records))}
	for _, r := range records {
		t.Positions = append(t.Positions, j.next)
		b.bytes = j.box.append(b.bytes, j.generation, j.next.Number, r)
		b.records++
		j.next = b.end()
	}
	b.sync = b.sync || sync
	j.raise()
	return t
}

// run writes what waits until the journal is closed.
func (j *Journal) run() {
	defer close(j.done)
	for range j.wake {
		if !j.flush() {
			return
		}
	}
}

// flush writes what waits, and reports whether there is more to come.
func (j *Journal) flush() bool {
	j.commits.Lock()
	defer j.commits.Unlock()
	j.mu.Lock()
	defer j.mu.Unlock()
	b := j.batch
	if b == nil {
		return !j.closed
	}
	j.batch, j.flying = nil, b
	j.room.Broadcast()
	j.mu.Unlock()
	synced, err := j.commit(b)
	j.mu.Lock()
	j.flying = nil
	j.settle(b, synced, err)
	return !j.closed || j.batch != nil
}

// commit puts a batch into the file. It reports whether it asked the disk for a sync, in vain if there is an error, too.
func (j *Journal) commit(b *batch) (synced bool, err error) {
	if err := j.cut(); err != nil {
		return false, err
	}
	if err := j.nameSafe(); err != nil {
		return false, err
	}
	if _, err := j.file.WriteAt(b.bytes, b.base.Offset); err != nil {
		return false, failure("write", err)
	}
	if !b.sync && b.end().Offset-j.synced.Offset < maxUnsynced {
		return false, nil
	}
	if err := j.file.Sync(); err != nil {
		return true, failure("sync", err)
	}
	return true, nil
}

// cut removes what a failure left after the end.
func (j *Journal) cut() error {
	if !j.dirty {
		return nil
	}
	if err := j.file.Truncate(j.written.Offset); err != nil {
		return failure("truncate", err)
	}
	j.dirty = false
	return nil
}

// settle tells everybody who waits for a batch, under mu.
func (j *Journal) settle(b *batch, synced bool, err error) {
	settled := []*batch{b}
	if err == nil {
		j.written = b.end()
		if synced {
			j.synced = j.written
		}
	} else {
		if synced {
			// Which of the pages are on disk nobody can tell, and the next sync would not say.
			j.written = j.synced
		}
		if j.batch != nil {
			// Its records stand behind a hole now, and under numbers that are free again.
			settled = append(settled, j.batch)
			j.batch = nil
			j.room.Broadcast()
		}
		j.next = j.written
		j.dirty = true
		j.cut() // Where it fails, the next commit tries again.
	}
	for _, s := range settled {
		s.err = err
		close(s.done)
	}
	if cap(b.bytes) <= maxUnsynced {
		j.spare = b.bytes[:0]
	}
}

// Close writes and syncs what waits and ends the journal. What is appended later fails with ErrClosed.
func (j *Journal) Close() error {
	j.mu.Lock()
	first := !j.closed
	j.closed = true
	j.room.Broadcast()
	j.mu.Unlock()
	j.raise()
	<-j.done
	if !first {
		return nil
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	j.reading.Lock()
	defer j.reading.Unlock()
	j.box = box{} // and the key with it
	err := errors.Join(j.cut(), j.nameSafe())
	if j.synced != j.written {
		err = errors.Join(err, j.file.Sync())
	}
	if err = errors.Join(err, j.file.Close()); err != nil {
		return failure("close", err)
	}
	return nil
}

func (j *Journal) raise() {
	select {
	case j.wake <- struct{}{}:
	default:
	}
}

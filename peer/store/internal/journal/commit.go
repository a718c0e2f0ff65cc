package journal

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

// Wait returns nil when the records are in the journal. Errors: *FullError, *IOError, *SizeError, ErrClosed: then none of them counts, nor does anything
// that was appended after them before Wait returned.
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
		b = &batch{base: j.next, done: make(chan struct{})}
		j.batch = b
	}
	t := &Ticket{batch: b, Positions: make([]Position, 0, len(records))}
	for _, r := range records {
		t.Positions = append(t.Positions, j.next)
		b.bytes = j.box.append(b.bytes, j.generation, j.next.Number, r)
		b.records++
		j.next = b.end()
	}
	b.sync = b.sync || sync
	select {
	case j.wake <- struct{}{}:
	default:
	}
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

// flush writes what waits, and reports whether the journal is still open.
func (j *Journal) flush() bool {
	j.commits.Lock()
	defer j.commits.Unlock()
	j.mu.Lock()
	b, closed := j.batch, j.closed
	j.batch, j.flying = nil, b
	j.room.Broadcast()
	j.mu.Unlock()
	if b != nil {
		err := j.commit(b)
		j.mu.Lock()
		j.settle(b, err)
		j.mu.Unlock()
	}
	return !closed
}

// commit puts a batch into the file.
func (j *Journal) commit(b *batch) error {
	if err := j.cut(); err != nil {
		return err
	}
	if err := j.nameSafe(); err != nil {
		return err
	}
	if _, err := j.file.WriteAt(b.bytes, b.base.Offset); err != nil {
		return failure("write", err)
	}
	end := b.end()
	if b.sync || end.Offset-j.synced.Offset > maxUnsynced {
		if err := j.file.Sync(); err != nil {
			// Which of the pages that waited are on disk nobody can tell, and the next sync would not say.
			j.written = j.synced
			return failure("sync", err)
		}
	}
	return nil
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

// settle tells everybody who waits for a batch. When it failed, what was appended after it fails with it: it stands behind a hole.
func (j *Journal) settle(b *batch, err error) {
	j.flying = nil
	failed := []*batch{b}
	if err == nil {
		j.written = b.end()
		if b.sync || j.written.Offset-j.synced.Offset > maxUnsynced {
			j.synced = j.written
		}
	} else {
		if j.batch != nil {
			failed = append(failed, j.batch)
			j.batch = nil
			j.room.Broadcast()
		}
		j.next = j.written
		j.dirty = true
		j.cut() // or before the next write
	}
	for _, f := range failed {
		f.err = err
		close(f.done)
	}
}

// Close writes and syncs what waits and ends the journal. What is appended later fails with ErrClosed.
func (j *Journal) Close() error {
	j.mu.Lock()
	if j.closed {
		j.mu.Unlock()
		<-j.done
		return nil
	}
	j.closed = true
	j.room.Broadcast()
	j.mu.Unlock()
	select {
	case j.wake <- struct{}{}:
	default:
	}
	<-j.done
	var err error
	if j.synced != j.written {
		if err = j.file.Sync(); err != nil {
			err = failure("sync", err)
		}
	}
	if e := j.file.Close(); err == nil && e != nil {
		err = failure("close", e)
	}
	j.box = box{} // the key with it
	return err
}

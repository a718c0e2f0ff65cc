// Package audit keeps a relay's audit log: who logged in, what was refused, whose level changed. Nobody can take a record out of it or change
// one unnoticed: the records are the leaves of a tree as in RFC 9162 section 2.1, whose head the relay seals again and again (protocol.md
// section 4.6), and any two heads can be shown to belong to one log that only grew.
//
// Most readers need Open and Log.Append, which write, and Read, which looks at a log that may be in use, checks and proves. Format of the
// files: docs/audit.md.
package audit

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"sync"
	"time"

	"golang.org/x/mod/sumdb/tlog"

	"sinete/wire"
)

// Options of a Log. The zero value works.
type Options struct {
	FileBytes int64         // after which another file of records begins; 0: 64 MiB
	HeadEvery int64         // records, after which there is a head at the latest; 0: 256
	HeadAfter time.Duration // from the first record that no head covers; 0: a minute

	open func(path string) (file, error) // nil: the file system's
}

func (o *Options) complete() {
	if o.FileBytes == 0 {
		o.FileBytes = 64 << 20
	}
	if o.HeadEvery == 0 {
		o.HeadEvery = 256
	}
	if o.HeadAfter == 0 {
		o.HeadAfter = time.Minute
	}
	if o.open == nil {
		o.open = openFile
	}
}

// Log is an audit log that is being written, by this program alone. It is safe for concurrent use.
type Log struct {
	dir    string
	opt    Options
	unlock func()

	due chan struct{} // a head is, by the number of records

	sealing sync.Mutex // one head at a time; before mu

	mu      sync.Mutex
	id      [16]byte
	size    int64 // records
	sealed  int64 // records under the newest head
	records *tail // the file of records that is written to
	first   int64 // number of its first record
	hashes  *tail
	heads   *tail
	missed  int // records that could not be written, and were dropped
}

// Open opens the log in a folder, which it makes where there is none, and mends what a killed program or a loss of power left behind: a record
// whose writing was not done is no record. Errors: *InUseError; *DamageError where a head says more than there is, so that records were lost or taken away;
// those of the file system.
func Open(dir string, o Options) (*Log, error) {
	o.complete()
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	unlock, err := lock(dir)
	if err != nil {
		return nil, err
	}
	l := &Log{dir: dir, opt: o, unlock: unlock, due: make(chan struct{}, 1)}
	if err := l.recover(); err != nil {
		l.close()
		return nil, err
	}
	if l.size > 0 {
		return l, nil
	}
	rand.Read(l.id[:])
	if err := l.Append(Record{Event: Begun, Log: hex.EncodeToString(l.id[:])}); err != nil {
		l.close()
		return nil, err
	}
	return l, nil
}

// Append writes a record, with the time and the number of those before it that could not be written. What it returns is the file system's: the log then
// stands as it did before.
func (l *Log) Append(r Record) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if r.Time.IsZero() {
		r.Time = time.Now()
	}
	r.Time = r.Time.UTC().Truncate(time.Millisecond)
	r.Missed += l.missed
	err := l.append(r)
	if err != nil {
		l.missed++
		return err
	}
	l.missed = 0
	if l.size-l.sealed >= l.opt.HeadEvery {
		select {
		case l.due <- struct{}{}:
		default:
		}
	}
	return nil
}

// append writes the record, then its hashes: where the second is missing, recover makes it from the first. mu is held.
func (l *Log) append(r Record) error {
	data, err := json.Marshal(r)
	if err != nil {
		return err
	}
	if len(data) > maxRecord {
		return fmt.Errorf("a record of %d bytes", len(data))
	}
	hashes, err := tlog.StoredHashes(l.size, data, l.hashes)
	if err != nil {
		return err
	}
	if l.records.size > 0 && l.records.size+int64(len(data)) > l.opt.FileBytes {
		if err := l.rotate(); err != nil {
			return err
		}
	}
	before := l.records.size
	if err := l.records.append(append(data, '\n')); err != nil {
		return err
	}
	if err := l.hashes.append(flat(hashes)); err != nil {
		l.records.size = before // and what was written behind it goes with the next one
		return err
	}
	l.size++
	return nil
}

// rotate begins another file of records. mu is held.
func (l *Log) rotate() error {
	next, err := l.openTail(recordsName(l.size))
	if err != nil {
		return err
	}
	next.size = 0 // whatever an earlier attempt has left there
	if err := l.records.sync(); err != nil {
		next.close()
		return err
	}
	if err := l.records.close(); err != nil {
		next.close()
		return err
	}
	l.records, l.first = next, l.size
	return nil
}

// Size is the number of records.
func (l *Log) Size() int64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.size
}

// Sealer seals a statement of purpose wire.PurposeAuditHead with the relay's key, and gives the SHA-256 of its certificate.
type Sealer func(ctx context.Context, statement []byte) (s wire.Seal, certificate [32]byte, err error)

// Run makes heads as they fall due, until ctx ends. failed is told what went wrong; the next head is tried all the same.
func (l *Log) Run(ctx context.Context, seal Sealer, failed func(error)) {
	tick := time.NewTicker(l.opt.HeadAfter)
	defer tick.Stop()
	for {
		select {
		case <-l.due:
		case <-tick.C:
		case <-ctx.Done():
			return
		}
		if err := l.Seal(ctx, seal); err != nil && ctx.Err() == nil {
			failed(err)
		}
	}
}

// Seal makes a head over all records, unless the newest one covers them. What a head covers is on the disk before it is sealed.
func (l *Log) Seal(ctx context.Context, seal Sealer) error {
	l.sealing.Lock()
	defer l.sealing.Unlock()
	l.mu.Lock()
	size, none := l.size, l.size == l.sealed
	var root tlog.Hash
	var err error
	if !none {
		if err = l.records.sync(); err == nil {
			err = l.hashes.sync()
		}
		if err == nil {
			root, err = tlog.TreeHash(size, l.hashes)
		}
	}
	l.mu.Unlock()
	if none || err != nil {
		return err
	}
	statement := wire.AuditHead{Log: l.id, Size: uint64(size), Root: root}
	s, certificate, err := seal(ctx, statement.Append(nil))
	if err != nil {
		return err
	}
	line, err := json.Marshal(Head{statement, s, certificate})
	if err != nil {
		return err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if err := l.heads.append(append(line, '\n')); err != nil {
		return err
	}
	l.sealed = size
	return l.heads.sync()
}

// Close closes the files. Seal first: what no head covers can be taken away unnoticed.
func (l *Log) Close() error {
	l.sealing.Lock()
	defer l.sealing.Unlock()
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.close()
}

func (l *Log) close() error {
	var first error
	for _, t := range []*tail{l.records, l.hashes, l.heads} {
		if t == nil {
			continue
		}
		if err := t.close(); err != nil && first == nil {
			first = err
		}
	}
	l.unlock()
	return first
}

// Package journaltest has a disk in memory for tests of what keeps a journal: it fails when it is told to, and loses power.
package journaltest

import (
	"errors"
	"io"
	"io/fs"
	"math/rand/v2"
	"sync"

	"sinete/peer/store/internal/journal"
)

// Op is something that a disk is asked to do.
type Op struct {
	Name string // open, size, read, write, truncate, sync, close, rename, remove, names (the sync of the folder)
	File string
	Size int // bytes of a read or write
}

// Disk is a journal.Disk in memory. The zero value is an empty one.
type Disk struct {
	// Fail, where it is set, is asked before each thing that the disk does. After an error, a write has written the first n bytes, and anything
	// else was not done.
	Fail func(Op) (n int, err error)

	mu     sync.Mutex
	names  map[string]*content
	stable map[string]*content // the names after a loss of power
}

// content is that of a file.
type content struct {
	name   string
	bytes  []byte
	stable []byte // as of the last sync
	low    int    // bytes before it need no sync
}

const page = 4096

// PowerLoss returns what is left of the disk after a loss of power: what was synced, and by chance some of the pages and names that were not.
func (d *Disk) PowerLoss(r *rand.Rand) *Disk {
	d.mu.Lock()
	defer d.mu.Unlock()
	after := &Disk{names: map[string]*content{}, stable: map[string]*content{}}
	names := d.stable
	if r.IntN(2) == 0 {
		names = d.names
	}
	for name, c := range names {
		left := c.afterPowerLoss(r)
		after.names[name] = &content{bytes: left, stable: append([]byte(nil), left...), low: len(left)}
		after.stable[name] = after.names[name]
	}
	return after
}

func (c *content) afterPowerLoss(r *rand.Rand) []byte {
	size := len(c.stable)
	if n := len(c.bytes); n != size {
		size = min(n, size) + r.IntN(max(n, size)-min(n, size)+1)
	}
	left := make([]byte, size) // where a file grew and its bytes did not come, there are zeros
	copy(left, c.stable)
	for at := c.low / page * page; at < min(size, len(c.bytes)); at += page {
		if r.IntN(2) == 0 {
			copy(left[at:min(at+page, size)], c.bytes[at:])
		}
	}
	return left
}

// Bytes returns a copy of a file's bytes, nil if there is none.
func (d *Disk) Bytes(name string) []byte {
	d.mu.Lock()
	defer d.mu.Unlock()
	if c := d.names[name]; c != nil {
		return append([]byte{}, c.bytes...)
	}
	return nil
}

// Put makes a file of these bytes, synced.
func (d *Disk) Put(name string, b []byte) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.put(name, &content{bytes: append([]byte(nil), b...), stable: append([]byte(nil), b...), low: len(b)})
	d.stable[name] = d.names[name]
}

func (d *Disk) put(name string, c *content) {
	if d.names == nil {
		d.names, d.stable = map[string]*content{}, map[string]*content{}
	}
	c.name = name
	d.names[name] = c
}

func (d *Disk) fail(op Op) (int, error) {
	if d.Fail == nil {
		return 0, nil
	}
	return d.Fail(op)
}

// Open opens a file, or makes it.
func (d *Disk) Open(name string) (journal.File, error) {
	if _, err := d.fail(Op{Name: "open", File: name}); err != nil {
		return nil, err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	c := d.names[name]
	if c == nil {
		c = &content{}
		d.put(name, c)
	}
	return &file{disk: d, c: c}, nil
}

// Rename gives a file another name.
func (d *Disk) Rename(from, to string) error {
	if _, err := d.fail(Op{Name: "rename", File: from}); err != nil {
		return err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	c := d.names[from]
	if c == nil {
		return fs.ErrNotExist
	}
	delete(d.names, from)
	d.put(to, c)
	return nil
}

// Remove removes a file.
func (d *Disk) Remove(name string) error {
	if _, err := d.fail(Op{Name: "remove", File: name}); err != nil {
		return err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.names[name] == nil {
		return fs.ErrNotExist
	}
	delete(d.names, name)
	return nil
}

// Sync makes the names safe.
func (d *Disk) Sync() error {
	if _, err := d.fail(Op{Name: "names"}); err != nil {
		return err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.stable = map[string]*content{}
	for name, c := range d.names {
		d.stable[name] = c
	}
	return nil
}

type file struct {
	disk   *Disk
	c      *content
	closed bool // under disk.mu
}

var errClosed = errors.New("the file is closed")

// locked runs do under the disk's lock, with as many bytes of n as are to be done.
func (f *file) locked(name string, n int, do func(n int)) (int, error) {
	f.disk.mu.Lock()
	op := Op{name, f.c.name, n}
	f.disk.mu.Unlock()
	done, err := f.disk.fail(op)
	f.disk.mu.Lock()
	defer f.disk.mu.Unlock()
	if f.closed {
		return 0, errClosed
	}
	if err != nil {
		if name == "write" {
			do(done)
		}
		return done, err
	}
	do(n)
	return n, nil
}

func (f *file) ReadAt(b []byte, at int64) (int, error) {
	n := 0
	if _, err := f.locked("read", len(b), func(int) {
		if at < int64(len(f.c.bytes)) {
			n = copy(b, f.c.bytes[at:])
		}
	}); err != nil {
		return 0, err
	}
	if n < len(b) {
		return n, io.EOF
	}
	return n, nil
}

func (f *file) WriteAt(b []byte, at int64) (int, error) {
	return f.locked("write", len(b), func(n int) {
		c, end := f.c, int(at)+n
		if end > len(c.bytes) {
			c.bytes = append(c.bytes, make([]byte, end-len(c.bytes))...)
		}
		copy(c.bytes[at:end], b)
		c.low = min(c.low, int(at))
	})
}

func (f *file) Truncate(size int64) error {
	_, err := f.locked("truncate", 0, func(int) {
		c := f.c
		c.low = min(c.low, int(size))
		c.bytes = append(c.bytes[:min(len(c.bytes), int(size))], make([]byte, max(0, int(size)-len(c.bytes)))...)
	})
	return err
}

// Sync makes the bytes safe. One that fails has made none safe and leaves the pages clean, as Linux does: a later sync does not make
// them safe either, unless they are written again.
func (f *file) Sync() error {
	c := f.c
	_, err := f.locked("sync", 0, func(int) {
		c.stable = append(c.stable[:c.low], c.bytes[c.low:]...)
		c.low = len(c.bytes)
	})
	if err != nil {
		f.disk.mu.Lock()
		defer f.disk.mu.Unlock()
		c.stable = append(c.stable[:c.low], make([]byte, len(c.bytes)-c.low)...)
		c.low = len(c.bytes)
	}
	return err
}

func (f *file) Size() (size int64, err error) {
	_, err = f.locked("size", 0, func(int) { size = int64(len(f.c.bytes)) })
	return size, err
}

func (f *file) Close() error {
	_, err := f.locked("close", 0, func(int) { f.closed = true })
	return err
}

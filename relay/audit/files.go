package audit

import (
	"bufio"
	"bytes"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"sort"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/tlog"

	"sinete/internal/flock"
)

const (
	hashesName = "hashes"
	headsName  = "heads.jsonl"
	lockName   = "lock"
)

// recordsName is of the file whose first record has that number.
func recordsName(first int64) string { return fmt.Sprintf("records-%012d.jsonl", first) }

// recordFiles lists the numbers of the first records of the files in a folder, ascending.
func recordFiles(dir string) ([]int64, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	var firsts []int64
	for _, e := range entries {
		number, ok := strings.CutPrefix(strings.TrimSuffix(e.Name(), ".jsonl"), "records-")
		if first, err := strconv.ParseInt(number, 10, 64); ok && err == nil && first >= 0 && e.Name() == recordsName(first) {
			firsts = append(firsts, first)
		}
	}
	slices.Sort(firsts)
	return firsts, nil
}

// InUseError says that another program writes the log.
type InUseError struct{ Dir string }

func (e *InUseError) Error() string { return "the audit log in " + e.Dir + " is in use" }

// DamageError says that a log is not what its own heads and hashes say.
type DamageError struct {
	File   string
	Reason string
}

func (e *DamageError) Error() string { return e.File + ": " + e.Reason }

func lock(dir string) (unlock func(), err error) {
	f, err := os.OpenFile(filepath.Join(dir, lockName), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	if taken, err := flock.Try(f); err != nil {
		f.Close()
		if taken {
			err = &InUseError{dir}
		}
		return nil, err
	}
	return func() { f.Close() }, nil
}

// file is what a tail needs of an *os.File.
type file interface {
	io.ReaderAt
	io.WriterAt
	Truncate(size int64) error
	Sync() error
	Stat() (fs.FileInfo, error)
	Close() error
}

func openFile(path string) (file, error) { return os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600) }

// tail is a file that only grows. What a failed write left behind its end is overwritten, or cut off, by the next one.
type tail struct {
	file
	size  int64 // up to which it is good
	dirty bool  // something may stand behind that
}

func (l *Log) openTail(name string) (*tail, error) {
	f, err := l.opt.open(filepath.Join(l.dir, name))
	if err != nil {
		return nil, err
	}
	info, err := f.Stat()
	if err == nil {
		err = syncDir(l.dir)
	}
	if err != nil {
		f.Close()
		return nil, err
	}
	return &tail{file: f, size: info.Size()}, nil
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	return d.Sync()
}

func (t *tail) append(b []byte) error {
	if info, err := t.Stat(); err != nil {
		return err
	} else if t.dirty || info.Size() != t.size {
		if err := t.Truncate(t.size); err != nil {
			return err
		}
	}
	t.dirty = true
	if _, err := t.WriteAt(b, t.size); err != nil {
		if t.Truncate(t.size) == nil {
			t.dirty = false
		}
		return err
	}
	t.size += int64(len(b))
	t.dirty = false
	return nil
}

func (t *tail) sync() error  { return t.Sync() }
func (t *tail) close() error { return t.Close() }

// ReadHashes is for tlog.
func (t *tail) ReadHashes(indexes []int64) ([]tlog.Hash, error) {
	return readHashes(t, t.size, indexes)
}

func readHashes(r io.ReaderAt, size int64, indexes []int64) ([]tlog.Hash, error) {
	hashes := make([]tlog.Hash, len(indexes))
	for i, index := range indexes {
		if index >= size/tlog.HashSize {
			return nil, &DamageError{hashesName, fmt.Sprintf("hash %d is missing", index)}
		}
		if _, err := r.ReadAt(hashes[i][:], index*tlog.HashSize); err != nil {
			return nil, err
		}
	}
	return hashes, nil
}

func flat(hashes []tlog.Hash) []byte {
	b := make([]byte, 0, len(hashes)*tlog.HashSize)
	for _, h := range hashes {
		b = append(b, h[:]...)
	}
	return b
}

// recover opens the files and brings them into agreement.
func (l *Log) recover() (err error) {
	if l.hashes, err = l.openTail(hashesName); err != nil {
		return err
	}
	if l.heads, err = l.openTail(headsName); err != nil {
		return err
	}
	firsts, err := recordFiles(l.dir)
	if err != nil {
		return err
	}
	hashed := recordsIn(l.hashes.size / tlog.HashSize)
	l.first = hashed // where all files of records were moved away, the numbers go on
	if len(firsts) > 0 {
		l.first = firsts[len(firsts)-1]
	}
	if l.records, err = l.openTail(recordsName(l.first)); err != nil {
		return err
	}
	lines, good, err := countLines(l.records, l.records.size)
	if err != nil {
		return err
	}
	l.records.size, l.size = good, l.first+lines
	if err := l.rehash(min(hashed, l.size)); err != nil {
		return err
	}
	return l.checkHeads()
}

// rehash makes the hashes that are missing from record number from on, and drops those of records that are not there.
func (l *Log) rehash(from int64) error {
	l.hashes.size = tlog.StoredHashCount(from) * tlog.HashSize
	for n, data := range lines(l.dir, from, l.size) {
		if data == nil {
			return &DamageError{recordsName(n), fmt.Sprintf("record %d is missing, and its hash too", n)}
		}
		hashes, err := tlog.StoredHashes(n, data, l.hashes)
		if err == nil {
			err = l.hashes.append(flat(hashes))
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// checkHeads looks whether the newest head is one of this log, and takes the log's id from it, or else from its first record.
func (l *Log) checkHeads() error {
	b, err := io.ReadAll(io.NewSectionReader(l.heads, 0, l.heads.size))
	if err != nil {
		return err
	}
	l.heads.size = int64(bytes.LastIndexByte(b, '\n') + 1)
	if l.heads.size == 0 {
		return l.findID()
	}
	last := b[bytes.LastIndexByte(b[:l.heads.size-1], '\n')+1 : l.heads.size]
	var h Head
	if err := json.Unmarshal(last, &h); err != nil {
		return &DamageError{headsName, "the last line is no head: " + err.Error()}
	}
	if h.Size > uint64(l.size) {
		return &DamageError{recordsName(l.first), fmt.Sprintf("the newest head covers %d records, and %d are there", h.Size, l.size)}
	}
	root, err := tlog.TreeHash(int64(h.Size), l.hashes)
	if err != nil {
		return err
	}
	if root != tlog.Hash(h.Root) {
		return &DamageError{hashesName, fmt.Sprintf("the newest head is of other records than the %d that are there", h.Size)}
	}
	l.id, l.sealed = h.Log, int64(h.Size)
	return nil
}

func (l *Log) findID() error {
	if l.size == 0 {
		return nil
	}
	for _, data := range lines(l.dir, 0, 1) {
		var r Record
		if json.Unmarshal(data, &r) == nil {
			if id, err := hex.DecodeString(r.Log); err == nil && len(id) == len(l.id) && r.Event == Begun {
				l.id = [16]byte(id)
				return nil
			}
		}
	}
	return &DamageError{recordsName(0), "the first record does not begin a log"}
}

// recordsIn is how many records have all their hashes among so many.
func recordsIn(hashes int64) int64 {
	return int64(sort.Search(int(min(hashes, 1<<40)+1), func(n int) bool { return tlog.StoredHashCount(int64(n)) > hashes })) - 1
}

// countLines counts whole lines, and says where the last one ends.
func countLines(r io.ReaderAt, size int64) (n, end int64, err error) {
	b := bufio.NewReaderSize(io.NewSectionReader(r, 0, size), maxRecord+1)
	for {
		line, err := b.ReadSlice('\n')
		switch {
		case err == io.EOF:
			return n, end, nil
		case errors.Is(err, bufio.ErrBufferFull):
			return n, end, nil // no record of ours; what follows is none either
		case err != nil:
			return 0, 0, err
		}
		n, end = n+1, end+int64(len(line))
	}
}

// lines reads records from number from on, below end, whichever files are there; data is nil, once, where they are not to be had.
func lines(dir string, from, end int64) func(yield func(n int64, data []byte) bool) {
	return func(yield func(n int64, data []byte) bool) {
		firsts, err := recordFiles(dir)
		if err != nil {
			yield(from, nil)
			return
		}
		for from < end {
			i, found := slices.BinarySearch(firsts, from)
			if !found {
				i--
			}
			if i < 0 {
				yield(from, nil)
				return
			}
			next, ok := linesOf(filepath.Join(dir, recordsName(firsts[i])), firsts[i], from, end, yield)
			if !ok {
				return
			}
			if next == from {
				yield(from, nil)
				return
			}
			from = next
		}
	}
}

// linesOf reads one file, and returns the number of the record that follows.
func linesOf(path string, first, from, end int64, yield func(n int64, data []byte) bool) (next int64, ok bool) {
	f, err := os.Open(path)
	if err != nil {
		return from, true
	}
	defer f.Close()
	b := bufio.NewReaderSize(f, maxRecord+1)
	for n := first; n < end; n++ {
		line, err := b.ReadSlice('\n')
		if err != nil {
			return from, true
		}
		if n < from {
			continue
		}
		if from = n + 1; !yield(n, bytes.TrimSuffix(line, []byte("\n"))) {
			return from, false
		}
	}
	return from, true
}

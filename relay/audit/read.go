package audit

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/mod/sumdb/tlog"
)

// Reader looks at a log, which a relay may be writing meanwhile: it sees what was there when it was opened.
type Reader struct {
	dir    string
	hashes *os.File
	size   int64 // records
	heads  []Head
}

// Read opens the log in a folder for looking at it. Errors: *DamageError where a line of heads is none; those of the file system.
func Read(dir string) (*Reader, error) {
	f, err := os.Open(filepath.Join(dir, hashesName))
	if err != nil {
		return nil, err
	}
	info, err := f.Stat()
	if err != nil {
		f.Close()
		return nil, err
	}
	r := &Reader{dir: dir, hashes: f, size: recordsIn(info.Size() / tlog.HashSize)}
	if r.heads, err = readHeads(filepath.Join(dir, headsName)); err != nil {
		f.Close()
		return nil, err
	}
	return r, nil
}

// maxHead is more than any line of heads takes, in bytes.
const maxHead = 16 << 10

func readHeads(path string) ([]Head, error) {
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer f.Close()
	var heads []Head
	for b := bufio.NewReaderSize(f, maxHead); ; {
		line, err := b.ReadSlice('\n')
		if err == io.EOF { // a line without its end is being written
			return heads, nil
		}
		if err != nil {
			return nil, &DamageError{headsName, err.Error()}
		}
		var h Head
		if err := json.Unmarshal(line, &h); err != nil {
			return nil, &DamageError{headsName, fmt.Sprintf("line %d: %v", len(heads)+1, err)}
		}
		heads = append(heads, h)
	}
}

// Close closes what Read opened.
func (r *Reader) Close() error { return r.hashes.Close() }

// Size is the number of records.
func (r *Reader) Size() int64 { return r.size }

// Head is the newest one; false where there is none yet.
func (r *Reader) Head() (Head, bool) {
	if len(r.heads) == 0 {
		return Head{}, false
	}
	return r.heads[len(r.heads)-1], true
}

// HeadOf is one over that many records; false where there is none.
func (r *Reader) HeadOf(size uint64) (Head, bool) {
	for _, h := range r.heads {
		if h.Size == size {
			return h, true
		}
	}
	return Head{}, false
}

// Records hands out the records from number from on whose files are there, as written.
func (r *Reader) Records(from int64) func(yield func(n int64, data []byte) bool) {
	return func(yield func(n int64, data []byte) bool) {
		for from < r.size {
			missing := false
			for n, data := range lines(r.dir, from, r.size) {
				if missing = data == nil; missing {
					from = r.present(n)
					break
				}
				from = n + 1
				if !yield(n, data) {
					return
				}
			}
			if !missing {
				return
			}
		}
	}
}

// present is the number of the first record behind n that begins a file.
func (r *Reader) present(n int64) int64 {
	firsts, err := recordFiles(r.dir)
	if err == nil {
		for _, first := range firsts {
			if first > n {
				return first
			}
		}
	}
	return r.size
}

// ReadHashes is for tlog.
func (r *Reader) ReadHashes(indexes []int64) ([]tlog.Hash, error) {
	return readHashes(r.hashes, tlog.StoredHashCount(r.size)*tlog.HashSize, indexes)
}

// Report is what Check found in a log in which nothing is wrong.
type Report struct {
	Records  int64 // in the log
	Present  int64 // whose files are there
	Heads    int
	Verified int   // of them, by their seals
	Open     int64 // records that no verified head covers
}

// ErrUnknownCertificate is what verify of Check returns for a head sealed under a certificate that it does not have.
var ErrUnknownCertificate = errors.New("sealed under another certificate")

// Check compares every record with its hash, every hash with those below it and every head with the tree, and verifies the seals of the heads. What is
// wrong is a *DamageError, or what verify returned.
func (r *Reader) Check(verify func(Head) error) (Report, error) {
	report := Report{Records: r.size, Heads: len(r.heads), Open: r.size}
	for n, data := range r.Records(0) {
		stored, err := r.ReadHashes([]int64{tlog.StoredHashIndex(0, n)})
		if err != nil {
			return report, err
		}
		if stored[0] != tlog.RecordHash(data) {
			return report, &DamageError{recordsName(n), fmt.Sprintf("record %d is not what it was", n)}
		}
		report.Present++
	}
	if err := r.checkTree(); err != nil {
		return report, err
	}
	for i, h := range r.heads {
		if err := r.checkHead(i, h); err != nil {
			return report, err
		}
		switch err := verify(h); {
		case err == nil:
			report.Verified++
			report.Open = r.size - int64(h.Size)
		case err != ErrUnknownCertificate:
			return report, fmt.Errorf("the head over %d records: %w", h.Size, err)
		}
	}
	return report, nil
}

// checkTree compares every hash above the records' with the two below it.
func (r *Reader) checkTree() error {
	for n := range r.size {
		for level := 0; n>>level&1 == 1; level++ {
			at := n >> level
			h, err := r.ReadHashes([]int64{tlog.StoredHashIndex(level, at-1), tlog.StoredHashIndex(level, at), tlog.StoredHashIndex(level+1, at>>1)})
			if err != nil {
				return err
			}
			if tlog.NodeHash(h[0], h[1]) != h[2] {
				return &DamageError{hashesName, fmt.Sprintf("a hash over record %d is not what it was", n)}
			}
		}
	}
	return nil
}

// checkHead compares a head with the tree and with the one before it.
func (r *Reader) checkHead(i int, h Head) error {
	if i > 0 && (h.Log != r.heads[i-1].Log || h.Size < r.heads[i-1].Size) {
		return &DamageError{headsName, fmt.Sprintf("line %d is a head of another log, or of fewer records than the one before", i+1)}
	}
	return r.Covers(h)
}

// Covers reports whether a head, which may have been kept elsewhere, is one of this log: the log has only grown since. Where it is not, that is a *DamageError.
func (r *Reader) Covers(h Head) error {
	if len(r.heads) > 0 && h.Log != r.heads[0].Log {
		return &DamageError{headsName, "a head of another log"}
	}
	if h.Size > uint64(r.size) {
		return &DamageError{hashesName, fmt.Sprintf("a head covers %d records, and %d are there", h.Size, r.size)}
	}
	root, err := tlog.TreeHash(int64(h.Size), r)
	if err != nil {
		return err
	}
	if root != tlog.Hash(h.Root) {
		return &DamageError{hashesName, fmt.Sprintf("a head is of other records than the %d that are there", h.Size)}
	}
	return nil
}

package revocation

import (
	"bytes"
	"crypto/sha256"
	"crypto/x509"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"
)

// The cache holds so many answers and lists in memory, and so many bytes of them on disk.
const (
	maxAnswers = 16 << 10
	maxLists   = 32
	maxDisk    = 64 << 20
)

// cache remembers answers. On disk it keeps what authorities have signed and nothing else, and verifies it when it reads it: who can write
// there can replay what holds still, and forge nothing.
type cache struct {
	dir string

	storing sync.Mutex // held while an answer goes to disk
	reading sync.Mutex // held while a list comes from there
	mu      sync.Mutex
	answers map[[32]byte]*answer
	lists   map[string]*list // by address
	onDisk  int64            // bytes, or more
}

func newCache(dir string) (*cache, error) {
	c := &cache{dir: dir, answers: map[[32]byte]*answer{}, lists: map[string]*list{}}
	if dir == "" {
		return c, nil
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	c.prune(maxDisk)
	return c, nil
}

// answer is what counts of all that is known about a certificate, whether it holds or not; nil where nothing is.
func (c *cache) answer(s subject, now time.Time) *answer {
	id := s.id()
	c.mu.Lock()
	a, known := c.answers[id]
	c.mu.Unlock()
	if known {
		return a
	}
	if a = c.read(s, now); a != nil {
		a = c.keep(id, a)
	}
	return a
}

// read looks on disk, for a response and for lists.
func (c *cache) read(s subject, now time.Time) (counts *answer) {
	if c.dir == "" {
		return nil
	}
	if fetched, raw, ok := c.load(answerFile(s.id())); ok {
		// At its own time: what has ended still says what was the last that was known.
		if a, err := parseOCSP(raw, s, fetched); err == nil && !fetched.After(now.Add(skew)) {
			a.fetched, a.source = fetched, "the cache"
			counts = a
		}
	}
	for _, address := range firstOf(s.cert.CRLDistributionPoints) {
		l := c.list(address, s.issuer, now)
		if l == nil {
			continue
		}
		if a, err := l.about(s, address); err == nil {
			if len(s.cert.OCSPServer) > 0 {
				a.fetched = time.Time{} // in place of a responder it is not fresh: that one is asked first
			}
			counts = newer(counts, a)
		}
	}
	return counts
}

// put takes an answer and returns the one that counts, which can be an older one. raw, if not nil, is the response that goes to disk.
func (c *cache) put(s subject, a *answer, raw []byte) *answer {
	id := s.id()
	counts := c.keep(id, a)
	if counts == a && raw != nil && c.dir != "" {
		c.storing.Lock()
		defer c.storing.Unlock()
		c.mu.Lock()
		still := c.answers[id] == a
		c.mu.Unlock()
		if still {
			c.store(answerFile(id), a.fetched, raw)
		}
	}
	return counts
}

// keep remembers an answer where it counts more than what is known, and returns what does.
func (c *cache) keep(id [32]byte, a *answer) *answer {
	c.mu.Lock()
	defer c.mu.Unlock()
	old := c.answers[id]
	if old == nil && len(c.answers) >= maxAnswers {
		for other := range c.answers { // any one: what is needed comes again
			delete(c.answers, other)
			break
		}
	}
	c.answers[id] = newer(old, a)
	return c.answers[id]
}

// list is the last one of an issuer that came from an address, however long ago; nil where there is none.
func (c *cache) list(address string, issuer *x509.Certificate, now time.Time) *list {
	c.reading.Lock() // who comes together does not read it twice
	defer c.reading.Unlock()
	c.mu.Lock()
	l := c.lists[address]
	c.mu.Unlock()
	if l == nil && c.dir != "" {
		l = c.readList(address, issuer, now)
	}
	if l == nil || !bytes.Equal(l.issuer, keyOf(issuer)) {
		return nil
	}
	return l
}

// readList reads a list from disk, once: what cannot be used is removed.
func (c *cache) readList(address string, issuer *x509.Certificate, now time.Time) *list {
	fetched, raw, ok := c.load(listFile(address))
	if !ok || fetched.After(now.Add(skew)) {
		return nil
	}
	l, err := parseCRL(raw, issuer, fetched)
	if err != nil {
		_ = os.Remove(filepath.Join(c.dir, listFile(address))) // or it is read again
		return nil
	}
	l.fetched = fetched
	c.keepList(address, l)
	return l
}

func (c *cache) keepList(address string, l *list) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.lists[address] == nil && len(c.lists) >= maxLists {
		for old := range c.lists {
			delete(c.lists, old)
			break
		}
	}
	c.lists[address] = l
}

func (c *cache) putList(address string, l *list, raw []byte) {
	c.keepList(address, l)
	if c.dir != "" {
		c.store(listFile(address), l.fetched, raw)
	}
}

const (
	answerSuffix = ".ocsp"
	listSuffix   = ".crl"
)

func answerFile(id [32]byte) string { return hex.EncodeToString(id[:]) + answerSuffix }

func listFile(address string) string {
	sum := sha256.Sum256([]byte(address))
	return hex.EncodeToString(sum[:]) + listSuffix
}

// A file of the cache is the time of the fetch (8 bytes, Unix seconds) and what was fetched.

func (c *cache) load(name string) (fetched time.Time, raw []byte, ok bool) {
	path := filepath.Join(c.dir, name)
	info, err := os.Stat(path)
	if err != nil || info.Size() < 8 || info.Size() > 8+maxList {
		return time.Time{}, nil, false
	}
	b, err := os.ReadFile(path)
	if err != nil || len(b) < 8 {
		return time.Time{}, nil, false
	}
	return time.Unix(int64(binary.BigEndian.Uint64(b)), 0), b[8:], true
}

// store writes a file at once or not at all. What cannot be stored is fetched again after the next start: no reason to refuse anybody.
func (c *cache) store(name string, fetched time.Time, raw []byte) {
	f, err := os.CreateTemp(c.dir, ".new-")
	if err != nil {
		return
	}
	defer os.Remove(f.Name())
	_, err = f.Write(append(binary.BigEndian.AppendUint64(nil, uint64(fetched.Unix())), raw...))
	if err := errors.Join(err, f.Close()); err != nil {
		return
	}
	if os.Rename(f.Name(), filepath.Join(c.dir, name)) != nil {
		return
	}
	c.mu.Lock()
	c.onDisk += int64(8 + len(raw))
	full := c.onDisk > maxDisk
	c.mu.Unlock()
	if full {
		c.prune(maxDisk / 2)
	}
}

// prune removes the oldest files until at most that many bytes are left.
func (c *cache) prune(most int64) {
	type file struct {
		path string
		info fs.FileInfo
	}
	var files []file
	var total int64
	entries, err := os.ReadDir(c.dir)
	if err != nil {
		return
	}
	for _, e := range entries {
		info, err := e.Info()
		ours := strings.HasSuffix(e.Name(), answerSuffix) || strings.HasSuffix(e.Name(), listSuffix)
		if err == nil && ours && info.Mode().IsRegular() {
			files = append(files, file{filepath.Join(c.dir, e.Name()), info})
			total += info.Size()
		}
	}
	slices.SortFunc(files, func(a, b file) int { return a.info.ModTime().Compare(b.info.ModTime()) })
	for len(files) > 0 && total > most {
		if os.Remove(files[0].path) == nil {
			total -= files[0].info.Size()
		}
		files = files[1:]
	}
	c.mu.Lock()
	c.onDisk = total
	c.mu.Unlock()
}

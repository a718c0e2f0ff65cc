package levels

import (
	"context"
	"io/fs"
	"log/slog"
	"os"
	"sync"
	"time"

	"sinete/wire"
)

// Table answers which level an identity has, from a file that it follows. It is safe for use by several goroutines.
type Table struct {
	path string
	log  *slog.Logger

	mu     sync.Mutex
	levels map[string]wire.Level
	times  int         // that a new state was read
	seen   fs.FileInfo // of the file last read
	fault  string      // what is wrong with the file since it was last good, as logged
}

// Open reads the levels file at path. Errors are *SyntaxError or those of the file system; a missing file is one.
func Open(path string, log *slog.Logger) (*Table, error) {
	t := &Table{path: path, log: log}
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if err := t.read(info); err != nil {
		return nil, err
	}
	return t, nil
}

// Lookup returns the level of an identity; known is false where the file has none for it. A change of the file is in
// force at once: a look at it costs nothing beside the login that asks. A file that is damaged or gone changes nothing: it is logged once, and the last good state stays in force.
func (t *Table) Lookup(identity string) (level wire.Level, known bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.refresh()
	level, known = t.levels[identity]
	return level, known
}

// Follow looks at the file every so often until ctx ends, and calls changed after a change, whoever saw it first.
func (t *Table) Follow(ctx context.Context, every time.Duration, changed func()) {
	look := time.NewTicker(every)
	defer look.Stop()
	seen := 1 // Open's
	for {
		t.mu.Lock()
		t.refresh()
		times := t.times
		t.mu.Unlock()
		if times != seen {
			seen = times
			changed()
		}
		select {
		case <-look.C:
		case <-ctx.Done():
			return
		}
	}
}

func (t *Table) refresh() {
	info, err := os.Stat(t.path)
	if err == nil {
		if t.fault == "" && same(t.seen, info) {
			return
		}
		err = t.read(info)
	}
	switch {
	case err == nil:
		t.fault = ""
		t.log.Info("levels file read", "path", t.path, "identities", len(t.levels))
	case err.Error() != t.fault:
		t.fault = err.Error()
		t.log.Error("levels file unusable, the last good state stays in force", "error", err)
	}
}

// read takes the file's state over. What info says was true before the reading, so that a change in between is seen next time.
func (t *Table) read(info fs.FileInfo) error {
	t.seen = info
	entries, err := Read(t.path)
	if err != nil {
		return err
	}
	t.times++
	t.levels = make(map[string]wire.Level, len(entries))
	for _, e := range entries {
		t.levels[e.Identity] = e.Level
	}
	return nil
}

func same(a, b fs.FileInfo) bool {
	return os.SameFile(a, b) && a.Size() == b.Size() && a.ModTime().Equal(b.ModTime())
}

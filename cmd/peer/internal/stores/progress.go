package stores

import (
	"fmt"
	"io"
	"iter"
	"strings"
	"sync"
	"time"

	"sinete/cmd/peer/internal/terminal"
	"sinete/peer/evidence/export"
	"sinete/peer/store"
)

// patience is after how long something takes long. Tests have none.
var patience = time.Second

// progress tells whoever sits there how far something has come that takes long: in one line on standard error, which is written anew each second, from
// the first one on. end must follow, before anything else is shown.
type progress struct {
	out   io.Writer // nil: nobody sits there
	began time.Time

	mu    sync.Mutex
	form  string // with a verb for the count, if there is one
	per   int64  // what is counted in one
	n     int64
	shown int // characters
	again *time.Timer
}

// begin begins with what cannot be counted.
func begin(t *terminal.Terminal, what string) *progress {
	p := &progress{began: time.Now(), form: what}
	if t.Errors {
		p.out = t.Stderr
		p.mu.Lock() // the timer may be there before it is kept
		defer p.mu.Unlock()
		p.again = time.AfterFunc(patience, p.tick)
	}
	return p
}

// counts goes on to what can be counted, by add: form has a verb for it, and shows one for so many.
func (p *progress) counts(form string, per int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.form, p.per, p.n = form, per, 0
}

func (p *progress) add(n int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.n += n
}

func (p *progress) tick() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.again != nil {
		p.show()
		p.again.Reset(time.Second)
	}
}

// show writes the line. mu is held.
func (p *progress) show() {
	line := p.form
	if p.per > 0 {
		line = fmt.Sprintf(p.form, p.n/p.per)
	}
	line += fmt.Sprintf(", %d s", int(time.Since(p.began).Seconds()))
	fmt.Fprint(p.out, "\r", line, strings.Repeat(" ", max(0, p.shown-len(line))))
	p.shown = len(line)
}

// end leaves the line as it is at the end, where it took long.
func (p *progress) end() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.again == nil {
		return
	}
	p.again.Stop()
	p.again = nil
	if time.Since(p.began) >= patience {
		p.show()
		fmt.Fprintln(p.out)
	}
}

// counted counts what is taken.
func counted[T any](p *progress, form string, all iter.Seq2[T, error]) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		p.counts(form, 1)
		for v, err := range all {
			p.add(1)
			if !yield(v, err) {
				return
			}
		}
	}
}

// source is a store whose reading is counted.
type source struct {
	store *store.Store
	*progress
}

var _ export.Source = (*source)(nil)

func (s *source) History(q store.Query) iter.Seq2[store.Entry, error] {
	return counted(s.progress, readingMessages, s.store.History(q))
}

func (s *source) Evidence() iter.Seq2[store.Evidence, error] {
	return counted(s.progress, readingProof, s.store.Evidence())
}

// countedFile counts what is read or written, in MiB.
type countedFile struct {
	io.Reader
	io.Writer
	*progress
}

func (f *countedFile) Read(b []byte) (int, error) {
	n, err := f.Reader.Read(b)
	f.add(int64(n))
	return n, err
}

func (f *countedFile) Write(b []byte) (int, error) {
	n, err := f.Writer.Write(b)
	f.add(int64(n))
	return n, err
}

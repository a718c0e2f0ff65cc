package terminal

import (
	"bufio"
	"bytes"
	"context"
	"io"
	"sync"
)

// MaxLine is the longest command in bytes, its line end included.
const MaxLine = 128 << 10

// Line is a line of input without its end.
type Line struct {
	Text string
	Long bool // only its beginning is in text
	End  bool // there is none, and none will come
}

// Input reads lines when they are asked for and not before, so that a PIN can be read between two of them. While a line is awaited
// for a command, a PIN that is wanted takes its place, since there is but one keyboard.
type Input struct {
	r     *bufio.Reader
	lines chan Line

	mu      sync.Mutex
	under   bool // a command is awaited
	reading bool
	secret  chan Line // gets the next line before any command; nil: no PIN is wanted
}

func NewInput(r io.Reader) *Input {
	return &Input{r: bufio.NewReaderSize(r, MaxLine), lines: make(chan Line, 1)}
}

// Ask starts to read a line unless that is under way already. What comes from the channel must be given to Took.
func (in *Input) Ask() <-chan Line {
	in.mu.Lock()
	defer in.mu.Unlock()
	in.under = true
	in.start()
	return in.lines
}

func (in *Input) Took() {
	in.mu.Lock()
	in.under = false
	in.mu.Unlock()
}

// Next is the next line if all of it has come already and nobody asked for it, so that lines which wait can be taken together.
func (in *Input) Next() (l Line, ok bool) {
	in.mu.Lock()
	defer in.mu.Unlock()
	if in.reading || in.secret != nil {
		return Line{}, false
	}
	select {
	case l = <-in.lines:
		return l, true
	default:
	}
	come, _ := in.r.Peek(in.r.Buffered())
	if bytes.IndexByte(come, '\n') < 0 {
		return Line{}, false
	}
	return in.read(), true
}

// AskSecret takes the next line, which is no command.
func (in *Input) AskSecret(ctx context.Context) (Line, error) {
	secret := make(chan Line, 1)
	in.mu.Lock()
	in.secret = secret
	in.start()
	in.mu.Unlock()
	select {
	case l := <-secret:
		return l, nil
	case <-ctx.Done():
		in.mu.Lock()
		in.secret = nil // the next line is a command again
		in.mu.Unlock()
		return Line{}, ctx.Err()
	}
}

// start reads unless that is under way, or a line waits to be taken. mu is held.
func (in *Input) start() {
	if !in.reading && (len(in.lines) == 0 || in.secret != nil) {
		in.reading = true
		go in.run()
	}
}

// run reads until a line is there for a command, or nobody wants one.
func (in *Input) run() {
	for {
		l := in.read()
		in.mu.Lock()
		if in.secret == nil {
			in.reading = false
			in.lines <- l
			in.mu.Unlock()
			return
		}
		in.secret <- l
		in.secret = nil
		if !in.under || len(in.lines) > 0 {
			in.reading = false
			in.mu.Unlock()
			return
		}
		in.mu.Unlock()
	}
}

func (in *Input) read() Line {
	b, err := in.r.ReadSlice('\n')
	l := Line{Long: err == bufio.ErrBufferFull, End: err != nil && len(b) == 0}
	if l.Long {
		b = b[:256]
	}
	l.Text = string(bytes.TrimSuffix(bytes.TrimSuffix(b, []byte("\n")), []byte("\r")))
	for err == bufio.ErrBufferFull {
		_, err = in.r.ReadSlice('\n')
	}
	return l
}

// Hidden is whether the terminal hides what is typed.
type Hidden struct {
	mu      sync.Mutex
	restore func() // nil while it shows it
	over    bool
}

func (h *Hidden) Hide(quiet func() (restore func(), err error)) (err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.over {
		return context.Canceled
	}
	h.restore, err = quiet()
	return err
}

func (h *Hidden) Show() {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.restore != nil {
		h.restore()
		h.restore = nil
	}
}

// End shows it for good: a card that still waits for its PIN when the program ends must not leave a terminal behind that shows nothing.
func (h *Hidden) End() {
	h.Show()
	h.mu.Lock()
	defer h.mu.Unlock()
	h.over = true
}

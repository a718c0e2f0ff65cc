package main

import (
	"bufio"
	"bytes"
	"context"
	"io"
	"sync"
)

// maxLine is the longest command in bytes, its line end included.
const maxLine = 128 << 10

// line is a line of input without its end.
type line struct {
	text string
	long bool // only its beginning is in text
	end  bool // there is none, and none will come
}

// input reads lines when they are asked for and not before, so that a PIN can be read between two of them. While a line is awaited
// for a command, a PIN that is wanted takes its place, since there is but one keyboard.
type input struct {
	r     *bufio.Reader
	lines chan line

	mu      sync.Mutex
	under   bool // a command is awaited
	reading bool
	secret  chan line // gets the next line before any command; nil: no PIN is wanted
}

func newInput(r io.Reader) *input {
	return &input{r: bufio.NewReaderSize(r, maxLine), lines: make(chan line, 1)}
}

// ask starts to read a line unless that is under way already. What comes from the channel must be given to took.
func (in *input) ask() <-chan line {
	in.mu.Lock()
	defer in.mu.Unlock()
	in.under = true
	in.start()
	return in.lines
}

func (in *input) took() {
	in.mu.Lock()
	in.under = false
	in.mu.Unlock()
}

// askSecret takes the next line, which is no command.
func (in *input) askSecret(ctx context.Context) (line, error) {
	secret := make(chan line, 1)
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
		return line{}, ctx.Err()
	}
}

// start reads unless that is under way, or a line waits to be taken. mu is held.
func (in *input) start() {
	if !in.reading && (len(in.lines) == 0 || in.secret != nil) {
		in.reading = true
		go in.run()
	}
}

// run reads until a line is there for a command, or nobody wants one.
func (in *input) run() {
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

func (in *input) read() line {
	b, err := in.r.ReadSlice('\n')
	l := line{long: err == bufio.ErrBufferFull, end: err != nil && len(b) == 0}
	if l.long {
		b = b[:256]
	}
	l.text = string(bytes.TrimSuffix(bytes.TrimSuffix(b, []byte("\n")), []byte("\r")))
	for err == bufio.ErrBufferFull {
		_, err = in.r.ReadSlice('\n')
	}
	return l
}

// hidden is whether the terminal hides what is typed.
type hidden struct {
	mu      sync.Mutex
	restore func() // nil while it shows it
	over    bool
}

func (h *hidden) hide(quiet func() (restore func(), err error)) (err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.over {
		return context.Canceled
	}
	h.restore, err = quiet()
	return err
}

func (h *hidden) show() {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.restore != nil {
		h.restore()
		h.restore = nil
	}
}

// end shows it for good: a card that still waits for its PIN when the program ends must not leave a terminal behind that shows nothing.
func (h *hidden) end() {
	h.show()
	h.mu.Lock()
	defer h.mu.Unlock()
	h.over = true
}

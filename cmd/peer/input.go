package main

import (
	"bufio"
	"bytes"
	"io"
)

// maxLine is the longest command in bytes, its line end included.
const maxLine = 128 << 10

// line is a line of input without its end.
type line struct {
	text string
	long bool // only its beginning is in text
	end  bool // there is none, and none will come
}

// input reads lines when they are asked for and not before, so that a PIN can be read between two of them.
type input struct {
	r     *bufio.Reader
	lines chan line
	under bool // a read is under way
}

func newInput(r io.Reader) *input {
	return &input{r: bufio.NewReaderSize(r, maxLine), lines: make(chan line, 1)}
}

// ask starts to read a line unless that is under way already. What comes from the channel must be given to took.
func (in *input) ask() <-chan line {
	if !in.under {
		in.under = true
		go func() { in.lines <- in.read() }()
	}
	return in.lines
}

func (in *input) took() { in.under = false }

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

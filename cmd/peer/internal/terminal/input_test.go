package terminal

import (
	"io"
	"strings"
	"testing"
)

// Lines that have come can be taken at once; one of which the end is missing cannot, nor one while another is awaited.
func TestInputNext(t *testing.T) {
	r, w := io.Pipe()
	in := NewInput(r)
	first := in.Ask()
	if l, ok := in.Next(); ok {
		t.Errorf("%+v, while a line is awaited", l)
	}
	go w.Write([]byte("one\ntwo\nthree\nfo"))
	if l := <-first; l.Text != "one" {
		t.Errorf("%+v", l)
	}
	in.Took()
	for _, want := range []string{"two", "three"} {
		if l, ok := in.Next(); !ok || l.Text != want {
			t.Errorf("%+v, want %s", l, want)
		}
	}
	if l, ok := in.Next(); ok {
		t.Errorf("half a line: %+v", l)
	}
	go w.Write([]byte("ur\n"))
	if l := <-in.Ask(); l.Text != "four" {
		t.Errorf("%+v", l)
	}
}

func TestInput(t *testing.T) {
	long := strings.Repeat("x", MaxLine)
	in := NewInput(strings.NewReader("list\r\n\n" + long + long + "\nsend##1##" + long[:MaxLine-10] + "\nlast"))
	for i, want := range []Line{{Text: "list"}, {}, {Text: long[:256], Long: true}, {Text: "send##1##" + long[:MaxLine-10]}, {Text: "last"}, {End: true}, {End: true}} {
		got := <-in.Ask()
		in.Took()
		if got != want {
			t.Errorf("line %d: %d bytes %.20q, long %v, end %v", i, len(got.Text), got.Text, got.Long, got.End)
		}
	}
}

package terminal

import (
	"strings"
	"testing"
)

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

package evidence

import (
	"encoding/hex"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"sinete/peer/evidence/internal/bundle"
)

// maxLine is how many bytes a line has at most.
const maxLine = 65_536

// words reads a line of proof.txt: words parted by one space.
type words struct {
	rest string
	more bool
	err  error
}

func wordsOf(line string) *words { return &words{rest: line, more: true} }

func (w *words) fail(format string, args ...any) {
	if w.err == nil {
		w.err = fmt.Errorf(format, args...)
	}
}

func (w *words) word() (s string) {
	if !w.more {
		w.fail("a word is missing")
		return ""
	}
	s, w.rest, w.more = strings.Cut(w.rest, " ")
	if s == "" {
		w.fail("an empty word")
	}
	return s
}

func (w *words) done() error {
	if w.more {
		w.fail("more words than there may be")
	}
	return w.err
}

// number is decimal, in its one form, and below 2^62, so that any shell can reckon with it.
func (w *words) number() uint64 {
	s := w.word()
	n, err := strconv.ParseUint(s, 10, 62)
	if err != nil || strconv.FormatUint(n, 10) != s {
		w.fail("%.40q where a number must be", s)
	}
	return n
}

// bytes are min to max, in hexadecimal.
func (w *words) bytes(min, max int) []byte {
	s := w.word()
	b, err := hex.DecodeString(s)
	if err != nil || len(b) < min || len(b) > max || hex.EncodeToString(b) != s {
		w.fail("%.40q where %d to %d bytes in hexadecimal must be", s, min, max)
		return make([]byte, min)
	}
	return b
}

func (w *words) hash() [32]byte    { return [32]byte(w.bytes(32, 32)) }
func (w *words) bytes16() [16]byte { return [16]byte(w.bytes(16, 16)) }

// of is the thing of a kind that an earlier line has defined.
func of[T any](w *words, kind string, all []T) (t T) {
	n := w.number()
	if n < 1 || n > uint64(len(all)) {
		w.fail("no %s %d has been defined", kind, n)
		return t
	}
	return all[n-1]
}

// next is the number of a thing that the line defines.
func next[T any](w *words, all []T) int {
	if n := w.number(); n != uint64(len(all)+1) {
		w.fail("number %d where %d is next", n, len(all)+1)
	}
	return len(all) + 1
}

// eachLine calls do with every line between the first and the last one.
func eachLine(proof []byte, do func(line string) error) error {
	n := 0
	ended := false
	for rest := string(proof); rest != ""; {
		line, after, whole := strings.Cut(rest, "\n")
		n++
		var err error
		switch {
		case !whole || len(line) > maxLine:
			err = errors.New("a line that does not end")
		case ended:
			err = errors.New("something behind the end")
		case n == 1 && line != bundle.FirstLine:
			err = errors.New("no proof of this version")
		case n == 1:
		case line == bundle.LastLine:
			ended = true
		default:
			err = do(line)
		}
		if err != nil {
			return &LineError{n, err}
		}
		rest = after
	}
	if !ended {
		return &LineError{n + 1, errors.New("the end is missing")}
	}
	return nil
}

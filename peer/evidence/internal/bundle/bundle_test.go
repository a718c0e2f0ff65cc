package bundle

import (
	"bytes"
	"errors"
	"maps"
	"strconv"
	"testing"
)

// As many files as there may be go in and come out again; one more, or more bytes, become no bundle.
func TestMostFiles(t *testing.T) {
	files := map[string][]byte{}
	for i := range MaxFiles {
		files[strconv.Itoa(i)] = []byte{byte(i)}
	}
	b, err := Pack(files)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := Unpack(b); err != nil || !maps.EqualFunc(got, files, bytes.Equal) {
		t.Errorf("%d files come out, %v", len(got), err)
	}
	files["one more"] = nil
	if _, err := Pack(files); !errors.Is(err, ErrTooMuch) {
		t.Errorf("one file too many: %v", err)
	}
	if _, err := Pack(map[string][]byte{"large": make([]byte, MaxSize)}); !errors.Is(err, ErrTooMuch) {
		t.Errorf("too many bytes: %v", err)
	}
}

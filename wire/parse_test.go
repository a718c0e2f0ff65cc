package wire

import (
	"bytes"
	"errors"
	"os"
	"reflect"
	"regexp"
	"strings"
	"testing"
)

func TestRoundTrip(t *testing.T) {
	eachSample(t, func(t *testing.T, s structure, v sample) {
		value, again, err := s.reencode(v.bytes)
		if err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(value, v.value) {
			t.Errorf("read\n%+v\nwant\n%+v", value, v.value)
		}
		if !bytes.Equal(again, v.bytes) {
			t.Errorf("encoded again as\n%x\nwant\n%x", again, v.bytes)
		}
		if l, ok := v.value.(interface{ Len() int }); ok && l.Len() != len(v.bytes) {
			t.Errorf("Len is %d, the encoding has %d bytes", l.Len(), len(v.bytes))
		}
	})
}

func TestEveryPrefixIsRefused(t *testing.T) {
	eachSample(t, func(t *testing.T, s structure, v sample) {
		for n := range v.bytes {
			_, again, err := s.reencode(v.bytes[:n:n])
			switch {
			case err != nil:
				wantCode(t, err, CodeMalformed)
			case n < len(v.bytes)-v.tail:
				t.Fatalf("accepts %d of %d bytes", n, len(v.bytes))
			case !bytes.Equal(again, v.bytes[:n]):
				t.Fatalf("%d of %d bytes have a second encoding", n, len(v.bytes))
			}
		}
	})
}

func TestEveryFlippedBitIsRefusedOrKept(t *testing.T) {
	eachSample(t, func(t *testing.T, s structure, v sample) {
		for i := range v.bytes {
			for bit := range 8 {
				b := bytes.Clone(v.bytes)
				b[i] ^= 1 << bit
				_, again, err := s.reencode(b)
				if err != nil {
					wantCode(t, err, CodeMalformed, CodeLimitExceeded)
				} else if !bytes.Equal(again, b) {
					t.Fatalf("with bit %d of byte %d flipped there is a second encoding:\n%x\n%x", bit, i, b, again)
				}
			}
		}
	})
}

func TestTrailingByteIsRefusedOrKept(t *testing.T) {
	eachSample(t, func(t *testing.T, s structure, v sample) {
		b := append(bytes.Clone(v.bytes), 'x')
		_, again, err := s.reencode(b)
		switch v.value.(type) {
		case *Hello, Envelope:
			if err != nil || !bytes.Equal(again, b) {
				t.Fatalf("a longer rest: %v", err)
			}
		case *Content:
			if v.value.(*Content).Type == ContentText {
				return
			}
			wantCode(t, err, CodeMalformed)
		default:
			wantCode(t, err, CodeMalformed)
		}
	})
}

func TestMalformed(t *testing.T) {
	for _, m := range malformed {
		t.Run(m.structure+"/"+m.name, func(t *testing.T) {
			_, _, err := structureOf(t, m.structure).reencode(m.bytes)
			wantCode(t, err, m.code())
			if err != nil && !strings.Contains(err.Error(), m.reason) {
				t.Errorf("refused with %q, want %q", err, m.reason)
			}
		})
	}
}

// TestEveryParserIsTested notices a parser that nobody put into the table, and a structure without fuzz target.
func TestEveryParserIsTested(t *testing.T) {
	read := func(name string) string {
		b, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		return string(b)
	}
	dir, err := os.ReadDir(".")
	if err != nil {
		t.Fatal(err)
	}
	table, fuzzers := read("structures_test.go"), read("fuzz_test.go")
	parser := regexp.MustCompile(`(?m)^func (Parse\w+)\(b \[\]byte[,)]`)
	found := 0
	for _, f := range dir {
		if !strings.HasSuffix(f.Name(), ".go") || strings.HasSuffix(f.Name(), "_test.go") {
			continue
		}
		for _, m := range parser.FindAllStringSubmatch(read(f.Name()), -1) {
			found++
			if m[1] != "ParseFrameHeader" && !regexp.MustCompile(`\b`+m[1]+`\b`).MatchString(table) {
				t.Errorf("%s is not in the table of structures", m[1])
			}
		}
	}
	if found < len(structures) {
		t.Errorf("found %d parsers for %d structures", found, len(structures))
	}
	for _, s := range structures {
		if !strings.Contains(fuzzers, `fuzz(f, "`+s.name+`")`) {
			t.Errorf("%s has no fuzz target", s.name)
		}
	}
}

func TestFrameHeaderOfPart(t *testing.T) {
	whole := AppendFrameHeader(nil, FrameSeal, MaxFrameBody)
	for n := range whole {
		if _, _, got, err := ParseFrameHeader(whole[:n]); got != 0 || err != nil {
			t.Errorf("%d of %d bytes: n = %d, %v", n, len(whole), got, err)
		}
	}
	typ, length, n, err := ParseFrameHeader(append(whole, "the body"...))
	if typ != FrameSeal || length != MaxFrameBody || n != len(whole) || err != nil {
		t.Errorf("got %v, %d, %d, %v", typ, length, n, err)
	}
}

func TestContentDoesNotAlias(t *testing.T) {
	for _, v := range contents {
		b := v.value.Append(nil)
		c, err := ParseContent(b)
		if err != nil {
			t.Fatal(err)
		}
		clear(b)
		if !reflect.DeepEqual(c, v.value) {
			t.Errorf("%s changed with the bytes that it was read from", v.name)
		}
	}
}

func TestStatementOfSealEntryIsTheHead(t *testing.T) {
	f, err := ParseSealFrame(sealFrame(4, 0, 2).Append(nil))
	if err != nil {
		t.Fatal(err)
	}
	for i, e := range f {
		if want := heads[i].value.Append(nil); !bytes.Equal(e.Statement, want) {
			t.Errorf("statement %d is %x, want %x", i, e.Statement, want)
		}
	}
}

func eachSample(t *testing.T, test func(*testing.T, structure, sample)) {
	for _, s := range structures {
		for _, v := range s.samples {
			t.Run(s.name+"/"+v.name, func(t *testing.T) { test(t, s, v) })
		}
	}
}

// wantCode checks that err is of a type that callers can decide on and carries one of the codes.
func wantCode(t *testing.T, err error, codes ...Code) {
	t.Helper()
	if err == nil {
		t.Fatalf("accepted, want %v", codes)
	}
	var m *MalformedError
	var e *Error
	if !errors.As(err, &m) && !errors.As(err, &e) {
		t.Fatalf("an untyped error: %v", err)
	}
	got := CodeOf(err)
	for _, c := range codes {
		if got == c {
			return
		}
	}
	t.Fatalf("%v has code %v, want %v", err, got, codes)
}

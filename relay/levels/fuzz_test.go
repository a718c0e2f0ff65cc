package levels

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"sinete/wire"
)

// Whatever somebody wrote into the file: a fault names its line, and what was understood is written and understood the same again.
func FuzzParse(f *testing.F) {
	seeds := []string{
		"", file, ana + " 1\r\n#", strings.ReplaceAll(file, "\n", "\r\n"), ana + " 3 ops crypto", ana + "\t65535\u00a0ops # note\r#more",
		ana + " 1\n" + ana + " 2\n", rui + " 65536\n", rui + " \x1b[2J\n", rui + " 1 Ops\n", rui, "%zz@0123456789abcdef 1\n", "\ufeff" + ana + " 1\n", "#\xff\x00\n",
		rui + strings.Repeat(" a", wire.MaxCompartments+1),
	}
	if len(seeds) == 0 {
		f.Fatal("no seeds")
	}
	for _, s := range seeds {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		lines, err := parse("levels", b)
		if err != nil {
			var fault *SyntaxError
			if !errors.As(err, &fault) || fault.Line < 1 || fault.Line > 1+strings.Count(string(b), "\n") {
				t.Fatal(err)
			}
			if strings.ContainsFunc(fault.Error(), func(r rune) bool { return r < ' ' || r == '\x7f' }) {
				t.Fatalf("a message that would disturb a log: %q", fault.Error())
			}
			return
		}
		var asIs, anew strings.Builder
		for _, l := range lines {
			asIs.WriteString(l.text + "\n")
			if l.entry.Identity == "" {
				continue
			}
			if !ValidIdentity(l.entry.Identity) || !l.entry.Level.Valid() {
				t.Fatalf("%+v", l.entry)
			}
			anew.WriteString(format(l.entry, l.note) + "\n")
		}
		sameEntries(t, lines, asIs.String())
		sameEntries(t, lines, anew.String())
	})
}

// sameEntries reads a file that was written out of lines.
func sameEntries(t *testing.T, lines []line, text string) {
	t.Helper()
	again, err := parse("levels", []byte(text))
	if err != nil {
		t.Fatalf("%v in %q", err, text)
	}
	said := func(lines []line) []line {
		return slices.DeleteFunc(slices.Clone(lines), func(l line) bool { return l.entry.Identity == "" })
	}
	if !slices.EqualFunc(said(lines), said(again), func(a, b line) bool {
		return a.entry.Identity == b.entry.Identity && a.entry.Level.Equal(b.entry.Level) && a.note == b.note
	}) {
		t.Fatalf("%+v became %+v", lines, again)
	}
}

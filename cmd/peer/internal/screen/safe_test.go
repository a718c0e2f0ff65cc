package screen

import (
	"strings"
	"testing"
	"unicode/utf8"
)

func TestSafe(t *testing.T) {
	for s, want := range map[string]string{
		"Olá, até amanhã! 你好 שלום": "Olá, até amanhã! 你好 שלום",
		"a\x1b[2Jb\x07\r\n":        "a<U+001B>[2Jb<U+0007><U+000D><U+000A>",
		"a\u202eb\u2066":           "a<U+202E>b<U+2066>",
		"a\u200bb\u200d\ufeff":     "a<U+200B>b<U+200D><U+FEFF>",
		"\u0085\u009b\u2028":       "<U+0085><U+009B><U+2028>",
		"\u3164\u2800\u034f":       "<U+3164><U+2800><U+034F>",
		"\U000e0041":               "<U+E0041>",
		"a\tb\u00a0c":              "a b c",
		"❤\ufe0f a\ufe0f\ufe0f":    "❤\ufe0f a<U+FE0F><U+FE0F>",
		"e\u0301":                  "e\u0301",
	} {
		if got := Safe(s); got != want {
			t.Errorf("%q: %q, want %q", s, got, want)
		}
	}
}

// What anybody may have written, once it is safe: one line, in which nothing acts on a terminal, hides, or turns the writing round.
func FuzzSafe(f *testing.F) {
	for _, seed := range []string{
		"Olá, até amanhã! 你好 שלום", "a\x1b[2Jb\x07\r\n", "a\u202eb\u2066", "a\u200bb\u200d\ufeff", "\u0085\u009b\u2028", "\u3164\u2800\u034f", "\U000e0041",
		"a\tb\u00a0c", "❤\ufe0f a\ufe0f\ufe0f", "e\u0301", "\xff\xfe\ufe0f", "<U+001B>", "\u061c\u180e\u2060\ufff9\ue000\U000f0000",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, s string) {
		shown := Safe(s)
		if !utf8.ValidString(shown) {
			t.Fatalf("%q is shown as %q", s, shown)
		}
		for _, r := range shown {
			if acts(r) {
				t.Fatalf("%q is shown as %q, with %U in it", s, shown, r)
			}
		}
		if again := Safe(shown); again != shown {
			t.Fatalf("%q is safe, and yet shown as %q", shown, again)
		}
		if plain := strings.Trim(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789 .,:;!?'\"#%&/()=<>+-*_@"); plain == "" && shown != s {
			t.Fatalf("%q became %q", s, shown)
		}
	})
}

// acts is written out from the code charts, not from the tables that safe itself uses.
func acts(r rune) bool {
	for _, span := range [][2]rune{
		{0, 0x1f}, {0x7f, 0x9f}, // control characters
		{0x00ad, 0x00ad}, {0x034f, 0x034f}, {0x115f, 0x1160}, {0x17b4, 0x17b5}, {0x180b, 0x180f}, {0x3164, 0x3164}, {0xffa0, 0xffa0}, // invisible
		{0x061c, 0x061c}, {0x200e, 0x200f}, {0x202a, 0x202e}, {0x2066, 0x2069}, // direction
		{0x200b, 0x200d}, {0x2060, 0x2065}, {0xfeff, 0xfeff}, {0x2800, 0x2800}, // no width, or no ink
		{0x2028, 0x2029},                                         // other ends of lines
		{0xfe00, 0xfe0e}, {0xe0000, 0xe0fff}, {0x1d173, 0x1d17a}, // variation, tags, and notes' beams; fe0f may follow a symbol
		{0xd800, 0xf8ff}, {0xf0000, 0x10ffff}, {0xfff0, 0xfffb}, // private, unassigned, annotations
	} {
		if r >= span[0] && r <= span[1] {
			return true
		}
	}
	return false
}

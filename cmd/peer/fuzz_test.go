package main

import (
	"errors"
	"strings"
	"testing"
	"unicode/utf8"
)

func fuzzText(f *testing.F, seeds []string, check func(t *testing.T, s string)) {
	if len(seeds) == 0 {
		f.Fatal("no seeds")
	}
	for _, s := range seeds {
		f.Add(s)
	}
	f.Fuzz(check)
}

// Whatever is typed is a command or a problem with a code; a text goes out as it was typed, to the last byte.
func FuzzCommand(f *testing.F) {
	fuzzText(f, []string{
		"list", " menu ", "disconnect", "disconnect#2", "connect#2", "connect#Ana##P256-AES128GCM-SHA256", "whois#BI1@a0", "history#2",
		"send##2##hello", "send##2##a##b#c ", "send##2####", " send ##2## \t", "send##2##\x1b[2J\xff", "send#2##x", "send##2", "send####x", "#", "",
		strings.Repeat("é", 30), "connect#2##ROT13\x1b",
	}, func(t *testing.T, typed string) {
		c, err := parseCommand(typed)
		if err != nil {
			var p *problem
			if !errors.As(err, &p) || explain(err).code == "" || len(c.word) > max(len("disconnect"), 40) && !strings.Contains(typed, "#") {
				t.Fatalf("%q: %+v, %v", typed, c, err)
			}
			return
		}
		// Each command that is taken, spelt as its form says, is what was typed but for blanks around its words.
		var spelt string
		switch c.word {
		case "send":
			spelt = "##" + c.who + "##" + c.text
		case "connect":
			spelt = "#" + c.who
			if c.with != nil {
				spelt += "##" + c.with[0].String()
			}
		case "whois":
			spelt = "#" + c.who
		case "disconnect":
			if !c.all {
				spelt = "#" + c.who
			}
		}
		if c.word != "send" && c.text != "" || !sameButForBlanks(c.word+spelt, typed) {
			t.Fatalf("%q is taken as %+v", typed, c)
		}
		if c.word == "send" && (c.text == "" || c.who == "" || !strings.HasSuffix(typed, "##"+c.text)) {
			t.Fatalf("%q sends %q", typed, c.text)
		}
	})
}

func sameButForBlanks(a, b string) bool {
	bare := func(s string) string { return strings.Join(strings.Fields(s), "") }
	return bare(a) == bare(b)
}

// What anybody may have written, once it is safe: one line, in which nothing acts on a terminal, hides, or turns the writing round.
func FuzzSafe(f *testing.F) {
	fuzzText(f, []string{
		"Olá, até amanhã! 你好 שלום", "a\x1b[2Jb\x07\r\n", "a\u202eb\u2066", "a\u200bb\u200d\ufeff", "\u0085\u009b\u2028", "\u3164\u2800\u034f", "\U000e0041",
		"a\tb\u00a0c", "❤\ufe0f a\ufe0f\ufe0f", "e\u0301", "\xff\xfe\ufe0f", "<U+001B>", "\u061c\u180e\u2060\ufff9\ue000\U000f0000",
	}, func(t *testing.T, s string) {
		shown := safe(s)
		if !utf8.ValidString(shown) {
			t.Fatalf("%q is shown as %q", s, shown)
		}
		for _, r := range shown {
			if acts(r) {
				t.Fatalf("%q is shown as %q, with %U in it", s, shown, r)
			}
		}
		if again := safe(shown); again != shown {
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

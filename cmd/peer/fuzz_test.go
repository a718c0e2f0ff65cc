package main

import (
	"errors"
	"strings"
	"testing"

	"sinete/cmd/peer/internal/trouble"
)

// Whatever is typed is a command or a problem with a code; a text goes out as it was typed, to the last byte.
func FuzzCommand(f *testing.F) {
	for _, seed := range []string{
		"list", " menu ", "disconnect", "disconnect#2", "connect#2", "connect#Ana##P256-AES128GCM-SHA256", "whois#BI1@a0", "history#2", "transcript#2",
		"send##2##hello", "send##2##a##b#c ", "send##2####", " send ##2## \t", "send##2##\x1b[2J\xff", "send#2##x", "send##2", "send####x", "#", "",
		strings.Repeat("é", 30), "connect#2##ROT13\x1b",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, typed string) {
		c, err := parseCommand(typed)
		if err != nil {
			var p *trouble.Problem
			if !errors.As(err, &p) || trouble.Explain(err).Code == "" || len(c.word) > max(len("disconnect"), 40) && !strings.Contains(typed, "#") {
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
		case "whois", "history", "transcript":
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

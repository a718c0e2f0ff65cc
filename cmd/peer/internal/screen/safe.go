package screen

import (
	"fmt"
	"strings"
	"unicode"
)

// Safe makes a text that somebody else wrote fit for a terminal: one line, in which nothing is invisible, moves the cursor
// or changes the direction of writing. What would is shown by its code point.
func Safe(s string) string {
	var b strings.Builder
	var before rune
	for _, r := range s {
		switch {
		case unicode.Is(unicode.Zs, r), r == '\t':
			b.WriteByte(' ')
		case r == '\ufe0f' && unicode.Is(unicode.So, before): // makes a symbol a picture, and hides nothing
			b.WriteRune(r)
		case !unicode.IsPrint(r), unicode.In(r, unicode.Other_Default_Ignorable_Code_Point, unicode.Variation_Selector),
			r == '\u2800': // a Braille pattern without dots
			fmt.Fprintf(&b, "<U+%04X>", r)
		default:
			b.WriteRune(r)
		}
		before = r
	}
	return b.String()
}

package formal

import (
	"fmt"
	"strings"
	"unicode"
)

// A token is a name, a text in quotes, or a mark.
type token struct {
	text   string
	quoted bool
	line   int
}

// SyntaxError says where a model cannot be read.
type SyntaxError struct {
	File   string
	Line   int
	Reason string
}

func (e *SyntaxError) Error() string { return fmt.Sprintf("%s:%d: %s", e.File, e.Line, e.Reason) }

func wordRune(r byte) bool {
	return r == '_' || unicode.IsLetter(rune(r)) || unicode.IsDigit(rune(r))
}

// scan cuts a model into tokens. A full stop between letters belongs to a name, as in TH2.context; any other ends a statement.
func scan(file, text string) ([]token, error) {
	var all []token
	line := 1
	for i := 0; i < len(text); {
		c := text[i]
		switch {
		case c == '\n':
			line++
			i++
		case c == ' ' || c == '\t':
			i++
		case c == '#':
			for i < len(text) && text[i] != '\n' {
				i++
			}
		case c == '"':
			end := strings.IndexByte(text[i+1:], '"')
			if end < 0 {
				return nil, &SyntaxError{file, line, "a text without an end"}
			}
			s := text[i+1 : i+1+end]
			all = append(all, token{strings.Join(strings.Fields(s), " "), true, line})
			line += strings.Count(s, "\n")
			i += end + 2
		case wordRune(c):
			start := i
			for i < len(text) && (wordRune(text[i]) || text[i] == '.' && i+1 < len(text) && wordRune(text[i+1])) {
				i++
			}
			all = append(all, token{text[start:i], false, line})
		case strings.HasPrefix(text[i:], "=>"):
			all = append(all, token{"=>", false, line})
			i += 2
		case strings.IndexByte("(),.:=+", c) >= 0:
			all = append(all, token{string(c), false, line})
			i++
		default:
			return nil, &SyntaxError{file, line, fmt.Sprintf("%q has no meaning", c)}
		}
	}
	return all, nil
}

// A term is a variable or a definition (capital first letter), or a name and its arguments, each perhaps with a label.
type term struct {
	name  string
	label string
	args  []term
}

func (t term) capital() bool { return unicode.IsUpper(rune(t.name[0])) }

// clone copies a term, so that a mutant leaves its model alone.
func (t term) clone() term {
	args := make([]term, len(t.args))
	for i, a := range t.args {
		args[i] = a.clone()
	}
	t.args = args
	return t
}

// A binding says what a variable stands for in a rule.
type binding struct {
	variable string
	is       term
}

// A rule has hypotheses and conclusions; a goal has no conclusions.
type rule struct {
	name        string
	hypotheses  []term // a label names a check that a mutant may leave out
	conclusions []term
	where       []binding
	line        int
}

func (r rule) clone() rule {
	r.hypotheses, r.conclusions = term{args: r.hypotheses}.clone().args, term{args: r.conclusions}.clone().args
	return r
}

// reader reads statements.
type reader struct {
	file   string
	tokens []token
	at     int
}

// fault carries a syntax error up to where reading began.
type fault struct{ err error }

func (r *reader) fail(format string, args ...any) {
	line := 0
	if n := min(r.at, len(r.tokens)-1); n >= 0 {
		line = r.tokens[n].line
	}
	panic(fault{&SyntaxError{r.file, line, fmt.Sprintf(format, args...)}})
}

// catch turns a fault into the error of the function that defers it.
func catch(err *error) {
	switch p := recover().(type) {
	case nil:
	case fault:
		*err = p.err
	default:
		panic(p)
	}
}

func (r *reader) peek() string {
	if r.at < len(r.tokens) && !r.tokens[r.at].quoted {
		return r.tokens[r.at].text
	}
	return ""
}

func (r *reader) next() token {
	if r.at >= len(r.tokens) {
		r.fail("the model ends in the middle of a statement")
	}
	r.at++
	return r.tokens[r.at-1]
}

func (r *reader) accept(mark string) bool {
	if r.peek() != mark {
		return false
	}
	r.at++
	return true
}

func (r *reader) want(mark string) {
	if !r.accept(mark) {
		r.fail("%q was due, not %q", mark, r.peek())
	}
}

func (r *reader) word() string {
	if t := r.next(); !t.quoted && wordRune(t.text[0]) {
		return t.text
	}
	r.at--
	r.fail("a name was due, not %q", r.tokens[r.at].text)
	return ""
}

// quote reads a text in quotes.
func (r *reader) quote() string {
	t := r.next()
	if !t.quoted {
		r.at--
		r.fail("a text in quotes was due, not %q", t.text)
	}
	return t.text
}

func (r *reader) term() term {
	t := term{name: r.word()}
	if r.accept(":") {
		t.label, t.name = t.name, r.word()
	}
	if r.accept("(") {
		t.args = r.terms()
		r.want(")")
	}
	return t
}

func (r *reader) terms() []term {
	all := []term{r.term()}
	for r.accept(",") {
		all = append(all, r.term())
	}
	return all
}

// rule reads hypotheses => conclusions where bindings, up to the full stop.
func (r *reader) rule(name string) rule {
	all := rule{name: name, line: r.tokens[min(r.at, len(r.tokens)-1)].line}
	if r.peek() != "=>" {
		all.hypotheses = r.terms()
	}
	if r.accept("=>") {
		all.conclusions = r.terms()
	}
	if r.accept("where") {
		for {
			b := binding{variable: r.word()}
			r.want("=")
			b.is = r.term()
			all.where = append(all.where, b)
			if !r.accept(",") {
				break
			}
		}
	}
	return all
}

// words reads names with commas between them.
func (r *reader) words() []string {
	all := []string{r.word()}
	for r.accept(",") {
		all = append(all, r.word())
	}
	return all
}

package formal

import (
	"errors"
	"os"
	"strings"
	"testing"
	"testing/fstest"
)

const base = `
# Somebody seals what somebody hears.
def SEALED = seal(who: A, what: M).
predicate heard(by, from).
rule talk: run(A), check: honest(A) => att(SEALED), heard(by: B, from: A) where M = word(A).
run => run(a).
run => run(b).
`

const promises = `
use base.model.
property p "What holds.".
case one.
also => honest(a).
run => run(b).
goal heard(by: b, from: a).
twin heard(by: b).
mutant SEALED.what "The seal covers nothing.".
drop SEALED.what.
breaks p.one.
mutant unchecked "Nobody looks.".
drop talk.check.
breaks nothing "It is a test".
`

func load(t *testing.T, base, promises string) (*Model, error) {
	t.Helper()
	return Load(fstest.MapFS{"base.model": {Data: []byte(base)}, "p.model": {Data: []byte(promises)}}, "p.model")
}

func TestQuestions(t *testing.T) {
	m, err := load(t, base, promises)
	if err != nil {
		t.Fatal(err)
	}
	questions, err := m.Questions(false)
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range []struct {
		name      string
		derivable bool
		clauses   []string
		without   string
	}{
		{"p.one", false, []string{
			"~run(A) | ~honest(A) | att(seal(A,word(A)))",
			"~run(A) | ~honest(A) | heard(B,A)",
			"axiom,( honest(a) )",
			"axiom,( run(b) )",
			"negated_conjecture,( ~heard(b,a) )",
		}, "run(a)"},
		{"p.one (twin)", true, []string{"axiom,( run(a) )", "axiom,( run(b) )", "( ~heard(b,Any1) )"}, ""},
		{"SEALED.what breaks p.one", true, []string{"~honest(A) | att(seal(A))"}, "word"},
		{"unchecked breaks p.one", false, []string{"( ~run(A) | att(seal(A,word(A))) )"}, "~honest"},
	} {
		q := questions[i]
		if q.Name != want.name || q.Derivable != want.derivable {
			t.Errorf("question %d is %q, derivable %v", i, q.Name, q.Derivable)
		}
		for _, c := range want.clauses {
			if !strings.Contains(q.Text, c) {
				t.Errorf("%s lacks %q:\n%s", q.Name, c, q.Text)
			}
		}
		if want.without != "" && strings.Contains(q.Text, want.without) {
			t.Errorf("%s has %q:\n%s", q.Name, want.without, q.Text)
		}
	}
	if len(questions) != 4 {
		t.Errorf("%d questions", len(questions))
	}
}

func TestModelsThatCannotBeRead(t *testing.T) {
	for _, test := range []struct{ reason, cut, paste string }{
		{"a name was due", "rule talk: run(A)", "rule talk: ("},
		{"begins no statement", "def SEALED", "define SEALED"},
		{"a text without an end", `a test".`, `a test.`},
		{"ends in the middle", `breaks nothing "It is a test".`, `breaks`},
		{"has no meaning", "run => run(a).", "run => run(a);"},
		{"a text in quotes was due", `property p "What holds."`, `property p what`},
		{"which is no case", "breaks p.one", "breaks p.two"},
		{"lacks its goal or its twin", "twin heard(by: b).", ""},
		{"no such field or check", "drop SEALED.what", "drop SEALED.who_else"},
		{"no such field or check", "drop talk.check", "drop talk.chek"},
		{"contains itself", "seal(who: A", "seal(who: SEALED"},
		{"has no argument", "goal heard(by: b", "goal heard(of: b"},
		{"2 and 1 arguments", "run => run(b).\ngoal", "run => seal(b).\ngoal"},
		{"is no function", "word(A)", "Word(A)"},
		{"neither what it breaks nor why", "breaks p.one.", ""},
	} {
		all := []string{base, promises}
		for i := range all {
			all[i] = strings.Replace(all[i], test.cut, test.paste, 1)
		}
		m, err := load(t, all[0], all[1])
		if err == nil {
			_, err = m.Questions(false)
		}
		if err == nil || !strings.Contains(err.Error(), test.reason) {
			t.Errorf("%s in place of %s: %v, not %q", test.paste, test.cut, err, test.reason)
		}
	}
}

func TestSyntaxErrorNamesItsLine(t *testing.T) {
	_, err := load(t, base+"nonsense.", promises)
	var e *SyntaxError
	if !errors.As(err, &e) || e.File != "base.model" || e.Line != 8 {
		t.Errorf("%v", err)
	}
}

func TestWithoutRuns(t *testing.T) {
	m, err := load(t, base, strings.Replace(promises, "use base.model.", "use base.model.\nwithout run.", 1))
	if err != nil {
		t.Fatal(err)
	}
	questions, err := m.Questions(false)
	if err != nil || strings.Contains(questions[1].Text, "run(a)") {
		t.Errorf("%v: the twin has runs:\n%s", err, questions[1].Text)
	}
}

// TestDocsFormal: the models that make formal asks can be read, every mutant of theirs changes something, and every property has a mutant.
func TestDocsFormal(t *testing.T) {
	models, err := LoadAll(os.DirFS("../../docs/formal"))
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range models {
		questions, err := m.Questions(false)
		if err != nil {
			t.Fatal(err)
		}
		asked := map[string]string{}
		for _, q := range questions {
			asked[q.Name] = q.Text
		}
		for _, mu := range m.mutants {
			for _, b := range mu.breaks {
				if asked[b] == asked[mu.name+" breaks "+b] {
					t.Errorf("%s: %s changes nothing in %s", m.Name, mu.name, b)
				}
			}
		}
		for _, row := range m.Table() {
			if len(row.Broken) == 0 {
				t.Errorf("%s: nothing breaks %s", m.Name, row.Property)
			}
		}
	}
}

package main

import (
	"testing"
	"time"

	"sinete/internal/formal"
)

func TestAsk(t *testing.T) {
	const world = "cnf(a,axiom,( att(e) )).\ncnf(b,axiom,( ~att(X) | att(f(X)) )).\n"
	for _, test := range []struct {
		clauses   string
		derivable bool
		fails     bool
	}{
		{world + "cnf(g,negated_conjecture,( ~att(f(e)) )).\n", true, false},
		{world + "cnf(g,negated_conjecture,( ~att(a) )).\n", false, false},
		{"this is no clause", false, true},
	} {
		a := ask(formal.Question{Text: test.clauses}, time.Minute)
		if a.derivable != test.derivable || (a.err != nil) != test.fails {
			t.Errorf("%s: %v", test.clauses, a)
		}
	}
}

func TestAskMaude(t *testing.T) {
	const world = "mod W is\n  sort S .\n  ops a b c : -> S .\n  rl a => b .\nendm\n"
	for _, test := range []struct {
		search    string
		derivable bool
		states    int
		fails     bool
	}{
		{"search [1] in W : a =>* b .\n", true, 2, false},
		{"search [1] in W : a =>* c .\n", false, 2, false},
		{"search [1] in W : a =>* d .\n", false, 0, true},
		{"mod V is including U . endm\nsearch [1] in W : a =>* c .\n", false, 0, true},
		{"", false, 0, true},
	} {
		a := ask(formal.Question{Prover: formal.Maude, Text: world + test.search}, time.Minute)
		if a.derivable != test.derivable || a.states != test.states || (a.err != nil) != test.fails {
			t.Errorf("%s: %v, %d states", test.search, a, a.states)
		}
	}
}

func TestNoAnswerIsNoVerdict(t *testing.T) {
	if a := ask(formal.Question{}, 0); a.err == nil {
		t.Errorf("%v", a)
	}
}

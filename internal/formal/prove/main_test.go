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
		a := ask(formal.Question{Clauses: test.clauses}, time.Minute)
		if a.derivable != test.derivable || (a.err != nil) != test.fails {
			t.Errorf("%s: %v", test.clauses, a)
		}
	}
}

func TestNoAnswerIsNoVerdict(t *testing.T) {
	if a := ask(formal.Question{}, 0); a.err == nil {
		t.Errorf("%v", a)
	}
}

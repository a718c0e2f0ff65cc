package formal

import (
	"fmt"
	"slices"
	"strings"
)

// A Question is one run of a prover: is the goal of a case derivable or reachable, which is an attack, or its twin, which is an honest run?
type Question struct {
	Name      string
	Prover    Prover
	Text      string // clauses of TPTP, or modules and a search of Maude
	Derivable bool   // what is expected
}

// A Prover is the program that answers a question.
type Prover int

// SPASS derives for any number of sessions; Maude looks at every state that a few of them can reach.
const (
	SPASS Prover = iota
	Maude
)

// Questions returns all that the prover is to be asked: each case and its twin; of each mutant the cases that it breaks or, where it
// breaks nothing, all. With everything, those as well which a mutant that breaks something is not said to break.
func (m *Model) Questions(everything bool) ([]Question, error) {
	var all []Question
	for _, p := range m.properties {
		for _, s := range p.cases {
			name := p.name + "." + s.name
			goal, err := m.ask(name, s, false, nil)
			if err != nil {
				return nil, err
			}
			twin, err := m.ask(name+" (twin)", s, true, nil)
			if err != nil {
				return nil, err
			}
			all = append(all, goal, twin)
			for _, mu := range m.mutants {
				if len(mu.breaks) > 0 && !slices.Contains(mu.breaks, name) && !everything {
					continue
				}
				q, err := m.ask(mu.name+" breaks "+name, s, false, mu)
				if err != nil {
					return nil, err
				}
				q.Derivable = slices.Contains(mu.breaks, name)
				all = append(all, q)
			}
		}
	}
	return all, nil
}

func (m *Model) ask(name string, s *setting, twin bool, mu *mutant) (Question, error) {
	if m.machine != nil {
		return m.searched(name, s, twin, mu)
	}
	changes := []change{s.change}
	if mu != nil {
		changes = append(changes, mu.change)
	}
	changed, err := m.with(changes...)
	if err != nil {
		return Question{}, fmt.Errorf("%s: %s: %w", m.Name, name, err)
	}
	goal := s.goal
	if twin {
		goal = s.twin
	} else {
		changed.restrict(s.runs)
	}
	clauses, err := changed.clauses(*goal)
	if err != nil {
		return Question{}, fmt.Errorf("%s: %s: %w", m.Name, name, err)
	}
	return Question{Name: name, Text: clauses, Derivable: twin}, nil
}

// searched is ask for a machine. The twin begins where the goal does.
func (m *Model) searched(name string, s *setting, twin bool, mu *mutant) (Question, error) {
	drops, goal := s.change.drops, s.goal
	if twin {
		goal = s.twin
	}
	if mu != nil {
		drops = slices.Concat(drops, mu.change.drops)
	}
	text, err := m.machine.search(s.runs, drops, *goal)
	if err != nil {
		return Question{}, fmt.Errorf("%s: %s: %w", m.Name, name, err)
	}
	return Question{Name: name, Prover: Maude, Text: text, Derivable: twin}, nil
}

// restrict puts a case's own runs in the place of the model's, for each role that the case has runs of.
func (m *Model) restrict(runs []rule) {
	of := func(r rule) string { return r.conclusions[0].name }
	kept := slices.DeleteFunc(slices.Clone(m.runs), func(r rule) bool {
		return slices.ContainsFunc(runs, func(own rule) bool { return of(own) == of(r) })
	})
	m.runs = append(kept, runs...)
}

// clauses writes the model and a goal as TPTP clauses.
func (m *Model) clauses(goal rule) (string, error) {
	var b strings.Builder
	w := writer{m: m, arity: map[string]int{}}
	n := 0
	for _, r := range append(slices.Concat(m.rules, m.runs), goal) {
		conclusions := r.conclusions
		role := "axiom"
		if len(conclusions) == 0 {
			conclusions, role = []term{{}}, "negated_conjecture"
		}
		for _, c := range conclusions {
			w.fresh = 0
			var literals []string
			for _, h := range r.hypotheses {
				literals = append(literals, "~"+w.atom(h, r.where))
			}
			if c.name != "" {
				literals = append(literals, w.atom(c, r.where))
			}
			n++
			fmt.Fprintf(&b, "cnf(%s_%d,%s,( %s )).\n", r.name, n, role, strings.Join(literals, " | "))
		}
		if w.err != nil {
			return "", fmt.Errorf("line %d: %w", r.line, w.err)
		}
	}
	return b.String(), nil
}

// writer writes terms with their definitions in place.
type writer struct {
	m     *Model
	arity map[string]int
	fresh int
	err   error
}

// atom writes a fact. Where the predicate's arguments have labels, those not given are variables of their own.
func (w *writer) atom(t term, where []binding) string {
	labels, ok := w.m.predicates[t.name]
	if !ok {
		return w.term(t, where, 0)
	}
	given := map[string]term{}
	for _, a := range t.args {
		if !slices.Contains(labels, a.label) {
			w.err = fmt.Errorf("%s has no argument %q", t.name, a.label)
		}
		given[a.label] = a
	}
	full := term{name: t.name}
	for _, l := range labels {
		a, ok := given[l]
		if !ok {
			w.fresh++
			a = term{name: fmt.Sprintf("Any%d", w.fresh)}
		}
		full.args = append(full.args, a)
	}
	return w.term(full, where, 0)
}

// maxDepth ends definitions that contain themselves.
const maxDepth = 64

func (w *writer) term(t term, where []binding, depth int) string {
	if depth > maxDepth {
		w.err = fmt.Errorf("%s contains itself", t.name)
		return ""
	}
	if t.capital() {
		if len(t.args) > 0 {
			w.err = fmt.Errorf("%s is no function", t.name)
		}
		for _, b := range where {
			if b.variable == t.name {
				return w.term(b.is, where, depth+1)
			}
		}
		if d, ok := w.m.defs[t.name]; ok {
			return w.term(d, where, depth+1)
		}
		return t.name
	}
	if n, ok := w.arity[t.name]; ok && n != len(t.args) {
		w.err = fmt.Errorf("%s has %d and %d arguments", t.name, n, len(t.args))
	}
	w.arity[t.name] = len(t.args)
	if len(t.args) == 0 {
		return t.name
	}
	args := make([]string, len(t.args))
	for i, a := range t.args {
		args[i] = w.term(a, where, depth+1)
	}
	return t.name + "(" + strings.Join(args, ",") + ")"
}

// Package formal reads the symbolic models in docs/formal and writes them as questions: as clauses for the prover SPASS, or as searches
// for Maude. docs/formal/README.md tells how to read the models.
package formal

import (
	"fmt"
	"io/fs"
	"maps"
	"slices"
	"strings"
)

// A Model is one file of docs/formal: a protocol, what must hold of it, and what breaks that.
type Model struct {
	Name       string
	uses       int
	defs       map[string]term     // what a capital word stands for
	predicates map[string][]string // labels of the arguments
	rules      []rule
	runs       []rule // the honest sessions; a case may have its own in their place
	properties []*property
	mutants    []*mutant
	machine    *machine // of a model for Maude, in place of rules
}

// property is what must hold. Each of its cases is one question to the prover.
type property struct {
	name, text string
	cases      []*setting
}

// setting is a case: the model with changes, what must not be derivable from it, and what must, so that the case is not empty.
type setting struct {
	name       string
	change     change
	runs       []rule
	goal, twin *rule
}

// change alters a model.
type change struct {
	drops []string // DEFINITION.field or rule.check
	defs  map[string]term
	also  []rule
}

func (c change) leavesOutOnly() bool {
	return len(c.defs)+len(c.also) == 0
}

// mutant is a weaker protocol, and the cases (PROPERTY.CASE) that it must break. Without any, why is the reason.
type mutant struct {
	name, text string
	change     change
	breaks     []string
	why        string
}

// Load reads a model from a file and from those that it uses: of them it takes the protocol, and not what must hold.
func Load(dir fs.FS, name string) (m *Model, err error) {
	defer catch(&err)
	text, err := fs.ReadFile(dir, name)
	if err != nil {
		return nil, err
	}
	tokens, err := scan(name, string(text))
	if err != nil {
		return nil, err
	}
	r := &reader{file: name, tokens: tokens}
	m = &Model{Name: name, defs: map[string]term{}, predicates: map[string][]string{}}
	s := statements{reader: r, m: m, to: &change{defs: m.defs}}
	for r.at < len(r.tokens) {
		if r.accept("use") {
			used, err := Load(dir, r.word())
			if err != nil {
				return nil, err
			}
			r.want(".")
			m.uses++
			maps.Copy(m.defs, used.defs)
			maps.Copy(m.predicates, used.predicates)
			m.rules, m.runs = append(m.rules, used.rules...), append(m.runs, used.runs...)
			continue
		}
		if r.accept("machine") {
			if m.machine, err = loadMachine(dir, r.word()); err != nil {
				return nil, err
			}
			r.want(".")
			continue
		}
		s.read()
	}
	return m, m.check()
}

// statements reads one statement after the other into a model.
type statements struct {
	*reader
	m  *Model
	to *change // what def, also and drop change: the model, a case or a mutant
	p  *property
	s  *setting
	mu *mutant
}

func (s *statements) read() {
	switch keyword := s.word(); keyword {
	case "predicate":
		t := s.term()
		for _, a := range t.args {
			s.m.predicates[t.name] = append(s.m.predicates[t.name], a.name)
		}
	case "def":
		name := s.word()
		s.want("=")
		s.to.defs[name] = s.term()
	case "rule":
		name := s.word()
		s.want(":")
		s.m.rules = append(s.m.rules, s.rule(name))
	case "run":
		runs := &s.m.runs
		if s.s != nil {
			runs = &s.s.runs
		}
		*runs = append(*runs, s.rule("run"))
	case "without":
		for _, predicate := range s.words() {
			s.m.runs = slices.DeleteFunc(s.m.runs, func(r rule) bool { return r.conclusions[0].name == predicate })
		}
	case "also":
		s.to.also = append(s.to.also, s.rule("also"))
	case "drop":
		s.to.drops = append(s.to.drops, s.words()...)
	case "property":
		s.p, s.s, s.mu = &property{name: s.word(), text: s.quote()}, nil, nil
		s.m.properties = append(s.m.properties, s.p)
	case "case":
		if s.p == nil {
			s.fail("a case of no property")
		}
		s.s = &setting{name: s.word(), change: change{defs: map[string]term{}}}
		s.p.cases, s.to = append(s.p.cases, s.s), &s.s.change
	case "goal", "twin":
		if s.s == nil {
			s.fail("%s of no case", keyword)
		}
		g := s.rule(keyword)
		if keyword == "goal" {
			s.s.goal = &g
		} else {
			s.s.twin = &g
		}
	case "mutant":
		s.mu = &mutant{name: s.word(), text: s.quote(), change: change{defs: map[string]term{}}}
		s.m.mutants, s.to, s.p, s.s = append(s.m.mutants, s.mu), &s.mu.change, nil, nil
	case "breaks":
		if s.mu == nil {
			s.fail("breaks of no mutant")
		}
		if s.accept("nothing") {
			s.mu.why = s.quote()
		} else {
			s.mu.breaks = s.words()
		}
	default:
		s.at--
		s.fail("%q begins no statement", keyword)
	}
	s.want(".")
}

// check finds what reading cannot: a case without an end, a mutant that promises nothing or something unknown, and what a machine has no use for.
func (m *Model) check() error {
	if m.machine != nil && len(m.rules)+len(m.runs)+len(m.defs)+len(m.predicates) > 0 {
		return fmt.Errorf("%s: rules, runs of all cases, definitions and predicates are not for a machine", m.Name)
	}
	known := map[string]bool{}
	for _, p := range m.properties {
		for _, s := range p.cases {
			known[p.name+"."+s.name] = true
			if s.goal == nil || s.twin == nil {
				return fmt.Errorf("%s: case %s of property %s lacks its goal or its twin", m.Name, s.name, p.name)
			}
			if m.machine != nil && !s.change.leavesOutOnly() {
				return fmt.Errorf("%s: case %s of property %s: rules and definitions are not for a machine", m.Name, s.name, p.name)
			}
		}
	}
	for _, mu := range m.mutants {
		if m.machine != nil && !mu.change.leavesOutOnly() {
			return fmt.Errorf("%s: mutant %s: rules and definitions are not for a machine", m.Name, mu.name)
		}
		if len(mu.breaks) == 0 && mu.why == "" {
			return fmt.Errorf("%s: mutant %s says neither what it breaks nor why it breaks nothing", m.Name, mu.name)
		}
		for _, b := range mu.breaks {
			if !known[b] {
				return fmt.Errorf("%s: mutant %s breaks %s, which is no case of a property", m.Name, mu.name, b)
			}
		}
	}
	return nil
}

// with returns the model after the changes, in their order.
func (m *Model) with(changes ...change) (*Model, error) {
	out := &Model{defs: maps.Clone(m.defs), predicates: m.predicates, runs: m.runs}
	for _, r := range m.rules {
		out.rules = append(out.rules, r.clone())
	}
	for _, c := range changes {
		maps.Copy(out.defs, c.defs)
		out.rules = append(out.rules, c.also...)
	}
	for _, c := range changes {
		for _, d := range c.drops {
			if !out.drop(d) {
				return nil, fmt.Errorf("%s: there is no such field or check", d)
			}
		}
	}
	return out, nil
}

// drop leaves a field out of a definition, or a check out of the rules of a name.
func (m *Model) drop(what string) (found bool) {
	name, field, _ := strings.Cut(what, ".")
	named := func(t term) bool {
		found = found || t.label == field
		return t.label == field
	}
	if t, ok := m.defs[name]; ok {
		t = t.clone()
		t.args = slices.DeleteFunc(t.args, named)
		m.defs[name] = t
		return found
	}
	for i := range m.rules {
		if m.rules[i].name == name {
			m.rules[i].hypotheses = slices.DeleteFunc(m.rules[i].hypotheses, named)
		}
	}
	return found
}

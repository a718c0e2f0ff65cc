package formal

import (
	"fmt"
	"io/fs"
	"regexp"
	"strings"
)

// machine is a model for Maude: a module whose reachable states are all looked at. It declares `world`, where every search begins,
// and what a mutant can leave out as constants of the sort Part; kept(part) says whether it is there.
type machine struct {
	module, text string
	parts        map[string]bool
}

var (
	moduleName = regexp.MustCompile(`(?m)^mod (\S+) is$`)
	partNames  = regexp.MustCompile(`(?m)^  ops? (.*) : -> Part \.`)
)

func loadMachine(dir fs.FS, name string) (*machine, error) {
	text, err := fs.ReadFile(dir, name)
	if err != nil {
		return nil, err
	}
	module := moduleName.FindSubmatch(text)
	if module == nil {
		return nil, fmt.Errorf("%s has no module", name)
	}
	m := &machine{module: string(module[1]), text: string(text), parts: map[string]bool{}}
	for _, names := range partNames.FindAllSubmatch(text, -1) {
		for p := range strings.FieldsSeq(string(names[1])) {
			m.parts[p] = true
		}
	}
	return m, nil
}

// search writes the search for a state which the goal's predicates hold of, from the runs of a case, with what a mutant leaves out.
func (m *machine) search(runs []rule, drops []string, goal rule) (string, error) {
	var b strings.Builder
	fmt.Fprintf(&b, "%s\nmod QUESTION is\n  including %s .\n", m.text, m.module)
	for _, d := range drops {
		if !m.parts[d] {
			return "", fmt.Errorf("%s: there is no such part", d)
		}
		fmt.Fprintf(&b, "  eq kept(%s) = false .\n", d)
	}
	b.WriteString("endm\nsearch [1] in QUESTION : { world")
	for _, r := range runs {
		for _, c := range r.conclusions {
			b.WriteString(" " + c.maude())
		}
	}
	b.WriteString(" } =>* W:World such that ")
	for i, h := range goal.hypotheses {
		if i > 0 {
			b.WriteString(" /\\ ")
		}
		h.args = append(h.args[:len(h.args):len(h.args)], term{name: "W:World"})
		b.WriteString(h.maude())
	}
	b.WriteString(" .\n")
	return b.String(), nil
}

func (t term) maude() string {
	if len(t.args) == 0 {
		return t.name
	}
	args := make([]string, len(t.args))
	for i, a := range t.args {
		args[i] = a.maude()
	}
	return t.name + "(" + strings.Join(args, ", ") + ")"
}

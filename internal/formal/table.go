package formal

import (
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
)

// A Row is what docs/security.md says of one property.
type Row struct {
	Property, Text, Verdict string
	Broken                  []string // the mutants that break it
}

// Cells are a row of the table, without the marks of its columns.
func (r Row) Cells() []string {
	return []string{r.Property, r.Text, r.Verdict, strings.Join(r.Broken, ", ")}
}

// Table returns a row for each property of a model.
func (m *Model) Table() []Row {
	verdict := "SPASS: no attack, sessions unlimited"
	if m.machine != nil {
		verdict = "Maude: no attack, few sessions"
	}
	var rows []Row
	for _, p := range m.properties {
		r := Row{Property: p.name, Text: p.text, Verdict: verdict}
		for _, mu := range m.mutants {
			if slices.ContainsFunc(mu.breaks, func(b string) bool { return strings.HasPrefix(b, p.name+".") }) {
				r.Broken = append(r.Broken, mu.name)
			}
		}
		rows = append(rows, r)
	}
	return rows
}

// LoadAll reads the models of a folder.
func LoadAll(dir fs.FS) ([]*Model, error) {
	names, err := fs.Glob(dir, "*.model")
	if err != nil {
		return nil, err
	}
	if len(names) == 0 {
		return nil, errors.New("no models there")
	}
	var all []*Model
	for _, n := range names {
		m, err := Load(dir, n)
		if err != nil {
			return nil, err
		}
		all = append(all, m)
	}
	slices.SortStableFunc(all, func(a, b *Model) int { // what others use comes first, machines last
		if (a.machine == nil) != (b.machine == nil) {
			if a.machine == nil {
				return -1
			}
			return 1
		}
		return a.uses - b.uses
	})
	return all, nil
}

// Markdown writes the table of docs/security.md.
func Markdown(models []*Model) string {
	var b strings.Builder
	b.WriteString("| property | what holds | verdict | what breaks it, left out or changed |\n|---|---|---|---|\n")
	for _, m := range models {
		for _, r := range m.Table() {
			fmt.Fprintf(&b, "| %s |\n", strings.Join(r.Cells(), " | "))
		}
	}
	return b.String()
}

// Idle writes the mutants that break nothing, with the reasons: the table of docs/formal/README.md.
func Idle(models []*Model) string {
	var b strings.Builder
	b.WriteString("| a weaker protocol | why nothing breaks |\n|---|---|\n")
	for _, m := range models {
		for _, mu := range m.mutants {
			if mu.why != "" {
				fmt.Fprintf(&b, "| %s | %s |\n", mu.text, mu.why)
			}
		}
	}
	return b.String()
}

package house

import (
	"go/ast"
	"go/token"
	"maps"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const manual = "docs/manual.md"

// inPeer calls f with each node of the source of cmd/peer and its rooms, of one file only if one is named.
func inPeer(t *testing.T, name string, f func(n ast.Node)) {
	t.Helper()
	found := false
	for _, s := range sources(t) {
		if s.room() != "cmd/peer" && !strings.HasPrefix(s.room(), "cmd/peer/") || s.test() || name != "" && s.path != "cmd/peer/"+name {
			continue
		}
		found = true
		ast.Inspect(s.file, func(n ast.Node) bool {
			f(n)
			return true
		})
	}
	if !found {
		t.Fatalf("cmd/peer has no file %s", name)
	}
}

// literal returns what a string literal says.
func literal(e ast.Expr) (string, bool) {
	b, ok := e.(*ast.BasicLit)
	if !ok || b.Kind != token.STRING {
		return "", false
	}
	s, err := strconv.Unquote(b.Value)
	return s, err == nil
}

// identifier is the name that stands there, without its package.
func identifier(e ast.Expr) string {
	switch e := e.(type) {
	case *ast.Ident:
		return e.Name
	case *ast.SelectorExpr:
		return e.Sel.Name
	}
	return ""
}

// TestManualEvents: the events and fields of the manual are those of cmd/peer's event structs, in their order.
func TestManualEvents(t *testing.T) {
	structs := map[string]*ast.StructType{}
	names := map[string]string{} // event by type
	var order []string
	inPeer(t, "internal/screen/events.go", func(n ast.Node) {
		switch n := n.(type) {
		case *ast.TypeSpec:
			if s, ok := n.Type.(*ast.StructType); ok {
				structs[n.Name.Name] = s
				order = append(order, n.Name.Name)
			}
		case *ast.FuncDecl:
			if n.Name.Name != "name" || n.Recv == nil {
				return
			}
			name, ok := literal(n.Body.List[0].(*ast.ReturnStmt).Results[0])
			if !ok {
				t.Error("an event whose name is no literal")
			}
			names[identifier(n.Recv.List[0].Type)] = name
		}
	})
	var want []string
	var describe func(event, prefix string, s *ast.StructType)
	describe = func(event, prefix string, s *ast.StructType) {
		for _, f := range s.Fields.List {
			if f.Tag == nil {
				continue
			}
			tag, _ := literal(f.Tag)
			field, _, _ := strings.Cut(reflect.StructTag(tag).Get("json"), ",")
			if field == "-" {
				continue
			}
			want = append(want, event+" "+prefix+field)
			if list, ok := f.Type.(*ast.ArrayType); ok {
				of := identifier(list.Elt)
				if entry, ok := structs[of]; ok && names[of] == "" { // an event is described where it stands itself
					describe(event, prefix+field+"[].", entry)
				}
			}
		}
	}
	for _, kind := range order {
		if names[kind] != "" {
			describe(names[kind], "", structs[kind])
		}
	}
	var got []string
	for _, row := range tableIn(t, manual, "Events") {
		got = append(got, row[0]+" "+row[1])
	}
	if len(want) < 40 {
		t.Fatalf("the test finds %d fields in cmd/peer", len(want))
	}
	compare(t, "events and fields", got, want)
}

func compare(t *testing.T, what string, got, want []string) {
	t.Helper()
	for _, s := range want {
		if !slices.Contains(got, s) {
			t.Errorf("%s of %s lack %q", what, manual, s)
		}
	}
	for _, s := range got {
		if !slices.Contains(want, s) {
			t.Errorf("%s of %s have %q, which cmd/peer does not", what, manual, s)
		}
	}
	if !t.Failed() && !slices.Equal(got, want) {
		t.Errorf("%s of %s stand in another order than in cmd/peer, or twice", what, manual)
	}
}

// statuses returns the numbers of cmd/peer's exit statuses by the names of their constants.
func statuses(t *testing.T) map[string]string {
	t.Helper()
	numbers := map[string]string{}
	inPeer(t, "internal/trouble/trouble.go", func(n ast.Node) {
		spec, ok := n.(*ast.ValueSpec)
		if !ok || len(spec.Values) != 1 || !strings.HasPrefix(spec.Names[0].Name, "Status") {
			return
		}
		if number, ok := spec.Values[0].(*ast.BasicLit); ok {
			numbers[spec.Names[0].Name] = number.Value
		}
	})
	return numbers
}

func TestManualStatuses(t *testing.T) {
	want := statuses(t)
	for _, row := range tableIn(t, manual, "Exit statuses") {
		name := "Status" + strings.ToUpper(row[1][:1]) + row[1][1:]
		if want[name] != row[0] {
			t.Errorf("%s has %s as %s, cmd/peer %q", manual, row[1], row[0], want[name])
		}
		delete(want, name)
	}
	if len(want) > 0 {
		t.Errorf("%s lacks %v", manual, want)
	}
}

// TestManualProtocolCodes: what the manual says of the protocol's codes is what cmd/peer says, word for word.
func TestManualProtocolCodes(t *testing.T) {
	number := statuses(t)
	var want []string
	inPeer(t, "internal/trouble/codes.go", func(n ast.Node) {
		spec, ok := n.(*ast.ValueSpec)
		if !ok || spec.Names[0].Name != "Codes" {
			return
		}
		for _, e := range spec.Values[0].(*ast.CompositeLit).Elts {
			pair := e.(*ast.KeyValueExpr)
			code, _ := literal(pair.Key)
			said := map[string]string{"advice": "Nothing: it is in order."}
			for _, f := range pair.Value.(*ast.CompositeLit).Elts {
				f := f.(*ast.KeyValueExpr)
				if s, ok := literal(f.Value); ok {
					said[strings.ToLower(identifier(f.Key))] = s
				} else {
					said[strings.ToLower(identifier(f.Key))] = number[identifier(f.Value)]
				}
			}
			want = append(want, strings.Join([]string{code, said["status"], said["what"], said["advice"]}, " | "))
		}
	})
	var got []string
	for _, row := range tableIn(t, manual, "Codes") {
		got = append(got, strings.Join(row, " | "))
	}
	if len(want) != len(table(t, "11. Errors")) {
		t.Fatalf("the test finds %d codes in cmd/peer", len(want))
	}
	compare(t, "codes", got, want)
}

// TestManualOwnCodes: the codes that cmd/peer has beside the protocol's are those of the manual, with their exit statuses.
func TestManualOwnCodes(t *testing.T) {
	number := statuses(t)
	protocols := codeConstants(t)
	want := map[string]string{} // status by code
	found := func(e ast.Expr, status string) {
		code, ok := literal(e)
		if !ok || slices.Contains(protocols, code) {
			return
		}
		if before := want[code]; status != "" && before != "" && before != status {
			t.Errorf("%s ends with status %s and with %s: give each a code of its own", code, before, status)
		}
		if status != "" || want[code] == "" {
			want[code] = status
		}
	}
	inPeer(t, "", func(n ast.Node) {
		switch n := n.(type) {
		case *ast.CallExpr: // Refuse(code, ...), Usage(code, ...)
			switch identifier(n.Fun) {
			case "Refuse":
				found(n.Args[0], number["StatusFailed"])
			case "Usage":
				found(n.Args[0], number["StatusUsage"])
			}
		case *ast.CompositeLit: // Trouble{code, what, advice, status}, Warning{Code: code}
			switch identifier(n.Type) {
			case "Trouble":
				if len(n.Elts) == 4 {
					found(n.Elts[0], number[identifier(n.Elts[3])])
					return
				}
			}
			for _, e := range n.Elts {
				if f, ok := e.(*ast.KeyValueExpr); ok && strings.EqualFold(identifier(f.Key), "code") {
					found(f.Value, "")
				}
			}
		case *ast.AssignStmt: // t.Code, ... = code, ...
			for i, left := range n.Lhs {
				if field, ok := left.(*ast.SelectorExpr); ok && field.Sel.Name == "Code" && i < len(n.Rhs) {
					found(n.Rhs[i], "")
				}
			}
		case *ast.BinaryExpr: // w.Code == "unconfirmed": it comes from package peer
			if field, ok := n.X.(*ast.SelectorExpr); ok && field.Sel.Name == "Code" {
				found(n.Y, "")
			}
		}
	})
	for _, s := range sources(t) { // package peer's own warnings are passed on
		if s.room() != "peer" || s.test() {
			continue
		}
		ast.Inspect(s.file, func(n ast.Node) bool {
			if c, ok := n.(*ast.CompositeLit); ok && identifier(c.Type) == "Warning" && len(c.Elts) > 0 {
				e := c.Elts[0]
				if f, ok := e.(*ast.KeyValueExpr); ok {
					e = f.Value
				}
				found(e, "")
			}
			return true
		})
	}
	if len(want) < 20 {
		t.Fatalf("the test finds %d codes in cmd/peer", len(want))
	}
	var got []string
	for _, row := range tableIn(t, manual, "Codes of this program") {
		code, exit := row[0], row[1]
		got = append(got, code)
		// A status that is set beside the code, as for pin-locked, is not seen here.
		if status := want[code]; status != "" && status != exit {
			t.Errorf("%s: %s says exit status %s, cmd/peer %s", code, manual, exit, status)
		}
		if row[2] == "" || row[3] == "" {
			t.Errorf("%s: %s does not say what it means, or what to do", code, manual)
		}
	}
	compare(t, "codes of this program", got, slices.Sorted(maps.Keys(want)))
}

// TestManualCommands: the manual's commands are those of help, in its words and order.
func TestManualCommands(t *testing.T) {
	var want []string
	inPeer(t, "internal/screen/words.go", func(n ast.Node) {
		spec, ok := n.(*ast.ValueSpec)
		if !ok || spec.Names[0].Name != "help" {
			return
		}
		for _, e := range spec.Values[0].(*ast.CompositeLit).Elts {
			cells := e.(*ast.CompositeLit).Elts
			form, _ := literal(cells[0])
			what, _ := literal(cells[1])
			want = append(want, form+" | "+what)
		}
	})
	var got []string
	for _, row := range tableIn(t, manual, "Commands") {
		got = append(got, row[0]+" | "+row[1])
	}
	compare(t, "commands", got, want)
}

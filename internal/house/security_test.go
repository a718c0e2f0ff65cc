package house

import (
	"go/ast"
	"regexp"
	"strings"
	"testing"
)

// TestSecurityNamesTests: every test that docs/security.md relies on is there.
func TestSecurityNamesTests(t *testing.T) {
	tests := map[string]bool{}
	for _, s := range sources(t) {
		if !s.test() {
			continue
		}
		for _, d := range s.file.Decls {
			if f, ok := d.(*ast.FuncDecl); ok && strings.HasPrefix(f.Name.Name, "Test") {
				tests[f.Name.Name] = true
			}
		}
	}
	named := regexp.MustCompile("`(Test[A-Za-z]+)`").FindAllStringSubmatch(readFile(t, "docs/security.md"), -1)
	if len(named) < 10 {
		t.Fatalf("docs/security.md names %d tests", len(named))
	}
	for _, n := range named {
		if !tests[n[1]] {
			t.Errorf("docs/security.md names %s, which is not there", n[1])
		}
	}
}

package house

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

const protocol = "docs/protocol.md"

var heading = regexp.MustCompile(`(?m)^##+ (\d+(?:\.\d+)*)[. ]`)

// citation finds "section 4.2" and "sections 3.4, 3.5 and 3.6" together with the document named before it, if one is. A
// section without a document is one of protocol.md.
var citation = regexp.MustCompile(
	`((?:RFC|FIPS|SP|PKCS)[ #]?[\w.-]+|[\w/-]+\.md)?(?:,? v\d[\d.]*)?,?[\s(]*\b[Ss]ections?\s+(\d+(?:\.\d+)*(?:(?:,| and| or| to)\s+\d+(?:\.\d+)*)*)`)

var number = regexp.MustCompile(`\d+(?:\.\d+)*`)

func readFile(t *testing.T, name string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(root, filepath.FromSlash(name)))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func sections(t *testing.T) map[string]bool {
	t.Helper()
	all := map[string]bool{}
	for _, m := range heading.FindAllStringSubmatch(readFile(t, protocol), -1) {
		all[m[1]] = true
	}
	if len(all) < 12 {
		t.Fatalf("%s has %d numbered headings; the test reads them wrongly", protocol, len(all))
	}
	return all
}

// cited returns the sections of protocol.md that a text cites.
func cited(text string) []string {
	var all []string
	for _, m := range citation.FindAllStringSubmatch(text, -1) {
		if m[1] == "" || strings.HasSuffix(m[1], "protocol.md") {
			all = append(all, number.FindAllString(m[2], -1)...)
		}
	}
	return all
}

func TestCitedClausesExist(t *testing.T) {
	known := sections(t)
	found := 0
	for _, s := range sources(t) {
		for _, group := range s.file.Comments {
			for _, c := range cited(group.Text()) {
				found++
				if !known[c] {
					t.Errorf("%s cites section %s, which %s does not have", s.fset.Position(group.Pos()), c, protocol)
				}
			}
		}
	}
	if found < 20 {
		t.Errorf("only %d citations found; the test does not see them", found)
	}
	for _, c := range cited(readFile(t, protocol)) {
		if !known[c] {
			t.Errorf("%s cites its own section %s, which it does not have", protocol, c)
		}
	}
}

func TestCitation(t *testing.T) {
	for text, want := range map[string]string{
		"see protocol.md section 4.2)":                       "[4.2]",
		"(section 5.1). The":                                 "[5.1]",
		"of section 3.7.":                                    "[3.7]",
		"(docs/protocol.md sections 3.4, 3.5 and 3.6)":       "[3.4 3.5 3.6]",
		"a clause whose number stands\nin section\n99.1":     "[99.1]",
		"Section 2 begins":                                   "[2]",
		"TLS SignatureScheme (RFC 8446 section 4.2.3)":       "[]",
		"RFC 9162, section 2.1, as\nprotocol.md section 4.2": "[4.2]",
		"PKCS#11 v2.40 section 5.1; security.md section 77":  "[]",
		"an intersection 5.5 is none":                        "[]",
	} {
		if got := fmt.Sprint(cited(text)); got != want {
			t.Errorf("%q cites %s, not %s", text, got, want)
		}
	}
}

package house

import (
	"fmt"
	"go/ast"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"unicode"

	"sinete/wire"
)

func table(t *testing.T, section string) [][]string {
	t.Helper()
	return tableIn(t, protocol, section)
}

// tableIn returns the rows of the first table below the heading of a document's section, cells trimmed and without backquotes.
func tableIn(t *testing.T, document, section string) [][]string {
	t.Helper()
	_, text, ok := strings.Cut(readFile(t, document), "# "+section+"\n")
	if !ok {
		t.Fatalf("%s has no heading %q", document, section)
	}
	var rows [][]string
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		if !strings.HasPrefix(line, "|") {
			if len(rows) > 0 || strings.HasPrefix(line, "#") {
				break
			}
			continue
		}
		cells := strings.Split(strings.Trim(line, "|"), "|")
		for i := range cells {
			cells[i] = strings.TrimSpace(strings.ReplaceAll(cells[i], "`", ""))
		}
		rows = append(rows, cells)
	}
	if len(rows) < 3 {
		t.Fatalf("no table below section %s", section)
	}
	return rows[2:] // without the heading and the rule below it
}

func parse(t *testing.T, s string, base int) int {
	t.Helper()
	n, err := strconv.ParseUint(s, base, 16)
	if err != nil {
		t.Fatal(err)
	}
	return int(n)
}

// TestLimits holds the numbers of section 10, in the order in which a row names them, against the constants.
func TestLimits(t *testing.T) {
	limits := map[string][]int{
		"frame body":                           {wire.MaxFrameBody},
		"handshake message":                    {wire.MaxHandshake},
		"payload of an outer envelope":         {wire.MaxPayload},
		"list requests of a session that wait": {wire.MaxLists},
		"connect requests of a session":        {wire.MaxConnects, wire.ConnectsPerSecond},

		"seal frames of a flight that hold heads of other channels": {wire.MaxFlightSeals, wire.MaxFlightSealed},

		"text of one message":                    {wire.MaxText},
		"texts in one envelope":                  {wire.MaxTexts},
		"flight":                                 {wire.MaxFlight, wire.MaxFlightBytes},
		"unacknowledged in a lane and direction": {wire.MaxUnacknowledged, wire.MaxUnackedBytes},
		"chain":                                  {wire.MaxChain, wire.MaxCertificate},
		"staple":                                 {wire.MaxStaple},
		"login":                                  {wire.LoginSeconds, wire.CardSeconds},
		"streams":                                {1, wire.MaxStreams},
		"before login":                           {wire.MaxBeforeLogin},
		"entries of a seal frame":                {wire.MaxSealEntries},
		"leaves of a batch":                      {wire.MaxLeaves},
		"entries of a peers message":             {wire.MaxPeersEntries},
		"machine description":                    {wire.MaxDescription},
		"lanes in switched":                      {wire.MaxSwitchedLanes},
		"rekeyings of a channel":                 {wire.MaxRekeys, wire.RekeysPerSecond},
		"heads in a closed direction":            {wire.ClosedHeadSeconds},

		"rekeyings of two people between whom a direction is closed":        {wire.MaxClosedRekeys, wire.ClosedRekeySeconds},
		"connect requests of two people between whom a direction is closed": {wire.MaxClosedConnects, wire.ClosedConnectSeconds},

		"control stream queued for a session": {wire.MaxControlQueue},
	}
	numeral := regexp.MustCompile(`\b\d[\d,]*\b`)
	label := regexp.MustCompile(`[A-Z]\d`) // H3 is a name
	for _, row := range table(t, "10. Limits") {
		want, ok := limits[row[0]]
		if !ok {
			t.Errorf("section 10 limits %q, and this test does not know by which constant", row[0])
			continue
		}
		delete(limits, row[0])
		var got []int
		for _, s := range numeral.FindAllString(label.ReplaceAllString(row[1], ""), -1) {
			n, err := strconv.Atoi(strings.ReplaceAll(s, ",", ""))
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, n)
		}
		if !slices.Equal(got, want) {
			t.Errorf("%s: section 10 says %v, package wire %v", row[0], got, want)
		}
	}
	for what := range limits {
		t.Errorf("section 10 has no row %q", what)
	}
}

// TestCodes holds section 11 against the numbers, the words, and the names of the constants, which are written down apart.
func TestCodes(t *testing.T) {
	rows := table(t, "11. Errors")
	constants := codeConstants(t)
	if len(rows) != len(constants) {
		t.Errorf("section 11 has %d codes, package wire %d", len(rows), len(constants))
	}
	for i, row := range rows {
		if n := parse(t, row[0], 10); n != i {
			t.Errorf("code %d stands where %d should", n, i)
		}
		if got := wire.Code(i).String(); got != row[1] {
			t.Errorf("code %d: section 11 says %q, package wire %q", i, row[1], got)
		}
		if i < len(constants) && constants[i] != row[1] {
			t.Errorf("code %d: section 11 says %q, the constant's name %q", i, row[1], constants[i])
		}
	}
	if next := wire.Code(len(rows)).String(); next != fmt.Sprintf("code-%d", len(rows)) {
		t.Errorf("section 11 lacks %q", next)
	}
}

// codeConstants returns the names of the Code constants in their order, as words: CodeCardInUse is card-in-use.
func codeConstants(t *testing.T) []string {
	t.Helper()
	var words []string
	for _, s := range sources(t) {
		if s.path != "wire/errors.go" {
			continue
		}
		ast.Inspect(s.file, func(n ast.Node) bool {
			spec, ok := n.(*ast.ValueSpec)
			if !ok {
				return true
			}
			for _, name := range spec.Names {
				if camel, ok := strings.CutPrefix(name.Name, "Code"); ok {
					words = append(words, hyphens(camel))
				}
			}
			return false
		})
	}
	return words
}

func hyphens(camel string) string {
	var b strings.Builder
	for i, r := range camel {
		if unicode.IsUpper(r) && i > 0 {
			b.WriteByte('-')
		}
		b.WriteRune(unicode.ToLower(r))
	}
	return b.String()
}

func TestFrames(t *testing.T) {
	rows := table(t, "2.3 Frames")
	for i, row := range rows {
		if n := parse(t, row[0], 16); n != i+1 {
			t.Errorf("frame %#x stands where %#x should", n, i+1)
		}
		if f := wire.FrameType(i + 1); !f.Known() || f.String() != row[1] {
			t.Errorf("frame %#x: section 2.3 says %q, package wire %q", i+1, row[1], f)
		}
	}
	if f := wire.FrameType(len(rows) + 1); f.Known() {
		t.Errorf("section 2.3 lacks %q", f)
	}
}

func TestSuites(t *testing.T) {
	groups := map[string]wire.Group{
		"X25519MLKEM768": wire.GroupX25519MLKEM768, "X25519": wire.GroupX25519, "secp256r1": wire.GroupP256,
	}
	rows := table(t, "3.1 Suites")
	for i, row := range rows {
		name := strings.TrimSuffix(row[1], " (default)")
		if s, ok := wire.ParseSuite(name); !ok || int(s) != parse(t, row[0], 16) || s.String() != name {
			t.Errorf("suite %s: section 3.1 says %q, package wire %v", row[0], name, s)
		}
		if strings.HasSuffix(row[1], "(default)") != (i == 0) {
			t.Errorf("%s: the strongest suite is the default, and no other", name)
		}
		group, point, _ := strings.Cut(strings.TrimSuffix(row[2], ")"), " (")
		if g, ok := groups[group]; !ok || int(g) != parse(t, point, 16) {
			t.Errorf("%s: section 3.1 says group %s, package wire %#x", name, row[2], int(g))
		}
	}
	if s := wire.Suite(len(rows) + 1); s.Known() {
		t.Errorf("section 3.1 lacks %q", s)
	}
}

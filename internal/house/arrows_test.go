// Package house tests what holds for the whole tree and belongs to no room in it: which room may import which, that every
// clause cited in a comment exists, and that the tables of docs/protocol.md and package wire say the same, and so do docs/manual.md and cmd/peer.
package house

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const (
	root   = "../.."
	module = "sinete"
)

type room struct {
	name    string // a folder, or with a trailing /* all below it
	imports string // the rooms of ours that it may import; a trailing * ends a prefix
	pure    bool   // no files, no network, no processes
}

// rooms is the plan of the house. Test files may also import what testHelpers lists.
var rooms = []room{
	{name: "wire", imports: "", pure: true},

	{name: "cardauth", imports: "wire cardauth/seal"},
	{name: "cardauth/seal", imports: "wire", pure: true},
	{name: "cardauth/fork", imports: "wire cardauth cardauth/seal"},
	{name: "cardauth/softcard", imports: "wire cardauth cardauth/seal"},
	{name: "cardauth/pkcs11card", imports: "wire cardauth cardauth/seal cardauth/pkcs11card/*"},
	{name: "cardauth/pkcs11card/profile", imports: "cardauth cardauth/pkcs11card/internal/cryptoki"},
	{name: "cardauth/pkcs11card/internal/cryptoki", imports: "", pure: true},
	{name: "cardauth/pkcs11card/internal/native", imports: "cardauth/pkcs11card/internal/cryptoki"},
	{name: "cardauth/pkcs11card/internal/child", imports: "cardauth/pkcs11card/internal/cryptoki cardauth/pkcs11card/internal/native"},
	{name: "cardauth/pkcs11card/internal/login", imports: "cardauth cardauth/pkcs11card/internal/cryptoki cardauth/pkcs11card/internal/child"},
	{name: "cardauth/pkcs11card/internal/store", imports: "cardauth/pkcs11card/internal/cryptoki cardauth/pkcs11card/internal/login"},
	{name: "cardauth/revocation", imports: "wire cardauth"},
	{name: "cardauth/cardtest", imports: "wire cardauth cardauth/seal internal/trialpki"},

	{name: "transport", imports: "wire transport/channel"},
	{name: "transport/channel", imports: "wire", pure: true},
	{name: "transport/transporttest", imports: "wire transport transport/channel"},

	{name: "internal/link", imports: "wire cardauth cardauth/seal transport transport/channel"},

	{name: "relay", imports: "wire cardauth cardauth/seal cardauth/revocation transport transport/channel internal/link relay/*"},
	{name: "relay/flow", imports: "wire", pure: true},
	{name: "relay/levels", imports: "wire"},
	{name: "relay/audit", imports: "wire internal/flock"},
	{name: "relay/backplane", imports: "wire"},

	{name: "peer", imports: "wire cardauth cardauth/fork cardauth/seal cardauth/revocation transport transport/channel internal/link peer/*"},
	{name: "peer/presence", imports: "wire cardauth cardauth/seal transport peer peer/store"},
	{name: "peer/store", imports: "wire peer/store/internal/journal peer/store/internal/record peer/store/internal/vault"},
	{name: "peer/store/internal/journal", imports: "wire"},
	{name: "peer/store/internal/journal/journaltest", imports: "peer/store/internal/journal"},
	{name: "peer/store/internal/record", imports: "wire", pure: true},
	{name: "peer/store/internal/vault", imports: "internal/flock"},
	{name: "peer/store/storetest", imports: "peer/store peer/store/*"},
	{name: "peer/evidence", imports: "wire cardauth cardauth/seal cardauth/revocation peer/evidence/internal/*", pure: true}, // a judge needs no store
	{name: "peer/evidence/held", imports: "wire cardauth cardauth/seal peer/evidence/internal/facts peer/store"},
	{name: "peer/evidence/export", imports: "wire cardauth cardauth/seal cardauth/revocation peer/evidence peer/evidence/held peer/evidence/internal/* peer/store"},
	{name: "peer/evidence/internal/bundle", imports: "", pure: true},
	{name: "peer/evidence/internal/facts", imports: "wire cardauth cardauth/seal"},
	{name: "peer/evidence/internal/stamp", imports: ""},

	{name: "cmd/relay", imports: "wire cardauth cardauth/* transport relay relay/* internal/link internal/heap"},
	{name: "cmd/peer", imports: "wire cardauth cardauth/* transport peer peer/* internal/link internal/heap cmd/peer/internal/*"},
	{name: "cmd/peer/internal/trouble", imports: "wire cardauth cardauth/* transport peer peer/*"},
	{name: "cmd/peer/internal/terminal", imports: ""},
	{name: "cmd/peer/internal/screen", imports: "wire cardauth cardauth/fork cardauth/pkcs11card peer peer/evidence peer/store cmd/peer/internal/terminal cmd/peer/internal/trouble"},
	{name: "cmd/peer/internal/settings", imports: "cardauth cardauth/revocation peer cmd/peer/internal/trouble"},
	{name: "cmd/peer/internal/cards", imports: "cardauth cardauth/softcard cardauth/pkcs11card cmd/peer/internal/*"},
	{name: "cmd/peer/internal/stores", imports: "cardauth cardauth/fork peer/evidence peer/evidence/* peer/store cmd/peer/internal/*"},
	{name: "cmd/peer/internal/doctor", imports: "wire cardauth cardauth/* transport peer cmd/peer/internal/*"},
	{name: "cmd/testpki", imports: "wire cardauth cardauth/* internal/trialpki"},

	{name: "internal/trialpki", imports: "wire cardauth cardauth/softcard"},
	{name: "internal/house", imports: "wire internal/formal"},
	{name: "internal/formal", imports: "", pure: true},
	{name: "internal/formal/prove", imports: "internal/formal"}, // runs the provers
	{name: "internal/vcard", imports: ""},
	{name: "internal/vcard/reader", imports: "wire cardauth cardauth/pkcs11card internal/vcard internal/trialpki"},
	{name: "internal/program", imports: ""},
	{name: "internal/heap", imports: ""},
	{name: "internal/flock", imports: ""},
	{name: "internal/judge", imports: ""},
	{name: "internal/udpproxy", imports: ""},
	{name: "internal/demo", imports: "internal/program"},                    // sees the programs from outside only
	{name: "internal/processtest", imports: "internal/program"},             // its tests too, and they judge by the protocol's text alone
	{name: "internal/chaos", imports: "internal/program internal/udpproxy"}, // likewise, but for what the stores prove
	{name: "internal/try", imports: "internal/program"},                     // like internal/demo
	{name: "internal/systemtest", imports: "*"},                             // the whole system in its tests; nobody may import it
	{name: "examples/*", imports: "wire cardauth cardauth/* peer"},          // what anybody's program would import
	{name: "bench", imports: "*"},
	{name: "bench/*", imports: "*"},
}

// testRooms are for tests: no program links them, and every test may import them.
var testRooms = []string{"peer/store/storetest",
	"cardauth/cardtest", "transport/transporttest", "internal/vcard", "internal/vcard/reader", "internal/udpproxy",
	"peer/store/internal/journal/journaltest", "internal/judge",
}

// testHelpers are what tests may import beside their room's own arrows.
var testHelpers = append([]string{"internal/trialpki", "cardauth/softcard"}, testRooms...)

// keepers are the packages of others that only some rooms may touch, so that one look shows where they can matter.
var keepers = map[string]string{
	"C":                             "cardauth/pkcs11card/internal/native",
	"github.com/miekg/pkcs11":       "cardauth/pkcs11card/internal/native",
	"github.com/quic-go/quic-go":    "transport transport/transporttest bench bench/*",
	"github.com/zalando/go-keyring": "peer/store/internal/vault",
	"github.com/digitorus":          "peer/evidence/internal/stamp",
	"github.com/nats-io":            "relay/backplane bench/rivals",
	"github.com/alecthomas/kong":    "cmd/* bench/*",
	"github.com/BurntSushi/toml":    "cmd/*",
}

// testKeepers are the packages of others that no program may link. quic-go's simulated network is one of them: tests of any
// room may run on it.
var testKeepers = []string{
	"github.com/google/go-cmp", "pgregory.net/rapid", "go.uber.org/goleak", "github.com/rogpeppe/go-internal",
	"github.com/quic-go/quic-go/testutils", "testing",
}

func within(imported string, packages ...string) bool {
	return slices.ContainsFunc(packages, func(p string) bool {
		return imported == p || strings.HasPrefix(imported, p+"/")
	})
}

func keeperAllows(imported, from string, test bool) bool {
	if within(imported, testKeepers...) {
		return test || slices.Contains(testRooms, from)
	}
	for name, allowed := range keepers {
		if within(imported, name) && !matches(allowed, from) {
			return false
		}
	}
	return true
}

// outside are the packages a pure room must do without.
var outside = []string{"net", "net/http", "net/netip", "os", "os/exec", "os/signal", "log", "plugin"}

func matches(list, name string) bool {
	for _, w := range strings.Fields(list) {
		prefix, below := strings.CutSuffix(w, "*")
		if w == name || below && strings.HasPrefix(name, prefix) {
			return true
		}
	}
	return false
}

func findRoom(name string) (room, bool) {
	for _, r := range rooms {
		if matches(r.name, name) {
			return r, true
		}
	}
	return room{}, false
}

// source is one Go file, whatever its build constraints: an arrow behind a constraint is an arrow.
type source struct {
	path string // from the module's root, with slashes
	file *ast.File
	fset *token.FileSet
}

func (s source) room() string { return path.Dir(s.path) }
func (s source) test() bool   { return strings.HasSuffix(s.path, "_test.go") }

// sources parses every Go file of the module.
func sources(t *testing.T) []source {
	t.Helper()
	var all []source
	fset := token.NewFileSet()
	err := filepath.WalkDir(root, func(p string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		hidden := strings.HasPrefix(d.Name(), ".") || strings.HasPrefix(d.Name(), "_") || d.Name() == "testdata"
		if d.IsDir() && hidden && p != root {
			return filepath.SkipDir
		}
		if d.IsDir() || hidden || filepath.Ext(p) != ".go" {
			return nil
		}
		f, err := parser.ParseFile(fset, p, nil, parser.ParseComments|parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(root, p)
		all = append(all, source{filepath.ToSlash(rel), f, fset})
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func TestArrows(t *testing.T) {
	seen := map[string]bool{}
	for _, s := range sources(t) {
		seen[s.room()] = true
		for _, spec := range s.file.Imports {
			imported, err := strconv.Unquote(spec.Path.Value)
			if err != nil {
				t.Fatal(err)
			}
			if wrong := arrow(s.room(), imported, s.test()); wrong != "" {
				t.Errorf("%s imports %s: %s", s.path, imported, wrong)
			}
		}
	}
	for name := range seen {
		if _, ok := findRoom(name); !ok {
			t.Errorf("%s is in no plan of the house. Does it fit a room that is there? If not, give it a line in the table "+
				"of internal/house/arrows_test.go, with the fewest arrows that do.", name)
		}
	}
	if !seen["wire"] || !seen["internal/house"] {
		t.Error("the test does not find the tree")
	}
}

// arrow returns what is wrong with an import, "" if nothing is.
func arrow(from, imported string, test bool) string {
	r, ok := findRoom(from)
	if !ok {
		return "" // told once for the room
	}
	if imported == module || strings.HasPrefix(imported, module+"/") {
		to := strings.TrimPrefix(imported, module+"/")
		switch {
		case to == from: // an external test package imports its own room
			return ""
		case test && slices.Contains(testHelpers, to):
			return ""
		case slices.Contains(testRooms, to) && !slices.Contains(testRooms, from) && !strings.HasPrefix(from, "bench"):
			return "only tests may"
		case !matches(r.imports, to):
			return "no such arrow in the table of internal/house/arrows_test.go"
		}
		return ""
	}
	if !keeperAllows(imported, from, test) {
		return "this is for other rooms, see keepers in internal/house/arrows_test.go"
	}
	if r.pure && !test && slices.Contains(outside, imported) {
		return "the room is pure: no files, no network, no processes"
	}
	if first, _, _ := strings.Cut(imported, "/"); from == "wire" && !test && strings.Contains(first, ".") {
		return "package wire is made of the standard library alone"
	}
	return ""
}

// TestArrowsAreRefused shows that the table refuses what it is there to refuse.
func TestArrowsAreRefused(t *testing.T) {
	for _, c := range []struct {
		from, to string
		test     bool
	}{
		{"wire", "sinete/cardauth", false},
		{"wire", "golang.org/x/crypto/hkdf", false},
		{"wire", "os", false},
		{"cardauth", "sinete/transport", false},
		{"transport/channel", "sinete/cardauth", false},
		{"transport", "sinete/cardauth", false},
		{"transport/channel", "github.com/quic-go/quic-go", false},
		{"relay", "sinete/peer", false},
		{"peer", "sinete/relay", true},
		{"relay/flow", "net", false},
		{"peer/evidence", "sinete/peer/store", false},
		{"peer/evidence", "sinete/peer/evidence/export", true},
		{"relay", "sinete/cardauth/cardtest", false},
		{"relay", "C", false},
		{"relay", "sinete/cardauth/pkcs11card", false},
		{"cmd/relay", "github.com/miekg/pkcs11", true},
		{"peer", "pgregory.net/rapid", false},
		{"internal/trialpki", "testing", false},
		{"cmd/peer", "sinete/internal/vcard", false},
	} {
		if arrow(c.from, c.to, c.test) == "" {
			t.Errorf("%s may import %s", c.from, c.to)
		}
	}
	if _, ok := findRoom("internal/util"); ok {
		t.Error("any folder is a room")
	}
}

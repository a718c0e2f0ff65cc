package stores

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"sinete/cmd/peer/internal/screen"
	"sinete/cmd/peer/internal/terminal"
	"sinete/cmd/peer/internal/trouble"
	"sinete/peer/store"
)

var ana = store.Owner{Identity: "BI1@a", Name: "Ana"}

// sitter is somebody at a terminal, or nobody, who answers what they are asked in this order.
type sitter struct {
	terminal.Terminal
	asked    []string // prompts
	out, err strings.Builder
}

// sits has somebody there who answers; without any answer nobody is.
func sits(answers ...string) *sitter {
	s := &sitter{}
	s.Terminal = terminal.Terminal{Stdin: strings.NewReader(""), Stdout: &s.out, Stderr: &s.err, Input: len(answers) > 0,
		Secret: func(_ context.Context, prompt string) (string, error) {
			s.asked = append(s.asked, prompt)
			if len(answers) < len(s.asked) {
				return "", fmt.Errorf("nothing more to say to %q", prompt)
			}
			return answers[len(s.asked)-1], nil
		}}
	return s
}

// opens opens Ana's store with JSON as its screen, and closes it. It returns the code of what went wrong.
func (s *sitter) opens(t *testing.T, f Flags) (code string) {
	t.Helper()
	if f.StoreKey == "" {
		f.StoreKey = "auto"
	}
	kept, err := f.Open(t.Context(), &s.Terminal, screen.New(&s.Terminal, true), ana)
	if err != nil {
		return trouble.Explain(err).Code
	}
	if err := kept.Close(); err != nil {
		t.Error(err)
	}
	return ""
}

// shown wants these events in the output, as prefixes.
func (s *sitter) shown(t *testing.T, want ...string) {
	t.Helper()
	got := strings.SplitAfter(s.out.String(), "\n")
	s.out.Reset()
	for i := range max(len(got)-1, len(want)) {
		if i >= len(want) || i >= len(got)-1 || !strings.HasPrefix(got[i], want[i]) {
			t.Errorf("got  %q\nwant %q", got, want)
			return
		}
	}
}

const storeEvent = `{"event":"store","folder":`

func secretFile(t *testing.T, secret string) string {
	path := filepath.Join(t.TempDir(), "passphrase")
	if err := os.WriteFile(path, []byte(secret), 0o600); err != nil {
		t.Fatal(err)
	}
	return "file:" + path
}

// Without anybody to ask a new store is made that nothing protects, and says so each time.
func TestStoreOfAutomation(t *testing.T) {
	f := Flags{Store: Given(filepath.Join(t.TempDir(), "new"))}
	dir, err := json.Marshal(f.Store)
	if err != nil {
		t.Fatal(err)
	}
	for _, fresh := range []bool{true, false} {
		s := sits()
		if code := s.opens(t, f); code != "" {
			t.Error(code)
		}
		s.shown(t, fmt.Sprintf(`%s%s,"protection":"nothing","new":%v,"waiting":[]}`, storeEvent, dir, fresh), `{"event":"warning","code":"store-unprotected"`)
	}
	s := sits()
	if code := s.opens(t, Flags{Store: f.Store, Passphrase: secretFile(t, "not needed\n")}); code != "" {
		t.Error(code)
	}
}

// Whoever sits at a terminal chooses a passphrase, twice the same and not too short, and gives it from then on, in three tries.
func TestStoreOfSomebodyAtATerminal(t *testing.T) {
	f := Flags{Store: Given(t.TempDir())}
	s := sits("short", "correct horse", "correct house", "correct horse", "correct horse")
	if code := s.opens(t, f); code != "" || len(s.asked) != 5 {
		t.Errorf("%s, asked %q", code, s.asked)
	}
	s.shown(t, storeEvent)
	for _, said := range []string{aboutNewStore, "At least 8 characters.", passphrasesDiffer} {
		if !strings.Contains(s.err.String(), said) {
			t.Errorf("%q lacks %q", s.err.String(), said)
		}
	}
	for _, c := range []struct {
		answers []string
		code    string
	}{
		{[]string{"correct horse"}, ""},
		{[]string{"wrong", "", "correct horse"}, ""},
		{[]string{"wrong", "wrong", "wrong", "correct horse"}, "passphrase-wrong"},
	} {
		s := sits(c.answers...)
		if code := s.opens(t, f); code != c.code || len(s.asked) > maxTries || s.asked[0] != askPassphrase ||
			len(s.asked) > 1 && s.asked[1] != wrongPassphrase+askPassphrase {
			t.Errorf("%q: %q, asked %q", c.answers, code, s.asked)
		}
	}
}

// A passphrase comes from a file or a variable, and is asked of nobody then. What a store is protected by it stays protected by.
func TestPassphraseOfASource(t *testing.T) {
	f := Flags{Store: Given(t.TempDir()), Passphrase: secretFile(t, "correct horse\r\n")}
	if code := sits("asked").opens(t, f); code != "" {
		t.Fatal(code)
	}
	t.Setenv("STORE_SECRET", "correct horse")
	t.Setenv("EMPTY", "")
	for source, code := range map[string]string{
		f.Passphrase: "", "env:STORE_SECRET": "", strings.Replace(f.Passphrase, "file:", "file://", 1): "",
		secretFile(t, "correct house"): "passphrase-wrong", "env:EMPTY": "passphrase-needed", "env:NOWHERE": "passphrase-needed", secretFile(t, "\n"): "passphrase-needed",
		"file:/nowhere": "passphrase-needed", "": "passphrase-needed",
		"correct horse": "wrong-usage", "file:": "wrong-usage", "env": "wrong-usage", "pass:correct horse": "wrong-usage",
	} {
		s := sits()
		if got := s.opens(t, Flags{Store: f.Store, Passphrase: source}); got != code {
			t.Errorf("%s: %q, want %q", source, got, code)
		}
	}
}

func TestStoreKey(t *testing.T) {
	for key, code := range map[string]string{"nothing": "", "passphrase": "passphrase-needed"} {
		if got := sits().opens(t, Flags{Store: Given(t.TempDir()), StoreKey: key}); got != code {
			t.Errorf("%s: %q, want %q", key, got, code)
		}
	}
	s := sits("asked")
	if code := s.opens(t, Flags{Store: Given(t.TempDir()), StoreKey: "nothing"}); code != "" || len(s.asked) > 0 {
		t.Errorf("%s, asked %q", code, s.asked)
	}
}

// fill makes a store with messages to two people.
func fill(t *testing.T, dir string, owner store.Owner) {
	t.Helper()
	s, err := store.Open(store.Options{Dir: dir, Owner: owner, Protection: store.Protection{Kind: store.Unprotected}})
	if err != nil {
		t.Fatal(err)
	}
	for identity, texts := range map[string][]string{"BI2@a": {"Bom dia", "Até AMANHÃ\x1b[2J"}, "BI3@a": {"amanhã"}} {
		if _, err := s.Contact(identity, map[string]string{"BI2@a": "Rui", "BI3@a": "Eva"}[identity]).Add(texts...); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
}

func TestHistory(t *testing.T) {
	dir := t.TempDir()
	fill(t, dir, ana)
	for _, c := range []struct {
		which which
		want  int
		code  string
	}{
		{which{}, 3, ""},
		{which{With: "rui"}, 2, ""},
		{which{With: "BI3@a"}, 1, ""},
		{which{Search: "amanhã"}, 2, ""},
		{which{With: "Rui", Search: "amanhã"}, 1, ""},
		{which{Since: ago(t, "1h")}, 3, ""},
		{which{Before: ago(t, "1h")}, 0, ""},
		{which{With: "Zé"}, 0, "unknown-contact"},
	} {
		s := sits()
		status := (&ShowHistory{kept: kept{Store: Given(dir), existing: existing{JSON: true}}, which: c.which}).Run(&s.Terminal)
		if c.code != "" {
			s.shown(t, `{"event":"warning","code":"store-unprotected"`, `{"event":"error","code":"`+c.code+`"`)
			continue
		}
		if n := strings.Count(s.out.String(), `{"event":"history-entry"`); n != c.want || status != 0 ||
			!strings.HasSuffix(s.out.String(), fmt.Sprintf(`{"event":"history","entries":%d}`+"\n", c.want)) {
			t.Errorf("%+v: status %d\n%s", c.which, status, &s.out)
		}
	}
	s := sits()
	(&ShowHistory{kept: kept{Store: Given(dir)}, which: which{With: "Rui"}}).Run(&s.Terminal)
	lines := strings.Split(s.out.String(), "\n")
	if len(lines) != 5 || !strings.HasSuffix(lines[2], "  to Rui, number 2 (waits to be sent, under no seal): Até AMANHÃ<U+001B>[2J") || lines[3] != "2 messages" {
		t.Errorf("%q", lines)
	}
}

func ago(t *testing.T, text string) (m Moment) {
	t.Helper()
	if err := m.UnmarshalText([]byte(text)); err != nil {
		t.Fatal(err)
	}
	return m
}

// A folder may have several people's stores, or none.
func TestWhoseStore(t *testing.T) {
	dir := t.TempDir()
	shows := func(dir, of string) string {
		s := sits()
		(&ShowHistory{kept: kept{Store: Given(dir), existing: existing{JSON: true, Of: of}}}).Run(&s.Terminal)
		return s.out.String()
	}
	for _, missing := range []string{dir, filepath.Join(dir, "nowhere")} {
		if out := shows(missing, ""); !strings.Contains(out, `"code":"store-missing"`) {
			t.Error(out)
		}
	}
	fill(t, dir, ana)
	fill(t, dir, store.Owner{Identity: "BI9@a", Name: "Zé"})
	if out := shows(dir, ""); !strings.Contains(out, `"code":"store-ambiguous"`) || !strings.Contains(out, "BI1@a (Ana)") || !strings.Contains(out, "BI9@a (Zé)") {
		t.Error(out)
	}
	for of, want := range map[string]string{"Zé": `"entries":3}`, "BI1@a": `"entries":3}`, "Rui": `"code":"store-missing"`} {
		if out := shows(dir, of); !strings.Contains(out, want) {
			t.Errorf("%s: %s", of, out)
		}
	}
}

// A store that cannot be read is not taken for one that is missing, and hides nobody else's who is named.
func TestWhoseStoreIsUnreadable(t *testing.T) {
	t.Setenv("XDG_CONFIG_HOME", t.TempDir())
	dir := t.TempDir()
	fill(t, dir, ana)
	files, err := filepath.Glob(filepath.Join(dir, "*", "store.json"))
	if err != nil || len(files) != 1 {
		t.Fatalf("%q, %v", files, err)
	}
	wants := func(when, of, code string) {
		t.Helper()
		s := sits()
		(&Check{folder: folder{dir}, existing: existing{JSON: true, Of: of}}).Run(&s.Terminal)
		if !strings.Contains(s.out.String(), code) {
			t.Errorf("%s, of %q: %s", when, of, &s.out)
		}
	}
	for _, damage := range []struct {
		what, code string
		do         func(file string) error
	}{
		{"altered", `"code":"store-unreadable"`, func(file string) error { return os.WriteFile(file, []byte("{"), 0o600) }},
		{"lost", `"code":"store-unreadable"`, os.Remove},
		{"not to be opened", `"code":"store-failed"`, func(file string) error { return os.Mkdir(file, 0o700) }},
	} {
		if err := damage.do(files[0]); err != nil {
			t.Fatal(err)
		}
		wants(damage.what, "", damage.code)
		wants(damage.what, "Ana", damage.code)
	}
	fill(t, dir, store.Owner{Identity: "BI9@a", Name: "Zé"})
	wants("beside another", "", `"code":"store-failed"`)
	wants("beside another", "Zé", `{"event":"checked","messages":3,`)
}

func TestPasswd(t *testing.T) {
	dir := t.TempDir()
	fill(t, dir, ana)
	one, two := secretFile(t, "passphrase one"), secretFile(t, "passphrase two")
	for _, c := range []struct {
		old, new, key string
		answers       []string
		code          string
	}{
		{"", "", "passphrase", nil, "passphrase-needed"},
		{"", one, "passphrase", nil, ""},
		{"", two, "passphrase", nil, "passphrase-needed"},
		{two, two, "passphrase", nil, "passphrase-wrong"},
		{"", "", "passphrase", []string{"passphrase 1", "passphrase two", "passphrase two", "passphrase one"}, ""}, // the old one wrong at first
		{one, one, "passphrase", nil, "passphrase-wrong"},
		{two, "", "nothing", nil, ""},
		{"", one, "passphrase", nil, ""},
	} {
		s := sits(c.answers...)
		p := Passwd{folder: folder{dir}, existing: existing{Passphrase: c.old, JSON: true}, NewPassphrase: c.new, StoreKey: c.key}
		if p.Run(&s.Terminal); c.code == "" {
			s.shown(t, `{"event":"done","command":"store passwd"`)
		} else {
			s.shown(t, `{"event":"error","code":"`+c.code+`"`)
		}
	}
	s := sits()
	if code := s.opens(t, Flags{Store: Given(dir), Passphrase: one}); code != "" {
		t.Error(code)
	}
	s.shown(t, storeEvent) // with what waits
}

func TestStoreInUse(t *testing.T) {
	dir := t.TempDir()
	s, err := store.Open(store.Options{Dir: dir, Owner: ana, Protection: store.Protection{Kind: store.Unprotected}})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	second := sits()
	if code := second.opens(t, Flags{Store: Given(dir)}); code != "store-in-use" {
		t.Error(code)
	}
	(&Passwd{folder: folder{dir}, existing: existing{JSON: true}, StoreKey: "nothing"}).Run(&second.Terminal)
	second.shown(t, `{"event":"error","code":"store-in-use"`)
}

func TestDelete(t *testing.T) {
	dir := t.TempDir()
	fill(t, dir, ana)
	deletes := func(yes bool, typed string, w which) (*sitter, int) {
		s := sits()
		s.Stdin, s.Input = strings.NewReader(typed), typed != ""
		return s, (&DeleteHistory{kept: kept{Store: Given(dir), existing: existing{JSON: true}}, which: w, Yes: yes}).Run(&s.Terminal)
	}
	if s, status := deletes(false, "", which{}); status != 2 || !strings.Contains(s.out.String(), `"code":"wrong-usage"`) {
		t.Errorf("nobody to ask: status %d, %s", status, &s.out)
	}
	for typed, question := range map[string]string{"no\n": "Delete all 3 messages that are kept for good?", "\n": "Delete all 3", "yes\n": "Delete all 3"} {
		s, status := deletes(false, typed, which{})
		if status != 0 || !strings.Contains(s.err.String(), question) || strings.Contains(s.out.String(), `"event":"done"`) != (typed == "yes\n") {
			t.Errorf("%q: status %d, %s%s", typed, status, &s.err, &s.out)
		}
	}
	s, _ := deletes(true, "", which{Search: "amanhã"}) // all of them still wait, so they stay
	s.shown(t, `{"event":"warning"`, `{"event":"done","command":"history delete","messages":0,`)
	if got := entries(t, dir); got != 3 {
		t.Errorf("%d messages are left", got)
	}
}

func entries(t *testing.T, dir string) (n int) {
	t.Helper()
	s, err := store.Open(store.Options{Dir: dir, Owner: ana})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	for _, err := range s.History(store.Query{}) {
		if err != nil {
			t.Fatal(err)
		}
		n++
	}
	return n
}

// What is exported can be imported elsewhere, once, with the passphrase of the export.
func TestExportAndImport(t *testing.T) {
	dir, there, file := t.TempDir(), t.TempDir(), filepath.Join(t.TempDir(), "export")
	fill(t, dir, ana)
	secret := secretFile(t, "of the export")
	exports := func(want string) {
		t.Helper()
		s := sits()
		(&Export{folder: folder{dir}, File: file, existing: existing{JSON: true}, ExportPassphrase: secret}).Run(&s.Terminal)
		s.shown(t, `{"event":"warning","code":"store-unprotected"`, want)
	}
	exports(`{"event":"done","command":"store export"`)
	exports(`{"event":"error","code":"export-unusable"`) // it is there
	if info, err := os.Stat(file); err != nil || info.Mode() != 0o600 {
		t.Errorf("%v, %v", info, err)
	}
	imports := func(file, secret, want string) {
		t.Helper()
		s := sits()
		(&Import{folder: folder{there}, File: file, ExportPassphrase: secret, StoreKey: "auto", JSON: true}).Run(&s.Terminal)
		lines := strings.Split(strings.TrimSpace(s.out.String()), "\n")
		if last := lines[len(lines)-1]; !strings.HasPrefix(last, want) {
			t.Errorf("%s, want %s", last, want)
		}
	}
	imports(file, secretFile(t, "another"), `{"event":"error","code":"passphrase-wrong"`)
	imports(file, "", `{"event":"error","code":"passphrase-needed"`)
	if made, err := os.ReadDir(there); err != nil || len(made) > 0 {
		t.Errorf("imports that failed have left %v, %v", made, err)
	}
	imports(file, secret, `{"event":"done","command":"store import","messages":3,"text":"3 messages were new"}`)
	imports(file, secret, `{"event":"done","command":"store import","messages":0,`)
	if got := entries(t, there); got != 3 {
		t.Errorf("%d messages have come", got)
	}
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	half := filepath.Join(t.TempDir(), "half")
	for _, n := range []int{0, 3, 100} {
		if err := os.WriteFile(half, b[:n], 0o600); err != nil {
			t.Fatal(err)
		}
		imports(half, secret, `{"event":"error","code":"export-unusable"`)
	}
	imports(filepath.Join(dir, "nowhere"), secret, `{"event":"error","code":"export-unusable"`)
}

// A check names what is damaged, and what it cost; all else is there.
func TestCheck(t *testing.T) {
	t.Setenv("XDG_CONFIG_HOME", t.TempDir())
	dir := t.TempDir()
	fill(t, dir, ana)
	checks := func(trust string) (*sitter, int) {
		s := sits()
		return s, (&Check{folder: folder{dir}, existing: existing{JSON: true}, Trust: trust}).Run(&s.Terminal)
	}
	s, status := checks("")
	if s.shown(t, `{"event":"warning","code":"store-unprotected"`, `{"event":"warning","code":"trust-missing"`, `{"event":"checked","messages":3,"damaged":0}`); status != 0 {
		t.Errorf("status %d", status)
	}
	words := sits()
	(&Check{folder: folder{dir}}).Run(&words.Terminal)
	if !strings.HasSuffix(words.out.String(), "3 messages; what proves them was not checked\n") {
		t.Errorf("%q", &words.out)
	}
	usual := filepath.Join(os.Getenv("XDG_CONFIG_HOME"), "sinete", "trust")
	if err := os.MkdirAll(usual, 0o700); err != nil {
		t.Fatal(err)
	}
	s, status = checks("") // a folder that is there, and has nothing
	if s.shown(t, `{"event":"warning","code":"store-unprotected"`, `{"event":"error","code":"trust-unusable"`); status != 1 {
		t.Errorf("status %d", status)
	}
	if err := os.Remove(usual); err != nil {
		t.Fatal(err)
	}
	s, _ = checks(filepath.Join(dir, "nowhere"))
	s.shown(t, `{"event":"warning","code":"store-unprotected"`, `{"event":"error","code":"trust-missing"`)
	journals, err := filepath.Glob(filepath.Join(dir, "*", "journal"))
	if err != nil || len(journals) != 1 {
		t.Fatalf("%q, %v", journals, err)
	}
	b, err := os.ReadFile(journals[0])
	if err != nil {
		t.Fatal(err)
	}
	b[len(b)/2] ^= 1
	if err := os.WriteFile(journals[0], b, 0o600); err != nil {
		t.Fatal(err)
	}
	s, status = checks("")
	if status != 1 || !strings.Contains(s.out.String(), `{"event":"warning","code":"store-damaged"`) || !strings.Contains(s.out.String(), `"damaged":1}`) ||
		!strings.Contains(s.out.String(), `{"event":"error","code":"store-damaged"`) {
		t.Errorf("status %d\n%s", status, &s.out)
	}
}

// What the system refuses of a store's files is told of the store, not of the card.
func TestStoreThatIsNoFolder(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if code := sits().opens(t, Flags{Store: Given(file)}); code != "store-failed" {
		t.Errorf("a chat: %s", code)
	}
	for _, c := range []struct{ dir, want string }{{file, "store-failed"}, {filepath.Dir(file), "store-missing"}} {
		if _, _, err := (&existing{}).find(c.dir); trouble.Explain(err).Code != c.want {
			t.Errorf("%s: %v", c.dir, err)
		}
	}
}

// What a script has left empty selects nothing, least of all for deletion.
func TestGiven(t *testing.T) {
	var g Given
	if g.UnmarshalText(nil) == nil {
		t.Error("nothing was taken for something")
	}
	if err := g.UnmarshalText([]byte("Bruno")); err != nil || g != "Bruno" {
		t.Error(g, err)
	}
}

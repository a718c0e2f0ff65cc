package doctor

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"go/ast"
	"go/parser"
	"go/token"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/alecthomas/kong"
	"golang.org/x/crypto/ocsp"

	"sinete/cardauth/pkcs11card"
	"sinete/cardauth/softcard"
	"sinete/cmd/peer/internal/cards"
	"sinete/cmd/peer/internal/screen"
	"sinete/cmd/peer/internal/terminal"
	"sinete/internal/trialpki"
	"sinete/transport"
	"sinete/transport/transporttest"
)

// patient is a machine that the doctor looks at: a trust folder, a card, a relay on a network, authorities that answer. A test breaks one
// of them.
type patient struct {
	t       *testing.T
	dir     string
	pki     *trialpki.World
	card    trialpki.Person
	chain   int // certificates on the card; 5: with the root
	relay   trialpki.Relay
	server  transport.ServerConfig
	address string
	args    []string          // --card and what follows it; empty: the soft card
	flags   map[string]string // all others
	program *practice

	authorities
	// later, if not nil, changes the machine after a first visit, which is not counted.
	later func()
	shown *[]string // if not nil, the names of the checks are put there, in their order
}

// practice is a program with nothing but the doctor in it, which cannot open a card or log in.
type practice struct {
	terminal.Terminal
	cards.Source
	Means
	socket func(relay string) (net.PacketConn, net.Addr, error)
}

func (p *practice) Run(t *testing.T, args []string) int {
	var c struct {
		Doctor Command `cmd:""`
	}
	parser, err := kong.New(&c)
	try(t, err)
	_, err = parser.Parse(args)
	try(t, err)
	ctx, _, stop := p.Interrupted()
	defer stop()
	return c.Doctor.Run(ctx, screen.New(&p.Terminal, c.Doctor.JSON), &p.Source, p.socket, &p.Means)
}

// authorities answer about revocation, and say in what they send what time it is.
type authorities struct {
	responder *trialpki.Responder
	ahead     time.Duration // of the machine's clock
	timeless  bool          // they say no time
	listless  bool          // they have no revocation lists
	err       error         // of the way to them
	hangs     chan struct{} // they do, until it is closed; nil: they do not
}

func (a *authorities) RoundTrip(q *http.Request) (*http.Response, error) {
	if a.hangs != nil {
		<-a.hangs
	}
	if a.err != nil || q.Host != "ocsp.example" {
		return nil, a.err
	}
	if a.listless && q.Method == http.MethodGet {
		return &http.Response{StatusCode: http.StatusNotFound, Body: http.NoBody}, nil
	}
	w := httptest.NewRecorder()
	a.responder.ServeHTTP(w, q)
	r := w.Result()
	if !a.timeless {
		r.Header.Set("Date", time.Now().Add(a.ahead).UTC().Format(http.TimeFormat))
	}
	return r, nil
}

// answer has all answers moved in time, and changed by f if that is not nil.
func (a *authorities) answer(by time.Duration, f func(*ocsp.Response)) {
	a.responder.Edit = func(r *ocsp.Response) {
		r.ThisUpdate, r.NextUpdate = r.ThisUpdate.Add(by), r.NextUpdate.Add(by)
		if f != nil {
			f(r)
		}
	}
}

// newWorld makes a trial world in a folder, at the time that is in every bubble.
func newWorld(t *testing.T) (dir string) {
	dir = t.TempDir()
	_, err := trialpki.Create(dir, trialpki.Options{OCSP: "http://ocsp.example",
		Now: func() time.Time { return time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC) }})
	try(t, err)
	return dir
}

// diagnose runs the doctor in virtual time, on a machine in a copy of the world which ill has changed, and returns what each check says.
func diagnose(t *testing.T, world string, ill func(p *patient)) (checks map[string]screen.Check, status int) {
	t.Helper()
	dir, out, shown := t.TempDir(), &strings.Builder{}, &[]string{}
	try(t, os.CopyFS(dir, os.DirFS(world)))
	t.Setenv("XDG_CACHE_HOME", filepath.Join(dir, "cache"))
	synctest.Test(t, func(t *testing.T) {
		p := &patient{t: t, dir: dir, card: trialpki.Person{Name: "ana"}, chain: 4, address: "relay.example:7443",
			relay: trialpki.Relay{Names: []string{"relay.example"}}, flags: map[string]string{"--trust": filepath.Join(dir, "trust")}}
		network := transporttest.New(t, transporttest.Options{Latency: time.Millisecond})
		listener := network.Endpoint()
		p.program = &practice{Terminal: terminal.Terminal{Stdout: out, Stderr: io.Discard}, socket: func(string) (net.PacketConn, net.Addr, error) {
			return network.Endpoint(), listener.LocalAddr(), nil
		}, Means: Means{web: &p.authorities, machine: machine{system: "linux", exists: func(string) bool { return true }}}}
		p.lives(dir)
		if ill(p); p.shown != nil {
			shown = p.shown
		}
		p.makeCard()
		var err error
		p.server.Certificate = p.relayCertificate()
		l, err := transport.Listen(listener, p.server)
		try(t, err)
		defer l.Close()
		if status = p.program.Run(t, p.commandLine()); p.later != nil {
			out.Reset()
			p.later()
			status = p.program.Run(t, p.commandLine())
		}
		if p.hangs != nil {
			close(p.hangs)
		}
	})
	checks = map[string]screen.Check{}
	for line := range strings.Lines(out.String()) {
		var e screen.Check
		try(t, json.Unmarshal([]byte(line), &e))
		if strings.HasPrefix(line, `{"event":"error","code":"interrupted"`) {
			checks["interrupted"] = screen.Check{OK: true}
			continue
		}
		if !strings.HasPrefix(line, `{"event":"check",`) || e.Text == "" || !e.OK && e.Remedy == "" {
			t.Error(line)
		}
		*shown = append(*shown, e.Name)
		if before, twice := checks[e.Name]; !twice || before.OK { // the worst of them
			checks[e.Name] = e
		}
	}
	return checks, status
}

func (p *patient) commandLine() []string {
	args := []string{"doctor", "--json", p.address}
	for flag, value := range p.flags {
		args = append(args, flag, value)
	}
	if len(p.args) == 0 {
		return append(args, "--card", "soft:"+filepath.Join(p.dir, "ana.card")+"?pin-value=1")
	}
	return append(args, p.args...)
}

// lives has card and relay issued in the world of a folder, whose authorities answer.
func (p *patient) lives(world string) {
	var err error
	p.pki, err = trialpki.Open(world, trialpki.Options{})
	try(p.t, err)
	p.responder, err = p.pki.Responder()
	try(p.t, err)
}

func (p *patient) makeCard() {
	issued, err := p.pki.IssuePerson(p.card)
	try(p.t, err)
	chain := append(issued.Chain, p.pki.Root.Certificate.Raw)
	try(p.t, softcard.Create(filepath.Join(p.dir, "ana.card"), issued.Key, chain[:p.chain], "1", softcard.Options{Memory: 8}))
}

func (p *patient) relayCertificate() tls.Certificate {
	issued, err := p.pki.IssueRelay(p.relay)
	try(p.t, err)
	return tls.Certificate{Certificate: issued.Chain, PrivateKey: issued.Key}
}

func (p *patient) distrusts(authority string) {
	try(p.t, os.Remove(filepath.Join(p.dir, "trust", authority+".pem")))
}

// revokes has what was issued to a name revoked between the first visit of the doctor, which remembers nothing of it, and the second.
func (p *patient) revokes(name string, reason int) {
	p.later = func() {
		_, err := p.pki.Revoke(name, reason)
		try(p.t, err)
	}
}

// holds puts a token into the reader, and no card in a file is named.
func (p *patient) holds(uri string, tokens ...pkcs11card.Token) {
	p.has(uri, pkcs11card.Module{Path: "m", Tokens: tokens})
}

func surveyOf(modules ...pkcs11card.Module) func(context.Context, []string) []pkcs11card.Module {
	return func(context.Context, []string) []pkcs11card.Module { return modules }
}

// has modules installed.
func (p *patient) has(uri string, modules ...pkcs11card.Module) {
	p.args = []string{"--card", uri}
	p.program.machine.survey = surveyOf(modules...)
}

func (p *patient) token(state pkcs11card.PINTries) pkcs11card.Token {
	issued, err := p.pki.IssuePerson(p.card)
	try(p.t, err)
	return pkcs11card.Token{Module: "m", Reader: "R", Label: "CARD", Present: true, PIN: state, Login: true,
		Certificates: []pkcs11card.Certificate{{Certificate: issued.Certificate, Label: "AUTH", URI: "pkcs11:token=CARD"}}}
}

func try(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// remedies are the constants of remedies.go, as they stand there.
func remedies(t *testing.T) map[string]string {
	t.Helper()
	file, err := parser.ParseFile(token.NewFileSet(), filepath.Join("..", "trouble", "remedies.go"), nil, 0)
	try(t, err)
	all := map[string]string{}
	ast.Inspect(file, func(n ast.Node) bool {
		if v, ok := n.(*ast.ValueSpec); ok {
			all[v.Names[0].Name], err = strconv.Unquote(v.Values[0].(*ast.BasicLit).Value)
			try(t, err)
		}
		return true
	})
	if len(all) < 50 {
		t.Fatalf("%d remedies are found in remedies.go", len(all))
	}
	return all
}

// pharmacy knows which remedies have been given.
type pharmacy struct {
	forms map[string]*regexp.Regexp
	given map[string]bool
}

func newPharmacy(t *testing.T) *pharmacy {
	p := &pharmacy{map[string]*regexp.Regexp{}, map[string]bool{}}
	for name, words := range remedies(t) {
		form, some := regexp.QuoteMeta(words), ".+"
		if strings.Contains(words, "\n") { // a list follows
			some = "(?s:.+)"
		}
		form = strings.ReplaceAll(strings.ReplaceAll(form, "%s", some), "%q", some)
		p.forms[name] = regexp.MustCompile("^" + form + "$")
	}
	return p
}

// takes notes what a check advises, and complains of what is no remedy.
func (p *pharmacy) takes(t *testing.T, e screen.Check) {
	t.Helper()
	if e.Remedy == "" || p.knows(e.Remedy) {
		return
	}
	for line := range strings.SplitSeq(e.Remedy, "\n") {
		if !p.knows(line) {
			t.Errorf("%s: %q stands not among the remedies", e.Name, line)
		}
	}
}

func (p *pharmacy) knows(words string) bool {
	known := false
	for name, form := range p.forms {
		if form.MatchString(words) {
			p.given[name], known = true, true
		}
	}
	return known
}

//go:build cgo

package processtest

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"sinete/internal/program"
)

// patience is for machines that do a lot else: longer than any deadline of the protocol that these tests wait for.
const patience = 75 * time.Second

// process is a program at work. When the test ends it must have left no data race and no goroutine.
type process struct {
	*program.Program
	t *testing.T
}

func start(t *testing.T, name, path string, env []string, args ...string) *process {
	t.Helper()
	p, err := program.Command{Name: name, Path: path, Args: args, Env: env, Patience: patience}.Start()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		p.Kill()
		for _, word := range []string{"DATA RACE", "LEAKED", "panic: "} {
			if strings.Contains(p.Stderr(), word) {
				t.Errorf("%s left this:\n%s", name, p.Stderr())
			}
		}
	})
	return &process{p, t}
}

// event waits for an event with these fields (name, value, ...), passing over others.
func (p *process) event(name string, fields ...any) program.Event {
	p.t.Helper()
	e, err := p.Event(name, fields...)
	must(p.t, err)
	return e
}

// says types commands.
func (p *process) says(commands ...string) {
	p.t.Helper()
	must(p.t, p.Say(commands...))
}

func (p *process) signal(s syscall.Signal) {
	p.t.Helper()
	must(p.t, p.Signal(s))
}

// ends waits for the end, which must have that status.
func (p *process) ends(status int) {
	p.t.Helper()
	got, err := p.Wait()
	must(p.t, err)
	if got != status {
		p.t.Fatalf("%s ended with status %d, not %d\n%s", p.Name, got, status, p.Stderr())
	}
}

// relay is a relay at work.
type relay struct {
	*process
	address string
}

// startRelay runs the relay of a hierarchy until the test ends.
func startRelay(t *testing.T, dir string, env ...string) *relay {
	t.Helper()
	return startRelayWith(t, filepath.Join(dir, "relay.toml"), env...)
}

func startRelayWith(t *testing.T, config string, env ...string) *relay {
	t.Helper()
	p := start(t, "the relay", filepath.Join(bin, "relay"), env, "serve", "--config", config)
	line, err := p.Line("listening on ADDR", func(l string) bool { return strings.HasPrefix(l, "listening on ") })
	must(t, err)
	return &relay{p, strings.TrimPrefix(line, "listening on ")}
}

// startRelayAt runs the relay of a hierarchy where another one was.
func startRelayAt(t *testing.T, dir, address string, env ...string) *relay {
	t.Helper()
	config, err := os.ReadFile(filepath.Join(dir, "relay.toml"))
	must(t, err)
	_, port, _ := strings.Cut(address, ":")
	file := filepath.Join(dir, "at-"+port+".toml")
	must(t, os.WriteFile(file, []byte(strings.Replace(string(config), "127.0.0.1:0", address, 1)), 0o600))
	return startRelayWith(t, file, env...)
}

// chat starts somebody's program. Flags that stand in args as well win over those given here.
func chat(t *testing.T, address, card string, env []string, args ...string) *process {
	t.Helper()
	return startChat(t, card, env, chatArgs(address, card, args...))
}

func startChat(t *testing.T, card string, env, args []string) *process {
	t.Helper()
	name, _, _ := strings.Cut(card, "?")
	return start(t, "the program with the card "+name, filepath.Join(bin, "peer"), append(testEnv(), env...), args...)
}

// chatArgs is how somebody's program is called.
func chatArgs(address, card string, args ...string) []string {
	return lineArgs(address, card, append([]string{"--json"}, args...)...)
}

// lineArgs is the same for a person to read.
func lineArgs(address, card string, args ...string) []string {
	return append([]string{"chat", address, "--card", card, "--trust", filepath.Join(trial, "trust"), "--revocation", "off"}, args...)
}

// testEnv has the program use none of the configuration of whoever runs the tests.
func testEnv() []string { return []string{"XDG_CONFIG_HOME=" + filepath.Join(trial, "config")} }

// soft names a soft card of the trial hierarchy, with its PIN.
func soft(name string) string {
	return "soft:" + filepath.Join(trial, name+".card") + "?pin-value=" + softPIN
}

// token names the card on a token, with its PIN.
func token(name string) string { return tokenCard[name] + "&pin-value=" + tokenPIN }

// login starts somebody's program and waits until the session is open.
func login(t *testing.T, r *relay, card string, env ...string) *process {
	t.Helper()
	p := chat(t, r.address, card, env)
	p.event("session", "state", "open")
	return p
}

// idOf asks a program for the number of somebody.
func (p *process) idOf(name string) string {
	p.t.Helper()
	p.says("list")
	e := p.event("peers")
	people, _ := e["peers"].([]any)
	for _, one := range people {
		if m, _ := one.(map[string]any); m["name"] == name {
			return fmt.Sprint(m["id"])
		}
	}
	p.t.Fatalf("the list of %s does not show %s: %v", p.Name, name, e)
	return ""
}

// person is somebody in a conversation.
type person struct {
	*process
	other string // the number under which they see the other one
}

// connected has two people connect.
func connected(t *testing.T, a, b *process, nameOfA, nameOfB string) (person, person) {
	t.Helper()
	pa, pb := person{a, a.idOf(nameOfB)}, person{b, b.idOf(nameOfA)}
	a.says("connect#" + pa.other)
	a.event("conversation", "state", "open", "id", pa.other)
	b.event("conversation", "state", "open", "id", pb.other)
	return pa, pb
}

// talk sends a text each way, with both receipts.
func talk(t *testing.T, a, b person, text string) {
	t.Helper()
	for _, way := range [][2]person{{a, b}, {b, a}} {
		from, to := way[0], way[1]
		from.says("send##" + from.other + "##" + text)
		m := to.event("message", "id", to.other, "text", text)
		from.event("receipt", "id", from.other, "stage", "relay", "seq", m["seq"])
		from.event("receipt", "id", from.other, "stage", "peer", "seq", m["seq"])
	}
}

// leave has somebody leave in order.
func (p *process) leave() {
	p.t.Helper()
	p.says("disconnect")
	p.event("session", "state", "closed", "reason", "bye")
	p.ends(0)
}

// stop ends a relay whose people have left.
func (r *relay) stop() {
	r.t.Helper()
	r.signal(syscall.SIGTERM)
	r.ends(0)
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

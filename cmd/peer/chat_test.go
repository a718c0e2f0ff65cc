package main

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"sinete/cardauth"
	"sinete/cardauth/pkcs11card"
	"sinete/cardauth/softcard"
	"sinete/cmd/peer/internal/cards"
	"sinete/cmd/peer/internal/settings"
	"sinete/cmd/peer/internal/terminal"
	"sinete/cmd/peer/internal/trouble"
	"sinete/internal/trialpki"
	"sinete/peer"
	"sinete/peer/presence"
	"sinete/transport"
	"sinete/wire"
)

const (
	sessionOpen   = `{"event":"session","state":"open","relay":"Trial relay","name":"Ana","level":2,"suite":"X25519MLKEM768-AES256GCM-SHA384","signing":"card","reason":""}`
	sessionClosed = `{"event":"session","state":"closed","relay":"Trial relay","name":"Ana","level":2,"suite":"X25519MLKEM768-AES256GCM-SHA384","signing":"card","reason":"`
	ruiOpen       = `{"event":"conversation","id":2,"name":"Rui","state":"open","suite":"P256-AES128GCM-SHA256","epoch":0,"machine":"`
	ruiClosed     = `{"event":"conversation","id":2,"name":"Rui","state":"closed","suite":"P256-AES128GCM-SHA256","epoch":0,"machine":"`
	ruiMessage    = `{"event":"message","id":2,"seq":`
)

func refusal(command, code string) string {
	return `{"event":"refused","command":"` + command + `","code":"` + code + `","text":"`
}

func TestChat(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newFakeSession()
		var rui *fakeConversation
		s.connect = func(id uint32, suites []wire.Suite) error {
			switch {
			case id == 3:
				return &peer.RefusedError{Number: wire.CodeFlowDenied}
			case id != 2 || !slices.Equal(suites, []wire.Suite{5}):
				return &peer.RefusedError{Number: wire.CodeUnknownPeer}
			}
			rui = s.opens(0, known(peer.MachineNew))
			return nil
		}
		c := talkTo(t, s)
		c.says([]string{"", "  ", "list"}, sessionOpen, `{"event":"peers","peers":[{"id":2,"name":"Rui"`)
		c.says([]string{"connected", "ciphers", "menu", "level"}, `{"event":"connected","conversations":[]}`,
			`{"event":"ciphers","suites":["X25519MLKEM768-AES256GCM-SHA384",`, `{"event":"menu"`, sessionOpen)
		c.says([]string{"whois#eva", "whois#9"}, `{"event":"whois","id":3,"name":"Eva","identity":"BI3@a","here":true,"level":0,"send":false,"conversation":"none","machine_changes":0}`, refusal("whois", "unknown-peer"))
		c.says([]string{"send##2##early", "disconnect#2", "connect#9", "connect#Nobody", "connect#3"}, refusal("send", "not-connected"),
			refusal("disconnect", "not-connected"), refusal("connect", "unknown-peer"), refusal("connect", "unknown-peer"), refusal("connect", "flow-denied"))
		c.says([]string{"connect#rui##P256-AES128GCM-SHA256", "send##2##hello##there ", "send##BI2@a##again"}, ruiOpen+`new"`)
		if !slices.Equal(rui.sent, []string{"hello##there ", "again"}) {
			t.Errorf("sent %q", rui.sent)
		}
		rui.events <- &peer.Receipt{Number: 1, Stage: peer.StageRelay}
		rui.events <- &peer.Receipt{Number: 1, Stage: peer.StagePeer}
		rui.events <- text(0, "hi")
		rui.events <- &peer.Warning{Code: "unconfirmed", Text: "x"}
		c.shows(`{"event":"receipt","id":2,"seq":1,"stage":"relay"}`, `{"event":"receipt","id":2,"seq":1,"stage":"peer"}`,
			ruiMessage+`0,"text":"hi"`, `{"event":"warning","code":"unconfirmed","id":2,`)
		rui.events <- &peer.Rekeyed{Epoch: 1}
		c.shows(strings.Replace(ruiOpen, `"epoch":0`, `"epoch":1`, 1) + `new"`)
		rui.compared = peer.Comparison{Code: "01234 56789", Sent: 4, Received: 3, Waiting: 1}
		c.says([]string{"transcript#rui", "transcript#3"}, `{"event":"transcript","id":2,"name":"Rui","code":"01234 56789","sent":4,"received":3,"waiting":1}`,
			refusal("transcript", "not-connected"))
		rui.refuse = &peer.RefusedError{Number: wire.CodeFlowDenied}
		c.says([]string{"send##2##up", "connected"}, refusal("send", "flow-denied"), `{"event":"connected","conversations":[{"id":2,"name":"Rui","state":"open"`)
		rui.refuse = &peer.TooLargeError{Bytes: 70000}
		c.says([]string{"send##2##large", "send##2##" + strings.Repeat("x", terminal.MaxLine)}, refusal("send", "message-too-large"), refusal("send", "message-too-large"))
		s.events <- happening{event: &peer.Warning{Code: "going-away", Text: "soon"}}
		c.shows(`{"event":"warning","code":"going-away","text":"soon"}`)
		c.says([]string{"disconnect#2", "connected"}, strings.Replace(ruiClosed, `"epoch":0`, `"epoch":1`, 1)+`new","reason":"bye"}`, `{"event":"connected","conversations":[]}`)
		c.says([]string{"transcript#2"}, refusal("transcript", "not-connected"))
		c.typed <- "disconnect\n"
		c.typed <- "list\n"
		c.leaves(0, sessionClosed+`bye"}`)
	})
}

func TestMachines(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newFakeSession()
		c := talkTo(t, s)
		c.shows(sessionOpen)

		// Receipts may overtake the statement; the opening is shown first all the same.
		rui := s.opens(0, &peer.Receipt{Number: 7, Stage: peer.StageRelay})
		c.shows()
		rui.events <- &peer.MachineStatement{Known: peer.MachineChanged, Before: "host a", Description: "host b"}
		c.shows(ruiOpen+`changed"`, `{"event":"receipt","id":2,"seq":7`,
			`{"event":"warning","code":"machine-changed","id":2,"text":"Rui writes from another machine than before. Before: host a. Now: host b.`)
		rui.events <- &peer.MachineChangeNoticed{Before: "host c"}
		rui.events <- &peer.MachineChangeNoticed{}
		c.shows(`{"event":"warning","code":"machine-change-noticed","id":2,"text":"Rui has been told that you write from another machine than before. Before: host c.`,
			`{"event":"warning","code":"machine-change-noticed","id":2,"text":"Rui has been told that you write from another machine than before. Before: a machine that was not described.`)
		rui.ends(wire.CodePeerLeft)
		c.shows(ruiClosed + `changed","reason":"peer-left"}`)
		c.says([]string{"send##2##x"}, refusal("send", "not-connected"))

		// Who does not say is new after a while.
		rui = s.opens(0)
		time.Sleep(machineWait - time.Millisecond)
		c.shows()
		time.Sleep(time.Millisecond)
		c.shows(ruiOpen + `new"`)
		rui.events <- known(peer.MachineKnown)
		c.shows()
		c.says([]string{"connected"}, `{"event":"connected","conversations":[{"id":2,"name":"Rui","state":"open","suite":"P256-AES128GCM-SHA256","epoch":0,"machine":"known"`)

		// A conversation that follows is shown when all has been shown of the one before.
		next := s.opens(0, known(peer.MachineKnown), text(1, "second"))
		c.shows()
		rui.events <- text(0, "first")
		rui.ends(wire.CodeCut)
		c.shows(ruiMessage+`0,"text":"first"`, ruiClosed+`known","reason":"cut"}`, ruiOpen+`known"`, ruiMessage+`1,"text":"second"`)

		// What is sent to somebody whose conversation broke waits for them.
		next.ends(wire.CodeCut)
		c.shows(ruiClosed)
		c.says([]string{"send##2##wait"})
		if !slices.Equal(s.queued, []string{"BI2@a wait"}) || len(next.sent) > 0 {
			t.Errorf("queued %q, sent %q", s.queued, next.sent)
		}
		broken := s.opens(0, known(peer.MachineKnown))
		broken.events <- &peer.Closed{Number: wire.CodeIntegrity, Queued: 2}
		c.shows(ruiOpen, ruiClosed+`known","reason":"integrity","queued":2}`)
		c.says([]string{"send##2##later"})
		if len(s.queued) != 2 || len(broken.sent) > 0 {
			t.Errorf("queued %q, sent %q", s.queued, broken.sent)
		}
		c.first()
		c.leaves(0, sessionClosed+`bye"}`)
	})
}

func TestCommandsWaitForConnect(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newFakeSession()
		s.connect = func(uint32, []wire.Suite) error { return nil }
		c := talkTo(t, s)
		c.says([]string{"connect#2", "connected"}, sessionOpen)
		s.opens(0, known(peer.MachineNew))
		c.shows(ruiOpen, `{"event":"connected","conversations":[{"id":2`)
		c.first()
		c.leaves(0, ruiClosed+`new","reason":"bye"}`, sessionClosed)
	})
}

func TestInterruptEndsACommand(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newFakeSession() // its Connect waits for ever
		c := talkTo(t, s)
		c.says([]string{"connect#2", "list"}, sessionOpen)
		c.first()
		c.leaves(0, sessionClosed+`bye"}`)
	})
}

func TestSecondInterrupt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newFakeSession()
		hold := make(chan struct{})
		s.close = func() { <-hold }
		c := talkTo(t, s)
		c.first()
		c.shows(sessionOpen)
		c.second()
		c.leaves(1, `{"event":"error","code":"interrupted"`, sessionClosed+`interrupted"}`)
		close(hold)
		s.ends(nil)
	})
}

func TestSessionEnds(t *testing.T) {
	for _, e := range []struct {
		err    error
		status int
		reason string
	}{
		{&transport.CloseError{Number: wire.CodeSuperseded, Remote: true}, 3, "superseded"},
		{&transport.LostError{Err: errors.New("silence")}, 1, "cut"},
		{wire.Errorf(wire.CodeIntegrity, "a seal"), 1, "integrity"},
		{nil, 1, "going-away"},
	} {
		synctest.Test(t, func(t *testing.T) {
			s := newFakeSession()
			rui := s.opens(0, known(peer.MachineNew))
			c := talkTo(t, s)
			c.shows(sessionOpen, ruiOpen)
			s.ends(e.err)
			rui.ends(wire.CodeCut)
			want := []string{ruiClosed, `{"event":"error","code":"` + e.reason + `"`, sessionClosed + e.reason + `"}`}
			if e.err == nil {
				want = slices.Delete(want, 1, 2)
			}
			c.leaves(e.status, want...)
		})
	}
}

func TestSuitesThatAreNotOffered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newFakeSession()
		c := talkTo(t, s, wire.SuiteX25519AES256GCM)
		c.says([]string{"connect#2##P256-AES128GCM-SHA256", "ciphers"}, sessionOpen, refusal("connect", "suite-unsupported"),
			`{"event":"ciphers","suites":["X25519-AES256GCM-SHA256"]}`)
		c.typed <- "disconnect\n"
		c.leaves(0, sessionClosed)
	})
}

func TestWeakestSuite(t *testing.T) {
	dir := t.TempDir()
	if _, err := trialpki.Create(dir, trialpki.Options{}); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		suites []string
		least  string
		want   []wire.Suite
		fails  bool
	}{
		{nil, "", nil, false},
		{nil, "X25519MLKEM768-CHACHA20POLY1305-SHA256", []wire.Suite{1, 2}, false},
		{[]string{"P256-AES128GCM-SHA256", "X25519-AES256GCM-SHA256"}, "X25519-CHACHA20POLY1305-SHA256", []wire.Suite{3}, false},
		{[]string{"P256-AES128GCM-SHA256"}, "X25519-CHACHA20POLY1305-SHA256", nil, true},
		{nil, "X25519", nil, true},
	} {
		cmd := chatCommand{Relay: "relay.example:1", Trust: filepath.Join(dir, "trust"), AsksRevocation: settings.AsksRevocation{Revocation: "off"}, Suite: c.suites, MinSuite: c.least}
		cfg, err := cmd.config()
		if failed := err != nil && trouble.Explain(err).Status == trouble.StatusUsage; failed != c.fails || err == nil && !slices.Equal(cfg.Suites, c.want) {
			t.Errorf("%v at least %q: %v, %v", c.suites, c.least, cfg.Suites, err)
		}
	}
}

// TestRun runs the whole program but for the relay.
func TestRun(t *testing.T) {
	defer goleak.VerifyNone(t)
	dir := t.TempDir()
	if _, err := trialpki.Create(dir, trialpki.Options{}); err != nil {
		t.Fatal(err)
	}
	trust, card := "--trust="+filepath.Join(dir, "trust"), "--card=soft:"+cardFile(t)+"?pin-value=12?4"
	t.Setenv("XDG_CONFIG_HOME", filepath.Join(dir, "config"))
	t.Setenv("XDG_CACHE_HOME", filepath.Join(dir, "cache"))
	for _, c := range []struct {
		args   string
		status int
		out    []string // whole output, as prefixes of lines
		err    string   // part of it
	}{
		{"", 0, nil, ""},
		{"dance", 2, nil, "peer --help"},
		{"chat", 2, nil, "peer --help"},
		{"chat r:1 --sign never", 2, nil, "peer --help"},
		{"chat r:1 --json --plain", 2, nil, "peer --help"},
		{"chat --json", 2, []string{`{"event":"error","code":"wrong-usage","text":"`}, "peer --help"},
		{"chat r:1 --json --store= ", 2, []string{`{"event":"error","code":"wrong-usage","text":"--store: nothing is given`}, ""},
		{"history --json --store= ", 2, []string{`{"event":"error","code":"wrong-usage","text":"--store: nothing is given`}, ""},
		{"chat r:1 --json --store D --keep 0d", 2, []string{`{"event":"error","code":"wrong-usage","text":"`}, "without --store nothing is kept"},
		{"chat r:1 --json --rekey-after 0s", 2, []string{`{"event":"error","code":"wrong-usage","text":"`}, "from 1s to 24h"},
		{"chat r:1 --json --rekey-after 25h", 2, []string{`{"event":"error","code":"wrong-usage","text":"`}, "from 1s to 24h"},
		{"chat r:1 --json --rekey-messages 0", 2, []string{`{"event":"error","code":"wrong-usage","text":"`}, "not below 1"},
		{"chat r:1 --json --idle-logout=-5m", 2, []string{`{"event":"error","code":"wrong-usage","text":"`}, "not below 0s"},
		{"chat r:1 --json --keep 90d", 2, []string{`{"event":"error","code":"wrong-usage","text":"`}, "name it with --store"},
		{"chat r:1 --json --passphrase env:P", 2, []string{`{"event":"error","code":"wrong-usage","text":"`}, "name it with --store"},
		{"chat r:1 --json --store-key nothing", 2, []string{`{"event":"error","code":"wrong-usage","text":"`}, "name it with --store"},
		{"cards --dance --json", 2, []string{`{"event":"error","code":"wrong-usage","text":"`}, "peer --help"},
		{"chat r:1 --json --explain", 2, []string{`{"event":"error","code":"wrong-usage","text":"`}, "peer --help"},
		{"chat r:1", 1, nil, "--trust DIR"},
		{"chat r:1 --revocation grace --json", 1, []string{`{"event":"error","code":"trust-missing"`}, ""},
		{"chat r:1 --revocation-recheck 1ms --json " + trust, 2, []string{`{"event":"error","code":"wrong-usage"`}, ""},
		{"chat r:1 --revocation-network everything " + trust, 2, nil, "peer --help"},
		{"chat r:1 --revocation hard --json " + trust, 1, []string{`{"event":"error","code":"no-card"`}, ""},
		{"chat r --revocation off --json", 2, []string{`{"event":"error","code":"relay-address"`}, ""},
		{"chat r:x --revocation off --json", 2, []string{`{"event":"error","code":"relay-address"`}, ""},
		{"chat r:1 --revocation off --json --suite ROT13", 2, []string{`{"event":"error","code":"suite-unsupported"`}, ""},
		{"chat r:1 --revocation off", 1, nil, "--trust DIR"},
		{"chat r:1 --revocation off --json", 1, []string{`{"event":"error","code":"trust-missing"`}, ""},
		{"chat r:1 --revocation off --json " + trust, 1, []string{`{"event":"warning","code":"revocation-off"`, `{"event":"error","code":"no-card"`}, "WARNING"},
		{"chat r:1 --revocation off --json --relay-name R --sign delegated --suite X25519-AES256GCM-SHA256,P256-AES128GCM-SHA256 --suite " +
			"X25519MLKEM768-AES256GCM-SHA384 --suite P256-AES128GCM-SHA256 " + trust + " " + card, 0,
			[]string{`{"event":"warning","code":"revocation-off"`, sessionOpen, `{"event":"peers"`, sessionClosed + `bye"}`}, "WARNING"},
		{"chat in-use:1 --revocation off --json " + trust + " " + card, 3,
			[]string{`{"event":"warning","code":"revocation-off"`, `{"event":"error","code":"card-in-use"`}, "WARNING"},
	} {
		var out, errs strings.Builder
		p := &program{Terminal: terminal.Terminal{Stdin: strings.NewReader("list\n"), Stdout: &out, Stderr: &errs}, Source: cards.Source{OpenToken: noToken},
			login: func(_ context.Context, cfg presence.Config) (session, error) {
				if cfg.Relay == "in-use:1" {
					return nil, &transport.CloseError{Number: wire.CodeCardInUse, Remote: true}
				}
				if cfg.Relay != "r:1" || cfg.RelayName != "R" || cfg.Sign != peer.SignDelegated || cfg.Card == nil || len(cfg.Policy.Anchors) != 1 ||
					cfg.Policy.Revocation == nil || !slices.Equal(cfg.Suites, []wire.Suite{1, 3, 5}) {
					t.Errorf("configuration %+v", cfg)
				}
				return newFakeSession(), nil
			}}
		if status := p.run(strings.Fields(c.args)); status != c.status {
			t.Errorf("%q: status %d, want %d\n%s%s", c.args, status, c.status, &out, &errs)
		}
		if !strings.Contains(errs.String(), c.err) || strings.Contains(out.String()+errs.String(), "12?4") {
			t.Errorf("%q: %s", c.args, &errs)
		}
		lines := strings.SplitAfter(out.String(), "\n")
		for i, want := range c.out {
			if len(lines) != len(c.out)+1 || !strings.HasPrefix(lines[i], want) {
				t.Errorf("%q: got\n%swant %s", c.args, &out, want)
			}
		}
	}
}

// TestInterruptedBeforeLogin: whatever login makes of it, it was an interrupt.
func TestInterruptedBeforeLogin(t *testing.T) {
	defer goleak.VerifyNone(t)
	dir := t.TempDir()
	if _, err := trialpki.Create(dir, trialpki.Options{}); err != nil {
		t.Fatal(err)
	}
	var signals chan<- os.Signal
	stopped := false
	var out strings.Builder
	p := &program{
		Terminal: terminal.Terminal{Stdin: strings.NewReader(""), Stdout: &out, Stderr: &out, Interrupts: func(c chan<- os.Signal) func() {
			signals = c
			return func() { stopped = true }
		}},
		login: func(ctx context.Context, _ presence.Config) (session, error) {
			signals <- syscall.SIGTERM
			<-ctx.Done()
			return nil, &transport.CloseError{Number: wire.CodeTimeout}
		}}
	status := p.run([]string{"chat", "r:1", "--revocation=off", "--json", "--trust=" + filepath.Join(dir, "trust"), "--card=soft:" + cardFile(t) + "?pin-value=12?4"})
	if status != 1 || !stopped || !strings.Contains(out.String(), `{"event":"error","code":"interrupted"`) {
		t.Errorf("status %d, %s", status, &out)
	}
}

// cardFile makes a soft card whose PIN is "12?4" and returns its path.
func cardFile(t *testing.T) string {
	t.Helper()
	w, err := trialpki.New(trialpki.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return cardFileOf(t, w)
}

func cardFileOf(t *testing.T, w *trialpki.World) string {
	t.Helper()
	ana, err := w.IssuePerson(trialpki.Person{Name: "ana"})
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "ana.card")
	if err := softcard.Create(path, ana.Key, ana.Chain, "12?4", softcard.Options{Memory: 8}); err != nil {
		t.Fatal(err)
	}
	return path
}

func noToken(context.Context, string, cardauth.Prompt, pkcs11card.Options) (cardauth.Card, error) {
	return nil, &pkcs11card.NotFoundError{URI: "pkcs11:", Reason: "no reader"}
}

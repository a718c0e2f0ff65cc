// Command peer is what a person talks with: it opens their card, logs in at a relay and takes commands, one a line
// (peer chat); it shows which cards are there (peer cards), and finds out why something does not work (peer doctor).
//
// Exit status: 0 done, 1 failed, 2 wrong usage, 3 refused (authentication or policy).
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/alecthomas/kong"
	"golang.org/x/term"

	"sinete/cardauth"
	"sinete/cardauth/pkcs11card"
	"sinete/peer/presence"
)

// Exit statuses.
const (
	statusDone    = 0
	statusFailed  = 1
	statusUsage   = 2
	statusRefused = 3
)

func main() {
	pkcs11card.ChildMain()
	os.Exit(run(os.Args[1:], os.Stdin, os.Stdout, os.Stderr, thisTerminal()))
}

// terminal is what only a person who sits there gives; the zero value is a pipe.
type terminal struct {
	input  bool // somebody types the commands
	output bool // somebody reads the answers
	colour bool
	// secret asks for a PIN without showing it; needed where input is set.
	secret func(ctx context.Context, prompt string) (string, error)
	// quiet hides what is typed in the middle of commands, until restore; needed where input is set.
	quiet func() (restore func(), err error)
	// interrupts has SIGINT and SIGTERM sent to a channel until stop; nil: they are not for this program.
	interrupts func(chan<- os.Signal) (stop func())
}

func thisTerminal() terminal {
	t := terminal{
		input: term.IsTerminal(int(os.Stdin.Fd())), output: term.IsTerminal(int(os.Stdout.Fd())), secret: askSecret, quiet: quiet,
		interrupts: func(c chan<- os.Signal) func() {
			signal.Notify(c, os.Interrupt, syscall.SIGTERM)
			return func() { signal.Stop(c) }
		},
	}
	t.colour = t.output && os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb"
	return t
}

// askSecret reads a line from the terminal without echo. The terminal is as before when it returns.
func askSecret(ctx context.Context, prompt string) (string, error) {
	fd := int(os.Stdin.Fd())
	before, err := term.GetState(fd)
	if err != nil {
		return "", err
	}
	fmt.Fprint(os.Stderr, prompt)
	defer fmt.Fprintln(os.Stderr)
	type answer struct {
		secret []byte
		err    error
	}
	answered := make(chan answer, 1)
	go func() {
		b, err := term.ReadPassword(fd)
		answered <- answer{b, err}
	}()
	select {
	case a := <-answered:
		return string(a.secret), a.err
	case <-ctx.Done():
		return "", errors.Join(ctx.Err(), term.Restore(fd, before))
	}
}

type commandLine struct {
	Chat   chatCommand   `cmd:"" help:"Log in at a relay and talk."`
	Cards  cardsCommand  `cmd:"" help:"Show readers, cards and certificates, and which one would be used."`
	Doctor doctorCommand `cmd:"" help:"Find out why it does not work, and what to do."`
}

// program is one run, with what tests put in the place of cards and relays.
type program struct {
	stdin          io.Reader
	stdout, stderr io.Writer
	terminal

	login      func(ctx context.Context, cfg presence.Config) (session, error)
	openToken  func(ctx context.Context, uri string, prompt cardauth.Prompt, o pkcs11card.Options) (cardauth.Card, error)
	listTokens func(modules []string) ([]pkcs11card.Token, error)
	hidden     hidden                     // while a PIN is typed among commands
	warn       func(e warningEvent)       // what happens to the card while they talk; nil: nobody is told
	idle       time.Duration              // after so long without a signature the card is locked; 0: never
	memory     string                     // file with the key of the card that was chosen last; empty: nothing is remembered
	accept     func(chain [][]byte) error // whether a card's chain leads to a trusted authority; nil: any will do
	// socket gives a socket and a relay's address.
	socket func(relay string) (net.PacketConn, net.Addr, error)

	// What the doctor looks at.
	machine machine
	probe   func(ctx context.Context, relay net.Addr) echo
	web     http.RoundTripper // asks authorities; nil: the network
}

// run is main without the process: it returns the exit status.
func run(args []string, stdin io.Reader, stdout, stderr io.Writer, t terminal) int {
	p := &program{stdin: stdin, stdout: stdout, stderr: stderr, terminal: t,
		login: login, openToken: pkcs11card.OpenWith, memory: memoryFile(), listTokens: pkcs11card.List, socket: socket,
		machine: thisMachine(), probe: probe}
	return p.run(args)
}

func (p *program) run(args []string) int {
	var c commandLine
	exited := false // kong asks for an exit after --help and goes on parsing
	parser, err := kong.New(&c, kong.Name("peer"), kong.Description(aboutPeer), kong.Writers(p.stdout, p.stderr),
		kong.Exit(func(int) { exited = true }), kong.Vars{"suites": strings.Join(suiteNames(nil), ", ")})
	if err != nil {
		fmt.Fprintln(p.stderr, err)
		return statusFailed
	}
	if len(args) == 0 {
		args = []string{"--help"}
	}
	parsed, err := parser.Parse(args)
	if exited {
		return statusDone
	}
	if err != nil {
		// Whoever wrote the command line reads the words; the program at the other end of a pipe must be told too.
		wrong := errorEvent(explain(wrongUsage(err.Error())))
		newLines(p).show(wrong)
		if wantsJSON(args) {
			p.screen(true).show(wrong)
		}
		return statusUsage
	}
	switch parsed.Selected().Name {
	case "cards":
		return c.Cards.run(p)
	case "doctor":
		return c.Doctor.run(p)
	}
	return c.Chat.run(p)
}

// wantsJSON reports whether arguments that cannot be parsed ask for --json.
func wantsJSON(args []string) bool {
	if end := slices.Index(args, "--"); end >= 0 {
		args = args[:end]
	}
	return slices.Contains(args, "--json") || slices.Contains(args, "--json=true")
}

// screen is where a form of output puts events. One goroutine may show while another does.
type screen interface {
	show(e event)
	finished() // a command is done
}

func (p *program) screen(json bool) screen {
	if json {
		return &jsonScreen{w: p.stdout}
	}
	return newLines(p)
}

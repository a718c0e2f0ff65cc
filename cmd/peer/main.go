// Command peer is what a person talks with: it opens their card, logs in at a relay and takes commands, one a line
// (peer chat); it shows which cards are there (peer cards), and finds out why something does not work (peer doctor).
//
// Exit status: 0 done, 1 failed, 2 wrong usage, 3 refused (authentication or policy).
package main

import (
	"context"
	"fmt"
	"net"
	"os"
	"slices"
	"strings"

	"github.com/alecthomas/kong"

	"sinete/cardauth/pkcs11card"
	"sinete/cmd/peer/internal/cards"
	"sinete/cmd/peer/internal/doctor"
	"sinete/cmd/peer/internal/screen"
	"sinete/cmd/peer/internal/settings"
	"sinete/cmd/peer/internal/stores"
	"sinete/cmd/peer/internal/terminal"
	"sinete/cmd/peer/internal/trouble"
	"sinete/internal/heap"
	"sinete/peer/presence"
)

func main() {
	pkcs11card.ChildMain()
	heap.Floor()
	os.Exit(run(os.Args[1:]))
}

type commandLine struct {
	Chat     chatCommand     `cmd:"" help:"Log in at a relay and talk."`
	Cards    cards.Command   `cmd:"" help:"Show readers, cards and certificates, and which one would be used."`
	History  stores.History  `cmd:"" help:"Show or delete the messages that a store keeps."`
	Evidence stores.Evidence `cmd:"" help:"Prove messages to somebody who was not there, or verify such a proof."`
	Store    stores.Command  `cmd:"" help:"Look after a store."`
	Doctor   doctor.Command  `cmd:"" help:"Find out why it does not work, and what to do."`
}

// program is one run, with what tests put in the place of cards and relays.
type program struct {
	terminal.Terminal
	cards.Source

	login func(ctx context.Context, cfg presence.Config) (session, error)
	// socket gives a socket and a relay's address.
	socket func(relay string) (net.PacketConn, net.Addr, error)

	doctor.Means // what the doctor looks at
}

// run is main without the process: it returns the exit status.
func run(args []string) int {
	p := &program{Terminal: terminal.This(), Source: cards.ThisSource(), login: login, socket: settings.Socket, Means: doctor.TheseMeans()}
	p.Stdout = &terminal.Output{To: p.Stdout, Lost: func(err error) {
		fmt.Fprint(p.Stderr, outputLost(err))
		os.Exit(trouble.StatusFailed)
	}}
	return p.run(args)
}

func (p *program) run(args []string) int {
	var c commandLine
	exited := false // kong asks for an exit after --help and goes on parsing
	parser, err := kong.New(&c, kong.Name("peer"), kong.Description(aboutPeer), kong.Writers(p.Stdout, p.Stderr),
		kong.Exit(func(int) { exited = true }), kong.Vars{"suites": strings.Join(trouble.SuiteNames(nil), ", ")})
	if err != nil {
		fmt.Fprintln(p.Stderr, err)
		return trouble.StatusFailed
	}
	if len(args) == 0 {
		args = []string{"--help"}
	}
	parsed, err := parser.Parse(args)
	if exited {
		return trouble.StatusDone
	}
	if err != nil {
		// Whoever wrote the command line reads the words; the program at the other end of a pipe must be told too.
		wrong := screen.FailureOf(trouble.Explain(trouble.WrongUsage(err.Error())))
		screen.New(&p.Terminal, false).Show(wrong)
		if wantsJSON(args) {
			screen.New(&p.Terminal, true).Show(wrong)
		}
		return trouble.StatusUsage
	}
	if c, ok := parsed.Selected().Target.Addr().Interface().(onTerminal); ok {
		return c.Run(&p.Terminal)
	}
	switch parsed.Selected().Name {
	case "cards":
		return c.Cards.Run(&p.Source, screen.New(&p.Terminal, c.Cards.JSON))
	case "doctor":
		ctx, _, stop := p.Interrupted()
		defer stop()
		return c.Doctor.Run(ctx, screen.New(&p.Terminal, c.Doctor.JSON), &p.Source, p.socket, &p.Means)
	}
	return c.Chat.run(p)
}

// onTerminal are the commands that need nothing else.
type onTerminal interface {
	Run(t *terminal.Terminal) int
}

// wantsJSON reports whether arguments that cannot be parsed ask for --json.
func wantsJSON(args []string) bool {
	if end := slices.Index(args, "--"); end >= 0 {
		args = args[:end]
	}
	return slices.Contains(args, "--json") || slices.Contains(args, "--json=true")
}

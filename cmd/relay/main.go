// Command relay is the server of an organisation: it makes its configuration (relay init), runs (relay serve), and keeps
// who has which level (relay level).
//
// Exit status: 0 done, 1 failed, 2 wrong usage.
package main

import (
	"context"
	"errors"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/alecthomas/kong"

	"sinete/cardauth/pkcs11card"
	"sinete/internal/heap"
)

func main() {
	pkcs11card.ChildMain()
	heap.Floor()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	status := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	os.Exit(status)
}

type commands struct {
	Init  initCommand  `cmd:"" help:"Write a relay.toml, commented, into a folder with trust/, relay.pem and relay.key."`
	Serve serveCommand `cmd:"" help:"Run the relay."`
	Audit auditCommand `cmd:"" help:"Check and show the audit log, or prove something of it."`
	Level levelCommand `cmd:"" help:"Show or change who has which level. A running relay takes changes over at once."`
}

// terminal is what a command talks to.
type terminal struct {
	ctx            context.Context
	stdout, stderr io.Writer
}

// run is main without the process: it returns the exit status.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	var c commands
	exited := false // kong asks for an exit after --help and goes on parsing
	parser, err := kong.New(&c, kong.Name("relay"), kong.Description(aboutRelay),
		kong.Writers(stdout, stderr), kong.Exit(func(int) { exited = true }))
	if err != nil {
		tell(stderr, err)
		return 1
	}
	if len(args) == 0 {
		args = []string{"--help"}
	}
	parsed, err := parser.Parse(args)
	if exited {
		return 0
	}
	if err != nil {
		tell(stderr, wrongUsage(err))
		return 2
	}
	err = parsed.Run(&terminal{ctx, stdout, stderr})
	if err == nil {
		return 0
	}
	tell(stderr, err)
	if p := (*problem)(nil); errors.As(err, &p) && p.usage {
		return 2
	}
	return 1
}

package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"time"

	"sinete/cmd/peer/internal/cards"
	"sinete/cmd/peer/internal/screen"
	"sinete/cmd/peer/internal/settings"
	"sinete/cmd/peer/internal/stores"
	"sinete/cmd/peer/internal/terminal"
	"sinete/cmd/peer/internal/trouble"
	"sinete/peer"
	"sinete/peer/presence"
	"sinete/wire"
)

type chatCommand struct {
	Relay         string        `arg:"" help:"The relay, as HOST:PORT."`
	Card          string        `placeholder:"CARD" help:"soft:PATH or a PKCS#11 URI (pkcs11:token=...). Default: the one card that is there."`
	Trust         string        `placeholder:"DIR" help:"Folder with the certificates (*.pem) of the cards' and the relay's authorities up to the root. Default: sinete/trust in your configuration folder."`
	RelayName     string        `placeholder:"NAME" help:"Name that the relay's certificate must carry. Default: HOST."`
	Suite         []string      `placeholder:"SUITE" help:"Offer these suites only, to the relay and in conversations. May be repeated. There are: ${suites}."`
	MinSuite      string        `placeholder:"SUITE" help:"The weakest suite to offer or take, to the relay and in conversations. Default: any."`
	Sign          string        `enum:"auto,card,delegated" default:"auto" help:"Who seals (${enum}): card is the card itself, each time; delegated is a key that the card delegates to at login; auto is delegated for a card that wants its PIN each time, and the card itself for all others. Default: ${default}."`
	OnRemoval     string        `enum:"leave,wait" default:"leave" help:"What happens when the card is taken out (${enum}): leave ends the session; wait keeps it as long as the relay waits for a seal. The same card put back logs in again. Default: ${default}."`
	IdleLogout    time.Duration `placeholder:"DURATION" default:"0" help:"Log out, and lock the card, after so long without anything typed, for example 15m; anything typed logs in again, with the PIN. Default: never."`
	RekeyAfter    time.Duration `default:"15m" placeholder:"TIME" help:"Take new keys after this time, 1s to 24h, to the relay and in conversations, if the other side does not want them sooner. Default: ${default}."`
	RekeyMessages uint64        `default:"1048576" placeholder:"NUMBER" help:"Take new keys after this many messages, likewise. Default: ${default}."`
	settings.AsksRevocation
	RevocationRecheck time.Duration `default:"15m" placeholder:"TIME" help:"How long after a revocation the conversation ends at the latest. Default: ${default}."`
	stores.Flags
	Machine stores.Given `placeholder:"FILE"      help:"File with the random number that names this machine to your contacts, made where there is none. Where it is another one they are told that you write from another machine: in a container, keep it. Default: sinete/machine in your configuration folder."`
	JSON    bool         `name:"json" xor:"form,words" help:"One JSON object a line instead of text."`
	Plain   bool         `xor:"form" help:"Plain lines, on a terminal too. Has no effect yet: without --json there is nothing else."`
	Connect string       `placeholder:"ID" help:"Begin a conversation at once, as connect#ID does."`
	Explain bool         `xor:"words" help:"Say of each thing that happens what it means, once. Not with --json."`
}

// Help is what peer chat --help shows below its first line.
func (*chatCommand) Help() string { return aboutChat }

// Validate refuses what would have to be taken as something else than it says.
func (c *chatCommand) Validate() error {
	switch {
	case c.RekeyAfter < time.Second || c.RekeyAfter > 24*time.Hour:
		return errors.New("--rekey-after: from 1s to 24h")
	case c.RekeyMessages == 0:
		return errors.New("--rekey-messages: not below 1")
	case c.IdleLogout < 0:
		return errors.New("--idle-logout: not below 0s")
	}
	return c.Flags.Validate()
}

func (c *chatCommand) run(p *program) int {
	out := screen.New(&p.Terminal, c.JSON)
	if c.Explain {
		out = &screen.Explaining{Screen: out}
	}
	fail := func(err error) int {
		t := trouble.Explain(err)
		out.Show(screen.FailureOf(t))
		return t.Status
	}
	cfg, err := c.config()
	if err != nil {
		return fail(err)
	}
	// peer would do the same by itself: this way the doctor looks at the very way that the chat goes.
	cfg.Socket = func() (net.PacketConn, net.Addr, error) { return p.socket(c.Relay) }
	if c.Revocation == "off" {
		fmt.Fprintln(p.Stderr, revocationOff)
		if c.JSON {
			out.Show(screen.Warning{Code: "revocation-off", Text: revocationOff})
		}
	}

	first, second, stop := p.Interrupted()
	defer stop()
	in := terminal.NewInput(p.Stdin)
	o := cards.Opener{Source: p.Source, Terminal: p.Terminal, In: in, Accept: settings.Trusts(cfg.Policy), Idle: c.IdleLogout,
		Warn: func(e screen.Warning) { out.Show(e) }}
	defer o.Hidden.End()
	err = c.open(first, p, &o, out, &cfg)
	if cfg.Card != nil {
		defer cfg.Card.Close()
	}
	if cfg.Store != nil {
		defer cfg.Store.Close() // once more where the chat has closed it
	}
	if err != nil {
		return fail(err)
	}
	if cfg.Machine, err = c.thisMachine(out); err != nil {
		return fail(err)
	}
	if p.Input {
		if cfg.Store == nil {
			out.Show(screen.Notice{Text: nothingIsKept})
		}
		out.Show(screen.Notice{Text: loggingIn(c.Relay)})
	}
	s, err := p.logIn(first, presence.Config{Config: cfg, OnRemoval: presence.Removal(c.OnRemoval), IdleLogout: c.IdleLogout})
	if err != nil {
		return fail(err)
	}
	o.Talking.Store(true)
	chat := newChat(s, out, cfg.Suites)
	chat.store, chat.folder, chat.policy = cfg.Store, string(c.Store), cfg.Policy
	if c.Connect != "" {
		chat.begin = "connect#" + c.Connect
	}
	return chat.run(first, second, in)
}

// thisMachine is what contacts are told of it. Where nothing can be kept of the usual file, they may guess what it is; one that was named must be there.
func (c *chatCommand) thisMachine(out screen.Screen) (*peer.Machine, error) {
	secret, err := settings.MachineSecret(string(c.Machine))
	if err != nil && c.Machine != "" {
		return nil, machineFile(err)
	}
	if err != nil {
		out.Show(screen.Warning{Code: "machine-file", Text: trouble.Explain(machineFile(err)).Text()})
	}
	return peer.ThisMachine(secret), nil
}

// logIn gives the card its time and the relay not for ever.
func (p *program) logIn(ctx context.Context, cfg presence.Config) (session, error) {
	ctx, cancel := context.WithTimeout(ctx, (wire.LoginSeconds+wire.CardSeconds)*time.Second)
	defer cancel()
	s, err := p.login(ctx, cfg)
	if err != nil && context.Cause(ctx) == context.Canceled {
		err = context.Canceled // rather than what that broke
	}
	return s, err
}

// config is all of a login but the card.
func (c *chatCommand) config() (peer.Config, error) {
	cfg := peer.Config{Relay: c.Relay, RelayName: c.RelayName, Sign: peer.Signing(c.Sign), Recheck: c.RevocationRecheck}
	cfg.Limits = wire.RekeyLimits{Messages: c.RekeyMessages, Seconds: uint32(c.RekeyAfter / time.Second)}
	if _, err := settings.HostOf(c.Relay); err != nil {
		return cfg, err
	}
	for _, name := range c.Suite {
		s, ok := wire.ParseSuite(name)
		if !ok {
			return cfg, trouble.UnknownSuite(name)
		}
		cfg.Suites = append(cfg.Suites, s)
	}
	slices.Sort(cfg.Suites)
	cfg.Suites = slices.Compact(cfg.Suites)
	var err error
	if cfg.Suites, cfg.MinSuite, err = atLeast(cfg.Suites, c.MinSuite); err != nil {
		return cfg, err
	}
	if _, cfg.Policy, err = settings.LoadTrust(c.Trust); err != nil {
		return cfg, err
	}
	cfg.Policy.Revocation, err = c.Checker(c.RevocationRecheck)
	return cfg, err
}

// atLeast leaves those of the suites asked for (all, where none are) that are no weaker than the one of that name.
func atLeast(asked []wire.Suite, name string) ([]wire.Suite, wire.Suite, error) {
	if name == "" {
		return asked, 0, nil
	}
	least, ok := wire.ParseSuite(name)
	if !ok {
		return nil, 0, trouble.UnknownSuite(name)
	}
	if len(asked) == 0 {
		for s := wire.Suite(1); s.Known(); s++ {
			asked = append(asked, s)
		}
	}
	if asked = wire.SuitesAtLeast(asked, least); len(asked) == 0 {
		return nil, 0, trouble.SuitesTooWeak(least)
	}
	return asked, least, nil
}

func queuedFor(p peer.Person) string {
	return "queued: it goes out when you are connected to " + p.Name + " again"
}

func loggingIn(relay string) string { return "logging in at " + relay + " ..." }

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"slices"
	"time"

	"sinete/cardauth"
	"sinete/relay"
	"sinete/relay/flow"
	"sinete/relay/levels"
)

type serveCommand struct{ configFlag }

// Help is shown by --help.
func (c *serveCommand) Help() string { return aboutServe }

func (c *serveCommand) Run(t *terminal) error {
	config, err := loadConfig(c.Config, time.Now())
	if err != nil {
		return err
	}
	return serve(t.ctx, config, t.stdout, t.stderr)
}

// serve runs a relay until ctx ends. It prints `listening on ADDR` to stdout once it is ready; warnings and the log go to
// stderr.
func serve(ctx context.Context, c Config, stdout, stderr io.Writer) (err error) {
	defer func() { err = errors.Join(err, release(c.Certificate)) }()
	if c.Revocation == nil {
		fmt.Fprintln(stderr, revocationWarning)
	}
	log := slog.New(slog.NewTextHandler(stderr, &slog.HandlerOptions{Level: c.LogLevel}))
	asking, err := newRevocation(c.Revocation, log)
	if err != nil {
		return err
	}
	table, err := levels.Open(c.Levels, log)
	if err != nil {
		return badLevels(c.Levels, err)
	}
	trail, err := openAudit(c.Audit, log)
	if err != nil {
		return err
	}
	if trail != nil {
		defer func() { err = errors.Join(err, trail.Close()) }()
	}
	card, err := sealingCard(c.Certificate)
	if err != nil {
		return badKeyPair(err)
	}
	reset, err := resetKey(c.Certificate.PrivateKey, c.Key)
	if err != nil {
		return noResetKey(err)
	}
	socket, err := net.ListenPacket("udp", c.Listen)
	if err != nil {
		return cannotListen(c.Listen, err)
	}
	return relay.Serve(ctx, socket, relay.Config{
		Name: c.Name, Certificate: c.Certificate, Card: card, Flow: c.Policy, CardOnly: c.RequireSigning == "card", MinSuite: c.MinSuite,
		Limits: c.Limits, MaxSessions: c.MaxSessions, DelegationGrace: c.Grace, ResetKey: reset, Logger: log,
		Policy:  &cardauth.Policy{Anchors: c.Anchors, Intermediates: c.Authorities, Revocation: asking},
		Recheck: c.Recheck,
		Level:   c.level(table), Changed: followed(ctx, table), Cleared: c.Cleared, Audit: trail, Unaudited: c.Unaudited,
	}, func() { fmt.Fprintf(stdout, "listening on %s\n", socket.LocalAddr()) })
}

// lookEvery is how often a running relay looks at its levels file.
const lookEvery = 250 * time.Millisecond

// followed has changes of the levels file told until ctx ends.
func followed(ctx context.Context, table *levels.Table) <-chan struct{} {
	changed := make(chan struct{}, 1)
	go table.Follow(ctx, lookEvery, func() {
		select {
		case changed <- struct{}{}:
		default: // one that waits says it already
		}
	})
	return changed
}

// level is who somebody is to the policy, by the levels file and the configuration.
func (c Config) level(table *levels.Table) func(identity string) (flow.Subject, bool) {
	return func(identity string) (flow.Subject, bool) {
		level, known := table.Lookup(identity)
		if !known && c.KnownOnly {
			return flow.Subject{}, false
		}
		if !known {
			level = c.DefaultLevel
		}
		return flow.Subject{Level: level, LabelsBelow: slices.Contains(c.LabelsBelow, identity)}, true
	}
}

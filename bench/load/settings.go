package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"

	"sinete/bench/roles"
	"sinete/internal/trialpki"
	"sinete/peer"
	"sinete/wire"
)

// Options are the settings of a measurement and what is done with them.
type Options struct {
	roles.Settings
	runs       int
	ofPeak     float64 // the rate as a share of what goes at most; 0: Settings.Rate
	splice     bool
	rivals     bool
	only       string        // event of -rivals; empty: all
	runFor     time.Duration // about, for each run of -rivals
	file       string        // for the result of -rivals, too
	json       bool
	cpuProfile string
}

// parseOptions reads the command line.
func parseOptions(args []string, errors io.Writer) (o Options, err error) {
	var job, key, relayKey, sign, rate string
	f := flag.NewFlagSet("load", flag.ContinueOnError)
	f.SetOutput(errors)
	keys := fmt.Sprintf("one of %v", trialpki.KeyTypes)
	f.StringVar(&job, "job", "messages", "what is measured: messages, logins, after which the clients leave, or idle sessions, which stay")
	f.IntVar(&o.Window, "window", 1024, "unacknowledged messages of a conversation, or logins under way at once")
	f.StringVar(&rate, "rate", "", "messages a second at fixed times, all conversations together, or their share of what goes at most, such as 0.5x; empty: "+
		"as fast as the windows let. Latency counts from when a message was due")
	f.IntVar(&o.Size, "size", 256, "bytes of a message's text")
	f.IntVar(&o.N, "n", 100_000, "messages of a run, all conversations together, or clients")
	f.IntVar(&o.Conversations, "conversations", 1, "conversations, each between two peers of its own")
	f.BoolVar(&o.Bulk, "bulk", false, "have one more pair pour out the largest texts meanwhile, and measure the same without it in place of the splice")
	f.StringVar(&key, "key", "p256", "key of the peers' cards: "+keys)
	f.StringVar(&relayKey, "relay-key", "p256", "key of the relay: "+keys)
	f.StringVar(&o.Card, "card", roles.Soft, "where the peers' keys are: soft, or softhsm for SoftHSM2 by PKCS #11, which is measured beside soft")
	f.DurationVar(&o.CardTime, "card-time", 0, "what a signature of a card takes beside its key; beside it cards that take 1 ms are measured")
	f.StringVar(&sign, "sign", "card", "who seals for the peers: card or delegated")
	f.StringVar(&o.Suite, "suite", "", "the one suite that all offer; empty offers all")
	f.StringVar(&o.Store, "store", roles.InMemory, "where peers keep messages: memory, or disk, which is measured beside memory")
	f.StringVar(&o.Dir, "dir", "", "folder for the stores on disk; empty makes one in the usual place for temporary files")
	f.IntVar(&o.runs, "runs", 1, "measured runs; figures are their medians")
	f.BoolVar(&o.splice, "splice", true, "measure plain QUIC beside it, run by run: a splice, or of logins and idle sessions connections with mutual TLS")
	f.Uint64Var(&o.RekeyMessages, "rekey-messages", 0, "take new keys after so many envelopes, and measure the same without new keys in place of the splice")
	f.BoolVar(&o.rivals, "rivals", false, "measure the rivals in turns with it, and everything that has a budget; -n does not count")
	f.StringVar(&o.only, "only", "", "the one event of -rivals to measure; empty: all")
	f.DurationVar(&o.runFor, "for", time.Second, "with -rivals, about how long a run takes; what has a fixed number of messages takes them in one second")
	f.StringVar(&o.file, "write", "", "with -rivals, file for its result as JSON, beside the table")
	f.BoolVar(&o.json, "json", false, "print one JSON object in place of the table")
	f.StringVar(&o.cpuProfile, "cpuprofile", "", "directory for profiles of each process: of processor time, and of what it holds at the end (.heap)")
	if err := f.Parse(args); err != nil {
		return o, err
	}
	o.Job, o.Key, o.RelayKey, o.Sign = roles.Job(job), trialpki.KeyType(key), trialpki.KeyType(relayKey), peer.Signing(sign)
	if rate != "" {
		number, share := strings.CutSuffix(rate, "x")
		x, err := strconv.ParseFloat(number, 64)
		if err != nil || !(x > 0 && x < 1e7) {
			return o, fmt.Errorf("-rate %q is no positive number, with or without x", rate)
		}
		if o.Rate = x; share {
			o.Rate, o.ofPeak = 0, x
		}
	}
	return o, o.check(f.Args())
}

func (o *Options) check(rest []string) error {
	switch {
	case len(rest) > 0:
		return fmt.Errorf("%q: there are only flags", strings.Join(rest, " "))
	case !slices.Contains([]roles.Job{roles.Messages, roles.Logins, roles.Idle}, o.Job):
		return errors.New("-job is messages, logins or idle")
	case o.Window < 1 || o.Window > wire.MaxUnacknowledged-1:
		return fmt.Errorf("-window must be from 1 to %d", wire.MaxUnacknowledged-1)
	case o.Size < roles.MinSize || o.Size > wire.MaxText:
		return fmt.Errorf("-size must be from %d to %d", roles.MinSize, wire.MaxText)
	case o.Conversations < 1 || o.N < o.Conversations || o.runs < 1:
		return errors.New("-conversations and -runs must be positive, and -n at least as many as conversations")
	case !slices.Contains(trialpki.KeyTypes, o.Key) || !slices.Contains(trialpki.KeyTypes, o.RelayKey):
		return fmt.Errorf("-key and -relay-key are each one of %v", trialpki.KeyTypes)
	case o.Card != roles.Soft && o.Card != roles.SoftHSM:
		return errors.New("-card is soft or softhsm")
	case o.CardTime < 0:
		return errors.New("-card-time is no time")
	case o.Sign != peer.SignCard && o.Sign != peer.SignDelegated:
		return errors.New("-sign is card or delegated")
	case o.Store != roles.InMemory && o.Store != roles.OnDisk:
		return errors.New("-store is memory or disk")
	case o.Job != roles.Messages && (o.Rate > 0 || o.ofPeak > 0 || o.Bulk || o.Card != roles.Soft || o.Store != roles.InMemory || o.RekeyMessages > 0):
		return errors.New("-rate, -bulk, -card, -store and -rekey-messages are for messages")
	case !o.rivals && (o.only != "" || o.file != ""):
		return errors.New("-only and -write are for -rivals")
	case o.rivals && (o.Job != roles.Messages || o.Rate > 0 || o.ofPeak > 0 || o.Bulk || o.cpuProfile != ""):
		return errors.New("-job, -rate, -bulk and -cpuprofile are not for -rivals, whose events have jobs and rates of their own")
	}
	_, err := o.Suites()
	return err
}

// beside is what is measured in turns with it, and under which settings; nothing where the name is empty.
func (o Options) beside() (name, system string, of roles.Settings) {
	of = o.Settings
	switch {
	case of.Job != roles.Messages && o.splice:
		return "plain QUIC", roles.Bare, of
	case of.Job != roles.Messages:
		return "", "", of
	case of.Store == roles.OnDisk:
		of.Store = roles.InMemory
		return "in memory", roles.Sinete, of
	case of.RekeyMessages > 0:
		of.RekeyMessages = roles.Never
		return "no new keys", roles.Sinete, of
	case of.Bulk:
		of.Bulk = false
		return "without the bulk", roles.Sinete, of
	case of.Card == roles.SoftHSM:
		of.Card = roles.Soft
		return "soft cards", roles.Sinete, of
	case of.CardTime > 0:
		of.CardTime = time.Millisecond
		return "cards that take 1 ms", roles.Sinete, of
	case o.splice:
		return "splice", roles.Splice, of
	}
	return "", "", of
}

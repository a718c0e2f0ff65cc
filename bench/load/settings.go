package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"sinete/internal/trialpki"
	"sinete/peer"
	"sinete/wire"
)

// Settings are what a measurement is made of. They are part of its result.
type Settings struct {
	Window        int              `json:"window"` // unacknowledged messages of a conversation
	Size          int              `json:"size"`   // bytes of text
	N             int              `json:"n"`      // messages of a run, all conversations together
	Conversations int              `json:"conversations"`
	Key           trialpki.KeyType `json:"key"`
	RelayKey      trialpki.KeyType `json:"relay_key"`
	Sign          peer.Signing     `json:"sign"`
	Suite         string           `json:"suite"` // empty: the best
	Store         string           `json:"store"`
	Dir           string           `json:"dir,omitempty"` // where stores on disk are; empty: a folder that is gone afterwards
	Runs          int              `json:"runs"`
	Splice        bool             `json:"splice"`
	Singly        bool             `json:"singly,omitempty"` // each message waits for a seal of its own
	RekeyMessages uint64           `json:"rekey_messages"`   // envelopes of an epoch; 0: what the programs have

	rivals     bool
	runFor     time.Duration // about, for each run of -rivals
	file       string        // for the result of -rivals, too
	json       bool
	cpuProfile string
}

// minSize is what a message's number takes, by which the receiver checks the order.
const minSize = 20

// parseSettings reads the command line.
func parseSettings(args []string, errors io.Writer) (Settings, error) {
	var s Settings
	var key, relayKey, sign string
	f := flag.NewFlagSet("load", flag.ContinueOnError)
	f.SetOutput(errors)
	keys := fmt.Sprintf("one of %v", trialpki.KeyTypes)
	f.IntVar(&s.Window, "window", 1024, "unacknowledged messages of a conversation")
	f.IntVar(&s.Size, "size", 256, "bytes of a message's text")
	f.IntVar(&s.N, "n", 100_000, "messages of a run, all conversations together")
	f.IntVar(&s.Conversations, "conversations", 1, "conversations, each between two peers of its own")
	f.StringVar(&key, "key", "p256", "key of the peers' cards: "+keys)
	f.StringVar(&relayKey, "relay-key", "p256", "key of the relay: "+keys)
	f.StringVar(&sign, "sign", "card", "who seals for the peers: card or delegated")
	f.StringVar(&s.Suite, "suite", "", "the one suite that all offer; empty offers all")
	f.StringVar(&s.Store, "store", "memory", "where peers keep messages: memory, or disk, which is measured beside memory")
	f.StringVar(&s.Dir, "dir", "", "folder for the stores on disk; empty makes one in the usual place for temporary files")
	f.IntVar(&s.Runs, "runs", 1, "measured runs; figures are their medians")
	f.BoolVar(&s.Splice, "splice", true, "measure a plain QUIC splice beside it, run by run")
	f.Uint64Var(&s.RekeyMessages, "rekey-messages", 0, "take new keys after so many envelopes, and measure the same without new keys in place of the splice")
	f.BoolVar(&s.rivals, "rivals", false, "measure the rivals in turns with it, with windows of 1, 64 and 1,024, against the budgets; -n does not count")
	f.DurationVar(&s.runFor, "for", time.Second, "with -rivals, about how long a run takes")
	f.StringVar(&s.file, "write", "", "with -rivals, file for its result as JSON, beside the table")
	f.BoolVar(&s.json, "json", false, "print one JSON object in place of the table")
	f.StringVar(&s.cpuProfile, "cpuprofile", "", "directory for a CPU profile of each process")
	if err := f.Parse(args); err != nil {
		return s, err
	}
	s.Key, s.RelayKey, s.Sign = trialpki.KeyType(key), trialpki.KeyType(relayKey), peer.Signing(sign)
	return s, s.check(f.Args())
}

func (s *Settings) check(rest []string) error {
	switch {
	case len(rest) > 0:
		return fmt.Errorf("%q: there are only flags", strings.Join(rest, " "))
	case s.Window < 1 || s.Window > wire.MaxUnacknowledged-1:
		return fmt.Errorf("-window must be from 1 to %d", wire.MaxUnacknowledged-1)
	case s.Size < minSize || s.Size > wire.MaxText:
		return fmt.Errorf("-size must be from %d to %d", minSize, wire.MaxText)
	case s.Conversations < 1 || s.N < s.Conversations || s.Runs < 1:
		return errors.New("-conversations and -runs must be positive, and -n at least as many as conversations")
	case !slices.Contains(trialpki.KeyTypes, s.Key) || !slices.Contains(trialpki.KeyTypes, s.RelayKey):
		return fmt.Errorf("-key and -relay-key are each one of %v", trialpki.KeyTypes)
	case s.Sign != peer.SignCard && s.Sign != peer.SignDelegated:
		return errors.New("-sign is card or delegated")
	case s.Store != inMemory && s.Store != onDisk:
		return errors.New("-store is memory or disk")
	}
	_, err := s.suites()
	return err
}

// What Settings.Store may be.
const (
	inMemory = "memory"
	onDisk   = "disk"
)

// never is more envelopes than any run has.
const never = 1 << 40

// limits is when everybody takes new keys; zero is as the programs do.
func (s *Settings) limits() (l wire.RekeyLimits) {
	if s.RekeyMessages > 0 {
		l = wire.RekeyLimits{Messages: s.RekeyMessages, Seconds: wire.DefaultRekeyAfter}
	}
	if s.RekeyMessages == never {
		l.Seconds = 1 << 30
	}
	return l
}

// beside is what is measured in turns with it, and under which settings; nothing where the name is empty.
func (s Settings) beside() (name, system string, of Settings) {
	switch {
	case s.Store == onDisk:
		s.Store = inMemory
		return "in memory", "sinete", s
	case s.RekeyMessages > 0:
		s.RekeyMessages = never
		return "no new keys", "sinete", s
	case s.Splice:
		return "splice", "splice", s
	}
	return "", "", s
}

// suites is what everybody offers; nil is all.
func (s *Settings) suites() ([]wire.Suite, error) {
	if s.Suite == "" {
		return nil, nil
	}
	suite, ok := wire.ParseSuite(s.Suite)
	if !ok {
		return nil, fmt.Errorf("-suite: there is no %q", s.Suite)
	}
	return []wire.Suite{suite}, nil
}

// each is how many messages of n the i-th conversation sends.
func (s *Settings) each(n, i int) int {
	each := n / s.Conversations
	if i < n%s.Conversations {
		each++
	}
	return each
}

// frameSize is how many bytes one message takes on a hop, its envelopes and the frame around them: what the splice sends.
func (s *Settings) frameSize() int {
	content := wire.Content{Type: wire.ContentText, Number: uint64(s.N), Text: strings.Repeat("0", s.Size)}
	header := wire.Header{Seq: uint64(s.N), Type: wire.EnvelopeContent}
	inner := len(header.Append(nil)) + len(content.Append(nil)) + wire.MinCiphertext
	header = wire.Header{Seq: uint64(s.N), Type: wire.EnvelopeInner}
	outer := len(header.Append(nil)) + inner + wire.MinCiphertext
	return len(wire.AppendFrameHeader(nil, wire.FrameEnvelope, outer)) + outer
}

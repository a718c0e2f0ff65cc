// Package roles is what the processes of bench/load do: servers, receivers and senders of this product, of its rivals, and of what it is
// compared with. Each is told over its standard input what to do.
//
// Most readers need Variable, Serve and Setup.
package roles

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"sinete/internal/trialpki"
	"sinete/peer"
	"sinete/wire"
)

// Settings are what a measurement is made of. They are part of its result.
type Settings struct {
	Job           Job              `json:"job"`
	Window        int              `json:"window"` // unacknowledged messages of a conversation, or logins under way at once
	Rate          float64          `json:"rate"`   // messages a second, of all conversations together; 0: as fast as the windows let
	Size          int              `json:"size"`   // bytes of text
	N             int              `json:"n"`      // messages of a run, all conversations together, or logins
	Conversations int              `json:"conversations"`
	Bulk          bool             `json:"bulk"` // one more pair pours out the largest texts meanwhile
	Key           trialpki.KeyType `json:"key"`
	RelayKey      trialpki.KeyType `json:"relay_key"`
	Card          string           `json:"card"`       // where people's keys are: Soft or SoftHSM
	CardTime      time.Duration    `json:"card_ns"`    // what a signature of a card takes longer than its key
	Sign          peer.Signing     `json:"sign"`       // who seals
	Suite         string           `json:"suite"`      // empty: the best
	Store         string           `json:"store"`      // InMemory or OnDisk
	Dir           string           `json:"dir"`        // where stores on disk are
	Singly        bool             `json:"singly"`     // each message waits for a seal of its own
	RekeyMessages uint64           `json:"rekey_msgs"` // envelopes of an epoch; 0: what the programs have
}

// Job is what is done so many times.
type Job string

// The jobs.
const (
	Messages Job = "messages" // texts that are sealed and receipted
	Logins   Job = "logins"   // whole handshakes, after which the client leaves
	Idle     Job = "idle"     // the same, but the clients stay
)

// What Settings.Store and Settings.Card may be.
const (
	InMemory = "memory"
	OnDisk   = "disk"
	Soft     = "soft"
	SoftHSM  = "softhsm" // in SoftHSM2, by PKCS #11
)

// MinSize is what a message's number takes, by which the receiver checks the order.
const MinSize = 20

// Never is more envelopes than any run has.
const Never = 1 << 40

// limits is when everybody takes new keys; zero is as the programs do.
func (s *Settings) limits() (l wire.RekeyLimits) {
	if s.RekeyMessages > 0 {
		l = wire.RekeyLimits{Messages: s.RekeyMessages, Seconds: wire.DefaultRekeyAfter}
	}
	if s.RekeyMessages == Never {
		l.Seconds = 1 << 30
	}
	return l
}

// Suites is what everybody offers; nil is all.
func (s *Settings) Suites() ([]wire.Suite, error) {
	if s.Suite == "" {
		return nil, nil
	}
	suite, ok := wire.ParseSuite(s.Suite)
	if !ok {
		return nil, fmt.Errorf("-suite: there is no %q", s.Suite)
	}
	return []wire.Suite{suite}, nil
}

// Pairs is how many conversations there are, that of the bulk included, which is the last.
func (s *Settings) Pairs() int {
	if s.Bulk {
		return s.Conversations + 1
	}
	return s.Conversations
}

// size is that of the texts in a conversation.
func (s *Settings) size(i int) int {
	if i == s.Conversations {
		return wire.MaxText
	}
	return s.Size
}

// FrameSize is how many bytes one message takes on a hop, its share of the envelopes and the frame around them: what the splice sends. Texts of a window
// share as many envelopes as they can.
func (s *Settings) FrameSize() int {
	n := max(1, min(s.Window, wire.MaxTexts, peer.SharedBytes/s.Size))
	text := wire.Content{Type: wire.ContentText, Number: uint64(s.N), Text: strings.Repeat("0", s.Size)}
	header, plain := wire.Header{Seq: uint64(s.N), Type: wire.EnvelopeContent}, text.Append(nil)
	if n > 1 {
		header.Type, header.Commitments = wire.EnvelopeTexts, make([][32]byte, n)
		plain = wire.AppendTexts(nil, slices.Repeat([]wire.Content{text}, n))
	}
	inner := len(header.Append(nil)) + len(plain) + wire.MinCiphertext
	header = wire.Header{Seq: uint64(s.N), Type: wire.EnvelopeInner}
	outer := len(header.Append(nil)) + inner + wire.MinCiphertext
	return (len(wire.AppendFrameHeader(nil, wire.FrameEnvelope, outer)) + outer) / n
}

// Package evidence says what a store's messages are proved by (protocol.md section 12).
//
// Most readers need Check.
package evidence

import (
	"bytes"
	"errors"
	"fmt"
	"iter"
	"time"

	"sinete/cardauth"
	"sinete/cardauth/seal"
	"sinete/peer/store"
	"sinete/wire"
)

// Report is what Check found.
type Report struct {
	Sent, Received int // texts that are proved; one that was sent again counts again
	Receipts       int // of the other persons, that agree with what was sent
	Faults         []Fault
}

// Fault is evidence that proves nothing.
type Fault struct {
	With    string // identity of the contact; empty where that is lost, too
	Channel [32]byte
	Own     bool
	Err     error
}

// Check verifies what a store holds in proof of messages (store.Store.Evidence), from the certificates up: chains by the policy at the time of the channel, transcripts,
// seals, commitments and authors, and that receipts name what was sent. Revocation is not asked about. The error is that of reading the store.
func Check(all iter.Seq2[store.Evidence, error], policy *cardauth.Policy) (*Report, error) {
	c := &checker{policy: *policy, verifier: seal.NewVerifier(1024), channels: map[[32]byte]*channel{}, report: &Report{}}
	c.policy.Revocation = cardauth.RevocationOff
	for e, err := range all {
		if err != nil {
			return nil, err
		}
		if err := c.check(&e); err != nil {
			c.report.Faults = append(c.report.Faults, Fault{e.Channel.With, e.Channel.ID, e.Own, err})
		}
	}
	return c.report, nil
}

type checker struct {
	policy   cardauth.Policy
	verifier *seal.Verifier
	channels map[[32]byte]*channel
	report   *Report
}

// channel is what is verified of a channel.
type channel struct {
	*store.Known
	err        error // why nothing of it proves anything
	own, other *side
}

// side is one of the two people, and what they sent.
type side struct {
	*cardauth.Party
	credentials wire.Credentials
	direction   wire.Direction
	signer      *seal.Signer // nil: no seal of theirs has shown its scheme yet
	parties     [32]byte     // of what they sent
	here        wire.Place   // after the last flight
	last        wire.Place   // the last of the epoch before, in which there was anything
	sealed      map[wire.Place]bool
}

func (c *checker) channel(k *store.Known) *channel {
	if ch := c.channels[k.ID]; ch != nil {
		return ch
	}
	ch := &channel{Known: k}
	c.channels[k.ID] = ch
	if ch.own, ch.err = c.side(k.Own, k.Role.Sends(), k.At); ch.err != nil {
		return ch
	}
	if ch.other, ch.err = c.side(k.Other, k.Role.Other().Sends(), k.At); ch.err != nil {
		return ch
	}
	if ch.other.Identity != k.With {
		ch.err = fmt.Errorf("the certificate of %s, and not of %s", ch.other.Identity, k.With)
	}
	ch.own.parties = wire.Parties(ch.own.Identity, ch.own.KeyHash, ch.other.Identity, ch.other.KeyHash)
	ch.other.parties = wire.Parties(ch.other.Identity, ch.other.KeyHash, ch.own.Identity, ch.own.KeyHash)
	return ch
}

func (c *checker) side(shown wire.Credentials, d wire.Direction, at time.Time) (*side, error) {
	c.policy.Now = func() time.Time { return at }
	party, err := c.policy.VerifyPerson(shown.Chain, nil)
	if err != nil {
		return nil, err
	}
	s := &side{Party: party, credentials: shown, direction: d, sealed: map[wire.Place]bool{}}
	if shown.Delegation != nil {
		signer, err := cardauth.VerifyDelegation(c.verifier, party, shown.Delegation, at, "")
		if err != nil {
			return nil, err
		}
		s.signer = &signer
	}
	return s, nil
}

func (c *checker) check(e *store.Evidence) error {
	ch := c.channel(e.Channel)
	if ch.err != nil {
		return ch.err
	}
	if e.Receipt != nil {
		return c.receipt(ch, e.Receipt)
	}
	author := ch.other
	if e.Own {
		author = ch.own
	}
	texts, err := c.flight(ch, author, e.Flight)
	if err != nil {
		return err
	}
	if e.Own {
		c.report.Sent += texts
	} else {
		c.report.Received += texts
	}
	return nil
}

func (c *checker) receipt(ch *channel, e *wire.SealEntry) error {
	if err := c.sealedBy(ch, ch.other, e); err != nil {
		return err
	}
	if !ch.own.sealed[e.Head.Yours] {
		return fmt.Errorf("a receipt for %d envelopes of epoch %d, of which no flight is stored", e.Head.Yours.Count, e.Head.Yours.Epoch)
	}
	c.report.Receipts++
	return nil
}

// sealedBy verifies a head of a side.
func (c *checker) sealedBy(ch *channel, s *side, e *wire.SealEntry) error {
	if e.Head.Channel != ch.ID || e.Head.Lane != 0 || e.Head.Role.Sends() != s.direction {
		return errors.New("the head of another lane")
	}
	if s.signer == nil {
		signer, err := s.Signer(e.Seal.Scheme, nil)
		if err != nil {
			return err
		}
		s.signer = &signer
	}
	return c.verifier.Verify(*s.signer, wire.PurposeHead, e.Statement, e.Seal)
}

// flight verifies a flight and returns how many texts it proves.
func (c *checker) flight(ch *channel, author *side, f *store.Flight) (texts int, err error) {
	end, err := ch.follow(author, f)
	if err != nil {
		return 0, err
	}
	if f.Seal.Head.Mine == nil || *f.Seal.Head.Mine != end && *f.Seal.Head.Mine != ch.begins(author, f.Epoch+1, end) {
		return 0, fmt.Errorf("a head that does not name the transcript after %d envelopes of epoch %d", end.Count, end.Epoch)
	}
	if err := c.sealedBy(ch, author, &f.Seal); err != nil {
		return 0, err
	}
	author.sealed[*f.Seal.Head.Mine] = true
	for i := range f.Envelopes {
		e := &f.Envelopes[i]
		if e.Is == store.IsGone {
			continue
		}
		if err := ch.opens(author, e); err != nil {
			return 0, fmt.Errorf("envelope %d of epoch %d: %w", f.First+uint64(i), f.Epoch, err)
		}
		if e.Text != nil {
			texts++
		}
	}
	return texts, nil
}

// follow computes the transcript over a flight. Where the one before it is there, it must begin where that ended.
func (ch *channel) follow(author *side, f *store.Flight) (end wire.Place, err error) {
	begin := wire.Place{Epoch: f.Epoch, Count: f.First, T: f.Before}
	if f.Epoch > author.here.Epoch {
		author.last = author.here
	}
	switch {
	case f.First == 0 && !ch.Trimmed && begin != ch.begins(author, f.Epoch, author.last):
		return end, errors.New("an epoch's transcript that does not begin as it must")
	case f.First > 0 && author.here.Epoch == f.Epoch && author.here.Count == f.First && author.here.T != f.Before:
		return end, errors.New("a transcript that does not go on where it ended")
	}
	end = begin
	for i := range f.Envelopes {
		end.T = wire.NextTranscript(end.T, f.Envelopes[i].Digest())
		end.Count++
	}
	author.here = end
	return end, nil
}

// begins is T(-1) of an epoch, where last is the end of the latest one before.
func (ch *channel) begins(author *side, epoch uint64, last wire.Place) wire.Place {
	return wire.Place{Epoch: epoch, T: wire.FirstTranscript(ch.Epochs[epoch], 0, author.direction, last.Count, last.T)}
}

// opens checks that an envelope commits its author to its content.
func (ch *channel) opens(author *side, e *store.Envelope) error {
	content := e.Content
	if e.Is == store.IsOwnText {
		if e.Text == nil {
			return errors.New("its text is lost")
		}
		content = (&wire.Content{Parties: author.parties, ID: e.Text.ID, Time: uint64(e.Text.Time.UnixMilli()), Type: wire.ContentText,
			Number: e.Text.Number, Text: e.Text.Text}).Append(nil)
	}
	if len(content) < 32 || !bytes.Equal(content[:32], author.parties[:]) {
		return errors.New("content that names other people")
	}
	n := len(e.Header) - 32
	if n < 0 || wire.Commitment(e.Opening, ch.ID, 0, author.direction, e.Header[:n], content) != [32]byte(e.Header[n:]) {
		return errors.New("another content than its author committed to")
	}
	return nil
}

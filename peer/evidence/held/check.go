// Package held verifies what a store keeps in proof of its messages, from the certificates up (docs/store.md, protocol.md section 12).
//
// Most readers need Check, for a whole store; package export picks from it with a Verifier.
package held

import (
	"errors"
	"fmt"
	"iter"

	"sinete/cardauth"
	"sinete/peer/evidence/internal/facts"
	"sinete/peer/store"
	"sinete/wire"
)

// Checked is what Check found.
type Checked struct {
	Sent, Received int // texts that are proved; one that was sent again counts again
	Receipts       int // of the other persons, that agree with what was sent
	Passages       int // seals of the relay's over what was sent and received
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
func Check(all iter.Seq2[store.Evidence, error], policy *cardauth.Policy) (*Checked, error) {
	c := &checker{Verifier: New(policy), lanes: map[[32]byte]*[2]lane{}, found: &Checked{}}
	for e, err := range all {
		if err != nil {
			return nil, err
		}
		if err := c.check(&e); err != nil {
			c.found.Faults = append(c.found.Faults, Fault{e.Channel.With, e.Channel.ID, e.Own, err})
		}
	}
	for _, p := range c.passages { // last, since they may stand before the flights that they speak of
		k := c.Known(p.Channel)
		switch proves, err := c.Passed(k, p.Passage, c.lanes[k.ID][k.Sends(p.Own)-1].digests); {
		case err != nil:
			c.found.Faults = append(c.found.Faults, Fault{k.With, k.ID, p.Own, err})
		case proves:
			c.found.Passages++
		}
	}
	return c.found, nil
}

type checker struct {
	*Verifier
	lanes    map[[32]byte]*[2]lane
	passages []store.Evidence
	found    *Checked
}

// lane is what was seen of one direction of a channel.
type lane struct {
	here    wire.Place // after the last flight
	last    wire.Place // the last of the epoch before, in which there was anything
	sealed  map[wire.Place]bool
	digests map[Position][32]byte // of the envelopes
}

func newLane() lane { return lane{sealed: map[wire.Place]bool{}, digests: map[Position][32]byte{}} }

func (c *checker) check(e *store.Evidence) error {
	k := c.Known(e.Channel)
	if k.Err != nil {
		return k.Err
	}
	lanes := c.lanes[k.ID]
	if lanes == nil {
		lanes = &[2]lane{newLane(), newLane()}
		c.lanes[k.ID] = lanes
	}
	if e.Receipt != nil {
		if err := c.SealedBy(k, k.Role.Other().Sends(), e.Receipt); err != nil {
			return err
		}
		if place := e.Receipt.Head.Yours; !lanes[k.Role.Sends()-1].sealed[place] {
			return fmt.Errorf("a receipt for %d envelopes of epoch %d, of which no flight is stored", place.Count, place.Epoch)
		}
		c.found.Receipts++
		return nil
	}
	if e.Passage != nil {
		c.passages = append(c.passages, *e)
		return nil
	}
	d := k.Sends(e.Own)
	l := &lanes[d-1]
	end, err := k.Follow(d, e.Flight)
	if err == nil {
		err = l.goesOn(k, d, e.Flight, end)
	}
	if err == nil {
		err = c.SealedBy(k, d, &e.Flight.Seal)
	}
	if err != nil {
		return err
	}
	l.sealed[*e.Flight.Seal.Head.Mine] = true
	for i := range e.Flight.Envelopes {
		l.digests[Position{e.Flight.Epoch, e.Flight.First + uint64(i)}] = e.Flight.Envelopes[i].Digest()
	}
	return c.texts(k, d, e)
}

// texts counts the texts that a flight proves.
func (c *checker) texts(k *Known, d wire.Direction, e *store.Evidence) error {
	n := 0
	for i := range e.Flight.Envelopes {
		env := &e.Flight.Envelopes[i]
		if env.Is == store.IsGone {
			continue
		}
		if err := k.Reads(d, env); err != nil {
			return fmt.Errorf("envelope %d of epoch %d: %w", e.Flight.First+uint64(i), e.Flight.Epoch, err)
		}
		if env.Text != nil {
			n++
		}
	}
	if e.Own {
		c.found.Sent += n
	} else {
		c.found.Received += n
	}
	return nil
}

// goesOn refuses a flight that does not begin where the one before it ended, if that is there.
func (l *lane) goesOn(k *Known, d wire.Direction, f *store.Flight, end facts.Transcript) error {
	if f.Epoch > l.here.Epoch {
		l.last = l.here
	}
	switch {
	case f.First == 0 && !k.Trimmed && f.Before != wire.FirstTranscript(k.Epochs[f.Epoch], 0, d, l.last.Count, l.last.T):
		return errors.New("an epoch's transcript that does not begin as it must")
	case f.First > 0 && l.here.Epoch == f.Epoch && l.here.Count == f.First && l.here.T != f.Before:
		return errors.New("a transcript that does not go on where it ended")
	}
	l.here = end.Place
	return nil
}

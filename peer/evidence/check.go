// Package evidence says what a store's messages are proved by, and makes evidence of them for whoever was not there: a bundle of files that is
// verified with nothing but a trust anchor (docs/evidence.md, protocol.md section 12).
//
// Most readers need Export and Verify; Check verifies what a whole store holds.
package evidence

import (
	"errors"
	"fmt"
	"iter"

	"sinete/cardauth"
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
	c := &checker{kept: newKept(policy), lanes: map[[32]byte]*[2]lane{}, found: &Checked{}}
	for e, err := range all {
		if err != nil {
			return nil, err
		}
		if err := c.check(&e); err != nil {
			c.found.Faults = append(c.found.Faults, Fault{e.Channel.With, e.Channel.ID, e.Own, err})
		}
	}
	for _, p := range c.passages { // last, since they may stand before the flights that they speak of
		k := c.known(p.Channel)
		switch proves, err := c.passed(k, p.Passage, c.lanes[k.ID][k.sends(p.Own)-1].digests); {
		case err != nil:
			c.found.Faults = append(c.found.Faults, Fault{k.With, k.ID, p.Own, err})
		case proves:
			c.found.Passages++
		}
	}
	return c.found, nil
}

type checker struct {
	*kept
	lanes    map[[32]byte]*[2]lane
	passages []store.Evidence
	found    *Checked
}

// lane is what was seen of one direction of a channel.
type lane struct {
	here    wire.Place // after the last flight
	last    wire.Place // the last of the epoch before, in which there was anything
	sealed  map[wire.Place]bool
	digests map[position][32]byte // of the envelopes
}

func newLane() lane { return lane{sealed: map[wire.Place]bool{}, digests: map[position][32]byte{}} }

func (c *checker) check(e *store.Evidence) error {
	k := c.known(e.Channel)
	if k.err != nil {
		return k.err
	}
	lanes := c.lanes[k.ID]
	if lanes == nil {
		lanes = &[2]lane{newLane(), newLane()}
		c.lanes[k.ID] = lanes
	}
	if e.Receipt != nil {
		if err := c.sealedBy(k, k.Role.Other().Sends(), e.Receipt); err != nil {
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
	d := k.sends(e.Own)
	l := &lanes[d-1]
	end, err := k.follow(d, e.Flight)
	if err == nil {
		err = l.goesOn(k, d, e.Flight, end)
	}
	if err == nil {
		err = c.sealedBy(k, d, &e.Flight.Seal)
	}
	if err != nil {
		return err
	}
	l.sealed[*e.Flight.Seal.Head.Mine] = true
	for i := range e.Flight.Envelopes {
		l.digests[position{e.Flight.Epoch, e.Flight.First + uint64(i)}] = e.Flight.Envelopes[i].Digest()
	}
	return c.texts(k, d, e)
}

// texts counts the texts that a flight proves.
func (c *checker) texts(k *known, d wire.Direction, e *store.Evidence) error {
	n := 0
	for i := range e.Flight.Envelopes {
		env := &e.Flight.Envelopes[i]
		if env.Is == store.IsGone {
			continue
		}
		if err := k.reads(d, env); err != nil {
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
func (l *lane) goesOn(k *known, d wire.Direction, f *store.Flight, end transcript) error {
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

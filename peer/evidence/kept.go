package evidence

import (
	"errors"
	"fmt"
	"time"

	"sinete/cardauth"
	"sinete/cardauth/seal"
	"sinete/peer/store"
	"sinete/wire"
)

// kept verifies what a store keeps.
type kept struct {
	policy   cardauth.Policy
	verifier *seal.Verifier
	channels map[[32]byte]*known
}

func newKept(policy *cardauth.Policy) *kept {
	k := &kept{*policy, seal.NewVerifier(1024), map[[32]byte]*known{}}
	k.policy.Revocation = cardauth.RevocationOff
	return k
}

// known is what a store knows of a channel, verified.
type known struct {
	*store.Known
	channel
	err     error      // why nothing of it proves anything
	signers [2]*signer // by direction
	sealed  [2]*wire.SealedDelegation

	relay    *signer // nil: not verified yet
	relayErr error   // why its certificates are refused
}

// sends is the direction of the owner, or of the other.
func (k *known) sends(own bool) wire.Direction {
	if own {
		return k.Role.Sends()
	}
	return k.Role.Other().Sends()
}

func (c *kept) known(s *store.Known) *known {
	k := c.channels[s.ID]
	if k == nil {
		k = &known{Known: s}
		k.err = c.meet(k)
		c.channels[s.ID] = k
	}
	return k
}

// meet verifies the two people.
func (c *kept) meet(k *known) error {
	for _, own := range []bool{true, false} {
		shown := k.Other
		if own {
			shown = k.Own
		}
		s, err := c.signer(&shown, k.At)
		if err != nil {
			return err
		}
		k.signers[k.sends(own)-1], k.sealed[k.sends(own)-1] = s, shown.Delegation
	}
	if other := k.signers[k.sends(false)-1]; other.Identity != k.With {
		return fmt.Errorf("the certificate of %s, and not of %s", other.Identity, k.With)
	}
	k.channel = channel{k.ID, k.signers[0].person, k.signers[1].person}
	return nil
}

// signer verifies what one side showed at that time.
func (c *kept) signer(shown *wire.Credentials, at time.Time) (*signer, error) {
	c.policy.Now = func() time.Time { return at }
	party, err := c.policy.VerifyPerson(shown.Chain, nil)
	if err != nil {
		return nil, err
	}
	card := &signer{person: personOf(party)}
	if shown.Delegation == nil {
		return card, nil
	}
	if err := card.verify(c.verifier, wire.PurposeDelegation, shown.Delegation.Statement, &shown.Delegation.Seal); err != nil {
		return nil, err
	}
	d, err := newDelegation(shown.Delegation.Statement, shown.Delegation.Seal.Time)
	return &signer{card.person, d}, err
}

// sealedBy verifies a head of the side that sends in that direction.
func (c *kept) sealedBy(k *known, d wire.Direction, e *wire.SealEntry) error {
	if err := k.sealedAs(d, &e.Head); err != nil {
		return err
	}
	return k.signers[d-1].verify(c.verifier, wire.PurposeHead, e.Statement, &e.Seal)
}

// follow computes the transcript over a flight, whose head must name its end.
func (k *known) follow(d wire.Direction, f *store.Flight) (end transcript, err error) {
	end = transcript{direction: d, Place: wire.Place{Epoch: f.Epoch, Count: f.First, T: f.Before}}
	for i := range f.Envelopes {
		end.add(f.Envelopes[i].Digest())
	}
	mine := f.Seal.Head.Mine
	if mine != nil && *mine == end.Place {
		return end, nil
	}
	next, err := end.in(f.Epoch+1, k.Epochs[f.Epoch+1])
	if mine == nil || err != nil || *mine != next.Place {
		return end, fmt.Errorf("a head that does not name the transcript after %d envelopes of epoch %d", end.Count, end.Epoch)
	}
	return end, nil
}

// reads checks that an envelope commits its author to its content.
func (k *known) reads(d wire.Direction, e *store.Envelope) error {
	content, err := k.content(d, e)
	if err != nil {
		return err
	}
	return k.opens(d, e.Header, e.Opening, content)
}

// content is what an envelope says.
func (k *known) content(d wire.Direction, e *store.Envelope) ([]byte, error) {
	if e.Is != store.IsOwnText {
		return e.Content, nil
	}
	if e.Text == nil {
		return nil, errors.New("its text is lost")
	}
	return (&wire.Content{Parties: k.parties(d), ID: e.Text.ID, Time: uint64(e.Text.Time.UnixMilli()), Type: wire.ContentText,
		Number: e.Text.Number, Text: e.Text.Text}).Append(nil), nil
}

package held

import (
	"errors"
	"fmt"
	"time"

	"sinete/cardauth"
	"sinete/cardauth/seal"
	"sinete/peer/evidence/internal/facts"
	"sinete/peer/store"
	"sinete/wire"
)

// Verifier verifies what a store keeps.
type Verifier struct {
	policy   cardauth.Policy
	seals    *seal.Verifier
	channels map[[32]byte]*Known
}

// New is one by a policy, of which neither the clock nor revocation counts.
func New(policy *cardauth.Policy) *Verifier {
	v := &Verifier{*policy, seal.NewVerifier(1024), map[[32]byte]*Known{}}
	v.policy.Revocation = cardauth.RevocationOff
	return v
}

// Known is what a store knows of a channel, verified.
type Known struct {
	*store.Known
	facts.Channel
	Err         error                     // why nothing of it proves anything
	Signers     [2]*facts.Signer          // by direction
	Delegations [2]*wire.SealedDelegation // likewise; nil: the card seals

	Relayer *facts.Signer // nil: Passed has not verified it yet
	noRelay error         // why its certificates are refused
}

// Sends is the direction of the owner, or of the other.
func (k *Known) Sends(own bool) wire.Direction {
	if own {
		return k.Role.Sends()
	}
	return k.Role.Other().Sends()
}

// Known verifies who the two people of a channel are, once.
func (v *Verifier) Known(s *store.Known) *Known {
	k := v.channels[s.ID]
	if k == nil {
		k = &Known{Known: s, Channel: facts.Channel{ID: s.ID}}
		k.Err = v.meet(k)
		v.channels[s.ID] = k
	}
	return k
}

// meet verifies the two people.
func (v *Verifier) meet(k *Known) error {
	for _, own := range []bool{true, false} {
		shown := k.Other
		if own {
			shown = k.Own
		}
		s, err := v.signer(&shown, k.At)
		if err != nil {
			return err
		}
		k.Signers[k.Sends(own)-1], k.Delegations[k.Sends(own)-1] = s, shown.Delegation
	}
	if other := k.Signers[k.Sends(false)-1]; other.Identity != k.With {
		return fmt.Errorf("the certificate of %s, and not of %s", other.Identity, k.With)
	}
	k.Initiator, k.Responder = k.Signers[0].Person, k.Signers[1].Person
	return nil
}

// signer verifies what one side showed at that time.
func (v *Verifier) signer(shown *wire.Credentials, at time.Time) (*facts.Signer, error) {
	v.policy.Now = func() time.Time { return at }
	party, err := v.policy.VerifyPerson(shown.Chain, nil)
	if err != nil {
		return nil, err
	}
	card := &facts.Signer{Person: facts.PersonOf(party)}
	if shown.Delegation == nil {
		return card, nil
	}
	if err := card.Verify(v.seals, wire.PurposeDelegation, shown.Delegation.Statement, &shown.Delegation.Seal); err != nil {
		return nil, err
	}
	d, err := facts.NewDelegation(shown.Delegation.Statement, shown.Delegation.Seal.Time)
	return &facts.Signer{Person: card.Person, By: d}, err
}

// SealedBy verifies a head of the side that sends in that direction.
func (v *Verifier) SealedBy(k *Known, d wire.Direction, e *wire.SealEntry) error {
	if err := k.SealedAs(d, &e.Head); err != nil {
		return err
	}
	return k.Signers[d-1].Verify(v.seals, wire.PurposeHead, e.Statement, &e.Seal)
}

// Follow computes the transcript over a flight, whose head must name its end.
func (k *Known) Follow(d wire.Direction, f *store.Flight) (end facts.Transcript, err error) {
	end = facts.Transcript{Direction: d, Place: wire.Place{Epoch: f.Epoch, Count: f.First, T: f.Before}}
	for i := range f.Envelopes {
		end.Add(f.Envelopes[i].Digest())
	}
	mine := f.Seal.Head.Mine
	if mine != nil && *mine == end.Place {
		return end, nil
	}
	next, err := end.In(f.Epoch+1, k.Epochs[f.Epoch+1])
	if mine == nil || err != nil || *mine != next.Place {
		return end, fmt.Errorf("a head that does not name the transcript after %d envelopes of epoch %d", end.Count, end.Epoch)
	}
	return end, nil
}

// Reads checks that an envelope commits its author to its content.
func (k *Known) Reads(d wire.Direction, e *store.Envelope) error {
	content, err := k.Content(d, e)
	if err != nil {
		return err
	}
	return k.Opens(d, e.Header, e.Opening, content)
}

// Content is what an envelope says.
func (k *Known) Content(d wire.Direction, e *store.Envelope) ([]byte, error) {
	if e.Is != store.IsOwnText {
		return e.Content, nil
	}
	if e.Text == nil {
		return nil, errors.New("its text is lost")
	}
	return (&wire.Content{Parties: k.Parties(d), ID: e.Text.ID, Time: uint64(e.Text.Time.UnixMilli()), Type: wire.ContentText,
		Number: e.Text.Number, Text: e.Text.Text}).Append(nil), nil
}

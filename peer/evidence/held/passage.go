package held

import (
	"fmt"
	"time"

	"sinete/cardauth"
	"sinete/peer/evidence/internal/facts"
	"sinete/peer/store"
	"sinete/wire"
)

// Position is that of an envelope in its author's direction of a conversation.
type Position struct{ Epoch, Number uint64 }

// relay verifies the certificates of a channel's relay, once, at the time of the channel.
func (v *Verifier) relay(k *Known) (*facts.Signer, error) {
	if k.Relayer == nil && k.noRelay == nil {
		var party *cardauth.Party
		v.policy.Now = func() time.Time { return k.At }
		if party, k.noRelay = v.policy.VerifyRelay(k.Relay.Chain, nil, k.Relay.Name); k.noRelay == nil {
			party.Name = facts.RelayName(party.Certificate, k.Relay.Name)
			k.Relayer = &facts.Signer{Person: facts.PersonOf(party)}
		}
	}
	return k.Relayer, k.noRelay
}

// Passed verifies what a head of the relay's says of messages, given the digests of those that are stored. proves is false where one of them is not,
// or not any more.
func (v *Verifier) Passed(k *Known, p *store.Passage, digests map[Position][32]byte) (proves bool, err error) {
	end := facts.Outer{Place: p.Before}
	for _, s := range p.Steps {
		if s.Count == 0 {
			end.Add(s.Digest)
			continue
		}
		for i := range uint64(s.Count) {
			digest, stored := digests[Position{s.Epoch, s.First + i}]
			if !stored {
				return false, nil
			}
			end.Around(digest)
		}
	}
	if !end.Named(&p.Seal.Head, p.Own) {
		return false, fmt.Errorf("a head of the relay's that does not name the transcript after %d envelopes of epoch %d", end.Count, end.Epoch)
	}
	relay, err := v.relay(k)
	if err != nil {
		return false, err
	}
	return true, relay.Verify(v.seals, wire.PurposeHead, p.Seal.Statement, &p.Seal.Seal)
}

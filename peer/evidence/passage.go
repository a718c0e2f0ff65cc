package evidence

import (
	"fmt"
	"time"

	"sinete/cardauth"
	"sinete/peer/store"
	"sinete/wire"
)

// position is that of an envelope in its author's direction of a conversation.
type position struct{ epoch, number uint64 }

// relay verifies the certificates of a channel's relay, once, at the time of the channel.
func (c *kept) relay(k *known) (*signer, error) {
	if k.relay == nil && k.relayErr == nil {
		var party *cardauth.Party
		c.policy.Now = func() time.Time { return k.At }
		if party, k.relayErr = c.policy.VerifyRelay(k.Relay.Chain, nil, k.Relay.Name); k.relayErr == nil {
			k.relay = &signer{person: personOf(party)}
		}
	}
	return k.relay, k.relayErr
}

// passed verifies what a head of the relay's says of messages, given the digests of those that are stored. proves is false where one of them is not,
// or not any more.
func (c *kept) passed(k *known, p *store.Passage, digests map[position][32]byte) (proves bool, err error) {
	end := outer{p.Before}
	for _, s := range p.Steps {
		if s.Count == 0 {
			end.add(s.Digest)
			continue
		}
		for i := range uint64(s.Count) {
			digest, stored := digests[position{s.Epoch, s.First + i}]
			if !stored {
				return false, nil
			}
			end.around(digest)
		}
	}
	if h := &p.Seal.Head; h.Role != wire.RoleResponder || !end.named(h, p.Own) {
		return false, fmt.Errorf("a head of the relay's that does not name the transcript after %d envelopes of epoch %d", end.Count, end.Epoch)
	}
	relay, err := c.relay(k)
	if err != nil {
		return false, err
	}
	return true, relay.verify(c.verifier, wire.PurposeHead, p.Seal.Statement, &p.Seal.Seal)
}

// outer is the transcript of a lane of the hop in one direction, followed from somewhere.
type outer struct{ wire.Place }

func (o *outer) add(digest [32]byte) {
	o.T = wire.NextTranscript(o.T, digest)
	o.Count++
}

// around moves on over an envelope around an inner one.
func (o *outer) around(inner [32]byte) { o.add(o.digest(inner)) }

// digest is that of the next envelope, if it is one around an inner one.
func (o *outer) digest(inner [32]byte) [32]byte {
	h := wire.Header{Epoch: o.Epoch, Seq: o.Count, Type: wire.EnvelopeInner}
	return wire.OuterDigestOfInner(h.Append(nil), inner)
}

// named reports whether a head of the relay's names this place: where a peer sent what leads here, the head acknowledges it.
func (o *outer) named(h *wire.Head, sent bool) bool {
	if sent {
		return h.Yours == o.Place
	}
	return h.Mine != nil && *h.Mine == o.Place
}

package evidence

import (
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
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
			party.Name = relayName(party.Certificate, k.Relay.Name)
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
	if !end.named(&p.Seal.Head, p.Own) {
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
	if h.Role != wire.RoleResponder {
		return false
	}
	if sent {
		return h.Yours == o.Place
	}
	return h.Mine != nil && *h.Mine == o.Place
}

// passage is what stands in a run for when a relay had messages.
type passage struct {
	outer
	sent  bool // to the relay, by the author; else by it, to the recipient
	first int  // of the report's messages
}

func (r *run) pass(w *words) error {
	if r.passage != nil {
		return errors.New("a passage within a passage")
	}
	d := wire.Direction(min(w.number(), 3))
	place := wire.Place{Epoch: w.number(), Count: w.number(), T: w.hash()}
	if d != 1 && d != 2 {
		w.fail("no such direction")
	}
	r.passage = &passage{outer{place}, d == wire.RoleInitiator.Sends(), len(r.book.report.Messages)}
	return w.done()
}

func (r *run) outer(w *words) error {
	if r.passage == nil {
		return errors.New("outside a passage")
	}
	r.passage.add(w.hash())
	return w.done()
}

func (r *run) relayed(w *words) error {
	p := r.passage
	t := r.book.tail(w)
	if err := w.done(); err != nil {
		return err
	}
	if err := t.holds(wire.PurposeHead, t); err != nil {
		return err
	}
	relay := slices.Index(r.book.relays, t.person)
	h, err := wire.ParseHead(t.statement)
	messages := r.book.report.Messages
	switch {
	case err != nil:
		return err
	case p == nil:
		return errors.New("outside a passage")
	case relay < 0:
		return fmt.Errorf("sealed by %s, who is no relay", t.Identity)
	case !p.named(&h, p.sent):
		return errors.New("the relay's head of another place")
	case p.first == len(messages):
		return errors.New("a passage without a message")
	}
	for i := p.first; i < len(messages); i++ {
		if messages[i].Relayed == nil {
			messages[i].Relayed = &Relayed{relay, t.time}
		}
	}
	r.passage = nil
	return nil
}

// relayName is a name in a relay's certificate, as it stands there, by which somebody meant the relay; empty where there is none that can be a word.
func relayName(c *x509.Certificate, meant string) string {
	for _, name := range c.DNSNames {
		if strings.EqualFold(name, meant) && strings.Trim(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-") == "" {
			return name
		}
	}
	for _, ip := range c.IPAddresses {
		if ip.Equal(net.ParseIP(meant)) {
			return ip.String()
		}
	}
	return ""
}

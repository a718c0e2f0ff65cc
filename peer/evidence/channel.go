package evidence

import (
	"bytes"
	"errors"
	"fmt"

	"sinete/wire"
)

// channel is a conversation's, between two verified people.
type channel struct {
	id                   [32]byte
	initiator, responder *person
}

// between are the author and the recipient of a direction.
func (c *channel) between(d wire.Direction) (author, recipient *person) {
	if d == wire.RoleInitiator.Sends() {
		return c.initiator, c.responder
	}
	return c.responder, c.initiator
}

// parties is what content of that direction begins with.
func (c *channel) parties(d wire.Direction) [32]byte {
	a, r := c.between(d)
	return wire.Parties(a.Identity, a.KeyHash, r.Identity, r.KeyHash)
}

// opens checks that the header of an envelope commits its author to a content, and that this names the two people.
func (c *channel) opens(d wire.Direction, header []byte, opening [32]byte, content []byte) error {
	parties := c.parties(d)
	if !bytes.HasPrefix(content, parties[:]) {
		return errors.New("content that names other people")
	}
	n := len(header) - 32
	if n < 0 || wire.Commitment(opening, c.id, 0, d, header[:n], content) != [32]byte(header[n:]) {
		return errors.New("another content than its author committed to")
	}
	return nil
}

// sealedAs checks that a head is one of somebody who sends in that direction, in lane 0 of this channel.
func (c *channel) sealedAs(d wire.Direction, h *wire.Head) error {
	if h.Channel != c.id || h.Lane != 0 || h.Role.Sends() != d {
		return errors.New("the head of another lane")
	}
	return nil
}

// transcript is that of one direction, followed from somewhere (protocol.md section 5.5).
type transcript struct {
	direction wire.Direction
	wire.Place
	last wire.Place // the end of the latest epoch before in which there was anything; Count 0: not known
}

func (t *transcript) add(digest [32]byte) {
	t.T = wire.NextTranscript(t.T, digest)
	t.Count++
}

// in is the transcript at the beginning of a later epoch.
func (t transcript) in(epoch uint64, th []byte) (transcript, error) {
	if t.Count > 0 {
		t.last = t.Place
	}
	switch {
	case epoch <= t.Epoch:
		return t, fmt.Errorf("epoch %d after epoch %d", epoch, t.Epoch)
	case t.last.Count == 0:
		return t, errors.New("an epoch whose beginning is not known")
	case len(th) == 0 || len(th) > 255:
		return t, fmt.Errorf("epoch %d, of which nothing is known", epoch)
	}
	t.Place = wire.Place{Epoch: epoch, T: wire.FirstTranscript(th, 0, t.direction, t.last.Count, t.last.T)}
	return t, nil
}

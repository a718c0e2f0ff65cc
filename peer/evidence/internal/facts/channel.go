package facts

import (
	"bytes"
	"errors"

	"sinete/wire"
)

// Channel is a conversation's, between two verified people.
type Channel struct {
	ID                   [32]byte
	Initiator, Responder *Person
}

// Between are the author and the recipient of a direction.
func (c *Channel) Between(d wire.Direction) (author, recipient *Person) {
	if d == wire.RoleInitiator.Sends() {
		return c.Initiator, c.Responder
	}
	return c.Responder, c.Initiator
}

// Parties is what content of that direction begins with.
func (c *Channel) Parties(d wire.Direction) [32]byte {
	a, r := c.Between(d)
	return wire.Parties(a.Identity, a.KeyHash, r.Identity, r.KeyHash)
}

// Opens checks that the header of an envelope commits its author to a content, and that this names the two people.
func (c *Channel) Opens(d wire.Direction, header []byte, opening [32]byte, content []byte) error {
	parties := c.Parties(d)
	if !bytes.HasPrefix(content, parties[:]) {
		return errors.New("content that names other people")
	}
	n := len(header) - 32
	if n < 0 || wire.Commitment(opening, c.ID, 0, d, header[:n], content) != [32]byte(header[n:]) {
		return errors.New("another content than its author committed to")
	}
	return nil
}

// SealedAs checks that a head is one of somebody who sends in that direction, in lane 0 of this channel.
func (c *Channel) SealedAs(d wire.Direction, h *wire.Head) error {
	if h.Channel != c.ID || h.Lane != 0 || h.Role.Sends() != d {
		return errors.New("the head of another lane")
	}
	return nil
}

package peer

import "sinete/wire"

// Comparison is what two people read to each other who want to know that nobody stands between them (protocol.md section 5.8).
type Comparison struct {
	Code string // six groups of five digits; the same on both sides where both counts are
	// Sent and Received count the envelopes of each direction, machine statements included, that the code stands for. The other person has them
	// the other way round.
	Sent, Received uint64
	Waiting        uint64 // envelopes of this side that the other has not acknowledged yet: the code does not stand for them
}

// Compare is the code of the conversation as it stands. It takes some ten milliseconds. The conversation must be established.
func (c *Conversation) Compare() Comparison {
	waiting, _ := c.inner.Sent.Unacknowledged()
	one, two := c.inner.Common()
	r := Comparison{Code: wire.ComparisonCode(c.channel.ID, one, two), Sent: one.Count, Received: two.Count, Waiting: waiting}
	if c.role == wire.RoleResponder {
		r.Sent, r.Received = r.Received, r.Sent
	}
	return r
}

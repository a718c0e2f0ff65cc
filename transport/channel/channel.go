package channel

import "sinete/wire"

// Channel is an established channel: the outcome of a handshake.
type Channel struct {
	ID    [32]byte // protocol.md section 3.7
	TH    []byte
	Role  wire.Role
	Suite wire.Suite

	p        parameters
	lanes    []byte            // hop: the epoch's lane secret
	messages *ConversationLane // conversation: lane 0
	machine  [2][32]byte       // conversation: MAC keys of machine frames, by direction
}

func newChannel(role wire.Role, suite wire.Suite, p parameters, kind wire.Kind, prk, th []byte) *Channel {
	c := &Channel{ID: wire.ChannelID(th), TH: th, Role: role, Suite: suite, p: p}
	if kind == wire.KindHop {
		c.lanes = p.expandLabel(prk, "lanes", th, p.hash().Size())
		return c
	}
	c.messages = c.newConversationLane(0, prk)
	for i := range c.machine {
		context := append(append([]byte(nil), th...), byte(i+1))
		copy(c.machine[i][:], p.expandLabel(prk, "machine", context, 32))
	}
	return c
}

// Erase clears the keys that the channel holds. Lanes of a hop made before go on working.
func (c *Channel) Erase() {
	clear(c.lanes)
	for i := range c.machine {
		clear(c.machine[i][:])
	}
	if c.messages != nil {
		c.messages.Erase()
	}
}

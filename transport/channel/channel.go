package channel

import (
	"sync"
	"sync/atomic"

	"sinete/wire"
)

// Channel is an established channel: the outcome of a handshake. Its methods may be called by any goroutine unless they say otherwise.
type Channel struct {
	ID    [32]byte // protocol.md section 3.7
	Role  wire.Role
	Suite wire.Suite

	p         parameters
	kind      wire.Kind         // of the first handshake
	messages  *ConversationLane // conversation: lane 0
	shown     [32]byte          // digest of what the other side showed and rekeyings must show again
	envelopes atomic.Uint64     // of the newest epoch

	mu      sync.Mutex
	epochs  []*epoch              // the one in use, and while it changes the next
	ours    bool                  // this side sends in the next already
	theirs  bool                  // so does the other
	asked   bool                  // a rekey-please has passed in this epoch
	hops    map[uint64]*HopLane   // hop: the lanes that have not ended
	early   map[uint64]*earlyLane // hop: lanes that switched named before their stream came
	highest uint64                // hop: the highest lane so far

	waitMu      sync.Mutex // taken last
	outstanding int        // what must happen before the channel is settled
	settled     chan struct{}
}

func newChannel(role wire.Role, suite wire.Suite, p parameters, kind wire.Kind, prk, th []byte) *Channel {
	c := &Channel{ID: wire.ChannelID(th), Role: role, Suite: suite, p: p, kind: kind, settled: make(chan struct{})}
	close(c.settled)
	c.epochs = []*epoch{c.newEpoch(0, prk, th)}
	if kind == wire.KindHop {
		c.hops = map[uint64]*HopLane{}
	} else {
		c.messages = c.newConversationLane(0, prk)
	}
	return c
}

// remember keeps what the other side showed in the first handshake.
func (c *Channel) remember(other wire.Credentials, d *wire.SealedDelegation) {
	c.shown = wire.SignerHash(other.Chain[0], statement(d))
}

// Erase clears the keys that the channel holds, but for those that lanes of a hop have: erase these one by one.
func (c *Channel) Erase() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, e := range c.epochs {
		e.erase()
	}
	c.epochs = c.epochs[len(c.epochs)-1:] // what is left has a number, and no keys
	c.ours = false
	c.early = nil
	if c.messages != nil {
		c.messages.Erase()
	}
}

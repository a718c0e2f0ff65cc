package channel

import (
	"crypto/hmac"
	"maps"
	"slices"

	"sinete/wire"
)

// epoch is what a channel keeps of one epoch beside the keys of its lanes (protocol.md section 9).
type epoch struct {
	number uint64
	th     []byte

	chain    []byte      // the next epoch's salt, until that has been used
	lanes    []byte      // hop: the lane secret
	machine  [2][32]byte // conversation: MAC keys of machine frames, by direction
	switched [2][32]byte // MAC keys of switched frames, by direction: of those that begin this epoch
	please   [32]byte    // MAC key of a rekey-please that ends it
}

func (c *Channel) newEpoch(number uint64, prk, th []byte) *epoch {
	e := &epoch{number: number, th: th, chain: c.p.expandLabel(prk, "chain", th, c.p.hash().Size())}
	c.p.expandInto(e.please[:], prk, "rekey please", th)
	for i := range e.switched {
		context := append(slices.Clone(th), byte(i+1))
		c.p.expandInto(e.switched[i][:], prk, "switched", context)
		if c.kind == wire.KindConversation {
			c.p.expandInto(e.machine[i][:], prk, "machine", context)
		}
	}
	if c.kind == wire.KindHop {
		e.lanes = c.p.expandLabel(prk, "lanes", th, c.p.hash().Size())
	}
	return e
}

func (e *epoch) erase() {
	clear(e.chain)
	clear(e.lanes)
	*e = epoch{number: e.number, th: e.th}
}

// Rekeying is what this side brings to the handshake of a rekeying: credentials as in the first handshake, but for staples. NewInitiator's
// Finish and NewResponder's Accept then return the same channel, which has the keys of the next epoch beside those in use.
func (c *Channel) Rekeying(credentials wire.Credentials, limits wire.RekeyLimits) Config {
	return Config{Kind: c.kind + wire.KindHopRekey - wire.KindHop, Suites: []wire.Suite{c.Suite}, Credentials: credentials, Limits: limits,
		Context: wire.RekeyContext{Channel: c.ID, TH: c.TH()}.Append(nil), of: c}
}

// begins is checked where a rekeying begins: there is one at a time.
func (c *Channel) begins() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.epochs) != 1 || !c.idle() {
		return wire.Errorf(wire.CodeUnexpected, "a rekeying where the one before is not done")
	}
	return nil
}

// checkRekey compares what the other side shows in a rekeying with what it showed at first.
func (c *Channel) checkRekey(creds wire.Credentials, offer []wire.Suite) error {
	if !slices.Equal(offer, []wire.Suite{c.Suite}) {
		return wire.Errorf(wire.CodeIntegrity, "a rekeying that offers other suites than the channel's")
	}
	if wire.SignerHash(creds.Chain[0], statement(creds.Delegation)) != c.shown {
		return wire.Errorf(wire.CodeWrongContext, "a rekeying with another certificate or delegation than the channel's")
	}
	return nil
}

func statement(d *wire.SealedDelegation) []byte {
	if d == nil {
		return nil
	}
	return d.Statement
}

// salt hands out the chain secret, once.
func (c *Channel) salt() ([]byte, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.epochs) != 1 || c.epochs[0].chain == nil {
		return nil, wire.Errorf(wire.CodeUnexpected, "a rekeying of a channel that has none of its secrets")
	}
	s := c.epochs[0].chain
	c.epochs[0].chain = nil
	return s, nil
}

// install adds the keys of the next epoch: from here on this side takes its envelopes.
func (c *Channel) install(prk, th []byte) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.epochs) != 1 {
		return wire.Errorf(wire.CodeUnexpected, "a rekeying of a channel that cannot take another epoch")
	}
	e := c.newEpoch(c.epochs[0].number+1, prk, th)
	c.epochs = append(c.epochs, e)
	c.ours, c.theirs, c.asked = false, false, false
	c.waits(2) // for both switched
	if c.messages != nil {
		c.messages.prepare(c, e, prk)
	}
	for _, l := range c.hops {
		if l.prepare(c.hopNext(e, l.ID)) {
			c.waits(1)
		}
	}
	return nil
}

// Switch moves everything that this side sends to the next epoch and returns the body of switched. I calls it once it has verified
// accept, R after Switched. In a conversation it is for the goroutine that seals. Errors: CodeUnexpected.
func (c *Channel) Switch() ([]byte, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.epochs) != 2 || c.ours || c.Role == wire.RoleResponder && !c.theirs {
		return nil, wire.Errorf(wire.CodeUnexpected, "a switch where none is due")
	}
	e := c.epochs[1]
	s := wire.Switched{Epoch: e.number}
	note := func(lane, last uint64) {
		if last > 0 {
			s.Lanes = append(s.Lanes, wire.LaneEnd{Lane: lane, Last: last})
		}
	}
	if c.messages != nil {
		note(0, c.messages.turnOut(e))
	}
	for _, id := range slices.Sorted(maps.Keys(c.hops)) {
		key, out := c.hopHalf(e, id, c.Role.Sends())
		note(id, c.hops[id].turnOut(e, key, out))
	}
	s.MAC = wire.RekeyMAC(&e.switched[c.Role-1], c.ID, s.AppendUnsigned(nil))
	c.ours = true
	c.envelopes.Store(0)
	c.switchedOver()
	return s.Append(nil), nil
}

// Switched takes the body of the other side's switched. In a conversation it is for the goroutine that opens, in order with the content.
// Errors: CodeMalformed, CodeUnexpected, CodeIntegrity; all are fatal to the channel.
func (c *Channel) Switched(body []byte) error {
	s, err := wire.ParseSwitched(body)
	if err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.epochs) != 2 || c.theirs || c.Role == wire.RoleInitiator && !c.ours || s.Epoch != c.epochs[1].number {
		return wire.Errorf(wire.CodeUnexpected, "a switch to epoch %d where none is due", s.Epoch)
	}
	e := c.epochs[1]
	if mac := wire.RekeyMAC(&e.switched[c.Role.Other()-1], c.ID, s.AppendUnsigned(nil)); !hmac.Equal(mac[:], s.MAC[:]) {
		return wire.Errorf(wire.CodeIntegrity, "the MAC of a switch is wrong")
	}
	if c.messages != nil {
		if len(s.Lanes) > 0 && s.Lanes[len(s.Lanes)-1].Lane > 0 {
			return wire.Errorf(wire.CodeIntegrity, "a switch of a lane that is not there")
		}
		if err := c.messages.turnIn(e, s.Last(0)); err != nil {
			return err
		}
	}
	for id, l := range c.hops {
		if err := l.ended(s.Last(id)); err != nil {
			return err
		}
	}
	c.keepEarly(s)
	c.theirs = true
	c.switchedOver()
	return nil
}

// keepEarly keeps the receiving keys of lanes that the other side has opened and this side has not seen yet.
func (c *Channel) keepEarly(s *wire.Switched) {
	if c.kind != wire.KindHop || c.Role != wire.RoleInitiator {
		return // the relay opens all streams itself
	}
	for _, l := range s.Lanes {
		if c.hops[l.Lane] != nil || l.Lane <= c.highest || len(c.early) == wire.MaxStreams {
			continue // it has ended, or is one too many
		}
		early := &earlyLane{last: l.Last, th: c.epochs[0].th}
		early.key, early.half = c.hopHalf(c.epochs[0], l.Lane, c.Role.Other().Sends())
		if c.early == nil {
			c.early = map[uint64]*earlyLane{}
		}
		c.early[l.Lane] = early
		c.waits(1)
	}
}

// switchedOver counts one of the two switches, and erases the old epoch behind the second.
func (c *Channel) switchedOver() {
	if c.ours && c.theirs {
		c.epochs[0].erase()
		c.epochs = c.epochs[1:]
	}
	c.arrived()
}

// Please is the body of rekey-please, by which R asks I to begin. Errors: CodeUnexpected.
func (c *Channel) Please() ([]byte, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.Role != wire.RoleResponder || len(c.epochs) != 1 || c.asked {
		return nil, wire.Errorf(wire.CodeUnexpected, "a rekey-please that has no place")
	}
	c.asked = true
	p := wire.RekeyPlease{Epoch: c.epochs[0].number}
	p.MAC = wire.RekeyMAC(&c.epochs[0].please, c.ID, wire.AppendVarint(nil, p.Epoch))
	return p.Append(nil), nil
}

// Asked takes the body of the other side's rekey-please. Errors: CodeMalformed, CodeUnexpected, CodeIntegrity.
func (c *Channel) Asked(body []byte) error {
	p, err := wire.ParseRekeyPlease(body)
	if err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.Role != wire.RoleInitiator || len(c.epochs) != 1 || c.asked || p.Epoch != c.epochs[0].number {
		return wire.Errorf(wire.CodeUnexpected, "a rekey-please that has no place")
	}
	c.asked = true
	if mac := wire.RekeyMAC(&c.epochs[0].please, c.ID, wire.AppendVarint(nil, p.Epoch)); !hmac.Equal(mac[:], p.MAC[:]) {
		return wire.Errorf(wire.CodeIntegrity, "the MAC of a rekey-please is wrong")
	}
	return nil
}

// Epoch is the number of the epoch that this side sends in.
func (c *Channel) Epoch() uint64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.sendingEpoch().number
}

// TH is the transcript hash of the epoch that this side sends in.
func (c *Channel) TH() []byte {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.sendingEpoch().th
}

// sendingEpoch is the one that this side sends in. c.mu is held.
func (c *Channel) sendingEpoch() *epoch {
	if c.ours {
		return c.epochs[len(c.epochs)-1]
	}
	return c.epochs[0]
}

// Envelopes counts what was sent and received since this side began to send in its epoch: what the limits of section 9.1 are held against.
func (c *Channel) Envelopes() uint64 { return c.envelopes.Load() }

// Settled is closed when no lane and no side is in an epoch that ends.
func (c *Channel) Settled() <-chan struct{} {
	c.waitMu.Lock()
	defer c.waitMu.Unlock()
	return c.settled
}

// waits says that n more things must happen before the channel is settled.
func (c *Channel) waits(n int) {
	c.waitMu.Lock()
	defer c.waitMu.Unlock()
	if c.outstanding == 0 {
		c.settled = make(chan struct{})
	}
	c.outstanding += n
}

// arrived says that one of them has. It may be called with a lane's mutex held.
func (c *Channel) arrived() {
	c.waitMu.Lock()
	defer c.waitMu.Unlock()
	if c.outstanding--; c.outstanding == 0 {
		close(c.settled)
	}
}

func (c *Channel) idle() bool {
	c.waitMu.Lock()
	defer c.waitMu.Unlock()
	return c.outstanding == 0
}

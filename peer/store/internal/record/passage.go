package record

import (
	"sinete/wire"
)

// Hop is the relay that a conversation goes through.
type Hop struct {
	Contact uint32
	Channel [32]byte // of the conversation
	Relay   string   // the name by which the owner meant it
	Chain   [][32]byte
}

// Passed is what proves by a seal of the relay's when it had messages.
type Passed struct {
	Contact uint32
	Passage Passage
}

// Passage is what went through a conversation's lane of the hop, in one direction, up to a head of the relay's (protocol.md section 12).
type Passage struct {
	Channel [32]byte   // of the conversation
	Own     bool       // the owner's went to the relay, and the head acknowledges it; else the contact's came from it, and the head closes its flight
	Before  wire.Place // of the lane, before the first step
	Steps   []Step
	Seal    wire.SealEntry // of the relay's head
}

// Step is outer envelopes that follow each other: around Count inner envelopes of the conversation, of whose epoch First came before; where Count is 0
// one around something else.
type Step struct {
	Epoch, First uint64
	Count        uint32
	Digest       [32]byte // of the one
}

func (c *Hop) Append(b []byte) []byte {
	b = append(appendContact(b, KindHop, c.Contact), c.Channel[:]...)
	b = append(appendText8(b, c.Relay), byte(len(c.Chain)))
	for _, h := range c.Chain {
		b = append(b, h[:]...)
	}
	return b
}

func (c *Hop) parse(r *reader) {
	c.Contact, c.Channel, c.Relay = r.u32(), r.hash(), string(r.opaque8())
	n := r.u8()
	if n > wire.MaxChain {
		r.fail("too many hashes")
	}
	for range n {
		c.Chain = append(c.Chain, r.hash())
	}
}

// Layout: [32] channel, u8 own, u64 epoch, u64 count, [32] T, u32 count of steps, each u32 count, then [32] digest where that is 0, else u64 epoch,
// u64 first; then the seal frame of the one head.
func (c *Passed) Append(b []byte) []byte {
	p := &c.Passage
	b = appendFlag(append(appendContact(b, KindPassed, c.Contact), p.Channel[:]...), p.Own)
	b = append(appendU64(appendU64(b, p.Before.Epoch), p.Before.Count), p.Before.T[:]...)
	b = appendU32(b, uint32(len(p.Steps)))
	for i := range p.Steps {
		s := &p.Steps[i]
		if b = appendU32(b, s.Count); s.Count == 0 {
			b = append(b, s.Digest[:]...)
		} else {
			b = appendU64(appendU64(b, s.Epoch), s.First)
		}
	}
	return wire.SealFrame{p.Seal}.Append(b)
}

func (c *Passed) parse(r *reader) {
	p := &c.Passage
	c.Contact, p.Channel, p.Own = r.u32(), r.hash(), r.flag()
	p.Before = wire.Place{Epoch: r.u64(), Count: r.u64(), T: r.hash()}
	for range r.u32() {
		if r.err != nil {
			return
		}
		s := Step{Count: r.u32()}
		if s.Count == 0 {
			s.Digest = r.hash()
		} else {
			s.Epoch, s.First = r.u64(), r.u64()
		}
		p.Steps = append(p.Steps, s)
	}
	if s := r.seal(r.rest()); s != nil {
		p.Seal = *s
	}
}

func (c *Hop) ContactNumber() *uint32    { return &c.Contact }
func (c *Passed) ContactNumber() *uint32 { return &c.Contact }

package peer

import (
	"context"
	"slices"

	"sinete/internal/link"
	"sinete/peer/store"
	"sinete/wire"
)

// passing follows a conversation's lane of the hop in one direction, for what proves by a seal of the relay's when it had a message. It is for stores
// on disk only, and one goroutine at a time.
type passing struct {
	here    wire.Place // the last that closes a flight
	flights []hopFlight
}

// hopFlight is a flight of the hop for which no head of the relay's has answered yet.
type hopFlight struct {
	before, closing wire.Place
	steps           []store.Step
}

// begin begins with a flight that closing closes; first is where the lane's epoch begins.
func (p *passing) begin(closing, first wire.Place) hopFlight {
	if p.here.Count > 0 && p.here.Epoch == closing.Epoch {
		first = p.here
	}
	return hopFlight{before: first, closing: closing}
}

// content is the flight's next n envelopes, around the conversation's next ones after a place.
func (f *hopFlight) content(before wire.Place, n int) {
	if k := len(f.steps); k > 0 {
		if s := &f.steps[k-1]; s.Count > 0 && s.Epoch == before.Epoch && s.First+uint64(s.Count) == before.Count {
			s.Count += uint32(n)
			return
		}
	}
	f.steps = append(f.steps, store.Step{Epoch: before.Epoch, First: before.Count, Count: uint32(n)})
}

// other is the flight's next envelope, which is none of the conversation's.
func (f *hopFlight) other(t wire.EnvelopeType, payload []byte) {
	h := wire.Header{Epoch: f.before.Epoch, Seq: f.before.Count + f.envelopes(), Type: t}
	f.steps = append(f.steps, store.Step{Digest: wire.OuterDigest(h.Append(nil), payload)})
}

func (f *hopFlight) envelopes() (n uint64) {
	for _, s := range f.steps {
		n += max(1, uint64(s.Count))
	}
	return n
}

// carries reports whether there are messages in the flight.
func (f *hopFlight) carries() bool {
	return slices.ContainsFunc(f.steps, func(s store.Step) bool { return s.Count > 0 })
}

// add takes a flight. One in or behind which the lane has come into another epoch is left out: nothing is said of it.
func (p *passing) add(f hopFlight) {
	if f.before.Epoch == f.closing.Epoch && f.before.Count+f.envelopes() == f.closing.Count {
		p.flights = append(p.flights, f)
	}
	p.here = f.closing
}

// answered takes what flights up to a place say of messages, now that a head of the relay's names it; nil where that is nothing.
func (p *passing) answered(at wire.Place) *store.Passage {
	k := 0
	for k < len(p.flights) && !p.flights[k].closing.After(at) {
		k++
	}
	flights := p.flights[:k]
	p.flights = p.flights[k:]
	if k == 0 || flights[k-1].closing != at {
		return nil
	}
	first := k - 1
	for first > 0 && flights[first-1].closing == flights[first].before {
		first--
	}
	for first < k && !flights[first].carries() {
		first++
	}
	if first == k {
		return nil
	}
	passage := &store.Passage{Before: flights[first].before}
	for _, f := range flights[first:] {
		passage.Steps = append(passage.Steps, f.steps...)
	}
	return passage
}

// flight sends a flight on the conversation's lane; own is the envelopes of the conversation in it, nil where there are none.
func (c *Conversation) flight(ctx context.Context, f link.Flight, own *store.Flight) error {
	if c.session.cfg.Store.OnDisk() {
		heads := f.Heads
		f.Heads = func(closing wire.Place) []wire.Head {
			c.goes(&f, own, closing)
			if heads == nil {
				return nil
			}
			return heads(closing)
		}
	}
	return c.lane.Flight(ctx, f)
}

// goes follows a flight that is sent.
func (c *Conversation) goes(sent *link.Flight, own *store.Flight, closing wire.Place) {
	c.mu.Lock()
	defer c.mu.Unlock()
	f := c.went.begin(closing, c.lane.First(wire.RoleInitiator.Sends()))
	for _, it := range sent.Items {
		f.other(it.Type, it.Payload)
	}
	if sent.Made > 0 {
		f.content(wire.Place{Epoch: own.Epoch, Count: own.First}, sent.Made)
	}
	c.went.add(f)
}

// taken keeps what the relay's acknowledgement of flights that were sent proves. c.mu is held.
func (c *Conversation) taken(e *wire.SealEntry) {
	if p := c.went.answered(e.Head.Yours); p != nil {
		p.Own = true
		c.passed(p, e)
	}
}

// comes begins to follow a flight that has come; nil where nobody wants to.
func (c *Conversation) comes(f *link.Received) *hopFlight {
	if !c.session.cfg.Store.OnDisk() || f.Closing == nil {
		return nil
	}
	h := c.in.came.begin(*f.Closing.Head.Mine, c.lane.First(wire.RoleResponder.Sends()))
	return &h
}

// follow is over a piece that the conversation has just taken.
func (c *Conversation) follow(f *hopFlight, p *link.Piece) {
	switch {
	case f == nil, p.Seals != nil:
	case p.Opened.Type == wire.EnvelopeInner:
		before := c.inner.Received.Here()
		before.Count -= uint64(p.Opened.Envelopes())
		f.content(before, p.Opened.Envelopes())
	default:
		f.other(p.Opened.Type, p.Opened.Payload)
	}
}

// came keeps what the relay's seal over a flight that has come proves.
func (c *Conversation) came(f *hopFlight, e *wire.SealEntry) {
	if f == nil {
		return
	}
	c.in.came.add(*f)
	if p := c.in.came.answered(f.closing); p != nil {
		c.passed(p, e)
	}
}

func (c *Conversation) passed(p *store.Passage, e *wire.SealEntry) {
	p.Channel, p.Seal = c.channel.ID, *e
	c.talk.Passed(p)
}

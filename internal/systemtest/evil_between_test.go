package systemtest

import (
	"crypto/rand"
	"slices"
	"sync"
	"testing"

	"sinete/cardauth"
	"sinete/peer"
	"sinete/peer/store"
	"sinete/transport/channel"
	"sinete/wire"
)

// between is a world with an evil relay, beside the honest one and under the same name and certificate, at which honest people have logged in.
type between struct {
	*world
	people []*lured
}

// lured is an honest person who takes the evil relay for the one that they mean.
type lured struct {
	*peer.Session
	end   *evil       // the relay's
	there peer.Config // for a login at the honest relay, with the same store
	card  cardauth.Card
}

// inBetween runs a test in virtual time, with alice, bob and carol at the evil relay and a canary at the honest one.
func inBetween(t *testing.T, test func(t *testing.T, w *between)) {
	t.Helper()
	besideHonest(t, func(t *testing.T, w *world, login func(there peer.Config) (*peer.Session, *evil)) {
		b := &between{world: w}
		for _, name := range []string{"alice", "bob", "carol"} {
			p := &lured{card: w.card(name)}
			p.there = w.config(p.card)
			p.there.Store = store.NewMemory()
			p.Session, p.end = login(p.there)
			b.people = append(b.people, p)
		}
		test(t, b)
	})
}

// flight is what one side of a conversation has sealed, on its way to the other.
type flight struct {
	from   int // whose: 0 asked for the conversation
	bodies [][]byte
	seals  []wire.SealEntry
}

// passage is a conversation through the evil relay, which tells neither side what the other says of its end.
type passage struct {
	ends  [2]*evil
	lanes [2]*evilLane
	talks [2]*peer.Conversation

	mu      sync.Mutex
	channel [32]byte                               // once a head has named it
	flights func(f flight) []flight                // what becomes of a flight; nil: it is passed on
	receipt func(from int, e *wire.SealEntry) bool // may change a head that only acknowledges, or withhold it (false); nil: it is passed on
}

// connects has one person ask for a conversation with another, and passes on what they say.
func (w *between) connects(t *testing.T, asking, asked int) *passage {
	t.Helper()
	p := &passage{ends: [2]*evil{w.people[asking].end, w.people[asked].end}}
	entry := func(of int) wire.PeerEntry {
		party, err := w.policy.VerifyPerson(w.people[of].card.Chain(), nil)
		must(t, err)
		return wire.PeerEntry{ID: uint32(of + 1), Name: party.Name, Identity: party.Identity, Certificate: party.CertificateHash, Suites: channel.Suites(), Send: true}
	}
	result := make(chan *peer.Conversation, 1)
	go func() {
		c, err := w.people[asking].Connect(t.Context(), uint32(asked+1), nil)
		if err != nil {
			t.Error(err)
		}
		result <- c
	}()
	end := p.ends[0]
	list := answerOf(end, func(wire.List) bool { return true })
	end.send(end.control, wire.EnvelopeControl, wire.Peers{Req: list.Req, Entries: []wire.PeerEntry{entry(asked)}}.Append(nil))
	connect := answerOf(end, func(wire.Connect) bool { return true })
	open := wire.Open{MayWrite: true, OtherMay: true}
	rand.Read(open.Conversation[:])
	for i, of := range []int{asking, asked} {
		stream, err := p.ends[i].conn.OpenStream(t.Context())
		must(t, err)
		p.lanes[i] = p.ends[i].lane(stream)
		open.Role, open.Other = wire.Role(i+1), entry(asking+asked-of)
		p.ends[i].send(p.lanes[i], wire.EnvelopeControl, open.Append(nil))
	}
	end.send(end.control, wire.EnvelopeControl, wire.Ringing{Req: connect.Req, Conversation: open.Conversation}.Append(nil))
	for i, e := range p.ends {
		e.running.Go(func() { p.carry(i) })
	}
	p.talks[0], p.talks[1] = soon(t, result), opened(t, w.people[asked].Session)
	return p
}

// carry passes on what comes from one side, until it ends.
func (p *passage) carry(from int) {
	e, f := p.ends[from], flight{from: from}
	for {
		a, more := e.find(func(a *arrival) bool {
			p.mu.Lock()
			defer p.mu.Unlock()
			switch {
			case a.stream == p.lanes[from].ID:
				return a.opened != nil || a.inner != nil || a.err != nil
			case a.inner != nil:
				return a.inner.Head.Channel == p.channel
			}
			return false
		})
		if more != nil {
			select {
			case <-more:
				continue
			case <-e.conn.Context().Done():
				return
			}
		}
		switch {
		case a.err != nil:
			return
		case a.opened != nil && a.opened.Type == wire.EnvelopeHandshake:
			_ = p.lanes[1-from].stream.Append(func(b []byte) []byte { return p.lanes[1-from].Seal(b, wire.EnvelopeHandshake, a.opened.Payload) })
			p.close(1-from, nil)
		case a.opened != nil:
			f.bodies = append(f.bodies, slices.Clone(a.opened.Payload))
		case a.inner.Head.Mine != nil:
			f.seals = append(f.seals, *a.inner)
			p.passes(f)
			f = flight{from: from}
		default:
			p.mu.Lock()
			receipt := p.receipt
			p.mu.Unlock()
			if receipt == nil || receipt(from, a.inner) {
				to := p.ends[1-from]
				to.write(to.control, *a.inner)
			}
		}
	}
}

// tamper sets what becomes of flights from now on.
func (p *passage) tamper(with func(f flight) []flight) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.flights = with
}

// receipts sets what becomes of heads that only acknowledge from now on.
func (p *passage) receipts(f func(from int, e *wire.SealEntry) bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.receipt = f
}

func (p *passage) passes(f flight) {
	p.mu.Lock()
	p.channel = f.seals[0].Head.Channel
	tamper := p.flights
	p.mu.Unlock()
	out := []flight{f}
	if tamper != nil {
		out = tamper(f)
	}
	for _, f := range out {
		lane := p.lanes[1-f.from]
		for _, body := range f.bodies {
			e, err := wire.ParseEnvelope(body)
			if err != nil {
				panic(err)
			}
			_ = lane.stream.Append(func(b []byte) []byte { return lane.SealInner(b, body, e.InnerDigests()) })
		}
		p.close(1-f.from, f.seals)
	}
}

// close seals for the relay what was written to one side, behind seals that are passed on. That a stream has ended is for the test to see elsewhere.
func (p *passage) close(to int, seals []wire.SealEntry) {
	e, lane := p.ends[to], p.lanes[to]
	e.write(lane, append(slices.Clone(seals), e.seal(e.sealer, lane.Closing())...)...)
}

package presence

import (
	"context"
	"math/rand/v2"
	"slices"
	"time"

	"sinete/peer"
	"sinete/peer/store"
	"sinete/wire"
)

// wanted is a conversation that should be there: nobody has ended it. The Presence's mu guards it.
type wanted struct {
	identity     string
	person       peer.Person
	suites       []wire.Suite       // that this user asked for; nil: what the session offers
	asks         bool               // this side asked first, so it asks again
	conversation *peer.Conversation // nil while it is broken
	opened       time.Time
	faults       int           // in a row
	asking       *peer.Session // in which somebody is at it
	again        bool          // and it was to be made again meanwhile
}

// want returns what is known of a conversation that should be there. mu is held.
func (p *Presence) want(person peer.Person) *wanted {
	w := p.wanted[person.Identity]
	if w == nil {
		w = &wanted{identity: person.Identity}
		p.wanted[person.Identity] = w
	}
	w.person = person
	return w
}

// wantAgain wants a conversation with somebody with whom there is none. mu is held.
func (p *Presence) wantAgain(c *store.Contact) {
	w := p.want(peer.Person{Identity: c.Identity, Name: c.Name()})
	w.asks = c.Asked() || !c.WasOpen()
}

// remember makes the conversations again that were open when the program ended without leaving them, and those for which messages wait.
func (p *Presence) remember(s *peer.Session) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, c := range p.cfg.Store.Contacts() {
		if c.WasOpen() || waits(c) {
			p.wantAgain(c)
			p.rebuild(s, p.wanted[c.Identity])
		}
	}
}

// waits reports whether messages wait for a contact, who may be nil.
func waits(c *store.Contact) bool {
	if c == nil {
		return false
	}
	n, _ := c.Waiting()
	return n > 0
}

// opened notes a conversation that is there, whoever asked for it, and follows it to its end.
func (p *Presence) opened(s *peer.Session, c *peer.Conversation) {
	p.mu.Lock()
	known := p.wanted[c.Person.Identity] != nil
	w := p.want(c.Person)
	if !known || w.opened.IsZero() {
		w.asks = c.Asked()
	}
	w.conversation, w.opened = c, time.Now()
	p.mu.Unlock()
	p.running.Go(func() {
		<-c.Ended()
		p.ended(s, c, w)
	})
}

// ended decides what becomes of a conversation that has ended.
func (p *Presence) ended(s *peer.Session, c *peer.Conversation, w *wanted) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if w.conversation != c || p.wanted[w.identity] != w {
		return // there is another one already
	}
	w.conversation = nil
	number, alive := c.Reason(), s.Alive()
	switch {
	case p.leaving != nil: // this side goes and comes back, and the other side was told that it left
		w.asks = true
		return
	case number == wire.CodeBye, number == wire.CodePeerLeft:
		delete(p.wanted, w.identity)
		return
	case alive && time.Since(w.opened) < enduring:
		w.faults++
	default:
		w.faults = 0
	}
	ends := number == wire.CodeCertificateExpired && c.Delegated()
	if !healsChannel(number) && !ends && !brokeRekeying(number) || w.faults > maxFaults {
		p.giveUp(w, number)
		return
	}
	if !p.away {
		p.rebuild(p.session, w) // the next one already, where this came late
	}
}

// giveUp leaves a conversation to the person. mu is held.
func (p *Presence) giveUp(w *wanted, number wire.Code) {
	if p.wanted[w.identity] != w {
		return // the person was faster
	}
	delete(p.wanted, w.identity)
	person := w.person
	p.running.Go(func() { p.put(&peer.GivenUp{Person: person, Number: number}) })
}

// rebuildAll makes the conversations again that broke with the session before.
func (p *Presence) rebuildAll(s *peer.Session) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, w := range p.wanted {
		if w.conversation == nil {
			p.rebuild(s, w)
		}
	}
}

// rebuild makes a conversation again, beside everything else. mu is held.
func (p *Presence) rebuild(s *peer.Session, w *wanted) {
	if w.asking == s {
		w.again = true
		return
	}
	w.asking, w.again = s, false
	p.running.Go(func() { p.asked(s, w, p.ask(s, w)) })
}

// asked takes the outcome of ask. What it made may have broken already, while it was still at it.
func (p *Presence) asked(s *peer.Session, w *wanted, number wire.Code) {
	p.mu.Lock()
	defer p.mu.Unlock()
	mine := w.asking == s
	if mine {
		w.asking = nil
	}
	switch {
	case number != wire.CodeBye:
		p.giveUp(w, number)
	case mine && w.again && !p.away && p.ctx.Err() == nil:
		p.rebuild(s, w)
	}
}

// ask asks for a conversation until it is there, or not wanted any more, or the session has ended (all CodeBye), or it is in vain (why).
func (p *Presence) ask(s *peer.Session, w *wanted) wire.Code {
	begun := time.Now()
	delay := rand.N(time.Second)
	if _, first, _ := p.broken(w); !first {
		delay += otherAsks
	}
	for tries := 0; ; tries++ {
		if p.sleepIn(s, delay) != nil {
			return wire.CodeBye
		}
		suites, _, still := p.broken(w)
		if !still {
			return wire.CodeBye
		}
		err := p.askOnce(s, w.identity, suites)
		if _, _, still = p.broken(w); err == nil || p.ctx.Err() != nil || !s.Alive() || !still {
			return wire.CodeBye
		}
		number := wire.CodeOf(err)
		p.cfg.Logger.Info("conversation not made again yet", "code", number.String())
		patient := waits(p.cfg.Store.Known(w.identity))
		if !healsChannel(number) || !patient && time.Since(begun) > rebuildFor || p.failed(w, number) > maxFaults {
			return number
		}
		delay = drawn(tries, longestWait)
	}
}

// failed counts an attempt in which a channel was begun and broke; somebody's not being there is none.
func (p *Presence) failed(w *wanted, number wire.Code) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch number {
	case wire.CodeUnknownPeer, wire.CodeAlreadyConnected, wire.CodeBusy, wire.CodeCut, wire.CodeSuperseded, wire.CodeTimeout, wire.CodePeerLeft:
	default:
		w.faults++
	}
	return w.faults
}

// broken reports whether a conversation is still to be made again, with which suites, and whether this side asks first.
func (p *Presence) broken(w *wanted) (suites []wire.Suite, asks, still bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return w.suites, w.asks, p.wanted[w.identity] == w && w.conversation == nil
}

// askOnce looks the person up, whose number may be another at a relay that was restarted, and asks.
func (p *Presence) askOnce(s *peer.Session, identity string, suites []wire.Suite) error {
	ctx, cancel := context.WithTimeout(p.ctx, wire.HandshakeSeconds*time.Second)
	defer cancel()
	people, err := s.List(ctx)
	if err != nil {
		return err
	}
	i := slices.IndexFunc(people, func(o peer.Person) bool { return o.Identity == identity })
	if i < 0 {
		return &peer.RefusedError{Number: wire.CodeUnknownPeer}
	}
	_, err = s.Connect(ctx, people[i].ID, suites)
	return err
}

// sleepIn waits, unless the person leaves or the session ends.
func (p *Presence) sleepIn(s *peer.Session, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-s.Done():
		return ErrAway
	case <-p.ctx.Done():
		return p.ctx.Err()
	}
}

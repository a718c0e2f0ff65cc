package peer

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"sync"
	"time"

	"sinete/internal/link"
	"sinete/peer/store"
	"sinete/transport/channel"
	"sinete/wire"
)

// incoming is the receiving side of a conversation. What mu does not guard is the reader's.
type incoming struct {
	flight      *store.Flight  // that no inner seal covers yet
	envelopes   int            // of the flight before: about what the next will hold
	plain       []byte         // of the last envelope where nothing keeps it; the next takes its room
	others      []wire.Content // in it, that are no texts
	machineSeen bool           // they said which machine they speak from
	noticedSeen bool           // they said that they noticed another one of this user's
	heard       chan struct{}  // closed when machineSeen is set
	verified    *uint64        // number of their last text whose seals were verified
	handshaken  bool           // the last message of their side of the first handshake has come
	over        chan struct{}  // closed when the reader is done
	came        passing

	more    chan struct{} // raised when there is more to store
	mu      sync.Mutex
	waiting []sealedFlight // to be stored
}

// sealedFlight is a flight whose seals have been verified, and the place that it ends at. flight is nil where a head seals nothing new.
type sealedFlight struct {
	flight *store.Flight
	place  wire.Place
}

func newIncoming() *incoming {
	return &incoming{heard: make(chan struct{}), over: make(chan struct{}), more: make(chan struct{}, 1)}
}

func (in *incoming) put(f sealedFlight) {
	in.mu.Lock()
	defer in.mu.Unlock()
	in.waiting = append(in.waiting, f)
	raise(in.more)
}

func (in *incoming) takeAll() []sealedFlight {
	in.mu.Lock()
	defer in.mu.Unlock()
	all := in.waiting
	in.waiting = nil
	return all
}

// deliver takes a verified flight of the hop. Errors of the conversation end it and nothing else.
func (c *Conversation) deliver(f *link.Received) error {
	passes := c.comes(f)
	for i := range f.Pieces {
		if err := c.take(&f.Pieces[i]); err != nil {
			c.fail(err)
			return &endedError{wire.CodeOf(err)}
		}
		c.follow(passes, &f.Pieces[i])
	}
	if c.in.flight != nil {
		c.fail(wire.Errorf(wire.CodeUnsealed, "content under the relay's seal, and not under its author's"))
		return &endedError{wire.CodeUnsealed}
	}
	c.came(passes, f.Closing)
	if c.isEstablished() {
		c.keys.Note()
	}
	if !c.session.cfg.Store.OnDisk() { // which keeps their headers
		f.Free()
	}
	return c.lane.Confirm()
}

func (c *Conversation) take(p *link.Piece) error {
	switch {
	case p.Seals != nil:
		for i := range p.Seals {
			if err := c.sealed(&p.Seals[i]); err != nil {
				return err
			}
		}
		return nil
	case p.Opened.Type == wire.EnvelopeHandshake:
		f, err := wire.ParseFrame(bytes.Clone(p.Opened.Payload)) // it outlives the flight
		if err != nil {
			return err
		}
		if f.Type == wire.FrameMachine {
			return c.machineFrame(f.Body)
		}
		if c.in.handshaken { // of a rekeying, then
			if err := c.waitEstablished(); err != nil {
				return err
			}
			return c.keys.Frame(f)
		}
		c.in.handshaken = f.Type == wire.FrameProof || f.Type == wire.FrameAccept
		select {
		case c.frames <- f:
			return nil
		default:
			return wire.Errorf(wire.CodeUnexpected, "more handshake messages than a handshake has")
		}
	case p.Opened.Type == wire.EnvelopeInner:
		return c.content(&p.Opened)
	}
	return wire.Errorf(wire.CodeUnexpected, "an envelope of type %d in a conversation", p.Opened.Type)
}

// waitEstablished is for what can only follow accept: the driver is just about to have a channel.
func (c *Conversation) waitEstablished() error {
	select {
	case <-c.established:
		return nil
	default: // a select of two costs more, for each message
	}
	select {
	case <-c.established:
		return nil
	case <-c.ctx.Done():
		return context.Cause(c.ctx)
	}
}

func (c *Conversation) content(o *channel.Opened) error {
	if err := c.waitEstablished(); err != nil {
		return err
	}
	if n, bytes := c.inner.Received.Unacknowledged(); n+uint64(o.Envelopes()) > wire.MaxUnacknowledged || bytes > wire.MaxUnackedBytes {
		return wire.Errorf(wire.CodeLimitExceeded, "%d messages of %d bytes unacknowledged", n, bytes)
	}
	if c.in.flight == nil {
		here := c.inner.Received.Here()
		c.in.flight = &store.Flight{Channel: c.channel.ID, Epoch: here.Epoch, First: here.Count, Before: here.T,
			Envelopes: make([]store.Envelope, 0, c.in.envelopes)}
	}
	if o.Inner.Header.Type == wire.EnvelopeTexts {
		return c.texts(o)
	}
	room := c.in.plain[:0]
	if c.session.cfg.Store.OnDisk() {
		room = nil // what it keeps
	}
	plain, opening, err := c.inner.Open(room, &o.Inner, o.Digests[0])
	if err != nil {
		return err
	}
	content, err := wire.ParseContent(plain)
	if err != nil {
		return err
	}
	if content.Parties != c.fromUs {
		return wire.Errorf(wire.CodeIntegrity, "content that names other people")
	}
	var e store.Envelope
	if c.session.cfg.Store.OnDisk() {
		e = store.Envelope{Header: o.Inner.RawHeader, Ciphertext: sha256.Sum256(o.Inner.Ciphertext), Opening: opening, Content: plain}
	} else {
		c.in.plain = plain
	}
	if content.Type == wire.ContentText {
		e.Text = c.text(content, o.Inner.Header.Label)
	} else {
		c.in.others = append(c.in.others, *content)
	}
	c.in.flight.Envelopes = append(c.in.flight.Envelopes, e)
	return nil
}

// texts takes an envelope that several share.
func (c *Conversation) texts(o *channel.Opened) error {
	texts, openings, room, err := c.inner.OpenTexts(c.in.plain, &o.Inner, o.Digests)
	c.in.plain = room
	if err != nil {
		return err
	}
	if texts[0].Parties != c.fromUs {
		return wire.Errorf(wire.CodeIntegrity, "texts that name other people")
	}
	var ciphertext [32]byte
	if c.session.cfg.Store.OnDisk() {
		ciphertext = sha256.Sum256(o.Inner.Ciphertext)
	}
	for i := range texts {
		var e store.Envelope
		if c.session.cfg.Store.OnDisk() {
			header := o.Inner.Header.At(i)
			e = store.Envelope{Header: header.Append(nil), Ciphertext: ciphertext, Opening: openings[i], Content: texts[i].Append(nil)}
		}
		e.Text = c.text(&texts[i], o.Inner.Header.Label)
		c.in.flight.Envelopes = append(c.in.flight.Envelopes, e)
	}
	return nil
}

// text is what they wrote, under that label.
func (c *Conversation) text(content *wire.Content, label wire.Level) *store.Text {
	t := store.TextOf(content, label)
	t.Labelled = !t.Label.Equal(c.Person.Level)
	return t
}

// sealed takes a head of the other side that stands on this stream: what it covers may be stored and shown.
func (c *Conversation) sealed(e *wire.SealEntry) error {
	if err := c.waitEstablished(); err != nil {
		return err
	}
	if err := c.head(e); err != nil {
		if _, told := errors.AsType[*link.ForkError](err); !told && e.Head.Mine != nil {
			c.running.Go(func() { c.searchFork(e) })
		}
		return err
	}
	if e.Head.Mine == nil {
		return nil
	}
	f := sealedFlight{c.in.flight, *e.Head.Mine}
	if f.flight != nil {
		f.flight.Seal = *e
		c.in.envelopes = len(f.flight.Envelopes)
		for i := range f.flight.Envelopes {
			if t := f.flight.Envelopes[i].Text; t != nil {
				c.in.verified = &t.Number
			}
		}
	}
	for _, other := range c.in.others {
		switch other.Type {
		case wire.ContentMachine:
			if err := c.speaksFrom(other.Machine); err != nil {
				return err
			}
		case wire.ContentNoticed:
			if err := c.noticed(other.Machine); err != nil {
				return err
			}
		case wire.ContentBye: // closed with peer-left follows, from the relay
			c.byeSeen.Store(true)
		}
	}
	c.in.flight, c.in.others = nil, nil
	c.in.put(f)
	return nil
}

// keep stores what has been verified, and then shows it, until the reader is done. Only this conversation waits for the disk, or for a program
// that does not take what has come: what is not stored is not acknowledged, so no more than section 10 allows can wait here.
func (c *Conversation) keep() {
	for last := false; !last; {
		select {
		case <-c.in.more:
		case <-c.in.over:
			last = true
		}
		if flights := c.in.takeAll(); len(flights) > 0 && !c.storeAll(flights) {
			return
		}
	}
}

// storeAll stores flights, however long it takes, and reports whether it did before the conversation ended.
func (c *Conversation) storeAll(waiting []sealedFlight) bool {
	var flights []*store.Flight
	for _, w := range waiting {
		if w.flight != nil {
			flights = append(flights, w.flight)
		}
	}
	for c.contact.Full() {
		select {
		case <-c.contact.Taken():
		case <-c.ctx.Done():
			return false
		}
	}
	place := waiting[len(waiting)-1].place
	warned := false
	for {
		to, err := c.talk.Receive(flights...)
		if err == nil {
			c.show(to, func() { c.stored(place) })
			return true
		}
		if !warned {
			warned = true
			c.session.cfg.Logger.Warn("what came cannot be stored", "with", c.Person.ID, "err", err)
			c.events.put(storeWarning(err))
		}
		select {
		case <-time.After(storeAgain):
		case <-c.ctx.Done():
			return false
		}
	}
}

const storeAgain = time.Second // after the disk refused

func storeWarning(err error) *Warning {
	text := "what comes is not shown before it can be stored: " + err.Error()
	if _, full := errors.AsType[*store.FullError](err); full {
		return &Warning{"store-full", text}
	}
	return &Warning{"store-failed", text}
}

// show hands out the texts among the first to that nobody has taken yet, be it in this conversation or another one.
func (c *Conversation) show(to uint64, taken func()) {
	if !c.contact.Untaken(to) {
		c.events.whenTaken(taken)
		return
	}
	c.events.putTexts(&texts{contact: c.contact, to: to}, taken)
}

// stored acknowledges everything up to a place, once the program has taken it.
func (c *Conversation) stored(p wire.Place) {
	if c.ctx.Err() != nil {
		return
	}
	if err := c.inner.Confirm(p); err != nil {
		c.fail(err)
		return
	}
	if c.MayWrite {
		c.session.link.Acknowledge(c.inner)
	} else {
		raise(c.owed)
	}
}

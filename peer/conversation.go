package peer

import (
	"context"
	"maps"
	"sync"
	"sync/atomic"
	"time"

	"sinete/cardauth"
	"sinete/internal/link"
	"sinete/peer/store"
	"sinete/transport/channel"
	"sinete/wire"
)

// Conversation is a conversation with one person, end to end encrypted and sealed.
type Conversation struct {
	ID       [16]byte
	Person   Person
	MayWrite bool       // the flow policy lets this user write to them
	OtherMay bool       // and them to this user
	Level    wire.Level // of this user, as long as the conversation lasts

	session *Session
	lane    *link.Lane
	role    wire.Role
	contact *store.Contact // set before established is closed
	feed    *store.Feed    // likewise
	suites  []wire.Suite
	chosen  [32]byte        // hash of the certificate that must answer, where this user asked
	frames  chan wire.Frame // of the handshake lane, for its driver

	// Set before established is closed.
	established    chan struct{}
	channel        *channel.Channel
	keys           *link.Rekeyer
	inner          *channel.ConversationLane
	other          *link.Other
	toThem, fromUs [32]byte // parties of what is sent, and of what is received

	rekeying *handshakeLane
	events   *queue
	room     chan struct{} // raised when H3 has made room
	progress chan struct{} // raised at each H3
	byeAsked chan struct{} // closed when this user leaves: what is queued goes out, then bye
	byeOnce  sync.Once
	byeSent  chan struct{} // closed when bye has been sealed, or cannot be

	byeSeen     atomic.Bool // they said that they leave
	machineSeen bool        // they sent a machine frame; the reader's
	verified    *uint64     // number of their last text whose seals were verified; the reader's
	handshaken  bool        // the last message of their side of the first handshake has come; the reader's

	arrived []arrival // of the flight that no inner seal covers yet; the reader's

	mu       sync.Mutex
	flights  []sentFlight
	receipts map[Stage]uint64 // next number of each stage
	stalled  *time.Timer

	ctx     context.Context
	cancel  context.CancelCauseFunc
	endOnce sync.Once
	number  wire.Code
	ended   chan struct{} // closed when nothing of the conversation runs any more
	running sync.WaitGroup
}

// sentFlight ties a flight's two places to the last message in it.
type sentFlight struct {
	hop, inner wire.Place
	next       uint64 // number after the last text in it or before it
	texts      bool
}

// arrival is a content of the other side that waits for its seal.
type arrival struct {
	content *wire.Content
	label   wire.Level
}

// endedError is what a reader says that stopped because its conversation did.
type endedError struct{ number wire.Code }

func (e *endedError) Error() string { return "the conversation has ended: " + e.number.String() }

// Code returns why.
func (e *endedError) Code() wire.Code { return e.number }

// begin takes the relay's open.
func (s *Session) begin(lane *link.Lane, open wire.Open) (*Conversation, error) {
	c := &Conversation{ID: open.Conversation, Person: s.person(open.Other), MayWrite: open.MayWrite, OtherMay: open.OtherMay, Level: open.Level,
		session: s, lane: lane, role: open.Role, suites: s.cfg.Suites,
		chosen: open.Other.Certificate, frames: make(chan wire.Frame, 4), established: make(chan struct{}), events: newQueue(),
		room: make(chan struct{}, 1), progress: make(chan struct{}, 1), byeAsked: make(chan struct{}), byeSent: make(chan struct{}),
		receipts: map[Stage]uint64{}, ended: make(chan struct{})}
	c.rekeying = &handshakeLane{conversation: c, more: make(chan struct{}, 1)}
	c.ctx, c.cancel = context.WithCancelCause(s.link.Context())
	unasked := false
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, o := range s.conversations {
		if o.ID == c.ID {
			return nil, wire.Errorf(wire.CodeUnexpected, "two conversations of the same id")
		}
		if o.Person.Identity == c.Person.Identity { // it has ended, and this side was not told yet
			number := wire.CodeCut
			if o.byeSeen.Load() {
				number = wire.CodePeerLeft
			}
			s.running.Go(func() { o.end(number, true) })
		}
	}
	if open.Role == wire.RoleInitiator {
		unasked = !s.attempts[c.Person.Identity].opens(c)
	}
	s.conversations[c.ID] = c
	c.running.Add(1) // the reader
	c.running.Go(func() {
		if unasked { // whoever asked has given up meanwhile; or nobody has, and no card signs for that
			c.end(wire.CodeTimeout, true)
			return
		}
		c.drive()
	})
	s.running.Go(func() {
		c.running.Wait()
		c.finish()
	})
	return c, nil
}

func (c *Conversation) readerDone() { c.running.Done() }

// drive makes the channel, then sends until the conversation ends.
func (c *Conversation) drive() {
	ctx, cancel := context.WithTimeoutCause(c.ctx, wire.HandshakeSeconds*time.Second,
		wire.Errorf(wire.CodeTimeout, "the conversation's handshake took too long"))
	err := c.handshake(ctx)
	cancel()
	if err == nil {
		expiry := time.AfterFunc(time.Until(c.other.Until()), func() { c.end(wire.CodeCertificateExpired, true) })
		defer expiry.Stop()
		c.running.Go(c.recheck)
		err = c.send()
	}
	if err != nil && c.ctx.Err() == nil {
		c.session.cfg.Logger.Info("conversation ends", "with", c.Person.ID, "err", err)
		c.end(wire.CodeOf(err), true)
	}
}

func (c *Conversation) handshake(ctx context.Context) error {
	s := c.session
	config := channel.Config{Kind: wire.KindConversation, Suites: c.suites, Credentials: s.self.shown(), Limits: s.cfg.Limits}
	who := link.Acquaintance{Verifier: s.verifier, Now: time.Now, Meet: c.meet, Settle: s.cfg.Policy.Settle,
		Deployed: func(name string) bool { return s.relay.Certificate.VerifyHostname(name) == nil }}
	var ch *channel.Channel
	var other *link.Other
	var inForce wire.RekeyLimits
	var err error
	if c.role == wire.RoleInitiator {
		config.Context = wire.ConversationContext{Conversation: c.ID, Asking: s.own.Identity, AskedFor: c.Person.Identity}.Append(nil)
		var parameters []byte
		ch, other, parameters, err = link.Initiate(ctx, inHop{c}, link.Initiation{Config: config, Acquaintance: who,
			Seal: func(ctx context.Context, th2 []byte) (wire.Seal, *wire.SealedDelegation, error) {
				own, err := link.SealHandshake(ctx, s.self.sealer, wire.PurposeInitiator, th2)
				return own, nil, err
			}})
		if err == nil {
			inForce, err = checkLimits(parameters, s.cfg.Limits)
		}
	} else {
		ch, other, err = link.Respond(ctx, inHop{c}, link.Response{Config: config, Acquaintance: who,
			Context: c.checkContext,
			Admit: func(_ context.Context, _ *link.Other, h *wire.Hello) ([]byte, error) {
				inForce = h.Limits.Smaller(s.cfg.Limits)
				return wire.AppendConversationParameters(nil, inForce), nil
			},
			Seal: func(ctx context.Context, th3 []byte) (wire.Seal, error) {
				return link.SealHandshake(ctx, s.self.sealer, wire.PurposeResponder, th3)
			},
		})
	}
	if err != nil {
		return err
	}
	c.channel, c.inner, c.other = ch, ch.Conversation(), other
	c.keys = link.NewRekeyer(c.ctx, ch, s.self.sealer, c.rekeying, c.conversationRekeys(who, inForce))
	c.Person.Name = other.Name // by the certificate, whatever the relay's list said
	c.toThem = wire.Parties(s.own.Identity, s.own.KeyHash, other.Identity, other.KeyHash)
	c.fromUs = wire.Parties(other.Identity, other.KeyHash, s.own.Identity, s.own.KeyHash)
	s.mu.Lock()
	if c.ctx.Err() != nil { // end has been here: there may be a successor already, whose the outbox is
		s.mu.Unlock()
		return context.Cause(c.ctx)
	}
	s.byChannel[ch.ID] = c
	c.contact = s.cfg.Store.Contact(c.Person.Identity)
	c.feed = c.contact.Feed()
	s.mu.Unlock()
	close(c.established)
	s.events.put(&Opened{c})
	return nil
}

// checkLimits wants the limits in force to be the smaller of both sides': none beyond what this side proposed.
func checkLimits(parameters []byte, proposed wire.RekeyLimits) (wire.RekeyLimits, error) {
	l, err := wire.ParseConversationParameters(parameters)
	if err == nil && l != l.Smaller(proposed) {
		err = wire.Errorf(wire.CodeIntegrity, "rekey limits beyond those proposed")
	}
	return l, err
}

// meet verifies the other person's certificates: they must be of the identity, and where this user asked, of the very certificate that
// the list showed.
func (c *Conversation) meet(_ context.Context, creds wire.Credentials) (*cardauth.Party, error) {
	party, err := c.session.cfg.Policy.VerifyPerson(creds.Chain, creds.Staples)
	if err != nil {
		return nil, err
	}
	if party.Identity != c.Person.Identity || party.CertificateHash != c.chosen {
		return nil, wire.Errorf(wire.CodeWrongContext, "%s answers in place of %s", party.Identity, c.Person.Identity)
	}
	return party, nil
}

func (c *Conversation) checkContext(h *wire.Hello) (deployment string, err error) {
	got, err := wire.ParseConversationContext(h.Context)
	if err != nil {
		return "", err
	}
	if got != (wire.ConversationContext{Conversation: c.ID, Asking: c.Person.Identity, AskedFor: c.session.own.Identity}) {
		return "", wire.Errorf(wire.CodeWrongContext, "a hello for another conversation")
	}
	return "", nil
}

// inHop carries the handshake of a conversation in envelopes of the hop.
type inHop struct{ c *Conversation }

func (m inHop) Send(ctx context.Context, f wire.Frame) error {
	return m.c.lane.Flight(ctx, link.Flight{Items: []link.Item{{Type: wire.EnvelopeHandshake, Payload: f.Append(nil)}}})
}

func (m inHop) Receive(ctx context.Context) (wire.Frame, error) {
	select {
	case f := <-m.c.frames:
		return f, nil
	case <-ctx.Done():
		return wire.Frame{}, context.Cause(ctx)
	}
}

// deliver takes a verified flight of the hop. Errors of the conversation end it and nothing else.
func (c *Conversation) deliver(f *link.Received) error {
	for i := range f.Pieces {
		if err := c.take(&f.Pieces[i]); err != nil {
			c.session.cfg.Logger.Info("conversation ends", "with", c.Person.ID, "err", err)
			c.end(wire.CodeOf(err), true)
			return &endedError{wire.CodeOf(err)}
		}
	}
	if len(c.arrived) > 0 {
		c.end(wire.CodeUnsealed, true)
		return &endedError{wire.CodeUnsealed}
	}
	if c.isEstablished() {
		c.keys.Note()
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
		f, err := wire.ParseFrame(p.Opened.Payload)
		if err != nil {
			return err
		}
		if f.Type == wire.FrameMachine {
			return c.machineFrame(f.Body)
		}
		if c.handshaken { // of a rekeying, then
			if err := c.waitEstablished(); err != nil {
				return err
			}
			return c.keys.Frame(f)
		}
		c.handshaken = f.Type == wire.FrameProof || f.Type == wire.FrameAccept
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
	case <-c.ctx.Done():
		return context.Cause(c.ctx)
	}
}

func (c *Conversation) content(o *channel.Opened) error {
	if err := c.waitEstablished(); err != nil {
		return err
	}
	if n, bytes := c.inner.Received.Unacknowledged(); n >= wire.MaxUnacknowledged || bytes > wire.MaxUnackedBytes {
		return wire.Errorf(wire.CodeLimitExceeded, "%d messages of %d bytes unacknowledged", n, bytes)
	}
	plain, _, err := c.inner.Open(nil, &o.Inner, o.Digest)
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
	c.arrived = append(c.arrived, arrival{content, o.Inner.Header.Label})
	return nil
}

// sealed takes a head of the other side that stands on this stream: what it covers may be shown.
func (c *Conversation) sealed(e *wire.SealEntry) error {
	if err := c.waitEstablished(); err != nil {
		return err
	}
	if err := c.head(e); err != nil {
		return err
	}
	if e.Head.Mine == nil {
		return nil
	}
	var texts []store.Text
	for _, a := range c.arrived {
		switch a.content.Type {
		case wire.ContentText:
			c.verified = &a.content.Number
			texts = append(texts, store.Text{ID: a.content.ID, Number: a.content.Number, Time: time.UnixMilli(int64(a.content.Time)),
				Text: a.content.Text, Label: a.label})
		case wire.ContentMachine:
			c.speaksFrom(a.content.Machine)
		case wire.ContentBye: // closed with peer-left follows, from the relay
			c.byeSeen.Store(true)
		}
	}
	c.arrived = nil
	place := *e.Head.Mine
	c.show(c.contact.Receive(texts), func() { c.stored(place) })
	return nil
}

// show hands out the texts before to that nobody has taken yet, be it in this conversation or another one.
func (c *Conversation) show(to uint64, taken func()) {
	if c.contact.Unshown(to) == 0 {
		c.events.whenTaken(taken)
		return
	}
	c.events.putTexts(&texts{c.contact, to}, taken)
}

// stored acknowledges everything up to a place, once the program has taken it.
func (c *Conversation) stored(p wire.Place) {
	if c.ctx.Err() != nil {
		return
	}
	if err := c.inner.Confirm(p); err != nil {
		c.end(wire.CodeOf(err), true)
		return
	}
	c.session.link.Acknowledge(c.inner)
}

// head verifies a seal of the other side and checks its head.
func (c *Conversation) head(e *wire.SealEntry) error {
	if err := link.VerifyHead(c.session.verifier, c.other.Signer, e); err != nil {
		return err
	}
	_, acked, err := c.inner.Check(e.Head)
	if err == nil && acked {
		c.confirmed(e.Head.Yours)
	}
	return err
}

// acknowledged takes a head from the control stream: H3.
func (c *Conversation) acknowledged(e *wire.SealEntry) {
	if c.ctx.Err() != nil {
		return
	}
	err := c.head(e)
	if err == nil && e.Head.Mine != nil {
		err = wire.Errorf(wire.CodeUnexpected, "a head on the control stream that signs envelopes")
	}
	if err != nil {
		c.end(wire.CodeOf(err), true)
	}
}

func (c *Conversation) machineFrame(body []byte) error {
	m, err := wire.ParseMachineFrame(body)
	if err != nil {
		return err
	}
	if c.machineSeen {
		return wire.Errorf(wire.CodeUnexpected, "a second machine frame")
	}
	c.machineSeen = true
	if err := c.waitEstablished(); err != nil {
		return err
	}
	if err := c.channel.CheckMachine(m); err != nil {
		return err
	}
	c.speaksFrom(wire.Machine{Hash: m.Hash})
	return nil
}

func (c *Conversation) speaksFrom(m wire.Machine) {
	s := &MachineStatement{Known: MachineNew, Description: m.Description}
	switch before := c.contact.SpeaksFrom(store.Machine(m)); {
	case before == nil:
	case before.Hash == m.Hash:
		s.Known = MachineKnown
	default:
		s.Known, s.Before = MachineChanged, before.Description
	}
	c.events.put(s)
	if to := c.contact.Came(); c.contact.Unshown(to) > 0 { // of a conversation before, whose events nobody may take any more
		c.events.putTexts(&texts{c.contact, to}, nil)
	}
}

// Next waits for the next event: *Message, *Receipt, *MachineStatement, *Warning, and at the end *Closed. Taking a message
// acknowledges it to its author.
func (c *Conversation) Next(ctx context.Context) (Event, error) { return c.events.take(ctx) }

// Ended is closed when the conversation has ended and nothing of it runs any more; then Reason says why.
func (c *Conversation) Ended() <-chan struct{} { return c.ended }

// Reason is why the conversation has ended, as in Closed.
func (c *Conversation) Reason() wire.Code { return c.reason() }

// Asked reports whether this side asked for the conversation.
func (c *Conversation) Asked() bool { return c.role == wire.RoleInitiator }

// Suite is the conversation's, once it is established.
func (c *Conversation) Suite() wire.Suite { return c.channel.Suite }

// Delegated reports whether the other person seals with a key that their card delegated to, rather than with the card.
func (c *Conversation) Delegated() bool { return c.other.Delegated }

func (c *Conversation) isEstablished() bool {
	select {
	case <-c.established:
		return c.ctx.Err() == nil
	default:
		return false
	}
}

func (c *Conversation) reason() wire.Code {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.number
}

// end ends the conversation, once. tell says so to the relay, which tells the other side.
func (c *Conversation) end(number wire.Code, tell bool) {
	c.endOnce.Do(func() {
		if number == wire.CodePeerLeft && c.OtherMay && c.isEstablished() && !c.byeSeen.Load() {
			number = wire.CodeCut // the relay says that they left, and they have not (section 7.4)
		}
		c.mu.Lock()
		c.number = number
		if c.stalled != nil {
			c.stalled.Stop()
		}
		c.mu.Unlock()
		s := c.session
		c.cancel(&endedError{number})
		s.mu.Lock()
		delete(s.conversations, c.ID)
		maps.DeleteFunc(s.byChannel, func(_ [32]byte, other *Conversation) bool { return other == c })
		s.mu.Unlock()
		if tell {
			_ = s.link.Send(wire.Disconnect{Req: s.nextReq(), Conversation: c.ID, Number: number}) // the link's failure says the same
		}
		c.lane.Stream.Cancel(number)
		c.lane.Drop()
	})
}

// finish is called when reader and driver are done.
func (c *Conversation) finish() {
	c.end(link.EndCode(c.session.ending(c.session.link.Err())), false) // they may have ended with the session, before it got round to its conversations
	if c.channel != nil {
		c.keys.Close()
		c.channel.Erase()
	}
	queued := 0
	if contact := c.session.cfg.Store.Known(c.Person.Identity); contact != nil {
		queued, _ = contact.Waiting()
	}
	c.events.put(&Closed{c.reason(), queued, c.verified})
	close(c.ended)
}

func (s *Session) nextReq() uint64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.req++
	return s.req
}

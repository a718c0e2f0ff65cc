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
	events  *queue

	handshaking
	established chan struct{}
	found       atomic.Uint32 // a wire.Code: of Shown
	secured                   // set before established is closed
	sending
	in *incoming
	leaving

	ctx     context.Context
	cancel  context.CancelCauseFunc
	endOnce sync.Once
	mu      sync.Mutex
	closed  Closed        // why it ended: Number and Why; mu guards it
	ended   chan struct{} // closed when nothing of the conversation runs any more
	running sync.WaitGroup
}

// handshaking is what a conversation's handshakes need.
type handshaking struct {
	role     wire.Role
	suites   []wire.Suite
	chosen   [32]byte        // hash of the certificate that must answer, where this user asked
	frames   chan wire.Frame // of the handshake lane, for its driver
	rekeying *handshakeLane
}

// secured is what the first handshake gives.
type secured struct {
	contact        *store.Contact
	talk           *store.Talk
	channel        *channel.Channel
	keys           *link.Rekeyer
	inner          *channel.ConversationLane
	other          *link.Other
	shown          wire.Credentials // theirs, of the first handshake
	newest         *link.Newest     // of their heads
	toThem, fromUs [32]byte         // parties of what is sent, and of what is received
}

// sending is the sending side of a conversation. The conversation's mu guards flights, went, granted, receipts and stalled.
type sending struct {
	room     chan struct{} // raised when H3 has made room
	progress chan struct{} // raised at each H3
	owed     chan struct{} // raised when there is more to acknowledge, where this user may not write
	flights  []sentFlight
	granted  []wire.Level // labels below this user's level that the relay lets through
	went     passing
	receipts map[Stage]uint64 // next number of each stage
	stalled  *time.Timer

	acknowledges time.Duration // how long the relay lately had a flight before its acknowledgement went; mu guards it
	paced        *time.Timer   // the driver's: fires when the next flight may go

	perEnvelope time.Duration // the driver's: what an envelope of the last long flight took, QUIC's taking it from there included; 0 before the first

	saidMachine, saidNoticed bool // the driver's: sayMachines has
}

// leaving is how a conversation ends in order.
type leaving struct {
	byeAsked chan struct{} // closed when this user leaves: what is queued goes out, then bye
	byeOnce  sync.Once
	byeSent  chan struct{} // closed when bye has been sealed, or cannot be
	byeSeen  atomic.Bool   // they said that they leave
}

// sentFlight ties a flight's two places to the last message in it.
type sentFlight struct {
	hop, inner wire.Place
	next       uint64 // number after the last text in it or before it
	texts      bool
	began      time.Time      // when its seal was asked for
	answered   bool           // by the relay or by the other person
	noticed    *store.Machine // what it tells of, if it does
}

// endedError is what a reader says that stopped because its conversation did.
type endedError struct{ number wire.Code }

func (e *endedError) Error() string { return "the conversation has ended: " + e.number.String() }

// Code returns why.
func (e *endedError) Code() wire.Code { return e.number }

// begin takes the relay's open.
func (s *Session) begin(lane *link.Lane, open wire.Open) (*Conversation, error) {
	c := &Conversation{ID: open.Conversation, Person: s.person(open.Other), MayWrite: open.MayWrite, OtherMay: open.OtherMay, Level: open.Level,
		session: s, lane: lane, events: newQueue(), established: make(chan struct{}), in: newIncoming(), ended: make(chan struct{})}
	c.handshaking = handshaking{role: open.Role, suites: s.cfg.Suites, chosen: open.Other.Certificate, frames: make(chan wire.Frame, 4),
		rekeying: &handshakeLane{conversation: c, more: make(chan struct{}, 1)}}
	c.sending = sending{room: make(chan struct{}, 1), progress: make(chan struct{}, 1), owed: make(chan struct{}, 1), receipts: map[Stage]uint64{}, paced: time.NewTimer(0)}
	c.byeAsked, c.byeSent = make(chan struct{}), make(chan struct{})
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

func (c *Conversation) readerDone() {
	close(c.in.over)
	c.running.Done()
}

// drive makes the channel, then sends until the conversation ends.
func (c *Conversation) drive() {
	ctx, cancel := context.WithTimeoutCause(c.ctx, wire.HandshakeSeconds*time.Second,
		wire.Errorf(wire.CodeTimeout, "the conversation's handshake took too long"))
	err := c.handshake(ctx)
	cancel()
	if err == nil {
		expiry := time.AfterFunc(time.Until(c.other.Until()), func() { c.end(wire.CodeCertificateExpired, true) })
		defer expiry.Stop()
		c.running.Go(func() {
			defer c.recheck()()
			<-c.ctx.Done() // which comes later than the last that this side sends
		})
		if !c.MayWrite {
			c.failWaiting()
			c.running.Go(c.acknowledgeAlone)
		}
		err = c.send()
	}
	if err != nil && c.ctx.Err() == nil {
		c.fail(err)
	}
}

func (c *Conversation) handshake(ctx context.Context) error {
	s := c.session
	var shown wire.Credentials
	config := channel.Config{Kind: wire.KindConversation, Suites: c.suites, Credentials: s.self.shown(), Limits: s.cfg.Limits}
	who := link.Acquaintance{Verifier: s.verifier, Now: time.Now, Meet: func(ctx context.Context, creds wire.Credentials) (*cardauth.Party, error) {
		shown = creds
		return c.meet(ctx, creds)
	}, Settle: s.cfg.Policy.Settle,
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
				own, err := link.SealHandshake(ctx, s.self.sealer, wire.PurposeInitiator, th2, !c.MayWrite)
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
				return link.SealHandshake(ctx, s.self.sealer, wire.PurposeResponder, th3, !c.MayWrite)
			},
		})
	}
	if err != nil {
		return err
	}
	who.Meet = c.meet // in rekeyings
	c.channel, c.inner, c.other, c.shown, c.newest = ch, ch.Conversation(), other, shown, &link.Newest{}
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
	c.contact = s.cfg.Store.Contact(other.Identity, other.Name)
	c.talk = c.contact.Talk(store.Channel{ID: ch.ID, Role: c.role, Suite: ch.Suite, TH: ch.TH(), Own: config.Credentials, Other: shown,
		OwnLevel: c.Level, OtherLevel: c.Person.Level, Relay: store.Relay{Name: s.relay.Name, Chain: s.relay.Chain}})
	s.mu.Unlock()
	if err := c.talk.Save(); err != nil {
		c.events.put(storeWarning(err))
	}
	c.running.Go(c.keep)
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
	return m.c.flight(ctx, link.Flight{Items: []link.Item{{Type: wire.EnvelopeHandshake, Payload: f.Append(nil)}}}, nil)
}

func (m inHop) Receive(ctx context.Context) (wire.Frame, error) {
	select {
	case f := <-m.c.frames:
		return f, nil
	case <-ctx.Done():
		return wire.Frame{}, context.Cause(ctx)
	}
}

// head verifies a seal of the other side and checks its head.
func (c *Conversation) head(e *wire.SealEntry) error {
	if err := link.VerifyHead(c.session.verifier, c.other.Signer, e); err != nil {
		return err
	}
	_, acked, err := c.inner.Check(e.Head)
	if err != nil {
		err = c.newest.Fork(e, err)
		if f := forked(c.shown, err); f != nil {
			c.events.put(f)
		}
		return err
	}
	c.newest.Note(e)
	if acked {
		c.confirmed(e)
	}
	return nil
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
		c.fail(err)
	}
}

// Next waits for the next event: *Message, *Receipt, *MachineStatement, *MachineChangeNoticed, *Warning, *Forked, and at the end *Closed. Taking a message
// acknowledges it to its author; coming for the next event says that it has been shown, so that no later life of the store hands it out again.
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
	return c.closed.Number
}

// fail ends the conversation for what has come.
func (c *Conversation) fail(err error) {
	c.session.cfg.Logger.Info("conversation ends", "with", c.Person.ID, "err", err)
	c.endFor(err, wire.CodeOf(err), true)
}

// end ends the conversation, once. tell says so to the relay, which tells the other side.
func (c *Conversation) end(number wire.Code, tell bool) { c.endFor(nil, number, tell) }

func (c *Conversation) endFor(why error, number wire.Code, tell bool) {
	c.endOnce.Do(func() {
		if number == wire.CodePeerLeft && c.OtherMay && c.isEstablished() && !c.byeSeen.Load() {
			number = wire.CodeCut // the relay says that they left, and they have not (section 7.4)
		}
		c.mu.Lock()
		c.closed = Closed{Number: number, Why: why}
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
	if n := c.reason(); c.talk != nil && (n == wire.CodeBye || n == wire.CodePeerLeft) {
		c.talk.Left()
	}
	queued := 0
	if contact := c.session.cfg.Store.Known(c.Person.Identity); contact != nil {
		queued, _ = contact.Waiting()
	}
	c.mu.Lock()
	closed := c.closed
	c.mu.Unlock()
	closed.Queued, closed.Verified = queued, c.in.verified
	c.events.put(&closed)
	close(c.ended)
}

func (s *Session) nextReq() uint64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.req++
	return s.req
}

package relay

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"io"
	"sync"
	"time"

	"sinete/internal/link"
	"sinete/relay/flow"
	"sinete/transport"
	"sinete/transport/channel"
	"sinete/wire"
)

// conversation is two legs, and what the relay can see of what passes between them.
type conversation struct {
	id    [16]byte
	relay *Relay
	legs  [2]*leg // of the initiator, of the responder

	mu       sync.Mutex // orders what is observed with what is queued
	observer *channel.Observer
	late     *time.Timer // runs until the handshake has passed
	rekeyed  link.Bucket

	ctx     context.Context
	cancel  context.CancelFunc
	endOnce sync.Once
}

// leg is one side of a conversation: a stream of that side's session.
type leg struct {
	conversation *conversation
	role         wire.Role
	session      *session
	author       flow.Subject // the session's person as the policy saw them when the conversation was made
	lane         *link.Lane   // nil until the stream is open

	mu      sync.Mutex
	queue   []link.Item      // verified, permitted, waiting for the next flight
	receipt []wire.SealEntry // the newest acknowledgement, where it waits for the control stream, or its time
	passed  time.Time        // when one was passed on last
	more    chan struct{}
}

// open reports whether the direction from this side to the other is.
func (l *leg) open() bool {
	return l.conversation.relay.cfg.Flow.MayWrite(l.author.Level, l.other().author.Level)
}

// mayLabel reports whether this side may send the other a message of that label.
func (l *leg) mayLabel(label wire.Level) bool {
	return l.conversation.relay.cfg.Flow.MayLabel(l.author, label, l.other().author.Level)
}

// labelRefusal is what this side is told of a label that mayLabel refuses: whether it is they who have no right to label below their level, or the
// policy that lets nothing through.
func (l *leg) labelRefusal(label wire.Level) wire.Code {
	if l.open() && !l.author.LabelsBelow && l.author.Level.Dominates(label) {
		return wire.CodeLabelDenied
	}
	return wire.CodeFlowDenied
}

func (l *leg) other() *leg { return l.conversation.legs[l.role.Other()-1] }

// newConversation makes one between two sessions, unless there is one, either has too many, or the policy forbids it. number is CodeBye on success.
func (r *Relay) newConversation(asking, asked *session) (c *conversation, number wire.Code) {
	c = &conversation{relay: r, observer: channel.NewObserver()}
	rand.Read(c.id[:])
	c.ctx, c.cancel = context.WithCancel(context.Background())
	for i, s := range []*session{asking, asked} {
		c.legs[i] = &leg{conversation: c, role: wire.Role(i + 1), session: s, more: make(chan struct{}, 1)}
	}
	first, second := asking, asked
	if first.id > second.id { // one order for everybody, so that two who ask for each other do not wait for each other
		first, second = second, first
	}
	first.mu.Lock()
	defer first.mu.Unlock()
	second.mu.Lock()
	defer second.mu.Unlock()
	for _, l := range asking.legs {
		if l.other().session == asked {
			return nil, wire.CodeAlreadyConnected
		}
	}
	for _, l := range c.legs {
		l.author = *l.session.who.Load() // under the mutex, so that no change of level comes between this and the conversation's being seen
	}
	if !r.cfg.Flow.MayConnect(c.legs[0].author.Level, c.legs[1].author.Level) {
		return nil, wire.CodeFlowDenied
	}
	if (!c.legs[0].open() || !c.legs[1].open()) && !r.mayConnect(asking, asked) {
		return nil, wire.CodeBusy
	}
	if len(asking.legs) >= wire.MaxStreams || len(asked.legs) >= wire.MaxStreams {
		return nil, wire.CodeBusy
	}
	asking.legs[c.id], asked.legs[c.id] = c.legs[0], c.legs[1]
	return c, wire.CodeBye
}

func (r *Relay) conversation(channel [32]byte) *conversation {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.byChannel[channel]
}

// start opens both streams and serves them until the conversation has ended.
func (c *conversation) start() {
	c.mu.Lock()
	if c.ctx.Err() == nil {
		c.late = time.AfterFunc(wire.HandshakeSeconds*time.Second, func() { c.end(nil, wire.CodeTimeout, wire.CodeTimeout) })
	}
	c.mu.Unlock()
	const patience = 10 * time.Second // for streams that the peers are about to give back
	ctx, cancel := context.WithTimeout(c.ctx, patience)
	defer cancel()
	var serving sync.WaitGroup
	for _, l := range c.legs {
		stream, err := l.session.link.Conn.OpenStream(ctx)
		if err != nil {
			number := wire.CodeCut
			if ctx.Err() != nil { // the peer has too many streams that it has not given back
				number = wire.CodeBusy
			}
			c.end(nil, number, number)
			break
		}
		if !l.opened(stream) {
			break
		}
		serving.Go(l.receive)
		serving.Go(l.send)
	}
	serving.Wait()
}

// opened gives the leg its lane, unless the conversation has ended meanwhile.
func (l *leg) opened(stream *transport.Stream) bool {
	l.conversation.mu.Lock()
	defer l.conversation.mu.Unlock()
	if l.conversation.ctx.Err() != nil {
		stream.Cancel(wire.CodeCut)
		return false
	}
	l.lane = l.session.link.Lane(stream)
	return true
}

// opening is the first envelope of the leg's stream.
func (l *leg) opening() link.Item {
	m := wire.Open{Conversation: l.conversation.id, Role: l.role, MayWrite: l.open(), OtherMay: l.other().open(), Level: l.author.Level,
		Other: l.session.entryOf(l.other().session)}
	m.Other.Level, m.Other.Send = l.other().author.Level, m.MayWrite
	return link.Item{Type: wire.EnvelopeControl, Payload: m.Append(nil)}
}

// send writes flights for as long as the conversation lasts. What waits together leaves together.
func (l *leg) send() {
	items := []link.Item{l.opening()}
	for {
		if err := l.lane.Flight(l.conversation.ctx, link.Flight{Items: items}); err != nil {
			l.failed(err)
			return
		}
		for items = l.next(); len(items) == 0; items = l.next() {
			select {
			case <-l.more:
			case <-l.conversation.ctx.Done():
				return
			}
		}
	}
}

// next takes the items of the next flight: whole flights of the author, as many as fit.
func (l *leg) next() []link.Item {
	l.mu.Lock()
	defer l.mu.Unlock()
	n, _ := link.FlightOf(l.queue)
	for k := n; n < len(l.queue) && k > 0; k-- { // cut behind a seal, or a handshake message, which needs none
		if l.queue[k-1].Seals != nil || l.queue[k-1].Type == wire.EnvelopeHandshake {
			n = k
			break
		}
	}
	items := l.queue[:n:n]
	l.queue = l.queue[n:]
	return items
}

func (l *leg) put(items []link.Item) {
	l.mu.Lock()
	l.queue = append(l.queue, items...)
	l.mu.Unlock()
	select {
	case l.more <- struct{}{}:
	default:
	}
}

func (l *leg) receive() { l.failed(l.lane.Run(l.deliver)) }

// failed ends what an error concerns: the conversation where its stream was given up, else the whole session.
func (l *leg) failed(err error) {
	var reset *transport.ResetError
	var ended *endedError
	switch {
	case l.conversation.ctx.Err() != nil, errors.As(err, &ended), l.session.link.Context().Err() != nil:
	case err == io.EOF:
		l.conversation.end(nil, wire.CodeCut, wire.CodeCut)
	case errors.As(err, &reset) && reset.Remote:
		number := told(reset.Number)
		l.conversation.end(nil, number, number)
	default:
		l.session.link.Fail(err)
	}
}

// told is what the other side hears where a peer ends a conversation with a number: what only the relay can know, a peer cannot say.
func told(number wire.Code) wire.Code {
	switch number {
	case wire.CodeBye:
		return wire.CodePeerLeft
	case wire.CodeInternal, wire.CodeMalformed, wire.CodeUnexpected, wire.CodeLimitExceeded, wire.CodeVersionUnsupported,
		wire.CodeSuiteUnsupported, wire.CodeIntegrity, wire.CodeUnsealed, wire.CodeCertificateInvalid, wire.CodeCertificateExpired,
		wire.CodeCertificateRevoked, wire.CodeRevocationUnknown, wire.CodeAuthenticationFailed, wire.CodeWrongContext, wire.CodeFlowDenied,
		wire.CodeTimeout:
		return number
	}
	return wire.CodeCut
}

// endedError is what a reader says that stopped because its conversation did.
type endedError struct{}

func (*endedError) Error() string { return "the conversation has ended" }

// deliver takes a verified flight of this side, checks what the relay can check of the conversation, and queues it for the other. Then
// it is acknowledged: H1.
func (l *leg) deliver(f *link.Received) error {
	c := l.conversation
	if capture := c.relay.cfg.Capture; capture != nil {
		capture(l.session.other.Identity, l.lane.Stream.ID(), f)
	}
	err := l.verify(f)
	if err == nil {
		err = l.forward(f)
	}
	var ended *endedError
	if errors.As(err, &ended) {
		return err
	}
	if err != nil {
		l.broke(err)
		return &endedError{}
	}
	return l.lane.Confirm()
}

// broke ends the conversation for what this side sent.
func (l *leg) broke(err error) {
	c, number := l.conversation, wire.CodeOf(err)
	c.relay.cfg.Logger.Warn("conversation ended", "peer", l.session.id, "code", number.String(), "err", err)
	c.relay.refusal(&l.session.refusals, l.session.asks("send", l.other().session), number)
	c.end(nil, number, number)
}

// verify checks the seals over the conversation's heads in a flight.
func (l *leg) verify(f *link.Received) error {
	for i := range f.Pieces {
		for j := range f.Pieces[i].Seals {
			if err := l.verifyHead(&f.Pieces[i].Seals[j]); err != nil {
				return err
			}
		}
	}
	return nil
}

func (l *leg) verifyHead(e *wire.SealEntry) error {
	return link.VerifyHead(l.conversation.relay.verifier, l.session.other.Signer, e)
}

// forward checks a flight and queues it for the other side, unless the conversation has ended: whoever ends it cancels its context
// first and looks at it under the mutex then.
func (l *leg) forward(f *link.Received) error {
	c := l.conversation
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.ctx.Err() != nil {
		return &endedError{}
	}
	items, err := l.pass(f)
	if err != nil || len(items) == 0 {
		return err
	}
	items[len(items)-1].Frees = f // those before it leave before it
	l.other().put(items)
	return nil
}

// pass checks a flight whose seals have been verified. c.mu is held.
func (l *leg) pass(f *link.Received) ([]link.Item, error) {
	c := l.conversation
	items := make([]link.Item, 0, len(f.Pieces))
	for i := range f.Pieces {
		p := &f.Pieces[i]
		switch {
		case p.Seals != nil:
			if !l.open() {
				return nil, wire.Errorf(wire.CodeFlowDenied, "a head beside content in a closed direction")
			}
			var seals []wire.SealEntry
			for j := range p.Seals {
				news, err := c.observer.Head(l.role, p.Seals[j].Head)
				if err != nil {
					return nil, err
				}
				if news {
					seals = append(seals, p.Seals[j])
				}
			}
			if seals != nil {
				items = append(items, link.Item{Seals: seals})
			}
		case p.Opened.Type == wire.EnvelopeHandshake:
			if err := l.handshake(p.Opened.Payload); err != nil {
				return nil, err
			}
			items = append(items, link.Item{Type: wire.EnvelopeHandshake, Payload: p.Opened.Payload})
		case p.Opened.Type == wire.EnvelopeInner:
			if err := l.content(&p.Opened); err != nil {
				return nil, err
			}
			items = append(items, link.Item{Type: wire.EnvelopeInner, Payload: p.Opened.Payload, Digests: p.Opened.Digests})
		default:
			return nil, wire.Errorf(wire.CodeUnexpected, "an envelope of type %d in a conversation", p.Opened.Type)
		}
	}
	if !c.observer.Sealed(l.role) {
		return nil, wire.Errorf(wire.CodeUnsealed, "content without its author's seal for the other person")
	}
	return items, nil
}

// content applies the flow policy to an inner envelope and follows its transcript.
func (l *leg) content(o *channel.Opened) error {
	if !l.mayLabel(o.Inner.Header.Label) {
		return wire.Errorf(wire.CodeFlowDenied, "content labelled %v from level %v to level %v", o.Inner.Header.Label, l.author.Level,
			l.other().author.Level)
	}
	return l.conversation.observer.Envelope(l.role, &o.Inner, o.Digests)
}

// handshake follows a frame of the handshake lane. The certificates must be those of the sessions.
func (l *leg) handshake(payload []byte) error {
	c := l.conversation
	f, err := wire.ParseFrame(bytes.Clone(payload)) // the observer keeps parts of it
	if err != nil {
		return err
	}
	first := !c.observer.Established()
	if err := c.observer.Handshake(l.role, f); err != nil {
		return err
	}
	if !l.open() {
		if err := l.handshakeClosed(f.Type); err != nil {
			return err
		}
	}
	switch f.Type {
	case wire.FrameHello:
		if !first {
			return l.rekeys()
		}
		got, err := wire.ParseConversationContext(c.observer.Hello().Context)
		if err != nil {
			return err
		}
		asking, asked := l.session.other.Identity, l.other().session.other.Identity
		if got != (wire.ConversationContext{Conversation: c.id, Asking: asking, AskedFor: asked}) {
			return wire.Errorf(wire.CodeWrongContext, "a hello for another conversation")
		}
		return l.ownCertificate(c.observer.Hello().Credentials)
	case wire.FrameAnswer:
		if s := c.observer.Answer().Suite; !s.AtLeast(c.relay.cfg.MinSuite) {
			return wire.Errorf(wire.CodeSuiteUnsupported, "a conversation with %v, where %v is the weakest allowed", s, c.relay.cfg.MinSuite)
		}
		return l.ownCertificate(c.observer.Answer().Credentials)
	case wire.FrameAccept:
		if !first {
			return nil
		}
		c.late.Stop()
		c.relay.mu.Lock()
		c.relay.byChannel[c.observer.ID()] = c
		c.relay.mu.Unlock()
	}
	return nil
}

func (l *leg) ownCertificate(creds wire.Credentials) error {
	if creds.Delegation != nil && l.conversation.relay.cfg.CardOnly {
		return wire.Errorf(wire.CodeSigningRefused, "a conversation's handshake with a delegated key, and this relay wants the card itself")
	}
	if !bytes.Equal(creds.Chain[0], l.session.other.Certificate.Raw) {
		return wire.Errorf(wire.CodeWrongContext, "a conversation's handshake with another certificate than the session's")
	}
	return nil
}

// end ends the conversation, once. by is the side that asked for it, nil where neither did; each side is told its number.
func (c *conversation) end(by *leg, toBy, toOther wire.Code) {
	c.endOnce.Do(func() {
		c.cancel()
		c.mu.Lock()
		if c.late != nil {
			c.late.Stop()
		}
		established, id := c.observer.Established(), c.observer.ID()
		lanes := [2]*link.Lane{c.legs[0].lane, c.legs[1].lane}
		c.mu.Unlock()
		if established {
			c.relay.mu.Lock()
			delete(c.relay.byChannel, id)
			c.relay.mu.Unlock()
		}
		for i, l := range c.legs {
			number := toOther
			if l == by {
				number = toBy
			}
			l.session.mu.Lock()
			delete(l.session.legs, c.id)
			l.session.mu.Unlock()
			if l != by {
				if err := l.session.link.Send(wire.Closed{Conversation: c.id, Number: number}); err != nil {
					l.session.link.Fail(err) // or it would wait for what never comes
				}
			}
			if lanes[i] != nil {
				lanes[i].Stream.Cancel(number)
				lanes[i].Drop()
			}
		}
	})
}

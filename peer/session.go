package peer

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"sinete/cardauth"
	"sinete/cardauth/seal"
	"sinete/internal/link"
	"sinete/peer/store"
	"sinete/transport"
	"sinete/wire"
)

// Session is one login at a relay.
type Session struct {
	cfg   Config
	own   *cardauth.Party
	link  *link.Link
	relay *link.Other

	suite  wire.Suite
	params *wire.HopParameters
	self   sealing

	events   *queue
	verifier *seal.Verifier

	mu            sync.Mutex
	requests      map[uint64]chan wire.Control
	req           uint64
	conversations map[[16]byte]*Conversation
	byChannel     map[[32]byte]*Conversation
	attempts      map[string]*attempt // by identity
	bye           chan struct{}       // closed when the relay has answered bye
	byeOnce       sync.Once
	goingAway     sync.Once
	done          chan struct{} // closed when nothing of the session runs any more
	err           error         // why the session ended, once done is closed
	running       sync.WaitGroup
}

// Relay is the name by which the relay calls itself.
func (s *Session) Relay() string { return s.params.Relay }

// Name is this user's name, from the card's certificate.
func (s *Session) Name() string { return s.own.Name }

// Identity is this user's identity (protocol.md section 7.1).
func (s *Session) Identity() string { return s.own.Identity }

// Level is what the relay has given this user: a LevelChanged tells of another one.
func (s *Session) Level() wire.Level {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.params.Level
}

// Suite is the hop's.
func (s *Session) Suite() wire.Suite { return s.suite }

// Signing is SignCard or SignDelegated.
func (s *Session) Signing() Signing { return s.self.signing }

// Standing is what the card delegated to, for Config.Standing of a login after this session's connection was lost; nil where the card seals.
func (s *Session) Standing() *Standing { return s.self.standing }

// Signatures counts the signature operations of the key that seals this session, the login's included.
func (s *Session) Signatures() uint64 { return s.self.sealer.Signatures() }

// Next waits for the next event of the session: *Missed, *Opened, *LevelChanged, *Warning, *Forked, and at the end *SessionClosed. A *Missed is
// handed out once in each life of the store until its Shown is called.
func (s *Session) Next(ctx context.Context) (Event, error) { return s.events.take(ctx) }

// Alive reports whether the session has not ended, nor begun to.
func (s *Session) Alive() bool { return s.link.Context().Err() == nil }

// Drop ends the session at once, without a word that the card would have to seal. why is in SessionClosed.
func (s *Session) Drop(why error) { s.link.Fail(&droppedError{why}) }

// droppedError says that this side ended the session without ceremony.
type droppedError struct{ error }

func (e *droppedError) Unwrap() error { return e.error }

// Code is what the relay is told: the person left.
func (e *droppedError) Code() wire.Code { return wire.CodeBye }

// Done is closed when the session has ended.
func (s *Session) Done() <-chan struct{} { return s.done }

// run keeps the session until it ends, then tells everybody.
func (s *Session) run() {
	var accepting sync.WaitGroup
	accepting.Go(s.acceptStreams)
	expiry := time.AfterFunc(time.Until(s.relay.Until()), func() {
		s.link.Fail(wire.Errorf(wire.CodeCertificateExpired, "the relay's certificate ended during the session"))
	})
	defer expiry.Stop()
	defer s.recheck()()
	s.running.Go(s.refreshStaples)
	s.running.Go(s.tend)
	err := s.ending(s.link.Run(context.Background()))
	accepting.Wait()
	for _, c := range s.all() {
		c.end(link.EndCode(err), false)
	}
	s.running.Wait()
	s.self.close()
	s.mu.Lock()
	s.err = err
	s.mu.Unlock()
	if f := forked(wire.Credentials{Chain: s.relay.Chain}, err); f != nil {
		s.events.put(f)
	}
	s.events.put(&SessionClosed{err})
	close(s.done)
}

// ending is what the end of the link is to this user: nothing that happens after the relay has answered bye is a failure, and a relay that
// closes in order before that has cut the session all the same.
func (s *Session) ending(err error) error {
	var dropped *droppedError
	switch {
	case s.farewell():
		return nil
	case errors.As(err, &dropped):
		return err
	case err == nil, err == io.EOF, wire.CodeOf(err) == wire.CodeBye:
		return wire.Errorf(wire.CodeCut, "the relay closed the session")
	}
	return err
}

// acceptStreams takes the streams that the relay opens, one for each conversation.
func (s *Session) acceptStreams() {
	for {
		stream, err := s.link.Conn.AcceptStream(s.link.Context())
		if err != nil {
			return // with the link
		}
		lane := s.link.Lane(stream) // here, so that lanes are made in the order of their streams
		s.running.Go(func() { s.serve(lane) })
	}
}

// serve reads a conversation's stream. Its first envelope says whose it is.
func (s *Session) serve(lane *link.Lane) {
	var c *Conversation
	var begun atomic.Pointer[Conversation] // c, for the control stream's goroutine
	lane.Acknowledged = func(e *wire.SealEntry) {
		if c := begun.Load(); c != nil {
			c.relayed(e)
		}
	}
	err := lane.Run(func(f *link.Received) error {
		if c != nil {
			return c.deliver(f)
		}
		open, err := opening(f)
		if err != nil {
			return err
		}
		c, err = s.begin(lane, open)
		if err != nil {
			return err
		}
		begun.Store(c)
		return lane.Confirm()
	})
	var reset *transport.ResetError
	var ended *endedError
	switch {
	case errors.As(err, &ended), s.link.Context().Err() != nil:
	case err == io.EOF && c != nil:
		c.end(wire.CodeCut, false)
	case err == io.EOF:
		s.link.Fail(wire.Errorf(wire.CodeUnexpected, "a conversation's stream that ends before it began"))
	case errors.As(err, &reset) && c != nil:
		c.end(reset.Number, false)
	case errors.As(err, &reset):
		lane.Drop()
		lane.Stream.Cancel(wire.CodeBye)
	default:
		s.link.Fail(err)
	}
	if c != nil {
		c.readerDone()
	}
}

// opening takes the first flight of a conversation's stream.
func opening(f *link.Received) (wire.Open, error) {
	if len(f.Pieces) == 1 && f.Pieces[0].Opened.Type == wire.EnvelopeControl {
		m, err := wire.ParseControl(f.Pieces[0].Opened.Payload)
		if err != nil {
			return wire.Open{}, err
		}
		if open, ok := m.(wire.Open); ok {
			return open, nil
		}
	}
	return wire.Open{}, wire.Errorf(wire.CodeUnexpected, "a conversation's stream that does not begin with open")
}

// Control takes a message of the control lane.
func (s *Session) Control(m wire.Control) error {
	switch m := m.(type) {
	case wire.Peers:
		return s.answer(m.Req, m, m.More)
	case wire.Ringing:
		s.rings(m)
		return s.answer(m.Req, m, false)
	case wire.Refused:
		return s.answer(m.Req, m, false)
	case wire.Done:
		return s.answer(m.Req, m, false)
	case wire.Closed:
		s.mu.Lock()
		c := s.conversations[m.Conversation]
		s.mu.Unlock()
		if c != nil {
			c.end(m.Number, false)
		} else {
			s.failed(m)
		}
	case wire.GoingAway:
		s.goingAway.Do(func() { // whatever else the relay says: events that nobody takes stay few
			s.events.put(&Warning{wire.CodeGoingAway.String(), fmt.Sprintf("the relay closes in %d seconds", m.Seconds)})
		})
	case wire.OwnLevel:
		s.mu.Lock()
		s.params.Level = m.Level
		s.mu.Unlock()
		s.events.put(&LevelChanged{m.Level})
	case wire.Bye:
		s.byeOnce.Do(func() { close(s.bye) })
	default:
		return wire.Errorf(wire.CodeUnexpected, "a %T from the relay", m)
	}
	return nil
}

// Inner takes heads that only acknowledge, from conversations.
func (s *Session) Inner(entries []wire.SealEntry) error {
	for i := range entries {
		s.mu.Lock()
		c := s.byChannel[entries[i].Head.Channel]
		s.mu.Unlock()
		if c != nil { // else of a conversation that has ended
			c.acknowledged(&entries[i])
		}
	}
	return nil
}

// Probed: only relays probe.
func (s *Session) Probed([8]byte) {}

func (s *Session) answer(req uint64, m wire.Control, more bool) error {
	s.mu.Lock()
	ch := s.requests[req]
	if !more {
		delete(s.requests, req)
	}
	s.mu.Unlock()
	if ch != nil { // else nobody waits any more
		select {
		case ch <- m:
		default:
			return wire.Errorf(wire.CodeUnexpected, "more answers to a request than were asked for")
		}
	}
	return nil
}

// maxAnswers bounds how many messages answer one list.
const maxAnswers = 1024

// request sends a request and waits for its answers; each is handed to take, which reports whether it was the last.
func (s *Session) request(ctx context.Context, message func(req uint64) wire.Control, take func(wire.Control) (last bool)) error {
	ch := make(chan wire.Control, maxAnswers)
	s.mu.Lock()
	s.req++
	req := s.req
	s.requests[req] = ch
	s.mu.Unlock()
	defer func() {
		s.mu.Lock()
		delete(s.requests, req)
		s.mu.Unlock()
	}()
	if err := s.link.Send(message(req)); err != nil {
		return err
	}
	for {
		select {
		case m := <-ch:
			if r, ok := m.(wire.Refused); ok {
				return &RefusedError{r.Number, r.Suites}
			}
			if take(m) {
				return nil
			}
		case <-s.link.Context().Done():
			return s.ended()
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// ended is what a call says that the end of the session overtook.
func (s *Session) ended() error {
	if err := s.link.Err(); err != nil && err != io.EOF {
		return err
	}
	return wire.Errorf(wire.CodeCut, "the session has ended")
}

// List asks who is logged in, in ascending order of their ids.
func (s *Session) List(ctx context.Context) ([]Person, error) {
	var people []Person
	err := s.request(ctx, func(req uint64) wire.Control { return wire.List{Req: req} }, func(m wire.Control) bool {
		p, ok := m.(wire.Peers)
		for _, e := range p.Entries {
			people = append(people, s.person(e))
		}
		return !ok || !p.More
	})
	slices.SortFunc(people, func(a, b Person) int { return int(a.ID) - int(b.ID) })
	return people, err
}

// Conversations lists the open ones, in ascending order of the person's id.
func (s *Session) Conversations() []*Conversation {
	return slices.DeleteFunc(s.all(), func(c *Conversation) bool { return !c.isEstablished() })
}

// all lists those whose handshake is under way as well.
func (s *Session) all() []*Conversation {
	s.mu.Lock()
	defer s.mu.Unlock()
	var all []*Conversation
	for _, c := range s.conversations {
		all = append(all, c)
	}
	slices.SortFunc(all, func(a, b *Conversation) int { return int(a.Person.ID) - int(b.Person.ID) })
	return all
}

// with returns the established conversation with an identity, or nil.
func (s *Session) with(identity string) *Conversation {
	for _, c := range s.Conversations() {
		if c.Person.Identity == identity {
			return c
		}
	}
	return nil
}

// Queue takes texts for somebody with whom there is no open conversation now but was one, be it in an earlier life of the store: they go out
// when there is one again. Errors as of Conversation.SendAll, and CodeNotConnected for somebody never connected to.
func (s *Session) Queue(identity string, texts ...string) (first uint64, err error) {
	contact, err := s.queuesFor(identity, texts)
	if err != nil {
		return 0, err
	}
	return contact.Add(texts...)
}

// QueueAs is Queue under a label that this user chooses (Conversation.SendAs). Whether they may is asked when there is a conversation again: where not,
// the texts fail.
func (s *Session) QueueAs(identity string, label wire.Level, texts ...string) (first uint64, err error) {
	contact, err := s.queuesFor(identity, texts)
	if err == nil {
		err = checkLabel(label)
	}
	if err != nil {
		return 0, err
	}
	return contact.AddAs(label, texts...)
}

func (s *Session) queuesFor(identity string, texts []string) (*store.Contact, error) {
	contact := s.cfg.Store.Known(identity)
	if contact == nil {
		return nil, wire.Errorf(wire.CodeNotConnected, "never connected to %s", identity)
	}
	return contact, checkTexts(texts)
}

// Close leaves in order: every conversation first, then the session. It returns when nothing of it runs any more. What the card delegated to
// is erased, since no relay takes it back from somebody who has left.
func (s *Session) Close(ctx context.Context) error {
	defer s.self.standing.Erase()
	var closing sync.WaitGroup
	for _, c := range s.all() {
		closing.Go(func() { _ = c.Disconnect(ctx) }) // what went wrong is in its Closed event
	}
	closing.Wait()
	wait, cancel := context.WithTimeout(ctx, wire.ByeSeconds*time.Second)
	defer cancel()
	err := s.leave(wait)
	if err != nil {
		s.link.Fail(&wire.Error{Number: wire.CodeTimeout, Err: err})
	}
	<-s.done
	return err
}

// farewell reports whether the relay has answered bye: what happens to the connection after that is no failure.
func (s *Session) farewell() bool {
	select {
	case <-s.bye:
		return true
	default:
		return false
	}
}

func (s *Session) leave(ctx context.Context) error {
	if err := s.link.Send(wire.Bye{}); err != nil {
		return err
	}
	select {
	case <-s.bye:
	case <-s.done:
		return s.err
	case <-ctx.Done():
		return ctx.Err()
	}
	if err := s.link.Settled(ctx); err != nil {
		return err
	}
	if err := s.link.Control.Finish(ctx); err != nil {
		return err
	}
	select {
	case <-s.done: // the relay has read to the end and closed
		return s.err
	case <-ctx.Done():
		return ctx.Err()
	}
}

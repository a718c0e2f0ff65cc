package peer

import (
	"context"
	"errors"
	"slices"

	"sinete/wire"
)

// Connect asks for a conversation and waits until it is established; Opened comes from Next as well. suites restricts what is
// offered; nil offers what the session does, and none weaker than Config.MinSuite is (CodeSuiteUnsupported where that leaves none). It fails with
// *RefusedError where the relay refuses.
func (s *Session) Connect(ctx context.Context, id uint32, suites []wire.Suite) (*Conversation, error) {
	if len(suites) == 0 {
		suites = s.cfg.Suites
	}
	if suites = wire.SuitesAtLeast(suites, s.cfg.MinSuite); len(suites) == 0 {
		return nil, wire.Errorf(wire.CodeSuiteUnsupported, "weaker than %v, the weakest allowed", s.cfg.MinSuite)
	}
	people, err := s.List(ctx) // for the certificate that must answer
	if err != nil {
		return nil, err
	}
	i := slices.IndexFunc(people, func(p Person) bool { return p.ID == id })
	if i < 0 {
		return nil, &RefusedError{Number: wire.CodeUnknownPeer}
	}
	attempt := &attempt{person: people[i], suites: suites, conversation: make(chan *Conversation, 1), failed: make(chan wire.Code, 1)}
	s.mu.Lock()
	if s.attempts[people[i].Identity] != nil {
		s.mu.Unlock()
		return nil, &RefusedError{Number: wire.CodeAlreadyConnected}
	}
	s.attempts[people[i].Identity] = attempt
	s.mu.Unlock()
	defer func() {
		s.mu.Lock()
		delete(s.attempts, people[i].Identity)
		s.mu.Unlock()
	}()
	err = s.request(ctx, func(req uint64) wire.Control {
		s.mu.Lock()
		attempt.req = req
		s.mu.Unlock()
		return wire.Connect{Req: req, ID: id, Suites: suites}
	}, func(wire.Control) bool { return true })
	if err != nil {
		return nil, err
	}
	var c *Conversation
	select {
	case c = <-attempt.conversation:
	case number := <-attempt.failed:
		return nil, notEstablished(number)
	case <-s.link.Context().Done():
		return nil, s.ended()
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	select {
	case <-c.established:
		return c, nil
	case <-c.ctx.Done():
		return nil, notEstablished(c.reason())
	case <-ctx.Done():
		c.end(wire.CodeTimeout, true)
		return nil, ctx.Err()
	}
}

// attempt is a Connect under way: what this user chose from the list.
type attempt struct {
	person       Person
	suites       []wire.Suite
	conversation chan *Conversation // gets the conversation that opens
	failed       chan wire.Code     // gets why none does

	// Of the session's mu.
	req uint64
	id  [16]byte // of the conversation, once the relay rings
}

// opens hands the attempt its conversation. It reports false where there is no attempt, or it has one already. The session's mu is held.
func (a *attempt) opens(c *Conversation) bool {
	if a == nil || a.id != [16]byte{} && a.id != c.ID {
		return false
	}
	select {
	case a.conversation <- c:
		c.suites, c.chosen = a.suites, a.person.Certificate
		return true
	default:
		return false
	}
}

func notEstablished(number wire.Code) error {
	return &wire.Error{Number: number, Err: errors.New("the conversation could not be established")}
}

// rings notes which conversation answers an attempt.
func (s *Session) rings(m wire.Ringing) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, a := range s.attempts {
		if a.req == m.Req {
			a.id = m.Conversation
		}
	}
}

// failed ends the attempt whose conversation has ended before it opened.
func (s *Session) failed(m wire.Closed) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, a := range s.attempts {
		if a.id == m.Conversation {
			select {
			case a.failed <- m.Number:
			default:
			}
		}
	}
}

package relay

import (
	"context"
	"crypto/rand"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"sinete/internal/link"
	"sinete/relay/audit"
	"sinete/relay/flow"
	"sinete/transport"
	"sinete/wire"
)

// session is one peer that is logged in. It handles what comes on the control lane.
type session struct {
	relay  *Relay
	link   *link.Link
	other  *link.Other
	id     uint32
	who    atomic.Pointer[flow.Subject] // changed with mu held
	chain  [][]byte                     // as shown at login
	suites []wire.Suite                 // of its offer, those that may be used here

	mu     sync.Mutex
	legs   map[[16]byte]*leg // by conversation
	lists  []uint64          // requests that wait for their list; one of them is being answered
	probes chan [8]byte
	vouch  []byte        // the seal of its delegation, as first shown in a conversation in which it may not write
	done   chan struct{} // closed when the session is out of the directory and its conversations are told

	refusals auditPace

	connects link.Bucket // for the control lane's goroutine

	returned atomic.Bool // its own program supersedes it
}

// alive asks the other side for a sign of life.
func (s *session) alive(ctx context.Context) bool {
	var nonce [8]byte
	rand.Read(nonce[:])
	late, stop := context.WithTimeout(ctx, wire.ProbeSeconds*time.Second)
	defer stop()
	err := s.link.Probe(nonce)
	for errors.Is(err, transport.ErrFull) { // much is under way to it, which is no sign of death
		if err = s.link.Control.WaitBelow(late, wire.MaxControlQueue); err == nil {
			err = s.link.Probe(nonce)
		}
	}
	if err != nil {
		return ctx.Err() != nil
	}
	for {
		select {
		case got := <-s.probes:
			if got == nonce {
				return true
			}
		case <-s.link.Context().Done():
			return false
		case <-late.Done():
			return ctx.Err() != nil // nobody is left who would take over
		}
	}
}

// Probed hands an answer to alive; one that nobody waits for is dropped.
func (s *session) Probed(nonce [8]byte) {
	select {
	case s.probes <- nonce:
	default:
	}
}

// Control takes a request of the peer.
func (s *session) Control(m wire.Control) error {
	switch m := m.(type) {
	case wire.List:
		return s.list(m.Req)
	case wire.Connect:
		return s.connect(m)
	case wire.Disconnect:
		return s.disconnect(m)
	case wire.WriteRequest:
		return s.writeRequest(m)
	case wire.Bye:
		return s.link.Send(wire.Bye{})
	}
	return wire.Errorf(wire.CodeUnexpected, "a %T from a peer", m)
}

// list has the list sent, one after the other where several are asked for.
func (s *session) list(req uint64) error {
	s.mu.Lock()
	n := len(s.lists)
	if n < wire.MaxLists {
		s.lists = append(s.lists, req)
	}
	s.mu.Unlock()
	switch n {
	case wire.MaxLists:
		return s.refuse(req, s.asks("list", nil), wire.CodeBusy, nil)
	case 0:
		s.relay.running.Go(s.sendLists)
	}
	return nil
}

func (s *session) sendLists() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for len(s.lists) > 0 {
		req := s.lists[0]
		s.mu.Unlock()
		err := s.sendList(req)
		s.mu.Lock()
		if s.lists = s.lists[1:]; err != nil {
			s.link.Fail(err)
			return
		}
	}
}

// listAhead is how much may wait for the session when a page of a list is added: so no list, however long, fills its queue.
const listAhead = wire.MaxControlQueue / 4

func (s *session) sendList(req uint64) error {
	people := s.relay.people.all()
	for more := true; more; {
		if err := s.link.WaitBelow(s.link.Context(), listAhead); err != nil {
			return err
		}
		page := wire.Peers{Req: req}
		n := 0
		for ; n < len(people); n++ {
			if !s.sees(people[n]) {
				continue
			}
			if len(page.Entries) == wire.MaxPeersEntries {
				break
			}
			page.Entries = append(page.Entries, s.entryOf(people[n]))
		}
		people = people[n:]
		more = len(people) > 0
		page.More = more
		if err := s.link.Send(page); err != nil {
			return err
		}
	}
	return nil
}

// entryOf is how s sees o.
func (s *session) entryOf(o *session) wire.PeerEntry {
	return wire.PeerEntry{ID: o.id, Name: o.other.Name, Identity: o.other.Identity, Certificate: o.other.CertificateHash,
		Level: o.level(), Suites: o.suites, Send: s.relay.cfg.Flow.MayWrite(s.level(), o.level())}
}

// refuse answers a request with no. rec says, for the audit log, what was asked for.
func (s *session) refuse(req uint64, rec audit.Record, number wire.Code, suites []wire.Suite) error {
	s.relay.cfg.Logger.Info("refused", "peer", s.id, "request", rec.Request, "code", number.String())
	s.relay.refusal(&s.refusals, rec, number)
	return s.link.Send(wire.Refused{Req: req, Number: number, Suites: suites})
}

func (s *session) connect(m wire.Connect) error {
	if !s.connects.Take(time.Now(), wire.MaxConnects, wire.ConnectsPerSecond) {
		return s.refuse(m.Req, s.asks("connect", nil), wire.CodeBusy, nil)
	}
	o := s.relay.people.byID(m.ID)
	rec := s.asks("connect", o)
	switch {
	case o == nil || !s.sees(o):
		return s.refuse(m.Req, rec, wire.CodeUnknownPeer, nil)
	case !s.relay.cfg.Flow.MayConnect(s.level(), o.level()): // and newConversation looks again, when nothing can change
		return s.refuse(m.Req, rec, wire.CodeFlowDenied, nil)
	}
	if _, ok := wire.BestSuite(m.Suites, o.suites); !ok {
		return s.refuse(m.Req, rec, wire.CodeSuiteUnsupported, o.suites)
	}
	c, number := s.relay.newConversation(s, o)
	if number != wire.CodeBye {
		return s.refuse(m.Req, rec, number, nil)
	}
	if err := s.link.Send(wire.Ringing{Req: m.Req, Conversation: c.id}); err != nil {
		return err
	}
	s.relay.running.Go(c.start)
	return nil
}

func (s *session) leg(conversation [16]byte) *leg {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.legs[conversation]
}

func (s *session) disconnect(m wire.Disconnect) error {
	l := s.leg(m.Conversation)
	if l == nil {
		return s.refuse(m.Req, s.asks("disconnect", nil), wire.CodeNotConnected, nil)
	}
	l.conversation.end(l, m.Number, told(m.Number))
	return s.link.Send(wire.Done{Req: m.Req})
}

// writeRequest asks for a label before a message is sent under it (section 8). What is refused is sealed, and logged.
func (s *session) writeRequest(m wire.WriteRequest) error {
	l := s.leg(m.Conversation)
	switch {
	case l == nil:
		return s.refuse(m.Req, s.asks("write", nil), wire.CodeNotConnected, nil)
	case !l.mayLabel(m.Label):
		rec := s.asks("write", l.other().session)
		rec.Label = m.Label.String()
		return s.refuse(m.Req, rec, l.labelRefusal(m.Label), nil)
	}
	return s.link.Send(wire.Done{Req: m.Req})
}

// Inner passes on heads that only acknowledge: H3.
func (s *session) Inner(entries []wire.SealEntry) error {
	for i := range entries {
		e := entries[i : i+1]
		c := s.relay.conversation(e[0].Head.Channel)
		if c == nil {
			continue // it has ended
		}
		if l := s.leg(c.id); l != nil {
			l.acknowledgement(e)
		}
	}
	return nil
}

// ended takes the session out of the directory and ends its conversations.
func (s *session) ended(err error) {
	number := link.EndCode(err)
	s.relay.people.remove(s, number == wire.CodeCut)
	toOther := wire.CodeCut
	switch number {
	case wire.CodeBye:
		toOther = wire.CodePeerLeft
	case wire.CodeSuperseded:
		if !s.returned.Load() {
			toOther = number
		}
	case wire.CodeGoingAway, wire.CodeCertificateExpired, wire.CodeCertificateRevoked, wire.CodeRevocationUnknown:
		toOther = number
	}
	s.mu.Lock()
	legs := make([]*leg, 0, len(s.legs))
	for _, l := range s.legs {
		legs = append(legs, l)
	}
	s.mu.Unlock()
	for _, l := range legs {
		l.conversation.end(l, number, toOther)
	}
	close(s.done)
}

package relay

import (
	"context"
	"crypto/rand"
	"sync"
	"time"

	"sinete/internal/link"
	"sinete/wire"
)

// session is one peer that is logged in. It handles what comes on the control lane.
type session struct {
	relay  *Relay
	link   *link.Link
	other  *link.Other
	id     uint32
	level  wire.Level
	suites []wire.Suite

	mu     sync.Mutex
	legs   map[[16]byte]*leg // by conversation
	probes chan [8]byte
	done   chan struct{} // closed when the session is out of the directory and its conversations are told
}

// alive asks the other side for a sign of life.
func (s *session) alive(ctx context.Context) bool {
	var nonce [8]byte
	rand.Read(nonce[:])
	if s.link.Probe(nonce) != nil {
		return false
	}
	late := time.NewTimer(wire.ProbeSeconds * time.Second)
	defer late.Stop()
	for {
		select {
		case got := <-s.probes:
			if got == nonce {
				return true
			}
		case <-late.C:
			return false
		case <-s.link.Context().Done():
			return false
		case <-ctx.Done():
			return true // nobody is left who would take over
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

func (s *session) list(req uint64) error {
	var entries []wire.PeerEntry
	for _, o := range s.relay.people.all() {
		if o != s {
			entries = append(entries, s.entryOf(o))
		}
	}
	for {
		n := min(len(entries), wire.MaxPeersEntries)
		more := n < len(entries)
		if err := s.link.Send(wire.Peers{Req: req, More: more, Entries: entries[:n]}); err != nil || !more {
			return err
		}
		entries = entries[n:]
	}
}

// entryOf is how s sees o.
func (s *session) entryOf(o *session) wire.PeerEntry {
	return wire.PeerEntry{ID: o.id, Name: o.other.Name, Identity: o.other.Identity, Certificate: o.other.CertificateHash,
		Level: o.level, Suites: o.suites, Send: s.mayWriteTo(o)}
}

func (s *session) mayWriteTo(o *session) bool { return s.relay.cfg.Flow.MayWrite(s.level, o.level) }

func (s *session) refuse(req uint64, number wire.Code, suites []wire.Suite) error {
	s.relay.cfg.Logger.Info("refused", "peer", s.id, "code", number.String())
	return s.link.Send(wire.Refused{Req: req, Number: number, Suites: suites})
}

func (s *session) connect(m wire.Connect) error {
	o := s.relay.people.byID(m.ID)
	switch {
	case o == nil || o == s:
		return s.refuse(m.Req, wire.CodeUnknownPeer, nil)
	case !s.relay.cfg.Flow.MayConnect(s.level, o.level):
		return s.refuse(m.Req, wire.CodeFlowDenied, nil)
	}
	if _, ok := wire.BestSuite(m.Suites, o.suites); !ok {
		return s.refuse(m.Req, wire.CodeSuiteUnsupported, o.suites)
	}
	c, number := s.relay.newConversation(s, o)
	if number != wire.CodeBye {
		return s.refuse(m.Req, number, nil)
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
		return s.refuse(m.Req, wire.CodeNotConnected, nil)
	}
	toOther := m.Number
	if toOther == wire.CodeBye {
		toOther = wire.CodePeerLeft
	}
	l.conversation.end(l, m.Number, toOther)
	return s.link.Send(wire.Done{Req: m.Req})
}

// writeRequest is what a peer sends in a direction that is closed: refused, sealed and logged (section 8).
func (s *session) writeRequest(m wire.WriteRequest) error {
	l := s.leg(m.Conversation)
	if l == nil {
		return s.refuse(m.Req, wire.CodeNotConnected, nil)
	}
	return s.refuse(m.Req, wire.CodeFlowDenied, nil)
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
	s.relay.people.remove(s)
	number := link.EndCode(err)
	toOther := wire.CodeCut
	switch number {
	case wire.CodeBye:
		toOther = wire.CodePeerLeft
	case wire.CodeSuperseded, wire.CodeGoingAway:
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

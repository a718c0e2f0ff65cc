package relay

import (
	"bytes"
	"context"
	"maps"
	"slices"
	"time"

	"sinete/internal/link"
	"sinete/transport/channel"
	"sinete/wire"
)

// What passes in a closed direction (protocol.md section 8.4). All of these are for a leg whose side may not write to the other.

// headClosed looks at a head whose seal has been verified: nothing in it may be the author's choice but what an acknowledgement needs.
func (l *leg) headClosed(e *wire.SealEntry) error {
	if e.Head.Mine != nil {
		return wire.Errorf(wire.CodeFlowDenied, "a head that signs content in a closed direction")
	}
	return sealedClosed(&e.Seal, wire.ClosedClockSeconds)
}

// sealedClosed wants a batch of one, a salt of zero, and the time that it is, which may be so many seconds ago.
func sealedClosed(s *wire.Seal, behind int64) error {
	late := time.Now().Unix() - int64(min(s.Time, 1<<62))
	if s.Leaves != 1 || s.Salt != [16]byte{} || late > behind || late < -wire.ClosedClockSeconds {
		return wire.Errorf(wire.CodeFlowDenied, "a seal with room for a message, in a closed direction: %d leaves, %d seconds old", s.Leaves, late)
	}
	return nil
}

// handshakeClosed looks at a handshake message that the observer has just taken.
func (l *leg) handshakeClosed(t wire.FrameType) error {
	o := l.conversation.observer
	switch t {
	case wire.FrameHello:
		if !channel.PlainHello(o.Hello()) {
			return wire.Errorf(wire.CodeFlowDenied, "a hello with what nobody knows, in a closed direction")
		}
		return l.session.showsClosed(o.Hello().Credentials)
	case wire.FrameAnswer:
		if !channel.PlainAnswer(o.Answer()) {
			return wire.Errorf(wire.CodeFlowDenied, "an answer with what nobody knows, in a closed direction")
		}
		return l.session.showsClosed(o.Answer().Credentials)
	case wire.FrameProof, wire.FrameAccept:
		p := o.Proven()
		if !p.WholeMAC {
			return wire.Errorf(wire.CodeFlowDenied, "a MAC of another length than the suite's, in a closed direction")
		}
		if err := l.conversation.relay.verifier.Verify(l.session.other.Signer, p.Purpose, p.Statement, p.Seal); err != nil {
			return err
		}
		return sealedClosed(&p.Seal, wire.HandshakeSeconds)
	}
	return nil
}

// showsClosed wants the certificates and the delegation of the login, and staples that hold.
func (s *session) showsClosed(c wire.Credentials) error {
	if !slices.EqualFunc(c.Chain, s.chain, bytes.Equal) {
		return wire.Errorf(wire.CodeFlowDenied, "other certificates than at login, in a closed direction")
	}
	if _, err := s.relay.cfg.Policy.VerifyPerson(c.Chain, c.Staples); err != nil {
		return err
	}
	return s.vouchedClosed(c.Delegation)
}

// vouchedClosed wants the delegation that is in force, under one seal for as long as the session lasts.
func (s *session) vouchedClosed(d *wire.SealedDelegation) error {
	inForce := s.other.Signer.Delegation
	if d == nil && inForce == nil {
		return nil
	}
	if d == nil || inForce == nil || !bytes.Equal(d.Statement, inForce.Append(nil)) {
		return wire.Errorf(wire.CodeFlowDenied, "another delegation than at login, in a closed direction")
	}
	card, err := s.other.Party.Signer(d.Seal.Scheme, nil)
	if err == nil {
		err = s.relay.verifier.Verify(card, wire.PurposeDelegation, d.Statement, d.Seal)
	}
	if err != nil {
		return err
	}
	vouch := d.Seal.Append(nil)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.vouch == nil {
		s.vouch = vouch
	}
	if !bytes.Equal(s.vouch, vouch) {
		return wire.Errorf(wire.CodeFlowDenied, "another seal of the delegation than before, in a closed direction")
	}
	return nil
}

// passesIn is how long an acknowledgement for this side must wait: where the other may not write, they come one a second at most. mu is held.
func (l *leg) passesIn() time.Duration {
	if l.other().open() {
		return 0
	}
	return time.Until(l.passed.Add(wire.ClosedHeadSeconds * time.Second))
}

// pause waits unless ctx ends.
func pause(ctx context.Context, d time.Duration) {
	if d <= 0 {
		return
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}

// pair is what two people of whom one may not write to the other have had of handshakes. The relay's mutex guards it.
type pair struct{ connects, rekeys link.Bucket }

// pairs are remembered by identity, for a while.
type pairs map[[2]string]*pair

// maxPairs is about how many are remembered. Those that have been idle are forgotten beyond it.
const maxPairs = 1 << 16

const (
	closedConnects = 1. / wire.ClosedConnectSeconds // a second
	closedRekeys   = 1. / wire.ClosedRekeySeconds
)

// of finds what two people have had.
func (p pairs) of(a, b string, now time.Time) *pair {
	who := [2]string{min(a, b), max(a, b)}
	if p[who] == nil {
		if len(p) >= maxPairs {
			maps.DeleteFunc(p, func(_ [2]string, o *pair) bool {
				return o.connects.Idle(now, closedConnects) && o.rekeys.Idle(now, closedRekeys)
			})
		}
		p[who] = &pair{}
	}
	return p[who]
}

// mayConnect counts a conversation of two people between whom a direction is closed.
func (r *Relay) mayConnect(a, b *session) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	now := time.Now()
	return r.closed.of(a.other.Identity, b.other.Identity, now).connects.Take(now, wire.MaxClosedConnects, closedConnects)
}

// mayRekey counts a rekeying of a conversation.
func (c *conversation) mayRekey() bool {
	now := time.Now()
	if c.legs[0].open() && c.legs[1].open() {
		return c.rekeyed.Take(now, wire.MaxRekeys, wire.RekeysPerSecond)
	}
	c.relay.mu.Lock()
	defer c.relay.mu.Unlock()
	between := c.relay.closed.of(c.legs[0].session.other.Identity, c.legs[1].session.other.Identity, now)
	return between.rekeys.Take(now, wire.MaxClosedRekeys, closedRekeys)
}

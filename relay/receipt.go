package relay

import (
	"time"

	"sinete/wire"
)

// acknowledgement passes on a head from the control stream.
func (l *leg) acknowledgement(e []wire.SealEntry) {
	c := l.conversation
	news, err := false, l.verifyHead(&e[0])
	if err == nil && !l.open() {
		err = l.headClosed(&e[0])
	}
	if err == nil {
		c.mu.Lock()
		if news, err = c.observer.Head(l.role, e[0].Head); err == nil && e[0].Head.Mine != nil {
			err = wire.Errorf(wire.CodeUnexpected, "a head on the control stream that signs envelopes")
		}
		c.mu.Unlock()
	}
	if err != nil {
		l.broke(err)
		return
	}
	if !news {
		return // or this side could fill the other's control stream with what it knows
	}
	l.other().confirm(e)
}

// receiptsAhead is how much may wait in a control stream when an acknowledgement is passed on.
const receiptsAhead = wire.MaxControlQueue / 4

// confirm passes on to this side a head of the other that only acknowledges. While the control stream is full only the newest waits, which
// says all that those before it said: so no number of them fills what belongs to this side's session.
func (l *leg) confirm(e []wire.SealEntry) {
	to := l.session.link
	l.mu.Lock()
	defer l.mu.Unlock()
	waiting := l.receipt != nil
	if !waiting && to.Control.Pending() < receiptsAhead && l.passesIn() <= 0 {
		l.passed = time.Now()
		if err := to.Pass(e); err != nil {
			to.Fail(err)
		}
		return
	}
	l.receipt = e
	if !waiting {
		l.conversation.relay.running.Go(l.confirmLater)
	}
}

func (l *leg) confirmLater() {
	to := l.session.link
	l.mu.Lock()
	wait := l.passesIn()
	l.mu.Unlock()
	pause(to.Context(), wait)
	err := to.Control.WaitBelow(to.Context(), receiptsAhead)
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.passed = time.Now(); err == nil {
		err = to.Pass(l.receipt)
	}
	if l.receipt = nil; err != nil {
		to.Fail(err)
	}
}

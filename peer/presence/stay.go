package presence

import (
	"context"
	"errors"
	"time"

	"sinete/cardauth"
	"sinete/peer"
	"sinete/wire"
)

// run keeps a session there until the person leaves, or something happens that trying again cannot heal.
func (p *Presence) run(s *peer.Session) {
	defer close(p.over)
	defer p.forget()
	defer p.running.Wait()
	defer func() {
		p.mu.Lock() // leaveFor starts nothing once this is done
		defer p.mu.Unlock()
		p.cancel()
	}()
	if p.idle != nil {
		defer p.idle.Stop()
	}
	faults := 0
	for {
		began := time.Now()
		err := p.stay(s)
		switch {
		case p.ctx.Err() != nil:
			p.err = err
			return
		case !isFault(err):
			faults = 0
		case time.Since(began) >= enduring:
			faults = 1
		default:
			faults++
		}
		if !p.healsSession(s, err) || faults > maxFaults {
			p.err = err
			return
		}
		p.put(&peer.Away{Err: err})
		if s, err = p.comeBack(err); err != nil {
			if p.ctx.Err() == nil {
				p.err = err
			}
			return
		}
		p.put(&peer.Back{Session: s})
		p.rebuildAll(s)
	}
}

// stay hands on what happens in a session until it ends, and returns why it did.
func (p *Presence) stay(s *peer.Session) error {
	defer p.watchDelegation(s)()
	for {
		e, err := s.Next(context.Background())
		if err != nil {
			return err
		}
		switch e := e.(type) {
		case *peer.Opened:
			p.put(e)
			p.opened(s, e.Conversation)
		case *peer.SessionClosed:
			p.mu.Lock()
			p.away = true
			err := e.Err
			if p.leaving != nil {
				err = p.leaving
			}
			p.mu.Unlock()
			if isAbsent(err) { // it had to seal before anybody was told that the card is gone
				err = ErrRemoved
			}
			if err == nil && p.ctx.Err() == nil {
				err = wire.Errorf(wire.CodeCut, "the session ended in order, and nobody here meant it to")
			}
			return err
		default:
			p.put(e)
		}
	}
}

// leaveFor ends the session that there is for a reason of this side, to come back when that has passed. It reports whether there was one.
func (p *Presence) leaveFor(why error) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.away || p.leaving != nil || p.session == nil || p.ctx.Err() != nil {
		return false
	}
	p.leaving, p.standing = why, nil // the relay takes no delegation back after a bye
	s := p.session
	p.running.Go(func() {
		if why == ErrRemoved && s.Signing() == peer.SignCard {
			s.Drop(why) // nothing is left to seal a bye with
			return
		}
		ctx, cancel := context.WithTimeout(context.Background(), goodbye)
		defer cancel()
		_ = s.Close(ctx) // it has ended in any case
	})
	return true
}

// watchDelegation warns before a delegation ends, and ends the session a moment before that, so that the card can log in anew.
func (p *Presence) watchDelegation(s *peer.Session) (stop func()) {
	by := s.Standing()
	if by == nil {
		return func() {}
	}
	left := time.Until(by.Until())
	warn := time.AfterFunc(left-endsSoon, func() {
		p.put(&peer.Warning{Code: wire.CodeCertificateExpired.String(),
			Text: "what your card delegated ends in a few minutes; then the card logs in anew, and wants its PIN"})
	})
	end := time.AfterFunc(left-endsNow, func() { p.leaveFor(ErrDelegationEnds) }) // away, it comes back with the card
	return func() {
		warn.Stop()
		end.Stop()
	}
}

// comeBack logs in again as soon as that makes sense, as often as it takes. The error is one that trying again cannot heal.
func (p *Presence) comeBack(why error) (*peer.Session, error) {
	var err error
	switch {
	case why == ErrIdle:
		lock(p.cfg.Card) // nobody is there, so whoever comes back gives the PIN
		err = p.waitForTouch()
	case errors.Is(why, ErrDelegationEnds):
	default:
		err = p.sleep(firstDelay(why))
	}
	inUse := 0
	for tries := 0; err == nil; tries++ {
		var s *peer.Session
		if err = p.waitForCard(); err != nil {
			break
		}
		if s, err = p.login(); err == nil {
			return p.returned(s)
		}
		p.cfg.Logger.Info("not back yet", "code", wire.CodeOf(err).String(), "err", err)
		patient := false
		if wire.CodeOf(err) == wire.CodeCardInUse {
			inUse++
			patient = inUse <= maxInUse
		}
		if p.ctx.Err() != nil || !heals(err) && !patient {
			break
		}
		err = p.sleep(backoff(tries))
	}
	if wire.CodeOf(err) == wire.CodeCardInUse { // this one was there first, and the relay's word that it was superseded can be lost
		err = wire.Errorf(wire.CodeSuperseded, "another session of the card was there when this one came back: %v", err)
	}
	return nil, err
}

// returned notes a session that is there again, unless the person has left meanwhile.
func (p *Presence) returned(s *peer.Session) (*peer.Session, error) {
	p.began(s)
	p.mu.Lock() // Close has either seen this session, or is seen here
	gone := p.ctx.Err()
	p.mu.Unlock()
	if gone == nil {
		return s, nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), goodbye)
	defer cancel()
	_ = s.Close(ctx)
	return nil, gone
}

// login logs in with the delegation of the session that was lost, where there is one and the relay takes it, else with the card.
func (p *Presence) login() (*peer.Session, error) {
	ctx, cancel := context.WithTimeout(p.ctx, (wire.LoginSeconds+wire.CardSeconds)*time.Second)
	defer cancel()
	cfg := p.cfg.Config
	p.mu.Lock()
	cfg.Standing = p.standing
	p.mu.Unlock()
	if cfg.Standing != nil && time.Until(cfg.Standing.Until()) > endsSoon {
		s, err := peer.Login(ctx, cfg)
		switch wire.CodeOf(err) {
		case wire.CodeSigningRefused, wire.CodeAuthenticationFailed, wire.CodeWrongContext:
		default:
			return s, err
		}
	}
	p.forget()
	cfg.Standing = nil
	return peer.Login(ctx, cfg)
}

// forget erases what the card delegated to: nobody comes back with it.
func (p *Presence) forget() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.standing.Erase()
	p.standing = nil
}

// sleep waits in vain, unless the person leaves. Time in which the machine sleeps counts: whoever opens a laptop is not made to wait.
func (p *Presence) sleep(d time.Duration) error {
	return nap(d, time.Now, func(d time.Duration) error {
		t := time.NewTimer(d)
		defer t.Stop()
		select {
		case <-t.C:
			return nil
		case <-p.ctx.Done():
			return p.ctx.Err()
		}
	})
}

// nap waits in parts, since timers stand still while the machine sleeps and the clock on the wall does not.
func nap(d time.Duration, now func() time.Time, wait func(time.Duration) error) error {
	const part = 2 * time.Second
	for d > 0 {
		before, next := now().Round(0), min(d, part)
		if err := wait(next); err != nil {
			return err
		}
		d -= max(next, now().Round(0).Sub(before))
	}
	return nil
}

func (p *Presence) waitForTouch() error {
	select {
	case <-p.touched:
		return nil
	case <-p.ctx.Done():
		return p.ctx.Err()
	}
}

// healsSession reports whether trying again can heal the end of a session.
func (p *Presence) healsSession(s *peer.Session, err error) bool {
	switch {
	case err == ErrRemoved:
		return p.card.watched
	case err == ErrIdle, errors.Is(err, ErrDelegationEnds):
		return true
	case wire.CodeOf(err) == wire.CodeCertificateExpired && s.Standing() != nil:
		return time.Until(s.Standing().Until()) < endsSoon // the relay's clock is ahead of this one's
	}
	return heals(err) || brokeRekeying(wire.CodeOf(err))
}

func isAbsent(err error) bool {
	_, ok := errors.AsType[*cardauth.AbsentError](err)
	return ok
}

package presence

import (
	"context"
	"sync"
	"time"

	"sinete/cardauth"
	"sinete/wire"
)

// cardState is whether the card is in its reader.
type cardState struct {
	watched bool // somebody says so

	mu      sync.Mutex
	away    bool
	changed chan struct{} // closed at the next change
}

// now returns whether the card is away, and what is closed when that changes.
func (c *cardState) now() (away bool, changed <-chan struct{}) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.changed == nil {
		c.changed = make(chan struct{})
	}
	return c.away, c.changed
}

func (c *cardState) set(away bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.away = away
	if c.changed != nil {
		close(c.changed)
		c.changed = nil
	}
}

// watchCard follows whether the card is there, where the card can say so.
func (p *Presence) watchCard() {
	card, ok := p.cfg.Card.(cardauth.Removable)
	if !ok {
		return
	}
	p.card.watched = true
	if p.cfg.OnRemoval == Wait {
		p.cfg.Card = &patientCard{card, &p.card}
	}
	p.running.Go(func() {
		card.Watch(p.ctx, func(present bool) {
			p.card.set(!present)
			if !present && p.cfg.OnRemoval != Wait {
				p.leaveFor(ErrRemoved)
			}
		})
	})
}

// waitForCard waits until the card is in its reader.
func (p *Presence) waitForCard() error {
	for {
		away, changed := p.card.now()
		if !away {
			return p.ctx.Err()
		}
		select {
		case <-changed:
		case <-p.ctx.Done():
			return p.ctx.Err()
		}
	}
}

// patientCard waits with a signature while the card is out of its reader, as long as others wait for a seal.
type patientCard struct {
	cardauth.Removable
	state *cardState
}

const (
	patience  = (wire.CardSeconds - 15) * time.Second // ends shortly before that of the other side
	lookAgain = 5 * time.Second                       // for a card that was away for so short that nobody says it is back
)

func (c *patientCard) SealRoot(ctx context.Context, in wire.SealInput) ([]byte, error) {
	late := time.NewTimer(patience)
	defer late.Stop()
	for {
		_, changed := c.state.now()
		signature, err := c.Removable.SealRoot(ctx, in)
		if !isAbsent(err) {
			return signature, err
		}
		select {
		case <-changed:
		case <-time.After(lookAgain):
		case <-late.C:
			return nil, err
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// Lock is that of the card, where it has one.
func (c *patientCard) Lock() { lock(c.Removable) }

func lock(c cardauth.Card) {
	if l, ok := c.(cardauth.Lockable); ok {
		l.Lock()
	}
}

// PINEachTime is that of the card, where it says so.
func (c *patientCard) PINEachTime() bool {
	d, ok := c.Removable.(cardauth.Demanding)
	return ok && d.PINEachTime()
}

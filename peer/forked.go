package peer

import (
	"errors"

	"sinete/cardauth/fork"
	"sinete/internal/link"
	"sinete/wire"
)

// Forked tells that somebody has sealed two different values for one place: the other person, from Conversation.Next before Closed, or the relay, from
// Session.Next before SessionClosed. Proof shows it to anybody.
type Forked struct{ Proof *fork.Proof }

func (*Forked) event() {}

// forked is the event for an error that is the fork of somebody who has shown these certificates; nil for any other.
func forked(shown wire.Credentials, err error) *Forked {
	f, ok := errors.AsType[*link.ForkError](err)
	if !ok {
		return nil
	}
	return &Forked{fork.Heads(shown, f.Earlier, f.Later)}
}

// searchFork looks in the store for what the other person sealed before in the place of a head of theirs that does not agree.
func (c *Conversation) searchFork(later *wire.SealEntry) {
	for e, err := range c.session.cfg.Store.Evidence() {
		if err != nil {
			return // the journal's damage is told elsewhere
		}
		if e.Flight == nil || e.Own {
			continue
		}
		if p := fork.Heads(c.shown, &e.Flight.Seal, later); p != nil {
			c.events.put(&Forked{p})
			return
		}
	}
}

package main

import (
	"context"

	"sinete/cmd/peer/internal/screen"
	"sinete/cmd/peer/internal/stores"
	"sinete/cmd/peer/internal/trouble"
	"sinete/peer"
	"sinete/wire"
)

// whois shows what is known of somebody: by the list, the last conversation with them, and what is kept.
func (c *chat) whois(ctx context.Context, who string) error {
	p, listed, err := c.anybody(ctx, who)
	if err != nil {
		return err
	}
	e := screen.WhoisOf(p, listed)
	c.mu.Lock()
	if t := c.talks[p.Identity]; t != nil {
		e = e.In(t.event(), t.Shown())
	}
	c.mu.Unlock()
	if contact := c.session.Contact(p.Identity); contact != nil {
		e = e.On(contact.Machines())
	}
	c.screen.Show(e)
	return nil
}

// anybody finds whom somebody means, of those who are logged in, those talked with since the start, and those of whom something is kept. The error
// is a *trouble.Problem.
func (c *chat) anybody(ctx context.Context, who string) (p peer.Person, listed bool, err error) {
	err = unknownPerson(who)
	if !c.session.Away() {
		p, err = c.lookUp(ctx, who)
	}
	if problem, ok := trouble.AsError[*trouble.Problem](err); !ok || problem.Code != wire.CodeUnknownPeer.String() {
		return p, err == nil, err
	}
	if t, _, _, talked := c.with(who); talked == nil {
		return t.Person(), false, nil
	}
	if c.store != nil {
		if contact, kept := stores.Contact(c.store, who); kept == nil {
			return peer.Person{Identity: contact.Identity, Name: contact.Name()}, false, nil
		}
	}
	return p, false, err
}

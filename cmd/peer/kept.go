package main

import (
	"context"

	"sinete/cardauth"
	"sinete/cmd/peer/internal/cards"
	"sinete/cmd/peer/internal/screen"
	"sinete/cmd/peer/internal/settings"
	"sinete/cmd/peer/internal/stores"
	"sinete/peer"
	"sinete/peer/evidence/export"
	"sinete/peer/store"
	"sinete/wire"
)

// What a chat has of its store.

// history shows what is kept of the messages with somebody, whether they are logged in or not.
func (c *chat) history(ctx context.Context, who string) error {
	if c.store == nil {
		return nothingKept()
	}
	identity, err := c.identify(ctx, who)
	if err != nil {
		return err
	}
	return stores.Show(ctx, c.store, store.Query{With: identity}, c.screen)
}

// evidence writes evidence of all messages with somebody into a file that is not there yet.
func (c *chat) evidence(ctx context.Context, who, file string) error {
	if c.store == nil {
		return nothingKept()
	}
	identity, err := c.identify(ctx, who)
	if err != nil {
		return err
	}
	return stores.WriteEvidence(ctx, c.store, c.policy, export.Wanted{With: identity}, file, c.screen)
}

// identify finds whom somebody means, of those talked with now, those of whom something is kept, and those who are logged in.
func (c *chat) identify(ctx context.Context, who string) (identity string, err error) {
	if t, _, _, err := c.with(who); err == nil {
		return t.Person().Identity, nil
	}
	p, err := stores.Contact(c.store, who)
	if err == nil {
		return p.Identity, nil
	}
	if _, isNumber := personNumber(who); !isNumber || c.session.Away() {
		return "", err
	}
	logged, err := c.lookUp(ctx, who)
	return logged.Identity, err
}

// queue queues texts for somebody with whom no conversation is open.
func (c *chat) queue(p peer.Person, label *wire.Level, texts []string) error {
	first, err := c.session.Queue(p.Identity, label, texts...)
	if err != nil {
		return err
	}
	c.queued(p, first, texts)
	c.screen.Show(screen.Notice{Text: queuedFor(p)})
	return nil
}

// queued tells that texts are in the store: whatever happens now, they go out.
func (c *chat) queued(p peer.Person, first uint64, texts []string) {
	if c.store != nil {
		c.screen.Show(screen.State{ID: p.ID, Name: p.Name, First: first, Last: first + uint64(len(texts)) - 1, State: store.Queued})
	}
}

// before finds somebody with whom there was a conversation before this program was started.
func (c *chat) before(ctx context.Context, who string) (p peer.Person, ok bool) {
	if c.store == nil {
		return p, false
	}
	identity, err := c.identify(ctx, who)
	if err != nil {
		return p, false
	}
	contact := c.store.Known(identity)
	if contact == nil {
		return p, false
	}
	return peer.Person{Identity: identity, Name: contact.Name()}, true
}

// closeStore writes what waits to be written.
func (c *chat) closeStore() error {
	if c.store == nil {
		return nil
	}
	return c.store.Close()
}

// open opens the card, and before that the store, unless the card shows whose it is with its PIN only.
func (c *chatCommand) open(ctx context.Context, p *program, o *cards.Opener, out screen.Screen, cfg *peer.Config) (err error) {
	var seen [][]byte
	if c.Store != "" {
		if seen = o.Peek(c.Card); seen != nil {
			cfg.Store, err = c.keep(ctx, p, out, cfg.Policy, seen)
		}
	}
	if err == nil {
		cfg.Card, err = o.Open(ctx, c.Card)
	}
	switch {
	case err != nil || c.Store == "":
	case seen == nil:
		cfg.Store, err = c.keep(ctx, p, out, cfg.Policy, cfg.Card.Chain())
	default:
		err = ofOnePerson(cfg.Policy, seen, cfg.Card.Chain())
	}
	return err
}

// ofOnePerson refuses another person's card in the place of the one that the store was opened for.
func ofOnePerson(policy *cardauth.Policy, seen, opened [][]byte) error {
	owner, err := settings.Whose(policy, seen)
	if err != nil {
		return &peer.OwnCertificateError{Err: err}
	}
	me, err := settings.Whose(policy, opened)
	if err != nil {
		return &peer.OwnCertificateError{Err: err}
	}
	if me.Identity != owner.Identity {
		return &store.OwnerError{Owner: owner.Identity, Asked: me.Identity}
	}
	return nil
}

// keep opens the store of whoever has a card with that chain.
func (c *chatCommand) keep(ctx context.Context, p *program, out screen.Screen, policy *cardauth.Policy, chain [][]byte) (*store.Store, error) {
	me, err := settings.Whose(policy, chain)
	if err != nil {
		return nil, &peer.OwnCertificateError{Err: err}
	}
	return c.Open(ctx, &p.Terminal, out, store.Owner{Identity: me.Identity, Name: me.Name})
}

// keepFork keeps the proof that somebody, or the relay where that is nobody, has sealed two different values for one place.
func (c *chat) keepFork(f *peer.Forked, by peer.Person) {
	if c.store == nil {
		return // what differs is told with the end
	}
	path, err := stores.KeepFork(c.folder, f.Proof)
	text := screen.ForkKept(by.Name, path)
	if err != nil {
		text = screen.ForkLost(by.Name, err)
	}
	c.screen.Show(screen.Warning{Code: "fork-proof", ID: by.ID, Text: text})
}

package main

import (
	"context"
	"slices"
	"strings"

	"sinete/cmd/peer/internal/screen"
	"sinete/cmd/peer/internal/terminal"
	"sinete/cmd/peer/internal/trouble"
	"sinete/peer"
	"sinete/peer/presence"
	"sinete/wire"
)

// obey takes one command and reports whether there may be another.
func (c *chat) obey(ctx context.Context, in *terminal.Input) bool {
	if ctx.Err() != nil {
		return false
	}
	var l terminal.Line
	select {
	case l = <-in.Ask():
		in.Took()
		c.session.Touch()
	case <-ctx.Done():
		return false
	case <-c.over:
		return false
	}
	return !l.End && c.carryOut(ctx, l)
}

// carryOut does what a line says and reports whether there may be another.
func (c *chat) carryOut(ctx context.Context, l terminal.Line) bool {
	if !l.Long && strings.TrimSpace(l.Text) == "" {
		return true
	}
	cmd, err := parseCommand(l.Text)
	if l.Long {
		err = lineTooLong()
	}
	if err == nil {
		if cmd.all {
			return false
		}
		err = c.execute(ctx, cmd)
	}
	if ctx.Err() != nil {
		return false // what it broke off is no refusal
	}
	if err != nil {
		t := trouble.Explain(err)
		c.screen.Show(screen.Refused{Command: cmd.word, Code: t.Code, Text: t.Text()})
	}
	c.screen.Finished()
	return true
}

func (c *chat) execute(ctx context.Context, cmd command) error {
	switch cmd.word {
	case "list":
		people, err := c.session.List(ctx)
		if err == nil {
			c.screen.Show(screen.PeersOf(people))
		}
		return err
	case "whois":
		p, err := c.lookUp(ctx, cmd.who)
		if err == nil {
			c.screen.Show(screen.PeersOf([]peer.Person{p}))
		}
		return err
	case "connect":
		return c.connect(ctx, cmd)
	case "send":
		return c.send(ctx, cmd)
	case "disconnect":
		return c.disconnect(ctx, cmd.who)
	case "connected":
		if c.session.Away() {
			return presence.ErrAway
		}
		c.screen.Show(c.connected())
	case "ciphers":
		c.screen.Show(screen.Ciphers{Suites: trouble.SuiteNames(c.suites)})
	case "level":
		c.screen.Show(c.now())
	case "menu":
		c.screen.Show(screen.Menu{Commands: screen.Forms})
	case "help":
		c.screen.Show(screen.Menu{Commands: screen.Forms, Explained: true})
	}
	return nil
}

func (c *chat) lookUp(ctx context.Context, who string) (peer.Person, error) {
	people, err := c.session.List(ctx)
	if err != nil {
		return peer.Person{}, err
	}
	return find(people, who)
}

// connect returns when the conversation has been shown.
func (c *chat) connect(ctx context.Context, cmd command) error {
	if len(c.suites) > 0 && len(cmd.with) > 0 && !slices.Contains(c.suites, cmd.with[0]) {
		return suiteNotOffered(cmd.with[0], c.suites)
	}
	id, isNumber := personNumber(cmd.who)
	if !isNumber {
		p, err := c.lookUp(ctx, cmd.who)
		if err != nil {
			return err
		}
		id = p.ID
	}
	shown := c.expect(id)
	if err := c.session.Connect(ctx, id, cmd.with); err != nil {
		return err
	}
	select {
	case <-shown:
	case <-ctx.Done():
	case <-c.over:
	}
	return nil
}

// send hands a text to an open conversation, or queues it where the last one broke or is to be made again. One that somebody ended takes
// nothing more.
func (c *chat) send(ctx context.Context, cmd command) error {
	t, ended, reason, err := c.with(cmd.who)
	switch {
	case err != nil:
		return err
	case !ended:
		_, err = t.Send(ctx, cmd.text)
		return err
	case !screen.QueuesAfter(reason.String()) && !c.session.Wanted(t.Person().Identity):
		return notConnected(cmd.who)
	}
	p := t.Person()
	if _, err := c.session.Queue(p.Identity, cmd.text); err != nil {
		return err
	}
	c.screen.Show(screen.Notice{Text: queuedFor(p)})
	return nil
}

// disconnect returns when the conversation's end has been shown. One that broke is not made again.
func (c *chat) disconnect(ctx context.Context, who string) error {
	t, ended, _, err := c.with(who)
	if err != nil {
		return err
	}
	if ended {
		if !c.session.Forget(t.Person().Identity) {
			return notConnected(who)
		}
		c.mu.Lock()
		t.reason = wire.CodeBye
		given := t.event()
		c.mu.Unlock()
		c.screen.Show(given)
		return nil
	}
	_ = t.Disconnect(ctx) // it has ended in any case, and its last event says how
	select {
	case <-t.done:
	case <-ctx.Done():
	}
	return nil
}

package main

import (
	"context"
	"slices"
	"strings"
	"unicode/utf8"

	"sinete/cmd/peer/internal/screen"
	"sinete/cmd/peer/internal/terminal"
	"sinete/cmd/peer/internal/trouble"
	"sinete/peer"
	"sinete/peer/presence"
	"sinete/wire"
)

// obey takes one command, or messages to one person that wait in several lines, and reports whether there may be another.
func (c *chat) obey(ctx context.Context, in *terminal.Input) bool {
	if ctx.Err() != nil {
		return false
	}
	var l terminal.Line
	if c.ahead != nil {
		l, c.ahead = *c.ahead, nil
	} else {
		select {
		case l = <-in.Ask():
			in.Took()
		case <-ctx.Done():
			return false
		case <-c.over:
			return false
		}
	}
	c.session.Touch()
	if l.End {
		return false
	}
	cmd, err := parseLine(l)
	return c.carryOut(ctx, cmd, err, c.gather(cmd, err, in)...)
}

// maxTogether is how many messages are taken together at the most.
const maxTogether = 4096

// gather takes the texts of the lines that wait behind a message and are for the same person, under the same label: a store then writes them at once.
func (c *chat) gather(cmd command, err error, in *terminal.Input) (texts []string) {
	if err != nil || !fits(cmd) {
		return nil
	}
	for len(texts) < maxTogether {
		l, ok := in.Next()
		if !ok {
			break
		}
		next, err := parseLine(l)
		if err != nil || l.End || !fits(next) || next.who != cmd.who || !sameLabel(next.label, cmd.label) {
			c.ahead = &l
			break
		}
		texts = append(texts, next.text)
	}
	return texts
}

// fits reports whether a command is a message that can be taken together with others: none that would be refused for itself.
func fits(c command) bool {
	return (c.word == "send" || c.word == "sendas") && len(c.text) <= wire.MaxText && utf8.ValidString(c.text)
}

func sameLabel(a, b *wire.Level) bool {
	return a == nil && b == nil || a != nil && b != nil && a.Equal(*b)
}

// parseLine reads a line as a command; one that is blank has no word.
func parseLine(l terminal.Line) (command, error) {
	switch {
	case l.Long:
		cmd, _ := parseCommand(l.Text)
		return cmd, lineTooLong()
	case strings.TrimSpace(l.Text) == "":
		return command{}, nil
	}
	return parseCommand(l.Text)
}

// carryOut does what a command says, with more texts behind that of a message, and reports whether there may be another.
func (c *chat) carryOut(ctx context.Context, cmd command, err error, more ...string) bool {
	if err == nil && cmd.word == "" {
		return true
	}
	if err == nil && cmd.all {
		return false
	}
	if err == nil {
		err = c.execute(ctx, cmd, more...)
	}
	if ctx.Err() != nil {
		return false // what it broke off is no refusal
	}
	if err != nil {
		c.refuse(cmd, err)
	}
	c.screen.Finished()
	return true
}

func (c *chat) refuse(cmd command, err error) {
	t := trouble.Explain(err)
	c.screen.Show(screen.Refused{Command: cmd.word, Code: t.Code, Text: t.Text()})
}

func (c *chat) execute(ctx context.Context, cmd command, more ...string) error {
	switch cmd.word {
	case "list":
		people, err := c.session.List(ctx)
		if err == nil {
			c.screen.Show(screen.PeersOf(people))
		}
		return err
	case "whois":
		return c.whois(ctx, cmd.who)
	case "history":
		return c.history(ctx, cmd.who)
	case "transcript":
		return c.compare(cmd.who)
	case "evidence":
		return c.evidence(ctx, cmd.who, cmd.file)
	case "connect":
		return c.connect(ctx, cmd)
	case "send", "sendas":
		return c.sendAll(ctx, cmd, more)
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

// sendAll sends a message and those behind it, one by one where all at once are refused.
func (c *chat) sendAll(ctx context.Context, cmd command, more []string) error {
	err := c.send(ctx, cmd, append([]string{cmd.text}, more...)...)
	if err == nil || len(more) == 0 {
		return err
	}
	err = c.send(ctx, cmd, cmd.text)
	for _, text := range more {
		if err != nil && ctx.Err() == nil {
			c.refuse(cmd, err)
		}
		err = c.send(ctx, cmd, text)
	}
	return err
}

// send hands texts to an open conversation, or queues them where the last one broke or is to be made again. One that somebody ended takes
// nothing more.
func (c *chat) send(ctx context.Context, cmd command, texts ...string) error {
	t, ended, reason, err := c.with(cmd.who)
	switch {
	case err != nil:
		if p, ok := c.before(ctx, cmd.who); ok {
			return c.queue(p, cmd.label, texts)
		}
		return err
	case !ended:
		first, err := t.Send(ctx, cmd.label, texts...)
		if err == nil {
			c.queued(t.Person(), first, texts)
		}
		return err
	case !screen.QueuesAfter(reason.String()) && !c.session.Wanted(t.Person().Identity):
		return notConnected(cmd.who)
	}
	return c.queue(t.Person(), cmd.label, texts)
}

// compare shows the code to compare with somebody.
func (c *chat) compare(who string) error {
	t, ended, _, err := c.with(who)
	if err == nil && ended {
		err = notConnected(who)
	}
	if err == nil {
		c.screen.Show(screen.TranscriptOf(t.Person(), t.Compare()))
	}
	return err
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

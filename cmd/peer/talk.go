package main

import (
	"context"
	"maps"
	"slices"
	"sync"
	"time"

	"sinete/cardauth"
	"sinete/cmd/peer/internal/screen"
	"sinete/cmd/peer/internal/terminal"
	"sinete/cmd/peer/internal/trouble"
	"sinete/peer"
	"sinete/peer/store"
	"sinete/wire"
)

// machineWait is how long a conversation that is established waits for the other's machine before it is shown.
const machineWait = 5 * time.Second

// chat is a session at work: commands come in one after the other, and events go to the screen as they come.
type chat struct {
	session session
	store   *store.Store // nil: nothing is kept
	folder  string       // of the store: proofs of forks are kept beside it
	policy  *cardauth.Policy
	screen  screen.Screen
	suites  []wire.Suite   // offered; none: all
	ahead   *terminal.Line // read, and not obeyed yet; nil: none
	begin   string         // the first command, before any of the input; empty: none

	mu       sync.Mutex
	talks    map[string]*talk         // the last one with each person, by their identity: numbers change where a relay is restarted
	away     string                   // code: why there is no session now; empty where there is one
	expected map[uint32]chan struct{} // closed when a conversation with that person has been shown

	over chan struct{} // closed when the session has ended and all else has been shown
	err  error         // why; set before over is closed
}

// talk is a conversation, or one that has ended.
type talk struct {
	conversation
	done chan struct{} // closed when its end has been shown

	// Of the chat's mu.
	shown   bool
	ended   bool
	reason  wire.Code
	machine peer.Known
	epoch   uint64
}

func newChat(s session, screen screen.Screen, suites []wire.Suite) *chat {
	return &chat{session: s, screen: screen, suites: suites, talks: map[string]*talk{},
		expected: map[uint32]chan struct{}{}, over: make(chan struct{})}
}

// run takes commands until the person leaves, the first interrupt comes or the session ends; then it leaves in order, unless the
// second interrupt comes. It returns the exit status.
func (c *chat) run(first, second context.Context, in *terminal.Input) int {
	c.screen.Show(sessionOf(c.session))
	c.screen.Finished()
	go c.follow()
	if c.start(first) {
		for c.obey(first, in) {
		}
	}
	leaving := false
	select {
	case <-c.over:
	default:
		leaving = true
		c.leave(second)
	}
	closed := sessionOf(c.session)
	closed.State = "closed"
	status := trouble.StatusDone
	err := c.outcome(second)
	if kept := c.closeStore(); err == nil {
		err = kept
	}
	switch {
	case err != nil:
		t := trouble.Explain(err)
		c.screen.Show(screen.FailureOf(t))
		closed.Reason, status = t.Code, t.Status
	case leaving:
		closed.Reason = wire.CodeBye.String()
	default: // the relay ended it in order
		closed.Reason, status = wire.CodeGoingAway.String(), trouble.StatusFailed
	}
	c.screen.Show(closed)
	return status
}

// start carries out the first command, if there is one, and reports whether there may be another.
func (c *chat) start(ctx context.Context) bool {
	cmd, err := parseLine(terminal.Line{Text: c.begin})
	return c.carryOut(ctx, cmd, err)
}

// leave closes the session and waits until its end has been shown, or not.
func (c *chat) leave(second context.Context) {
	closed := make(chan struct{})
	go func() {
		_ = c.session.Close(second) // what went wrong is in the session's last event
		close(closed)
	}()
	for _, done := range []chan struct{}{c.over, closed} {
		select {
		case <-done:
		case <-second.Done():
		}
	}
}

// outcome is why the session ended, or that nobody waited for its end.
func (c *chat) outcome(second context.Context) error {
	select {
	case <-c.over:
		return c.err
	default:
		return second.Err()
	}
}

// follow shows what happens in the session.
func (c *chat) follow() {
	defer close(c.over)
	var talks sync.WaitGroup
	defer talks.Wait()
	for {
		e, conversation, err := c.session.Next(context.Background())
		if err != nil {
			c.err = err
			return
		}
		switch e := e.(type) {
		case *peer.Opened:
			t := &talk{conversation: conversation, done: make(chan struct{}), machine: peer.MachineNew}
			identity := t.Person().Identity
			c.mu.Lock()
			before := c.talks[identity]
			c.talks[identity] = t
			c.mu.Unlock()
			talks.Go(func() { c.converse(t, before) })
		case *peer.Warning:
			c.screen.Show(screen.Warning{Code: e.Code, Text: e.Text})
		case *peer.Away:
			c.goneAway(e.Err)
		case *peer.Back:
			c.mu.Lock()
			c.away = ""
			c.mu.Unlock()
			back := sessionOf(c.session)
			back.Back = true
			c.screen.Show(back)
		case *peer.Forked:
			c.keepFork(e, peer.Person{})
		case *peer.LevelChanged:
			c.screen.Show(sessionOf(c.session))
		case *peer.Missed:
			c.screen.Show(screen.MissedOf(e))
		case *peer.GivenUp:
			c.screen.Show(screen.Warning{Code: "not-rebuilt", ID: e.Person.ID, Text: screen.GivenUp(e.Person, e.Number)})
		case *peer.SessionClosed:
			c.err = e.Err
			return
		}
	}
}

// goneAway shows that there is no session for now, once all has been shown of the conversations that ended with it.
func (c *chat) goneAway(why error) {
	c.mu.Lock()
	talks := slices.Collect(maps.Values(c.talks))
	c.mu.Unlock()
	for _, t := range talks {
		<-t.done
	}
	c.mu.Lock()
	c.away = trouble.Explain(why).Code
	c.mu.Unlock()
	c.screen.Show(c.now())
}

// now is the session as it is.
func (c *chat) now() screen.Session {
	c.mu.Lock()
	defer c.mu.Unlock()
	e := sessionOf(c.session)
	if c.away != "" {
		e.State, e.Reason, e.Again = "closed", c.away, true
	}
	return e
}

// converse shows what happens in a conversation, once all has been shown of the one before with the same person.
func (c *chat) converse(t, before *talk) {
	defer close(t.done)
	if before != nil {
		<-before.done
	}
	early := firstEvents(t)
	c.mu.Lock()
	if n := len(early); n > 0 {
		if m, ok := early[n-1].(*peer.MachineStatement); ok {
			t.machine = m.Known
		}
	}
	t.shown = true
	shown := c.expected[t.Person().ID]
	delete(c.expected, t.Person().ID)
	open := t.event()
	c.mu.Unlock()
	c.screen.Show(open)
	if shown != nil {
		close(shown)
	}
	for _, e := range early {
		if c.tell(t, e) {
			return
		}
	}
	for {
		e, err := t.Next(context.Background())
		if err != nil || c.tell(t, e) {
			return
		}
	}
}

// firstEvents waits for the machine statement, which stands before everything but what tells of this person's own messages.
func firstEvents(t *talk) (early []peer.Event) {
	ctx, cancel := context.WithTimeout(context.Background(), machineWait)
	defer cancel()
	for {
		e, err := t.Next(ctx)
		if err != nil {
			return early
		}
		early = append(early, e)
		switch e.(type) {
		case *peer.Receipt, *peer.Progress:
		default:
			return early
		}
	}
}

// tell shows an event of a conversation and reports whether it was the last.
func (c *chat) tell(t *talk, e peer.Event) (last bool) {
	person := t.Person()
	switch e := e.(type) {
	case *peer.Message:
		c.screen.Show(screen.MessageOf(person, e))
	case *peer.Receipt:
		c.screen.Show(screen.Receipt{ID: person.ID, Seq: e.Number, Stage: e.Stage, Person: person.Name})
	case *peer.MachineStatement:
		c.mu.Lock()
		t.machine = e.Known
		c.mu.Unlock()
		if e.Known == peer.MachineChanged {
			c.screen.Show(screen.Warning{Code: "machine-changed", ID: person.ID, Text: screen.MachineChanged(person.Name, e.Before, e.Description)})
		}
	case *peer.MachineChangeNoticed:
		c.screen.Show(screen.Warning{Code: "machine-change-noticed", ID: person.ID, Text: screen.MachineChangeNoticed(person.Name, e.Before)})
	case *peer.Rekeyed:
		c.mu.Lock()
		t.epoch = e.Epoch
		now := t.event()
		c.mu.Unlock()
		now.Rekeyed = true
		c.screen.Show(now)
	case *peer.Progress:
		if e.State == store.Sent && c.store == nil {
			break // without a store there is no queued before it, and receipts say the rest
		}
		state := screen.State{ID: person.ID, Name: person.Name, First: e.First, Last: e.Last, State: e.State}
		if e.State == store.Failed {
			state.Reason = e.Reason.String()
		}
		c.screen.Show(state)
	case *peer.Forked:
		c.keepFork(e, person)
	case *peer.Warning:
		c.screen.Show(screen.Warning{Code: e.Code, ID: person.ID, Text: screen.WarningText(e, person.Name)})
	case *peer.Closed:
		c.mu.Lock()
		t.ended, t.reason = true, e.Number
		closed := t.event()
		c.mu.Unlock()
		closed.Queued, closed.Verified, closed.Found = e.Queued, e.Verified, trouble.Found(e.Why)
		c.screen.Show(closed)
		return true
	}
	return false
}

// event is what the conversation is now. The chat's mu is held.
func (t *talk) event() screen.Conversation {
	p := t.Person()
	e := screen.Conversation{ID: p.ID, Name: p.Name, State: "open", Suite: t.Suite().String(), Epoch: t.epoch, Machine: t.machine, Signing: peer.SignCard, MayWrite: t.MayWrite()}
	if t.Delegated() {
		e.Signing = peer.SignDelegated
	}
	if t.ended {
		e.State, e.Reason, e.Signing, e.MayWrite = "closed", t.reason.String(), "", false
	}
	return e
}

// connected lists the conversations that are shown and open, by number.
func (c *chat) connected() screen.Connected {
	c.mu.Lock()
	defer c.mu.Unlock()
	e := screen.Connected{Conversations: []screen.Conversation{}}
	for _, t := range c.talks {
		if t.shown && !t.ended {
			e.Conversations = append(e.Conversations, t.event())
		}
	}
	slices.SortFunc(e.Conversations, func(a, b screen.Conversation) int { return int(a.ID) - int(b.ID) })
	return e
}

// with finds the last conversation with somebody. The error is a *trouble.Problem.
func (c *chat) with(who string) (t *talk, ended bool, reason wire.Code, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	var people []peer.Person
	for _, t := range c.talks {
		people = append(people, t.Person())
	}
	p, err := find(people, who)
	if err != nil {
		if unknown, ok := trouble.AsError[*trouble.Problem](err); ok && unknown.Code == wire.CodeUnknownPeer.String() {
			err = notConnected(who)
		}
		return nil, false, 0, err
	}
	t = c.talks[p.Identity]
	return t, t.ended, t.reason, nil
}

// expect returns a channel that is closed when a conversation with that person has been shown.
func (c *chat) expect(id uint32) <-chan struct{} {
	c.mu.Lock()
	defer c.mu.Unlock()
	shown := make(chan struct{})
	c.expected[id] = shown
	return shown
}

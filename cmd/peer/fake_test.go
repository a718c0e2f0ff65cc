package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"sync"
	"testing"
	"testing/synctest"

	"sinete/cmd/peer/internal/screen"
	"sinete/cmd/peer/internal/terminal"
	"sinete/peer"
	"sinete/peer/store"
	"sinete/wire"
)

// fakeSession is a session in which the test says what happens.
type fakeSession struct {
	events chan happening
	people []peer.Person
	kept   *store.Store
	queued []string // what Queue took
	opened []*fakeConversation

	away, wanted bool
	touched      int
	forgotten    []string

	connect func(id uint32, suites []wire.Suite) error
	close   func() // what Close does; nil: the session ends in order
}

// happening is what Next returns.
type happening struct {
	event        peer.Event
	conversation conversation
}

func newFakeSession() *fakeSession {
	rui := peer.Person{ID: 2, Name: "Rui", Identity: "BI2@a", Level: wire.Level{Rank: 1}, Send: true}
	eva := peer.Person{ID: 3, Name: "Eva", Identity: "BI3@a"}
	return &fakeSession{kept: store.NewMemory(), events: make(chan happening, 16), people: []peer.Person{rui, eva}}
}

func (s *fakeSession) Relay() string         { return "Trial relay" }
func (s *fakeSession) Name() string          { return "Ana" }
func (s *fakeSession) Level() wire.Level     { return wire.Level{Rank: 2} }
func (s *fakeSession) Suite() wire.Suite     { return 1 }
func (s *fakeSession) Signing() peer.Signing { return peer.SignCard }

func (s *fakeSession) List(ctx context.Context) ([]peer.Person, error) { return s.people, ctx.Err() }

func (s *fakeSession) Connect(ctx context.Context, id uint32, suites []wire.Suite) error {
	if s.connect == nil {
		<-ctx.Done()
		return ctx.Err()
	}
	return s.connect(id, suites)
}

func (s *fakeSession) Queue(identity string, label *wire.Level, texts ...string) (uint64, error) {
	for _, text := range texts {
		s.queued = append(s.queued, identity+" "+labelled(label, text))
	}
	return 0, nil
}

func (s *fakeSession) Away() bool                             { return s.away }
func (s *fakeSession) Contact(identity string) *store.Contact { return s.kept.Known(identity) }

func (s *fakeSession) Touch()             { s.touched++ }
func (s *fakeSession) Wanted(string) bool { return s.wanted }

func (s *fakeSession) Forget(identity string) bool {
	s.forgotten = append(s.forgotten, identity)
	return s.wanted
}

func (s *fakeSession) Next(ctx context.Context) (peer.Event, conversation, error) {
	select {
	case h := <-s.events:
		return h.event, h.conversation, nil
	case <-ctx.Done():
		return nil, nil, ctx.Err()
	}
}

func (s *fakeSession) Close(context.Context) error {
	if s.close != nil {
		s.close()
		return nil
	}
	for _, c := range s.opened {
		c.ends(wire.CodeBye)
	}
	s.ends(nil)
	return nil
}

func (s *fakeSession) ends(err error) {
	s.events <- happening{event: &peer.SessionClosed{Err: err}}
}

// opens makes a conversation with people[i] in which these events come first.
func (s *fakeSession) opens(i int, events ...peer.Event) *fakeConversation {
	c := &fakeConversation{person: s.people[i], events: make(chan peer.Event, 16)}
	for _, e := range events {
		c.events <- e
	}
	s.opened = append(s.opened, c)
	s.events <- happening{&peer.Opened{}, c}
	return c
}

type fakeConversation struct {
	person peer.Person
	events chan peer.Event
	sent   []string
	calls  int   // of Send
	refuse error // what Send returns

	delegated bool
	shown     peer.Shown
	compared  peer.Comparison
}

func (c *fakeConversation) Person() peer.Person { return c.person }
func (c *fakeConversation) Suite() wire.Suite   { return 5 }
func (c *fakeConversation) MayWrite() bool      { return c.person.Send }
func (c *fakeConversation) Delegated() bool     { return c.delegated }

func (c *fakeConversation) Shown() peer.Shown        { return c.shown }
func (c *fakeConversation) Compare() peer.Comparison { return c.compared }

func (c *fakeConversation) Send(_ context.Context, label *wire.Level, texts ...string) (uint64, error) {
	c.calls++
	for _, text := range texts {
		c.sent = append(c.sent, labelled(label, text))
	}
	return uint64(len(c.sent)), c.refuse
}

// labelled is a text with its label before it, where it has one.
func labelled(label *wire.Level, text string) string {
	if label == nil {
		return text
	}
	return label.String() + ":" + text
}

func (c *fakeConversation) Next(ctx context.Context) (peer.Event, error) {
	select {
	case e := <-c.events:
		return e, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func (c *fakeConversation) Disconnect(context.Context) error {
	c.ends(wire.CodeBye)
	return nil
}

func (c *fakeConversation) ends(n wire.Code) { c.events <- &peer.Closed{Number: n} }

func known(k peer.Known) *peer.MachineStatement { return &peer.MachineStatement{Known: k} }

func text(n uint64, s string) *peer.Message {
	m := &peer.Message{Number: n, Text: s}
	rand.Read(m.ID[:])
	return m
}

// conversationalist runs a chat --json in virtual time.
type conversationalist struct {
	*testing.T
	out    lockedBuffer
	typed  chan string
	first  context.CancelFunc
	second context.CancelFunc
	status chan int
}

func talkTo(t *testing.T, s session, suites ...wire.Suite) *conversationalist {
	c := &conversationalist{T: t, typed: make(chan string, 64), status: make(chan int, 1)}
	var first, second context.Context
	first, c.first = context.WithCancel(t.Context())
	second, c.second = context.WithCancel(t.Context())
	go func() {
		c.status <- newChat(s, screen.New(&terminal.Terminal{Stdout: &c.out}, true), suites).run(first, second, terminal.NewInput(&typist{lines: c.typed}))
	}()
	return c
}

// says types lines and wants exactly these lines of output, as prefixes.
func (c *conversationalist) says(typed []string, want ...string) {
	c.Helper()
	for _, l := range typed {
		c.typed <- l + "\n"
	}
	c.shows(want...)
}

// shows wants exactly these new lines of output, as prefixes.
func (c *conversationalist) shows(want ...string) {
	c.Helper()
	synctest.Wait()
	got := c.out.take()
	for i := range max(len(got), len(want)) {
		switch {
		case i >= len(got):
			c.Errorf("missing: %s", want[i])
		case i >= len(want):
			c.Errorf("too much: %s", got[i])
		case !bytes.HasPrefix(got[i], []byte(want[i])):
			c.Errorf("got  %s\nwant %s", got[i], want[i])
		}
	}
}

// leaves wants the program to end with that status and these last lines.
func (c *conversationalist) leaves(status int, want ...string) {
	c.Helper()
	c.shows(want...)
	select {
	case got := <-c.status:
		if got != status {
			c.Errorf("status %d, want %d", got, status)
		}
	default:
		c.Error("the program goes on")
	}
	close(c.typed) // which frees the reader
	c.first()
	c.second()
}

// typist is an input of lines.
type typist struct {
	lines <-chan string
	rest  string
}

func (t *typist) Read(b []byte) (int, error) {
	if t.rest == "" {
		l, ok := <-t.lines
		if !ok {
			return 0, context.Canceled // any error is the end
		}
		t.rest = l
	}
	n := copy(b, t.rest)
	t.rest = t.rest[n:]
	return n, nil
}

// lockedBuffer keeps each Write, which must be one line.
type lockedBuffer struct {
	mu    sync.Mutex
	lines [][]byte
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.lines = append(b.lines, bytes.Clone(p))
	return len(p), nil
}

func (b *lockedBuffer) take() [][]byte {
	b.mu.Lock()
	defer b.mu.Unlock()
	lines := b.lines
	b.lines = nil
	return lines
}

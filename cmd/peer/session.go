package main

import (
	"context"

	"sinete/cmd/peer/internal/screen"
	"sinete/peer"
	"sinete/peer/presence"
	"sinete/peer/store"
	"sinete/wire"
)

// session is what chat needs of a presence.Presence and its peer.Session; see there.
type session interface {
	Relay() string
	Name() string
	Level() wire.Level
	Suite() wire.Suite
	Signing() peer.Signing
	List(ctx context.Context) ([]peer.Person, error)
	Connect(ctx context.Context, id uint32, suites []wire.Suite) error
	Contact(identity string) *store.Contact
	Away() bool
	Touch()
	Wanted(identity string) bool
	Forget(identity string) bool
	Queue(identity string, label *wire.Level, texts ...string) (first uint64, err error)
	Next(ctx context.Context) (peer.Event, conversation, error)
	Close(ctx context.Context) error
}

// conversation is what chat needs of a peer.Conversation; see there.
type conversation interface {
	Person() peer.Person
	Suite() wire.Suite
	MayWrite() bool
	Delegated() bool
	Shown() peer.Shown
	Compare() peer.Comparison
	Send(ctx context.Context, label *wire.Level, texts ...string) (first uint64, err error)
	Next(ctx context.Context) (peer.Event, error)
	Disconnect(ctx context.Context) error
}

// live is a real one.
type live struct{ *presence.Presence }

func login(ctx context.Context, cfg presence.Config) (session, error) {
	p, err := presence.Begin(ctx, cfg)
	if err != nil {
		return nil, err
	}
	return live{p}, nil
}

func (l live) Relay() string         { return l.Session().Relay() }
func (l live) Name() string          { return l.Session().Name() }
func (l live) Level() wire.Level     { return l.Session().Level() }
func (l live) Suite() wire.Suite     { return l.Session().Suite() }
func (l live) Signing() peer.Signing { return l.Session().Signing() }

func (l live) Contact(identity string) *store.Contact { return l.Session().Contact(identity) }

func (l live) Connect(ctx context.Context, id uint32, suites []wire.Suite) error {
	_, err := l.Presence.Connect(ctx, id, suites)
	return err
}

// Queue queues under a label, or where that is nil under the level that the sender will have.
func (l live) Queue(identity string, label *wire.Level, texts ...string) (first uint64, err error) {
	if label != nil {
		return l.Presence.QueueAs(identity, *label, texts...)
	}
	return l.Presence.Queue(identity, texts...)
}

// Next returns the conversation that is open now beside a *peer.Opened.
func (l live) Next(ctx context.Context) (peer.Event, conversation, error) {
	e, err := l.Presence.Next(ctx)
	if o, ok := e.(*peer.Opened); ok {
		return e, liveConversation{o.Conversation}, err
	}
	return e, nil, err
}

type liveConversation struct{ *peer.Conversation }

func (l liveConversation) Person() peer.Person { return l.Conversation.Person }
func (l liveConversation) MayWrite() bool      { return l.Conversation.MayWrite }

func sessionOf(s session) screen.Session {
	return screen.Session{State: "open", Relay: s.Relay(), Name: s.Name(), Level: s.Level().Rank, Compartments: s.Level().Compartments,
		Suite: s.Suite().String(), Signing: string(s.Signing())}
}

// Send sends under a label, or where that is nil under the sender's level.
func (l liveConversation) Send(ctx context.Context, label *wire.Level, texts ...string) (first uint64, err error) {
	if label != nil {
		return l.Conversation.SendAs(ctx, *label, texts...)
	}
	return l.Conversation.SendAll(ctx, texts...)
}

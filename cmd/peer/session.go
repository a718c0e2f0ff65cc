package main

import (
	"context"

	"sinete/peer"
	"sinete/wire"
)

// session is what chat needs of a peer.Session; see there.
type session interface {
	Relay() string
	Name() string
	Level() wire.Level
	Suite() wire.Suite
	Signing() peer.Signing
	List(ctx context.Context) ([]peer.Person, error)
	Connect(ctx context.Context, id uint32, suites []wire.Suite) error
	Queue(identity, text string) (number uint64, err error)
	Next(ctx context.Context) (peer.Event, conversation, error)
	Close(ctx context.Context) error
}

// conversation is what chat needs of a peer.Conversation; see there.
type conversation interface {
	Person() peer.Person
	Suite() wire.Suite
	MayWrite() bool
	Send(ctx context.Context, text string) (number uint64, err error)
	Next(ctx context.Context) (peer.Event, error)
	Disconnect(ctx context.Context) error
}

// live is a real session.
type live struct{ *peer.Session }

func login(ctx context.Context, cfg peer.Config) (session, error) {
	s, err := peer.Login(ctx, cfg)
	if err != nil {
		return nil, err
	}
	return live{s}, nil
}

func (l live) Connect(ctx context.Context, id uint32, suites []wire.Suite) error {
	_, err := l.Session.Connect(ctx, id, suites)
	return err
}

// Next returns the conversation that is open now beside a *peer.Opened.
func (l live) Next(ctx context.Context) (peer.Event, conversation, error) {
	e, err := l.Session.Next(ctx)
	if o, ok := e.(*peer.Opened); ok {
		return e, liveConversation{o.Conversation}, err
	}
	return e, nil, err
}

type liveConversation struct{ *peer.Conversation }

func (l liveConversation) Person() peer.Person { return l.Conversation.Person }
func (l liveConversation) MayWrite() bool      { return l.Conversation.MayWrite }

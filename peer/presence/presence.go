// Package presence keeps a person logged in: it comes back by itself after a lost connection, a relay that was restarted or a card that was
// taken out, and makes the conversations again that broke.
//
// Most readers need Begin, Presence.Next and Presence.Close:
//
//	p, err := presence.Begin(ctx, presence.Config{Config: cfg})
//	event, err := p.Next(ctx) // *peer.Opened, *peer.Warning, *peer.Away, *peer.Back, *peer.GivenUp, and at the end *peer.SessionClosed
//
// What is sent in a conversation that broke, or queued with Queue, goes out when there is one again, under the numbers that it was given.
package presence

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"sinete/peer"
	"sinete/peer/store"
	"sinete/wire"
)

// Removal is what becomes of the session when the card is taken out of its reader.
type Removal string

const (
	Leave Removal = "leave" // it ends
	Wait  Removal = "wait"  // it waits for the card, as long as the relay waits for a seal
)

// Config is that of a login, and what is done about its end. The zero value of what it adds works.
type Config struct {
	peer.Config
	OnRemoval  Removal       // empty: Leave
	IdleLogout time.Duration // after so long without Touch the session ends until the next one, which wants the card's PIN again; 0: never
}

var (
	// ErrRemoved is in Away where the card was taken out.
	ErrRemoved = errors.New("the card was taken out")
	// ErrIdle is in Away where nobody has touched anything for Config.IdleLogout.
	ErrIdle = errors.New("nobody has typed anything for the time set")
	// ErrDelegationEnds is in Away where what the card delegated ends, and the card logs in anew.
	ErrDelegationEnds = wire.Errorf(wire.CodeCertificateExpired, "the delegation ends")
	// ErrAway is what requests to the relay are told while there is no session.
	ErrAway = errors.New("there is no session at the moment")
)

// Presence is a person who stays logged in.
type Presence struct {
	cfg    Config
	ctx    context.Context // ends when the person leaves
	cancel context.CancelFunc

	events  chan peer.Event
	over    chan struct{} // closed when nothing of it runs any more
	err     error         // why it ended, once over is closed
	running sync.WaitGroup

	card    cardState
	touched chan struct{} // raised by Touch
	idle    *time.Timer   // nil: never

	mu       sync.Mutex
	session  *peer.Session // the last one
	away     bool          // it has ended
	leaving  error         // why this side ends the session for now
	standing *peer.Standing
	wanted   map[string]*wanted // conversations that should be there, by identity
	missed   *peer.Missed       // taken last; nil: that was something else, or is noted as shown
}

// maxEvents bounds the events that wait for a program which does not take them.
const maxEvents = 1024

// Begin logs in, with the errors of peer.Login: what cannot begin is not tried again. ctx ends the attempt.
func Begin(ctx context.Context, cfg Config) (*Presence, error) {
	if cfg.Store == nil {
		cfg.Store = store.NewMemory()
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	p := &Presence{cfg: cfg, events: make(chan peer.Event, maxEvents), over: make(chan struct{}), touched: make(chan struct{}, 1),
		wanted: map[string]*wanted{}}
	p.ctx, p.cancel = context.WithCancel(context.Background())
	p.watchCard()
	s, err := peer.Login(ctx, p.cfg.Config)
	if err != nil {
		p.cancel()
		p.running.Wait()
		return nil, err
	}
	p.began(s)
	p.remember(s)
	if cfg.IdleLogout > 0 {
		p.mu.Lock() // the timer's goroutine must see the field
		p.idle = time.AfterFunc(cfg.IdleLogout, p.idled)
		p.mu.Unlock()
	}
	go p.run(s)
	return p, nil
}

// began notes a session that is there.
func (p *Presence) began(s *peer.Session) {
	p.mu.Lock()
	p.session, p.away, p.leaving, p.standing = s, false, nil, s.Standing()
	p.mu.Unlock()
	if gone, _ := p.card.now(); gone && p.cfg.OnRemoval != Wait { // while it logged in
		p.leaveFor(ErrRemoved)
	}
}

// Next waits for the next event. A *peer.SessionClosed is the last one: its Err is nil where the person left. Whoever comes for it has shown the
// *peer.Missed before.
func (p *Presence) Next(ctx context.Context) (peer.Event, error) {
	p.mu.Lock()
	missed := p.missed
	p.missed = nil
	p.mu.Unlock()
	if missed != nil {
		missed.Shown()
	}
	e, err := p.next(ctx)
	if missed, ok := e.(*peer.Missed); ok {
		p.mu.Lock()
		p.missed = missed
		p.mu.Unlock()
	}
	return e, err
}

func (p *Presence) next(ctx context.Context) (peer.Event, error) {
	select {
	case e := <-p.events:
		return e, nil
	default:
	}
	select {
	case e := <-p.events:
		return e, nil
	case <-p.over:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	select {
	case e := <-p.events:
		return e, nil
	default:
		return &peer.SessionClosed{Err: p.err}, nil
	}
}

// put hands an event to Next.
func (p *Presence) put(e peer.Event) {
	select {
	case p.events <- e:
	case <-p.ctx.Done():
		select { // whoever leaves sees how the conversations end, as far as there is room
		case p.events <- e:
		default:
		}
	}
}

// Session is the session that there is, or the last one.
func (p *Presence) Session() *peer.Session {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.session
}

// Away reports whether there is no session now.
func (p *Presence) Away() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.away
}

// present is the session that there is, or ErrAway.
func (p *Presence) present() (*peer.Session, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.away {
		return nil, ErrAway
	}
	return p.session, nil
}

// List is peer.Session.List, or ErrAway.
func (p *Presence) List(ctx context.Context) ([]peer.Person, error) {
	s, err := p.present()
	if err != nil {
		return nil, err
	}
	return s.List(ctx)
}

// Connect is peer.Session.Connect, or ErrAway. Should the conversation break, it is made again with the same suites.
func (p *Presence) Connect(ctx context.Context, id uint32, suites []wire.Suite) (*peer.Conversation, error) {
	s, err := p.present()
	if err != nil {
		return nil, err
	}
	c, err := s.Connect(ctx, id, suites)
	if err != nil {
		return nil, err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.want(c.Person).suites = suites
	return c, nil
}

// Queue is peer.Session.Queue, whether there is a session or not. The conversation that it goes out in is made as soon as it can be.
func (p *Presence) Queue(identity string, texts ...string) (first uint64, err error) {
	first, err = p.Session().Queue(identity, texts...)
	return first, p.queued(identity, err)
}

// QueueAs is Queue under a label (peer.Session.QueueAs).
func (p *Presence) QueueAs(identity string, label wire.Level, texts ...string) (first uint64, err error) {
	first, err = p.Session().QueueAs(identity, label, texts...)
	return first, p.queued(identity, err)
}

// queued has the conversation made in which goes out what has been queued, unless it has not.
func (p *Presence) queued(identity string, err error) error {
	if err != nil {
		return err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.wanted[identity] == nil && p.ctx.Err() == nil {
		p.wantAgain(p.cfg.Store.Known(identity))
		if !p.away {
			p.rebuild(p.session, p.wanted[identity])
		}
	}
	return nil
}

// Wanted reports whether a conversation with that identity is there, or is to be made again.
func (p *Presence) Wanted(identity string) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.wanted[identity] != nil
}

// Forget has a conversation that broke not made again, and reports whether it would have been.
func (p *Presence) Forget(identity string) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	w := p.wanted[identity]
	if w == nil || w.conversation != nil {
		return false
	}
	delete(p.wanted, identity)
	return true
}

// Touch says that somebody is there: it begins the time of Config.IdleLogout anew, and ends an absence that it began.
func (p *Presence) Touch() {
	if p.idle == nil {
		return
	}
	p.idle.Reset(p.cfg.IdleLogout)
	select {
	case p.touched <- struct{}{}:
	default:
	}
}

// idled ends the session since nobody is there; where there is none just now, it looks again later.
func (p *Presence) idled() {
	select { // what was typed before now says nothing
	case <-p.touched:
	default:
	}
	if !p.leaveFor(ErrIdle) {
		p.mu.Lock()
		defer p.mu.Unlock()
		if p.ctx.Err() == nil {
			p.idle.Reset(p.cfg.IdleLogout)
		}
	}
}

// Close leaves in order, also in the middle of coming back, and returns when nothing runs any more or ctx ends.
func (p *Presence) Close(ctx context.Context) error {
	p.mu.Lock()
	s := p.session
	p.cancel()
	p.mu.Unlock()
	err := s.Close(ctx) // of a session that has ended there is nothing left to close
	select {
	case <-p.over:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

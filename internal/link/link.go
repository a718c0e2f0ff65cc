// Package link is what both ends of a hop do alike once QUIC connects them: the drivers of handshakes, flights and their
// seals on each stream, acknowledgements, and the deadlines of protocol.md sections 5.7 and 6. The relay and the peer put
// their own rules above it.
//
// Most readers need Initiate and Respond, which make a channel out of messages; New and Link.Run, which keep a session; and
// Lane.Flight and Lane.Run, which send and receive on one stream.
package link

import (
	"context"
	"errors"
	"io"
	"sync"
	"time"

	"sinete/cardauth/seal"
	"sinete/transport"
	"sinete/transport/channel"
	"sinete/wire"
)

// Handler is what stands above a session's control lane. Its methods are called by one goroutine and must not block.
type Handler interface {
	// Control takes a message that a verified seal covers.
	Control(m wire.Control) error
	// Inner takes heads of conversations, all of one seal frame, whose seal has not been verified yet.
	Inner(entries []wire.SealEntry) error
	// Probed is called where the other side answered a probe.
	Probed(nonce [8]byte)
}

// Config is what a session's link is made of.
type Config struct {
	Conn     *transport.Conn
	Control  *transport.Stream
	Channel  *channel.Channel
	Role     wire.Role
	Other    seal.Signer // who must have sealed the other side's heads
	Patient  bool        // Other is a card: its seals may take wire.CardSeconds unannounced
	Sealer   *seal.Sealer
	Class    func() string // of this session's batches (section 4.4); nil: one for all
	Verifier *seal.Verifier
	Rekeys   Rekeys
}

// Link is one session's hop: its control lane, the lanes of its conversations, and the acknowledgements of all of them.
type Link struct {
	Config
	handler Handler
	control *Lane
	rekeyer *Rekeyer

	mu     sync.Mutex
	lanes  map[uint64]*Lane
	queue  []Item // control messages that wait for the next flight
	queued int    // bytes of queue
	owed   []Acknowledger
	err    error // why the link failed

	idle    *sync.Cond // of mu: queue or owed have become less
	sending bool       // a goroutine sends what is queued
	acking  bool       // heads of what is owed are being sealed
	working sync.WaitGroup

	failed context.CancelCauseFunc
	ctx    context.Context
}

// Acknowledger makes heads that only acknowledge: a lane of the hop or of a conversation.
type Acknowledger interface {
	Acknowledging() (h wire.Head, news bool)
}

// New makes the link of a session whose handshake is done. Run must follow, or Discard.
func New(cfg Config, h Handler) *Link {
	l := &Link{Config: cfg, handler: h, lanes: map[uint64]*Lane{}}
	l.idle = sync.NewCond(&l.mu)
	l.ctx, l.failed = context.WithCancelCause(context.Background())
	l.rekeyer = NewRekeyer(l.ctx, cfg.Channel, cfg.Sealer, carrier{l}, cfg.Rekeys)
	l.control = l.Lane(cfg.Control)
	return l
}

// signal wakes one goroutine; signals that come together are one.
type signal chan struct{}

func newSignal() signal { return make(signal, 1) }

func (s signal) raise() {
	select {
	case s <- struct{}{}:
	default:
	}
}

// Run keeps the session until the other side ends it in order (nil), something fails, or ctx ends. It closes the connection with the
// number of what happened, and returns when nothing of the link runs any more.
func (l *Link) Run(ctx context.Context) error {
	stop := context.AfterFunc(ctx, func() { l.Fail(context.Cause(ctx)) })
	defer stop()
	lost := context.AfterFunc(l.Conn.Context(), func() { l.Fail(l.Conn.Err()) })
	defer lost()
	l.working.Add(1) // ctx ends before Run does
	context.AfterFunc(l.ctx, func() {
		defer l.working.Done()
		l.Conn.Close(EndCode(orderly(l.Err()))) // which ends the reading, too
	})
	l.fails(l.control.Run(l.deliverControl))
	<-l.ctx.Done()
	err := orderly(l.Err())
	l.working.Wait()
	l.rekeyer.Close()
	l.stopTimers()
	return err
}

// Discard takes the place of Run where the session never began, since the other side was not told.
func (l *Link) Discard() {
	l.Fail(wire.Errorf(wire.CodeCut, "the session never began"))
	l.working.Wait()
	l.rekeyer.Close()
	l.stopTimers()
}

// orderly turns the two orderly ends of a session into nil: the other side ended its control stream, or closed with CodeBye.
func orderly(err error) error {
	var closed *transport.CloseError
	if err == io.EOF || errors.As(err, &closed) && closed.Number == wire.CodeBye {
		return nil
	}
	return err
}

// EndCode is the number by which the end of a link is told, given what Run returned.
func EndCode(err error) wire.Code {
	if err == nil {
		return wire.CodeBye
	}
	return wire.CodeOf(err)
}

// Context ends with the link; its cause is why.
func (l *Link) Context() context.Context { return l.ctx }

// Err says why the link failed; io.EOF where the other side ended it in order.
func (l *Link) Err() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.err
}

// Fail ends the link. Only the first reason counts.
func (l *Link) Fail(err error) {
	l.mu.Lock()
	if l.err == nil {
		l.err = err
	}
	err = l.err
	l.mu.Unlock()
	l.failed(err)
	l.wake()
}

// wake lets those look again who wait for the queue. It takes the mutex, so that none of them is between looking and waiting.
func (l *Link) wake() {
	l.mu.Lock()
	l.idle.Broadcast()
	l.mu.Unlock()
}

func (l *Link) fails(err error) {
	if err != nil && !errors.Is(err, context.Canceled) {
		l.Fail(err)
	}
}

// Send queues a control message. It fails with CodeSlow where the other side does not take what is queued.
func (l *Link) Send(m wire.Control) error {
	payload := m.Append(nil)
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.err != nil {
		return l.err
	}
	if l.queued+len(payload) > wire.MaxControlQueue {
		return wire.Errorf(wire.CodeSlow, "%d bytes of control messages wait", l.queued)
	}
	l.queue = append(l.queue, Item{Type: wire.EnvelopeControl, Payload: payload})
	l.queued += len(payload)
	if !l.sending {
		l.sending = true
		l.working.Go(func() { l.fails(l.sendControl()) })
	}
	return nil
}

// sendControl runs as long as something is queued: idle sessions, of which there are many, have no goroutine for it.
func (l *Link) sendControl() error {
	for {
		l.mu.Lock()
		n, bytes := FlightOf(l.queue)
		items := l.queue[:n:n]
		l.queue = l.queue[n:]
		l.queued -= bytes
		l.sending = n > 0
		l.idle.Broadcast()
		l.mu.Unlock()
		if n == 0 {
			return nil
		}
		if err := l.control.Flight(l.ctx, Flight{Items: items}); err != nil {
			return err
		}
	}
}

// Acknowledge says that there is news for a head of a.
func (l *Link) Acknowledge(a ...Acknowledger) {
	l.mu.Lock()
	l.owed = append(l.owed, a...)
	begins := !l.acking && l.err == nil
	l.acking = l.acking || begins
	l.mu.Unlock()
	if begins {
		l.acknowledge()
	}
}

// acknowledge has heads of what is owed sealed, and writes them once they are. Nobody waits for that, and so it has no goroutine.
func (l *Link) acknowledge() {
	var heads []wire.Head
	l.Sealer.SealThen(l.ctx, l.class(), func() []seal.Statement {
		l.mu.Lock()
		owed := l.owed
		l.owed = nil
		l.mu.Unlock()
		for _, a := range owed {
			if h, news := a.Acknowledging(); news {
				heads = append(heads, h)
			}
		}
		return statements(heads)
	}, func(seals []wire.Seal, err error) {
		if err == nil {
			err = appendSeals(l.Control, seals, heads)
		}
		if err != nil {
			l.fails(err)
			return
		}
		l.mu.Lock()
		l.acking = len(l.owed) > 0
		again := l.acking
		l.idle.Broadcast()
		l.mu.Unlock()
		if again {
			l.acknowledge()
		}
	})
}

func (l *Link) class() string {
	if l.Class == nil {
		return ""
	}
	return l.Class()
}

// Settled waits until every control message is sent and sealed and every acknowledgement owed is written.
func (l *Link) Settled(ctx context.Context) error {
	return l.until(ctx, func() bool { return len(l.queue) == 0 && !l.sending && len(l.owed) == 0 && !l.acking })
}

// WaitBelow waits until fewer than n bytes of control messages wait to be sent.
func (l *Link) WaitBelow(ctx context.Context, n int) error {
	return l.until(ctx, func() bool { return l.queued < n })
}

// until waits for a condition of what mu guards, and fails where the link has failed before it holds.
func (l *Link) until(ctx context.Context, holds func() bool) error {
	stop := context.AfterFunc(ctx, l.wake)
	defer stop()
	l.mu.Lock()
	defer l.mu.Unlock()
	for !holds() {
		if l.err != nil {
			return l.err
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		l.idle.Wait()
	}
	return nil
}

func (l *Link) deliverControl(f *Received) error {
	// Owed before anybody acts on a bye: what is owed is written before the stream is finished.
	if err := l.control.Confirm(); err != nil {
		return err
	}
	for _, p := range f.Pieces {
		if p.Seals != nil {
			if err := l.handler.Inner(p.Seals); err != nil {
				return err
			}
			continue
		}
		if p.Opened.Type != wire.EnvelopeControl {
			return wire.Errorf(wire.CodeUnexpected, "an envelope of type %d on the control stream", p.Opened.Type)
		}
		m, err := wire.ParseControl(p.Opened.Payload)
		if err != nil {
			return err
		}
		if err := l.handler.Control(m); err != nil {
			return err
		}
	}
	return nil
}

// Waiting tells the other side that a seal will take longer, for the card or its PIN.
func (l *Link) Waiting(w wire.WaitingFor) error {
	return l.Control.Append(wire.Frame{Type: wire.FrameWaiting, Body: []byte{byte(w)}}.Append)
}

// Probe asks the other side for a sign of life.
func (l *Link) Probe(nonce [8]byte) error {
	return l.Control.Append(wire.Frame{Type: wire.FrameProbe, Body: nonce[:]}.Append)
}

// Alive gives the other side a sign of life, which a relay that does not know the connection answers with a reset.
func (l *Link) Alive() error {
	return l.Control.Append(wire.Frame{Type: wire.FrameAlive, Body: wire.Alive{}.Append(nil)}.Append)
}

// outside takes a frame of the control stream that stands outside envelopes and seals.
func (l *Link) outside(f wire.Frame) error {
	switch {
	case f.Type == wire.FrameWaiting:
		if _, err := wire.ParseWaiting(f.Body); err != nil {
			return err
		}
		l.patience()
		return nil
	case f.Type == wire.FrameProbe && l.Role == wire.RoleInitiator:
		nonce, err := wire.ParseProbe(f.Body)
		if err != nil {
			return err
		}
		return l.Control.Append(wire.Frame{Type: wire.FrameProbeAnswer, Body: nonce[:]}.Append)
	case f.Type == wire.FrameProbeAnswer && l.Role == wire.RoleResponder:
		nonce, err := wire.ParseProbe(f.Body)
		if err == nil {
			l.handler.Probed(nonce)
		}
		return err
	case f.Type == wire.FrameAlive && l.Role == wire.RoleResponder: // that it came is all it says
		_, err := wire.ParseAlive(f.Body)
		return err
	case f.Type == wire.FrameProbe, f.Type == wire.FrameProbeAnswer, f.Type == wire.FrameAlive, f.Type == wire.FrameMachine:
		return wire.Errorf(wire.CodeUnexpected, "a %v frame in a session", f.Type)
	}
	return l.rekeyer.Frame(f)
}

// Rekey begins a rekeying of the hop, or asks the other side to.
func (l *Link) Rekey() { l.rekeyer.Now() }

// carrier takes what a hop's rekeyings send to the control stream.
type carrier struct{ *Link }

func (c carrier) Post(f wire.Frame) error { return c.Control.Append(f.Append) }

func (c carrier) Switch() error {
	f, err := c.rekeyer.Turn()
	if err != nil {
		return err
	}
	return c.Post(f)
}

// patience extends the deadlines that run in all lanes.
func (l *Link) patience() {
	for _, lane := range l.allLanes() {
		lane.sealed.extend(wire.CardSeconds * time.Second)
		lane.acked.extend(wire.CardSeconds * time.Second)
	}
}

func (l *Link) stopTimers() {
	for _, lane := range l.allLanes() {
		lane.sealed.end()
		lane.acked.end()
	}
}

func (l *Link) allLanes() []*Lane {
	l.mu.Lock()
	defer l.mu.Unlock()
	lanes := make([]*Lane, 0, len(l.lanes))
	for _, lane := range l.lanes {
		lanes = append(lanes, lane)
	}
	return lanes
}

// deadline ends the link with an error unless it is stopped in time. It does not pass while the connection brings nothing at all: what is
// missing then is nobody's fault, and the connection comes back or is soon given up as lost.
type deadline struct {
	mu      sync.Mutex
	timer   *time.Timer
	started time.Time
	after   time.Duration
	over    bool // never again

	looked   bool // seen stands
	seen     uint64
	received func() uint64 // packets that the connection has brought
	fail     func()
}

// lifeSign is how often a deadline that is about to pass looks whether the connection lives.
const lifeSign = 5 * time.Second

// start lets the deadline run unless it runs already.
func (d *deadline) start(after time.Duration) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.timer == nil && !d.over {
		d.started, d.after, d.looked = time.Now(), after, false
		var t *time.Timer
		t = time.AfterFunc(after-lifeSign, func() { d.look(&t) })
		d.timer = t
	}
}

// look is called shortly before the deadline passes, and from then on.
func (d *deadline) look(t **time.Timer) {
	d.mu.Lock()
	n := d.received()
	lives := d.looked && n != d.seen
	current := d.timer == *t // read under the lock, which start holds until it is set
	if current && !lives {
		d.looked, d.seen = true, n
		d.timer.Reset(lifeSign)
	}
	d.mu.Unlock()
	if current && lives {
		d.fail()
	}
}

func (d *deadline) stop() {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.timer != nil {
		d.timer.Stop()
		d.timer = nil
	}
}

// end stops the deadline for good: whoever is just about to start it belongs to a lane that has ended.
func (d *deadline) end() {
	d.mu.Lock()
	d.over = true
	d.mu.Unlock()
	d.stop()
}

// extend gives a running deadline at least so long from its start.
func (d *deadline) extend(after time.Duration) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.timer != nil && d.after < after {
		d.after, d.looked = after, false
		d.timer.Reset(time.Until(d.started.Add(d.after - lifeSign)))
	}
}

package link

import (
	"context"
	"errors"
	"math"
	"sync"
	"sync/atomic"
	"time"

	"sinete/cardauth"
	"sinete/cardauth/seal"
	"sinete/transport/channel"
	"sinete/wire"
)

// Rekeys is what the rekeyings of a channel need to know. Without Limits this side never begins one, nor stops for want of one.
type Rekeys struct {
	Acquaintance                  // as in the first handshake
	Other        *Other           // as the first handshake found them
	Credentials  wire.Credentials // of this side, delegation included
	Closed       Closed           // of a conversation
	Limits       wire.RekeyLimits // that this side proposes
	InForce      wire.RekeyLimits // from the first handshake
	Waits        func(RekeyWait)  // told what a rekeying waits for; may be nil
	Changed      func()           // told when this side sends and receives in a new epoch; may be nil
}

// Closed says which directions of a conversation the flow policy closes (protocol.md section 8.4).
type Closed struct {
	Own, Other bool // this side may not write; the other may not
}

// rekeys is how many rekeyings may come at once, and how many a second after that.
func (c Closed) rekeys() (atOnce, perSecond float64) {
	if c.Own || c.Other {
		return wire.MaxClosedRekeys, 1. / wire.ClosedRekeySeconds
	}
	return wire.MaxRekeys, wire.RekeysPerSecond
}

// RekeyWait says what a rekeying waits for.
type RekeyWait struct {
	Err     error // why this side's card cannot sign now; nil where it has not signed yet, or the other side is waited for
	Own     bool  // this side's card is waited for, else the other side
	Stopped bool  // and the channel sends nothing until then
}

// Carrier takes what a Rekeyer sends. Neither method may block.
type Carrier interface {
	// Post sends a frame of the handshake lane.
	Post(f wire.Frame) error
	// Switch has Rekeyer.Turn called at the next boundary between envelopes, and its frame sent there.
	Switch() error
	// Fail ends the channel.
	Fail(err error)
}

// Rekeyer takes one end of a channel from epoch to epoch, beside its traffic (protocol.md section 9). It has a goroutine only while a
// rekeying runs.
type Rekeyer struct {
	Rekeys
	channel *channel.Channel
	sealer  *seal.Sealer
	carrier Carrier
	ctx     context.Context

	frames chan wire.Frame // for the goroutine
	came   signal          // the other side's switched has
	bounds atomic.Pointer[bounds]

	running sync.WaitGroup

	mu      sync.Mutex
	busy    bool // a rekeying runs
	theirs  bool // and the other side has switched in it
	asked   bool // and has asked for the next one already
	closed  bool
	agreed  wire.RekeyLimits // in force from the next epoch on
	timer   *time.Timer
	pace    Bucket
	own     bool  // this side's seal is waited for
	missing error // why it cannot be made
}

// bounds are what the limits mean for one epoch.
type bounds struct {
	due, hard     uint64        // envelopes
	dueAt, hardAt time.Time     // zero: never
	over          chan struct{} // closed when this side sends in the next epoch
	told          bool          // that the channel has stopped
}

// NewRekeyer makes one for a channel that has just been made. ctx ends with the channel; Close must follow.
func NewRekeyer(ctx context.Context, c *channel.Channel, s *seal.Sealer, carrier Carrier, r Rekeys) *Rekeyer {
	k := &Rekeyer{Rekeys: r, channel: c, sealer: s, carrier: carrier, ctx: ctx, frames: make(chan wire.Frame, 2), came: newSignal()}
	k.mu.Lock() // the timer may be there before it is kept
	defer k.mu.Unlock()
	k.begin(r.InForce)
	return k
}

// begin sets the bounds of an epoch in which this side begins to send. mu is held.
func (k *Rekeyer) begin(l wire.RekeyLimits) {
	const never = math.MaxUint64 / 4
	b := &bounds{due: never, hard: never, over: make(chan struct{})}
	if k.Limits != (wire.RekeyLimits{}) {
		messages, seconds := max(1, min(l.Messages, never/2)), time.Duration(max(1, l.Seconds))*time.Second
		hard := 2 * messages
		patience := seconds
		if k.channel.Role == wire.RoleResponder { // asks where nothing has happened
			messages, patience = messages+messages/4, seconds+seconds/4
		}
		now := time.Now()
		b.due, b.dueAt, b.hard, b.hardAt = messages, now.Add(patience), hard, now.Add(2*seconds)
	}
	if before := k.bounds.Swap(b); before != nil {
		close(before.over)
	}
	if k.timer != nil {
		k.timer.Stop()
		k.timer = nil
	}
	if !b.dueAt.IsZero() && !k.closed {
		k.timer = time.AfterFunc(time.Until(b.dueAt), func() { k.late(b) })
	}
}

// late is called when an epoch has lasted long enough, and again when it has lasted too long.
func (k *Rekeyer) late(b *bounds) {
	if k.bounds.Load() != b {
		return
	}
	if left := time.Until(b.hardAt); left > 0 {
		k.mu.Lock()
		if !k.closed && k.bounds.Load() == b {
			k.timer = time.AfterFunc(left, func() { k.late(b) })
		}
		k.mu.Unlock()
		k.renew(b)
		return
	}
	k.stops(b)
}

// Note looks whether the epoch has had enough. It is called behind each flight, and behind each rekeying: what was due meanwhile is still.
func (k *Rekeyer) Note() {
	b := k.bounds.Load()
	if k.channel.Envelopes() >= b.due || !b.dueAt.IsZero() && !time.Now().Before(b.dueAt) {
		k.renew(b)
	}
}

// Now begins a rekeying, or has the other side begin one, unless one runs or is asked for.
func (k *Rekeyer) Now() { k.renew(k.bounds.Load()) }

// renew is Now, unless the epoch of those bounds has ended meanwhile: the next one is not to be short for that.
func (k *Rekeyer) renew(b *bounds) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.busy || k.closed || k.ctx.Err() != nil || k.bounds.Load() != b {
		return
	}
	if k.channel.Role == wire.RoleInitiator {
		k.run(k.initiate)
		return
	}
	body, err := k.channel.Please()
	if err != nil {
		return // it is asked for, or has not been answered by this side yet
	}
	if err := k.carrier.Post(wire.Frame{Type: wire.FrameRekeyPlease, Body: body}); err != nil {
		k.carrier.Fail(err)
	}
}

// run starts the goroutine of a rekeying. mu is held.
func (k *Rekeyer) run(f func() error) {
	k.busy, k.theirs = true, false
	k.running.Go(func() {
		if err := f(); err != nil && k.ctx.Err() == nil {
			k.carrier.Fail(err)
		}
	})
}

// Close waits until nothing runs any more. The context must have ended.
func (k *Rekeyer) Close() {
	k.mu.Lock()
	k.closed = true
	if k.timer != nil {
		k.timer.Stop()
	}
	k.mu.Unlock()
	k.running.Wait()
}

// Stopped reports whether the channel must not send before it has new keys; wait is closed when it has.
func (k *Rekeyer) Stopped() (stopped bool, wait <-chan struct{}) {
	b := k.bounds.Load()
	if k.channel.Envelopes() < b.hard && (b.hardAt.IsZero() || time.Now().Before(b.hardAt)) {
		return false, nil
	}
	k.renew(b) // what went too far may have been the first to count
	k.stops(b)
	return true, b.over
}

// stops tells, once in an epoch, that the channel sends no more and why.
func (k *Rekeyer) stops(b *bounds) {
	k.mu.Lock()
	told := b.told
	b.told = true
	k.mu.Unlock()
	if !told {
		k.waits(true)
	}
}

// MaySend waits until the channel may send.
func (k *Rekeyer) MaySend(ctx context.Context) error {
	for {
		stopped, wait := k.Stopped()
		if !stopped {
			return nil
		}
		select {
		case <-wait:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// waits tells what is waited for.
func (k *Rekeyer) waits(stopped bool) {
	k.mu.Lock()
	w := RekeyWait{Err: k.missing, Own: k.own, Stopped: stopped}
	k.mu.Unlock()
	if k.Waits != nil && k.ctx.Err() == nil {
		k.Waits(w)
	}
}

// Frame takes a frame of the handshake lane. It does not block. In a conversation switched must come in order with the content.
func (k *Rekeyer) Frame(f wire.Frame) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	responder := k.channel.Role == wire.RoleResponder
	switch {
	case f.Type == wire.FrameRekeyPlease:
		if err := k.channel.Asked(f.Body); err != nil {
			return err
		}
		if !k.busy && !k.closed {
			k.run(k.initiate)
		}
		k.asked = k.theirs // it came right behind switched, and the rekeying's goroutine is not through yet
		return nil
	case f.Type == wire.FrameSwitched:
		if err := k.channel.Switched(f.Body); err != nil {
			return err
		}
		k.theirs = true
		k.came.raise()
		return nil
	case f.Type == wire.FrameHello && responder:
		if k.busy && !k.theirs {
			return wire.Errorf(wire.CodeUnexpected, "a rekeying while another one runs")
		}
		if atOnce, perSecond := k.Closed.rekeys(); !k.pace.Take(time.Now(), atOnce, perSecond) {
			return wire.Errorf(wire.CodeLimitExceeded, "too many rekeyings")
		}
		if !k.busy && !k.closed {
			k.run(k.respond)
		}
	case !k.busy || responder != (f.Type == wire.FrameProof) || f.Type < wire.FrameAnswer || f.Type > wire.FrameAccept:
		return wire.Errorf(wire.CodeUnexpected, "a %v frame in a session", f.Type)
	}
	select {
	case k.frames <- wire.Frame{Type: f.Type, Body: append([]byte(nil), f.Body...)}:
		return nil
	default:
		return wire.Errorf(wire.CodeUnexpected, "more handshake messages than a handshake has")
	}
}

// Turn switches what this side sends, and returns the frame that says so. It is for whoever seals in the channel.
func (k *Rekeyer) Turn() (wire.Frame, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	body, err := k.channel.Switch()
	if err == nil {
		k.begin(k.agreed)
	}
	return wire.Frame{Type: wire.FrameSwitched, Body: body}, err
}

// Send and Receive carry the handshake.
func (k *Rekeyer) Send(_ context.Context, f wire.Frame) error { return k.carrier.Post(f) }

func (k *Rekeyer) Receive(ctx context.Context) (wire.Frame, error) {
	select {
	case f := <-k.frames:
		return f, nil
	case <-ctx.Done():
		return wire.Frame{}, context.Cause(ctx)
	}
}

// initiate runs one rekeying of the initiator.
func (k *Rekeyer) initiate() error {
	if err := k.paced(); err != nil {
		return err
	}
	if err := k.wait(k.channel.Settled()); err != nil {
		return err
	}
	_, _, parameters, err := Initiate(k.ctx, k, Initiation{Config: k.channel.Rekeying(k.Credentials, k.Limits), Acquaintance: k.known(),
		Seal: func(ctx context.Context, th2 []byte) (wire.Seal, *wire.SealedDelegation, error) {
			own, err := k.seal(ctx, wire.PurposeInitiator, th2)
			return own, nil, err
		}})
	if err != nil {
		return err
	}
	limits, err := wire.ParseConversationParameters(parameters)
	if err == nil && limits != limits.Smaller(k.Limits) {
		err = wire.Errorf(wire.CodeIntegrity, "rekey limits beyond those proposed")
	}
	if err != nil {
		return err
	}
	k.agree(limits)
	// -> switched
	if err := k.carrier.Switch(); err != nil {
		return err
	}
	// <- switched
	if err := k.wait(k.came); err != nil {
		return err
	}
	k.mu.Lock()
	asked := k.asked
	k.busy, k.asked = false, false
	k.mu.Unlock()
	k.changed()
	if asked {
		k.Now()
	}
	k.Note()
	return nil
}

// respond runs one rekeying of the responder, and the next where its hello has come meanwhile.
func (k *Rekeyer) respond() error {
	for {
		if err := k.wait(k.channel.Settled()); err != nil {
			return err
		}
		_, _, err := Respond(k.ctx, k, Response{Config: k.channel.Rekeying(k.Credentials, k.Limits), Acquaintance: k.known(),
			Context: func(*wire.Hello) (string, error) { return "", nil }, // the channel has compared it
			Admit: func(_ context.Context, _ *Other, h *wire.Hello) ([]byte, error) {
				limits := h.Limits.Smaller(k.Limits)
				k.agree(limits)
				return wire.AppendConversationParameters(nil, limits), nil
			},
			Seal: func(ctx context.Context, th3 []byte) (wire.Seal, error) {
				return k.seal(ctx, wire.PurposeResponder, th3)
			},
		})
		if err != nil {
			return err
		}
		// <- switched
		if err := k.wait(k.came); err != nil {
			return err
		}
		// -> switched
		epoch := k.bounds.Load()
		if err := k.carrier.Switch(); err != nil {
			return err
		}
		if err := k.wait(epoch.over); err != nil {
			return err
		}
		k.mu.Lock()
		k.busy, k.theirs = len(k.frames) > 0, false
		again := k.busy
		k.mu.Unlock()
		k.changed()
		if !again {
			k.Note()
			return nil
		}
	}
}

func (k *Rekeyer) known() Acquaintance {
	a := k.Acquaintance
	a.Known = k.Other
	return a
}

func (k *Rekeyer) agree(l wire.RekeyLimits) {
	k.mu.Lock()
	k.agreed = l
	k.mu.Unlock()
}

func (k *Rekeyer) changed() {
	if k.Changed != nil && k.ctx.Err() == nil {
		k.Changed()
	}
}

func (k *Rekeyer) wait(c <-chan struct{}) error {
	select {
	case <-c:
		return nil
	case <-k.ctx.Done():
		return context.Cause(k.ctx)
	}
}

// paced keeps an initiator well within what the other side allows.
func (k *Rekeyer) paced() error {
	for {
		k.mu.Lock()
		atOnce, perSecond := k.Closed.rekeys()
		ok := k.pace.Take(time.Now(), atOnce/2, perSecond)
		k.mu.Unlock()
		if ok {
			return nil
		}
		again := time.NewTimer(time.Duration(float64(time.Second) / (4 * perSecond)))
		select {
		case <-again.C:
		case <-k.ctx.Done():
			again.Stop()
			return context.Cause(k.ctx)
		}
	}
}

// cardAgain is how often a rekeying tries a card that is not in its reader.
const cardAgain = time.Second

// seal makes this side's seal. It waits for a card that has been pulled out.
func (k *Rekeyer) seal(ctx context.Context, p wire.Purpose, statement []byte) (wire.Seal, error) {
	for {
		k.awaits(true, nil)
		s, err := SealHandshake(ctx, k.sealer, p, statement, k.Closed.Own)
		var absent *cardauth.AbsentError
		if !errors.As(err, &absent) {
			k.awaits(false, nil)
			return s, err
		}
		if k.awaits(true, absent) {
			k.waits(false)
		}
		again := time.NewTimer(cardAgain)
		select {
		case <-again.C:
		case <-ctx.Done():
			again.Stop()
			return wire.Seal{}, context.Cause(ctx)
		}
	}
}

// awaits notes what this side's seal waits for. news is true where it was not known that the card is missing.
func (k *Rekeyer) awaits(own bool, missing error) (news bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	news = missing != nil && k.missing == nil
	if k.own = own; !own || missing != nil {
		k.missing = missing
	}
	return news
}

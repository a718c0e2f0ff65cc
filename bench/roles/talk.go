package roles

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"sinete/peer"
)

func signatures(sessions []*peer.Session) (n uint64) {
	for _, s := range sessions {
		n += s.Signatures()
	}
	return n
}

type receiverRole struct {
	passive
	sessions                               []*peer.Session
	received, bulk, wrongOrder, duplicates atomic.Uint64
}

func (r *receiverRole) count(c *Counts) error {
	c.Signatures = signatures(r.sessions)
	c.Received, c.Bulk, c.WrongOrder, c.Duplicates = r.received.Load(), r.bulk.Load(), r.wrongOrder.Load(), r.duplicates.Load()
	return nil
}

func startReceiver(ctx context.Context, s Setup) (role, error) {
	r := &receiverRole{}
	var err error
	r.sessions, err = s.loginAll(ctx)
	for i, session := range r.sessions {
		e := &ear{of: r, size: s.Settings.size(i), received: &r.received}
		if i == s.Settings.Conversations {
			e.received = &r.bulk
		}
		go e.wait(ctx, session)
	}
	return r, err
}

const loginsAtOnce = 16

// loginAll logs all cards in, some at once: one after the other, a thousand would take long.
func (s *Setup) loginAll(ctx context.Context) ([]*peer.Session, error) {
	policy, err := s.policy()
	if err != nil {
		return nil, err
	}
	sessions := make([]*peer.Session, len(s.Cards))
	return sessions, several(loginsAtOnce, len(s.Cards), func(i int) (err error) {
		sessions[i], err = s.login(ctx, s.Cards[i], policy)
		return err
	})
}

// several does n things, so many at once, and returns an error where there was one.
func several(atOnce, n int, do func(i int) error) error {
	var wg sync.WaitGroup
	var next atomic.Int64
	errs := make([]error, atOnce)
	for worker := range atOnce {
		wg.Go(func() {
			for i := int(next.Add(1)) - 1; i < n && errs[worker] == nil; i = int(next.Add(1)) - 1 {
				errs[worker] = do(i)
			}
		})
	}
	wg.Wait()
	return cmp.Or(errs...)
}

// ear is the recipient in one conversation.
type ear struct {
	of       *receiverRole
	size     int
	received *atomic.Uint64
	next     uint64 // the number due
}

// wait waits for the conversation.
func (e *ear) wait(ctx context.Context, s *peer.Session) {
	for {
		event, err := s.Next(ctx)
		if err != nil {
			return
		}
		switch event := event.(type) {
		case *peer.Opened:
			go e.listen(ctx, event.Conversation)
		case *peer.SessionClosed:
			return
		}
	}
}

// listen takes messages, which acknowledges them, and checks that each is the next.
func (e *ear) listen(ctx context.Context, c *peer.Conversation) {
	for {
		event, err := c.Next(ctx)
		if err != nil {
			return
		}
		switch event := event.(type) {
		case *peer.Message:
			e.hear(event)
		case *peer.Closed:
			return
		}
	}
}

// hear counts one message.
func (e *ear) hear(m *peer.Message) {
	switch said, err := numberIn(m.Text); {
	case err != nil || said != m.Number || len(m.Text) != e.size || m.Number > e.next:
		e.of.wrongOrder.Add(1)
	case m.Number < e.next:
		e.of.duplicates.Add(1)
	default:
		e.received.Add(1)
		e.next++
	}
}

type senderRole struct {
	passive
	sessions []*peer.Session
	loops    loops
	bulk     *loop // nil: none
}

func (r *senderRole) count(c *Counts) error {
	c.Signatures = signatures(r.sessions)
	for i, l := range r.loops {
		c.HopEpochs += r.sessions[i].Epoch()
		c.Epochs += l.conversation.(*outgoing).c.Epoch()
	}
	return nil
}

func (r *senderRole) run(ctx context.Context, p Plan, out *Run) ([]time.Duration, error) {
	if r.bulk == nil {
		return r.loops.run(ctx, p)
	}
	enough, pouring := make(chan struct{}), make(chan error, 1)
	go func() { pouring <- r.pour(ctx, enough, &out.Bulk) }()
	took, err := r.loops.run(ctx, p)
	close(enough)
	return took, errors.Join(err, <-pouring)
}

const (
	bulkWindow = 64             // more than may be unacknowledged
	bulkPart   = 8 * bulkWindow // between two looks whether it is enough
)

// pour sends as much as goes.
func (r *senderRole) pour(ctx context.Context, enough <-chan struct{}, sent *uint64) error {
	for {
		select {
		case <-enough:
			return nil
		default:
		}
		if _, err := r.bulk.closed(ctx, bulkPart); err != nil {
			return err
		}
		*sent += bulkPart
	}
}

func startSender(ctx context.Context, s Setup) (role, error) {
	r := &senderRole{}
	var err error
	if r.sessions, err = s.loginAll(ctx); err != nil {
		return nil, err
	}
	people, err := r.sessions[0].List(ctx)
	if err != nil {
		return nil, err
	}
	ids := map[string]uint32{}
	for _, p := range people {
		ids[p.Identity] = p.ID
	}
	all := make(loops, len(r.sessions))
	err = several(loginsAtOnce, len(all), func(i int) error {
		c, err := r.sessions[i].Connect(ctx, ids[s.Others[i]], nil)
		all[i] = &loop{window: s.Settings.Window, conversation: &outgoing{c: c, singly: s.Settings.Singly,
			text: bytes.Repeat([]byte{'0'}, s.Settings.size(i))}}
		return err
	})
	r.loops = all[:s.Settings.Conversations]
	if s.Settings.Bulk {
		r.bulk = all[s.Settings.Conversations]
		r.bulk.window = bulkWindow
	}
	return r, err
}

// outgoing is a conversation under load. Its texts are their own numbers, filled up with zeros.
type outgoing struct {
	c      *peer.Conversation
	text   []byte
	number uint64
	texts  []string // that go out together
	singly bool     // each message waits for its own seal
	sent   uint64   // everything before is sealed and written
	next   uint64   // everything before is acknowledged
	told   uint64   // the same, as confirmed has said
}

func (o *outgoing) send(ctx context.Context) error {
	var digits [MinSize]byte
	d := strconv.AppendUint(digits[:0], o.number, 10)
	copy(o.text[len(o.text)-len(d):], d)
	o.number++
	o.texts = append(o.texts, string(o.text))
	if !o.singly {
		return nil
	}
	err := o.flush()
	for err == nil && o.sent < o.number {
		err = o.event(ctx)
	}
	return err
}

func numberIn(text string) (uint64, error) {
	return strconv.ParseUint(text[max(0, len(text)-MinSize):], 10, 64)
}

func (o *outgoing) flush() error {
	_, err := o.c.SendAll(context.Background(), o.texts...)
	o.texts = o.texts[:0]
	return err
}

func (o *outgoing) confirmed(ctx context.Context) (next uint64, err error) {
	for o.next == o.told {
		if err := o.event(ctx); err != nil {
			return 0, err
		}
	}
	o.told = o.next
	return o.next, nil
}

// event takes one.
func (o *outgoing) event(ctx context.Context) error {
	e, err := o.c.Next(ctx)
	if err != nil {
		return errors.Join(context.Cause(ctx), err)
	}
	switch e := e.(type) {
	case *peer.Progress:
		o.sent = e.Last + 1
	case *peer.Receipt:
		if e.Stage == peer.StagePeer {
			o.next = e.Number + 1
		}
	case *peer.Closed:
		return fmt.Errorf("the conversation closed: %v", e.Number)
	}
	return nil
}

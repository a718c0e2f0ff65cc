package peer

import (
	"context"
	"crypto/rand"
	"fmt"
	"time"
	"unicode/utf8"

	"sinete/internal/link"
	"sinete/wire"
)

// Send queues a text and returns its number. Receipts tell how far it came; what is not confirmed when the conversation ends goes
// out in the next one with the same person. Errors: *RefusedError with CodeFlowDenied where the flow policy closes the direction,
// *TooLargeError, and CodeBusy where too much is queued.
func (c *Conversation) Send(ctx context.Context, text string) (number uint64, err error) {
	if err := checkText(text); err != nil {
		return 0, err
	}
	if !c.MayWrite {
		return 0, c.session.request(ctx, func(req uint64) wire.Control {
			return wire.WriteRequest{Req: req, Conversation: c.ID, Label: c.Level}
		}, func(wire.Control) bool { return true })
	}
	return c.contact.Add(text)
}

// send is the conversation's sending side: flight after flight, for as long as it lasts.
func (c *Conversation) send() error {
	if err := c.sendMachine(); err != nil {
		return err
	}
	leaving := false
	for {
		items, bytes, err := c.rekeying.take()
		if err != nil {
			return err
		}
		stopped, keys := c.keys.Stopped()
		var contents []link.Item
		var next uint64
		if !stopped {
			contents, next = c.nextFlight(len(items), bytes)
		}
		switch items = append(items, contents...); {
		case len(contents) > 0:
			err = c.flight(items, next, true)
			c.keys.Note()
		case len(items) > 0:
			err = c.lane.Flight(c.ctx, link.Flight{Items: items})
		case leaving && !stopped:
			return c.sendBye()
		default:
			leaving, err = c.waitForMore(leaving, keys)
		}
		if err != nil {
			return err
		}
	}
}

// waitForMore waits until there may be something to send. keys is closed when a channel that has stopped has new ones.
func (c *Conversation) waitForMore(leaving bool, keys <-chan struct{}) (bool, error) {
	asked := c.byeAsked
	if _, unsent := c.contact.Waiting(); unsent > 0 || leaving {
		asked = nil // only when all is out
	}
	select {
	case <-c.feed.More():
	case <-c.room:
	case <-c.rekeying.more:
	case <-keys:
	case <-asked:
		leaving = true
	case <-c.ctx.Done():
		return leaving, context.Cause(c.ctx)
	}
	return leaving, nil
}

// overhead is what a content and its inner envelope take beside the text, at the most but for compartments of the label.
const overhead = 32 + 16 + 8 + 1 + 8 + 8 + 8 + 1 + 3 + 32 + 16

// nextFlight makes the inner envelopes of the next flight, as far as limits allow, behind so many items and bytes that stand in it already.
func (c *Conversation) nextFlight(taken, takenBytes int) (items []link.Item, next uint64) {
	if !c.MayWrite {
		return nil, 0
	}
	envelopes, bytes := c.inner.Sent.Unacknowledged()
	n := min(wire.MaxFlight-taken, wire.MaxUnacknowledged-1-int(envelopes)) // one is kept for bye
	room := min(wire.MaxFlightBytes-takenBytes, wire.MaxUnackedBytes-1024-int(bytes))
	each := overhead + len(c.Level.Append(nil))
	out := c.feed.Take(n, room, each)
	if len(out) == 0 {
		return nil, 0
	}
	for _, o := range out {
		items = append(items, c.seal(&wire.Content{ID: o.ID, Time: uint64(o.Time.UnixMilli()), Type: wire.ContentText, Number: o.Number, Text: o.Text}))
	}
	return items, out[len(out)-1].Number + 1
}

// seal makes the inner envelope of a content.
func (c *Conversation) seal(content *wire.Content) link.Item {
	content.Parties = c.toThem
	s := c.inner.Seal(nil, c.Level, content.Append(nil))
	return link.Item{Type: wire.EnvelopeInner, Payload: s.Body, Digest: s.Digest}
}

// flight sends items under one seal, over the hop's lane and the conversation's. next is the number after the last text in it.
func (c *Conversation) flight(items []link.Item, next uint64, texts bool) error {
	return c.lane.Flight(c.ctx, link.Flight{Items: items, Heads: func(closing wire.Place) []wire.Head {
		h := c.inner.Closing()
		c.mu.Lock()
		c.flights = append(c.flights, sentFlight{hop: closing, inner: *h.Mine, next: next, texts: texts})
		if c.stalled == nil {
			c.stalled = time.AfterFunc(wire.UnconfirmedAfter*time.Second, c.unconfirmed)
		}
		c.mu.Unlock()
		return []wire.Head{h}
	}})
}

func (c *Conversation) one(t wire.ContentType, m wire.Machine) error {
	content := &wire.Content{Time: uint64(time.Now().UnixMilli()), Type: t, Machine: m}
	rand.Read(content.ID[:])
	return c.flight([]link.Item{c.seal(content)}, 0, false)
}

func (c *Conversation) sendMachine() error {
	m := c.session.cfg.Machine
	hash := wire.MachineHash(c.session.own.Identity, c.Person.Identity, m.Facts)
	if c.MayWrite {
		return c.one(wire.ContentMachine, wire.Machine{Hash: hash, Description: m.Description})
	}
	f := wire.Frame{Type: wire.FrameMachine, Body: c.channel.MachineFrame(hash).Append(nil)}
	return inHop{c}.Send(c.ctx, f)
}

// sendBye is the last that is sent; then only acknowledgements follow.
func (c *Conversation) sendBye() error {
	var err error
	if c.MayWrite {
		err = c.one(wire.ContentBye, wire.Machine{})
	}
	close(c.byeSent)
	if err != nil {
		return err
	}
	<-c.ctx.Done()
	return context.Cause(c.ctx)
}

// relayed takes an acknowledgement of the relay: H1.
func (c *Conversation) relayed(p wire.Place) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for i := len(c.flights) - 1; i >= 0; i-- {
		if f := c.flights[i]; f.texts && !f.hop.After(p) {
			c.receipt(StageRelay, f.next)
			return
		}
	}
}

// confirmed takes an acknowledgement of the other person: H3.
func (c *Conversation) confirmed(p wire.Place) {
	c.mu.Lock()
	k := 0
	next, texts := uint64(0), false
	for k < len(c.flights) && !c.flights[k].inner.After(p) {
		if c.flights[k].texts {
			next, texts = c.flights[k].next, true
		}
		k++
	}
	c.flights = append(c.flights[:0], c.flights[k:]...)
	if texts {
		c.feed.Delivered(next)
		c.receipt(StageRelay, next) // H3 says more; H1 may have been overtaken
		c.receipt(StagePeer, next)
	}
	if c.stalled != nil { // an H3 may come before the flight it acknowledges is noted
		c.stalled.Stop()
		c.stalled = nil
	}
	if len(c.flights) > 0 {
		c.stalled = time.AfterFunc(wire.UnconfirmedAfter*time.Second, c.unconfirmed)
	}
	c.mu.Unlock()
	raise(c.room)
	raise(c.progress)
}

// raise wakes who waits; raised twice before that, it wakes once.
func raise(signal chan struct{}) {
	select {
	case signal <- struct{}{}:
	default:
	}
}

// receipt tells once that everything before next has come to a stage. c.mu is held.
func (c *Conversation) receipt(s Stage, next uint64) {
	if next > c.receipts[s] {
		c.receipts[s] = next
		c.events.put(&Receipt{next - 1, s})
	}
}

func (c *Conversation) unconfirmed() {
	if c.ctx.Err() != nil {
		return // nothing follows Closed
	}
	n, _ := c.contact.Waiting()
	c.events.put(&Warning{"unconfirmed", fmt.Sprintf("%d messages are not confirmed; they stay queued", n)})
}

// Disconnect leaves in order: what is queued goes out, then the other side is told, and the keys are erased. Messages that are not confirmed
// wire.ByeSeconds after the last sign of progress stay queued for the next conversation.
func (c *Conversation) Disconnect(ctx context.Context) error {
	c.byeOnce.Do(func() { close(c.byeAsked) })
	if c.isEstablished() {
		c.drain(ctx)
	}
	wait, cancel := context.WithTimeout(ctx, wire.ByeSeconds*time.Second)
	defer cancel()
	err := c.session.request(wait, func(req uint64) wire.Control { return wire.Disconnect{Req: req, Conversation: c.ID} },
		func(wire.Control) bool { return true })
	c.end(wire.CodeBye, false)
	<-c.ended
	return err
}

// drain waits until everything sent is confirmed, for as long as that makes progress.
func (c *Conversation) drain(ctx context.Context) {
	patience := time.NewTimer(wire.ByeSeconds * time.Second)
	defer patience.Stop()
	byeSent, sent := c.byeSent, false
	for {
		if n, _ := c.inner.Sent.Unacknowledged(); sent && n == 0 {
			return
		}
		select {
		case <-byeSent:
			byeSent, sent = nil, true
		case <-c.progress:
			patience.Reset(wire.ByeSeconds * time.Second)
		case <-patience.C:
			return
		case <-c.ctx.Done():
			return
		case <-ctx.Done():
			return
		}
	}
}

// checkText refuses what cannot be one message.
func checkText(text string) error {
	switch {
	case text == "":
		return wire.Errorf(wire.CodeMalformed, "an empty message")
	case len(text) > wire.MaxText:
		return &TooLargeError{len(text)}
	}
	if !utf8.ValidString(text) {
		return wire.Errorf(wire.CodeMalformed, "a text that is no UTF-8")
	}
	return nil
}

// TooLargeError says that a text is longer than wire.MaxText bytes.
type TooLargeError struct{ Bytes int }

func (e *TooLargeError) Error() string {
	return fmt.Sprintf("a message of %d bytes, %d more than fit", e.Bytes, e.Bytes-wire.MaxText)
}

// Code is CodeLimitExceeded.
func (e *TooLargeError) Code() wire.Code { return wire.CodeLimitExceeded }

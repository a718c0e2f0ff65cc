package peer

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"fmt"
	"slices"
	"time"
	"unicode/utf8"

	"sinete/internal/link"
	"sinete/peer/store"
	"sinete/wire"
)

// Send queues a text and returns its number, once it is stored. Receipts tell how far it came; what is not confirmed when the conversation
// ends goes out in the next one with the same person. Errors: *RefusedError with CodeFlowDenied where the flow policy closes the direction,
// *TooLargeError, CodeBusy where too much is queued, *store.FullError and *store.IOError where it cannot be stored.
func (c *Conversation) Send(ctx context.Context, text string) (number uint64, err error) {
	return c.SendAll(ctx, text)
}

// SendAll queues texts, in their order, all or none, and returns the number of the first. They are stored together, which costs little more than
// to store one. Errors as of Send.
func (c *Conversation) SendAll(ctx context.Context, texts ...string) (first uint64, err error) {
	if err := checkTexts(texts); err != nil {
		return 0, err
	}
	if !c.MayWrite {
		return 0, c.refused(ctx, c.Level)
	}
	return c.contact.Add(texts...)
}

// send is the conversation's sending side: flight after flight, for as long as it lasts.
func (c *Conversation) send() error {
	leaving := false
	for {
		items, bytes, err := c.rekeying.take()
		if err != nil {
			return err
		}
		stopped, keys := c.keys.Stopped()
		var texts []store.Text
		if !stopped {
			if err = c.sayMachines(); err != nil {
				return err
			}
			if leaving || c.mayFollow() {
				texts, err = c.nextTexts(len(items), bytes)
			}
			if err != nil {
				return err
			}
		}
		switch {
		case len(texts) > 0:
			err = c.sendTexts(items, texts)
			c.keys.Note()
		case len(items) > 0:
			err = c.flight(c.ctx, link.Flight{Items: items}, nil)
		case leaving && !stopped:
			return c.sendBye()
		default:
			leaving, err = c.waitForMore(leaving, stopped, keys)
		}
		if err != nil {
			return err
		}
	}
}

// failWaiting gives up what waits for somebody to whom this user may not write any more.
func (c *Conversation) failWaiting() {
	if first, last, n := c.contact.Fail(wire.CodeFlowDenied); n > 0 {
		c.events.put(&Progress{first, last, store.Failed, wire.CodeFlowDenied})
	}
}

// waitForMore waits until there may be something to send. keys is closed when a channel that has stopped has new ones.
func (c *Conversation) waitForMore(leaving, stopped bool, keys <-chan struct{}) (bool, error) {
	asked := c.byeAsked
	if _, unsent := c.contact.Waiting(); unsent > 0 || leaving {
		asked = nil // only when all is out
	}
	heard := c.toHear()
	if stopped {
		heard = nil // nothing is said of it until then
	}
	select {
	case <-c.talk.More():
	case <-c.room:
	case <-c.paced.C:
	case <-c.rekeying.more:
	case <-keys:
	case <-heard:
	case <-asked:
		leaving = true
	case <-c.ctx.Done():
		return leaving, context.Cause(c.ctx)
	}
	return leaving, nil
}

// overhead is what a content and its inner envelope take beside the text, at the most but for compartments of the label.
const overhead = 32 + 16 + 8 + 1 + 8 + 8 + 8 + 1 + 3 + 32 + 16

// nextTexts takes what goes into the next flight, as far as limits allow, behind so many items and bytes that stand in it already: texts of one label.
func (c *Conversation) nextTexts(taken, takenBytes int) ([]store.Text, error) {
	if !c.MayWrite {
		return nil, nil
	}
	envelopes, bytes := c.inner.Sent.Unacknowledged()
	n := min(c.longestFlight(envelopes)-taken, wire.MaxUnacknowledged-2-int(envelopes)) // two are kept for noticed and bye
	room := min(wire.MaxFlightBytes-takenBytes, wire.MaxUnackedBytes-2048-int(bytes))
	each := overhead + len(c.Level.Append(nil)) // which no label below it exceeds
	for {
		texts := c.talk.Take(n, room, each)
		if len(texts) == 0 || !texts[0].Labelled {
			return texts, nil
		}
		if may, err := c.labelled(texts); may || err != nil {
			return texts, err
		}
	}
}

// longestFlight is how many envelopes the next flight may have, with so many under way. Who waits for the acknowledgement of one long flight,
// while the relay and then the recipient have it, works in turns with them; two short ones keep all three at work. That is worth another signature
// where it takes less than to make half a flight, which is about what the others would wait for.
func (c *Conversation) longestFlight(underWay uint64) int {
	const half = wire.MaxFlight / 2
	if underWay < half && c.session.self.sealer.Takes() < half*max(c.perEnvelope, quickEnvelope) {
		return half
	}
	return wire.MaxFlight
}

// quickEnvelope is what an envelope takes where nobody knows yet: less than that is beyond the processors there are.
const quickEnvelope = time.Microsecond

// sendTexts sends texts in one flight, behind items that stand in it already.
func (c *Conversation) sendTexts(items []link.Item, texts []store.Text) error {
	f := c.newFlight(items)
	if first := &texts[0]; first.Labelled {
		f.label = first.Label
	}
	f.next, f.texts = texts[len(texts)-1].Number+1, true
	return f.send(len(texts), func(i int) wire.Content {
		t := &texts[i]
		return wire.Content{ID: t.ID, Time: uint64(t.Time.UnixMilli()), Type: wire.ContentText, Number: t.Number, Text: t.Text}
	})
}

// outgoing is a flight that is being made.
type outgoing struct {
	c           *Conversation
	label       wire.Level    // of all its contents
	items       []link.Item   // what stands before them
	kept        *store.Flight // nil in memory
	texts       bool
	next        uint64         // the number after the last text in it
	noticed     *store.Machine // as of sentFlight
	plain, body []byte         // of the last envelope; the next takes their room
	together    []wire.Content // likewise
}

func (c *Conversation) newFlight(items []link.Item) *outgoing {
	f := &outgoing{c: c, label: c.Level, items: items}
	if c.session.cfg.Store.OnDisk() {
		here := c.inner.Sent.Here()
		f.kept = &store.Flight{Channel: c.channel.ID, Epoch: here.Epoch, First: here.Count, Before: here.T}
	}
	return f
}

// envelope makes the inner envelope of a content. It lasts until the next is made.
func (f *outgoing) envelope(content wire.Content) link.Item {
	content.Parties = f.c.toThem
	plain := content.Append(f.plain[:0])
	s := f.c.inner.Seal(f.body[:0], f.label, plain)
	f.plain, f.body = plain, s.Body
	if f.kept != nil {
		e := store.Envelope{Header: slices.Clone(s.Body[:s.Header]), Ciphertext: sha256.Sum256(s.Body[s.Header:]), Opening: s.Opening}
		if content.Type == wire.ContentText {
			e.Is, e.Number = store.IsOwnText, content.Number
		} else {
			e.Content = slices.Clone(plain)
		}
		f.kept.Envelopes = append(f.kept.Envelopes, e)
	}
	return link.Item{Type: wire.EnvelopeInner, Payload: s.Body, Digests: [][32]byte{s.Digest}}
}

// shared makes an inner envelope of several texts. It lasts until the next is made.
func (f *outgoing) shared(texts []wire.Content) link.Item {
	for i := range texts {
		texts[i].Parties = f.c.toThem
	}
	s := f.c.inner.SealTexts(f.body[:0], f.label, texts)
	f.body = s.Body
	if f.kept != nil {
		for i := range texts {
			header := s.Header.At(i)
			f.kept.Envelopes = append(f.kept.Envelopes, store.Envelope{Header: header.Append(nil), Ciphertext: s.Ciphertext, Opening: s.Openings[i],
				Is: store.IsOwnText, Number: texts[i].Number})
		}
	}
	return link.Item{Type: wire.EnvelopeInner, Payload: s.Body, Digests: s.Digests}
}

// SharedBytes is how many bytes of text share an envelope at most: enough that what the envelope costs is little beside it, and little enough that
// the first is on its way when the next is made.
const SharedBytes = 16 << 10

// item makes the next item of a flight, of as many contents as may share an envelope; made is how many went before, of n.
func (f *outgoing) item(made, n int, content func(i int) wire.Content) link.Item {
	f.together = f.together[:0]
	for size := 0; made+len(f.together) < n && len(f.together) < wire.MaxTexts; {
		c := content(made + len(f.together))
		if size += len(c.Text); len(f.together) > 0 && (size > SharedBytes || !f.texts) {
			break
		}
		f.together = append(f.together, c)
	}
	if len(f.together) == 1 {
		return f.envelope(f.together[0])
	}
	return f.shared(f.together)
}

// pacedFlight is the length from which a flight says how long its envelopes take. Only such ones ever need to be shorter.
const pacedFlight = wire.MaxFlight / 4

// send sends it, with n contents, under one seal over the hop's lane and the conversation's.
func (f *outgoing) send(n int, content func(i int) wire.Content) error {
	c, made := f.c, 0
	class := ""
	if !f.label.Equal(c.Level) {
		class = f.label.String() // what is below this user's level shares no batch with what is at it (section 4.4)
	}
	var began time.Time
	next := func() link.Item {
		if made == 0 {
			began = time.Now()
		}
		it := f.item(made, n, content)
		if made += len(it.Digests); made == n && n >= pacedFlight {
			c.perEnvelope = time.Since(began) / time.Duration(n)
		}
		return it
	}
	return c.flight(c.ctx, link.Flight{Items: f.items, Make: next, Made: n, Class: class, Sealed: func(heads []wire.SealEntry) {
		if f.kept != nil {
			f.kept.Seal = heads[0]
			c.talk.Keep(c.ctx, f.kept)
		}
		if first, ok := c.talk.Sent(f.next); ok && f.texts {
			c.events.put(&Progress{First: first, Last: f.next - 1, State: store.Sent})
		}
	}, Heads: func(closing wire.Place) []wire.Head {
		h := c.inner.Closing()
		c.mu.Lock()
		c.flights = append(c.flights, sentFlight{hop: closing, inner: *h.Mine, next: f.next, texts: f.texts, noticed: f.noticed, began: time.Now()})
		if c.stalled == nil {
			c.stalled = time.AfterFunc(wire.UnconfirmedAfter*time.Second, c.unconfirmed)
		}
		c.mu.Unlock()
		return []wire.Head{h}
	}}, f.kept)
}

// one sends a content that is no text. noticed is what it tells of, if it does.
func (c *Conversation) one(t wire.ContentType, m wire.Machine, noticed *store.Machine) error {
	content := wire.Content{Time: uint64(time.Now().UnixMilli()), Type: t, Machine: m}
	rand.Read(content.ID[:])
	f := c.newFlight(nil)
	f.noticed = noticed
	return f.send(1, func(int) wire.Content { return content })
}

// sendBye is the last that is sent; then only acknowledgements follow.
func (c *Conversation) sendBye() error {
	var err error
	if c.MayWrite {
		err = c.one(wire.ContentBye, wire.Machine{}, nil)
	}
	close(c.byeSent)
	if err != nil {
		return err
	}
	<-c.ctx.Done()
	return context.Cause(c.ctx)
}

// relayed takes an acknowledgement of the relay: H1.
func (c *Conversation) relayed(e *wire.SealEntry) {
	p := e.Head.Yours
	c.mu.Lock()
	defer c.mu.Unlock()
	c.taken(e)
	c.answered(func(f *sentFlight) bool { return !f.hop.After(p) })
	for i := len(c.flights) - 1; i >= 0; i-- {
		if f := c.flights[i]; f.texts && !f.hop.After(p) {
			c.talk.Relayed(f.next)
			c.receipt(StageRelay, f.next)
			return
		}
	}
}

// confirmed takes an acknowledgement of the other person: H3.
func (c *Conversation) confirmed(e *wire.SealEntry) {
	p := e.Head.Yours
	c.mu.Lock()
	c.answered(func(f *sentFlight) bool { return !f.inner.After(p) })
	k := 0
	next, texts := uint64(0), false
	for k < len(c.flights) && !c.flights[k].inner.After(p) {
		f := &c.flights[k]
		if f.texts {
			next, texts = f.next, true
		}
		if f.noticed != nil {
			c.contact.Told(f.noticed)
		}
		k++
	}
	c.flights = append(c.flights[:0], c.flights[k:]...)
	if texts {
		c.talk.Delivered(next, e)
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

func checkTexts(texts []string) error {
	for _, text := range texts {
		if err := checkText(text); err != nil {
			return err
		}
	}
	return nil
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

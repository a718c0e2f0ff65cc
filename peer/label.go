package peer

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"sinete/peer/store"
	"sinete/wire"
)

// SendAs is SendAll under a label that the author chooses: this user's level in the conversation, or one below it (protocol.md section 8.1). The relay is
// asked before anything is queued. The texts go out under that label or not at all: where a later conversation has to carry them and they may not go out
// under it any more, they fail. Errors as of SendAll, *LabelError, and CodeMalformed for what is no level.
func (c *Conversation) SendAs(ctx context.Context, label wire.Level, texts ...string) (first uint64, err error) {
	if err := checkTexts(texts); err != nil {
		return 0, err
	}
	if err := checkLabel(label); err != nil {
		return 0, err
	}
	if !c.MayWrite {
		return 0, c.refused(ctx, label)
	}
	if err := c.mayLabel(ctx, label); err != nil {
		return 0, err
	}
	return c.contact.AddAs(label, texts...)
}

func checkLabel(label wire.Level) error {
	if !label.Valid() {
		return wire.Errorf(wire.CodeMalformed, "a label that is no level: %v", label)
	}
	return nil
}

// refused asks for what a closed direction does not let through, so that the relay seals its refusal, and logs it.
func (c *Conversation) refused(ctx context.Context, label wire.Level) error {
	if err := c.writeRequest(ctx, label); err != nil {
		return err
	}
	return &RefusedError{Number: wire.CodeFlowDenied} // whatever the relay says now
}

// answerDue is how long the relay, which has nothing to ask anybody for it, may take over a write-request before the person is told.
const answerDue = 10 * time.Second

func (c *Conversation) writeRequest(ctx context.Context, label wire.Level) error {
	late := time.AfterFunc(answerDue, func() {
		if c.ctx.Err() == nil { // nothing follows Closed
			c.events.put(&Warning{wire.CodeTimeout.String(),
				fmt.Sprintf("the relay does not say whether you may write to %s under label %v; what you send to them waits for that", c.Person.Name, label)})
		}
	})
	defer late.Stop()
	return c.session.request(ctx, func(req uint64) wire.Control {
		return wire.WriteRequest{Req: req, Conversation: c.ID, Label: label}
	}, func(wire.Control) bool { return true })
}

// mayLabel asks, once for each label, whether this user may send under it here. What is granted holds as long as the conversation lasts: a level or a right
// that changes ends it (section 8.2).
func (c *Conversation) mayLabel(ctx context.Context, label wire.Level) error {
	switch {
	case label.Equal(c.Level):
		return nil
	case !c.Level.Dominates(label):
		return &LabelError{label, c.Level, wire.CodeFlowDenied}
	}
	c.mu.Lock()
	granted := slices.ContainsFunc(c.granted, label.Equal)
	c.mu.Unlock()
	if granted {
		return nil
	}
	err := c.writeRequest(ctx, label)
	if r, ok := errors.AsType[*RefusedError](err); ok && (r.Number == wire.CodeFlowDenied || r.Number == wire.CodeLabelDenied) {
		return &LabelError{label, c.Level, r.Number}
	}
	if err == nil {
		c.mu.Lock()
		c.granted = append(c.granted, label)
		c.mu.Unlock()
	}
	return err
}

// labelled reports whether texts may go out, which were queued under a label, perhaps for an earlier conversation. Those that may not have failed then.
// It waits until the relay has said so; the error is the end of the conversation.
func (c *Conversation) labelled(texts []store.Text) (may bool, err error) {
	err = c.mayLabel(c.ctx, texts[0].Label)
	if err == nil {
		return true, nil
	}
	if e, ok := errors.AsType[*LabelError](err); ok {
		c.talk.Fail(texts, e.Number)
		c.events.put(&Progress{texts[0].Number, texts[len(texts)-1].Number, store.Failed, e.Number})
		return false, nil
	}
	<-c.ctx.Done() // the relay has ended the conversation, and is about to say so
	return false, context.Cause(c.ctx)
}

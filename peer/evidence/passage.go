package evidence

import (
	"errors"
	"fmt"
	"slices"

	"sinete/peer/evidence/internal/facts"
	"sinete/wire"
)

// passage is what stands in a run for when a relay had messages.
type passage struct {
	facts.Outer
	sent  bool // to the relay, by the author; else by it, to the recipient
	first int  // of the report's messages
}

func (r *run) pass(w *words) error {
	if r.passage != nil {
		return errors.New("a passage within a passage")
	}
	d := wire.Direction(min(w.number(), 3))
	place := wire.Place{Epoch: w.number(), Count: w.number(), T: w.hash()}
	if d != 1 && d != 2 {
		w.fail("no such direction")
	}
	r.passage = &passage{facts.Outer{Place: place}, d == wire.RoleInitiator.Sends(), len(r.book.report.Messages)}
	return w.done()
}

func (r *run) outer(w *words) error {
	if r.passage == nil {
		return errors.New("outside a passage")
	}
	r.passage.Add(w.hash())
	return w.done()
}

func (r *run) relayed(w *words) error {
	p := r.passage
	t := r.book.tail(w)
	if err := w.done(); err != nil {
		return err
	}
	if err := t.holds(wire.PurposeHead, t); err != nil {
		return err
	}
	relay := slices.Index(r.book.relays, t.Person)
	h, err := wire.ParseHead(t.statement)
	messages := r.book.report.Messages
	switch {
	case err != nil:
		return err
	case p == nil:
		return errors.New("outside a passage")
	case relay < 0:
		return fmt.Errorf("sealed by %s, who is no relay", t.Identity)
	case !p.Named(&h, p.sent):
		return errors.New("the relay's head of another place")
	case p.first == len(messages):
		return errors.New("a passage without a message")
	}
	for i := p.first; i < len(messages); i++ {
		if messages[i].Relayed == nil {
			messages[i].Relayed = &Relayed{relay, t.time}
		}
	}
	r.passage = nil
	return nil
}

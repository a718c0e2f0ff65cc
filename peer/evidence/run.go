package evidence

import (
	"errors"
	"fmt"

	"sinete/peer/evidence/internal/bundle"
	"sinete/peer/evidence/internal/facts"
	"sinete/wire"
)

// run is a part of a direction's transcript, as the lines of a proof follow it.
type run struct {
	book *book
	*conversation
	facts.Transcript
	messages int      // of the run
	unsealed int      // first of the report's messages that no head covers
	waiting  int      // first that no receipt covers
	covered  bool     // a head or a receipt was last
	passage  *passage // that has begun; nil: none
}

// steps are the lines of a run, by their first word.
var steps = map[string]func(*run, *words) error{
	"hidden":  (*run).hidden,
	"message": (*run).message,
	"epoch":   (*run).epoch,
	"head":    (*run).head,
	"receipt": (*run).receipt,
	"passage": (*run).pass,
	"outer":   (*run).outer,
	"relayed": (*run).relayed,
}

func (b *book) begin(w *words) error {
	if b.run != nil {
		if err := b.run.over(); err != nil {
			return fmt.Errorf("the run before it: %w", err)
		}
	}
	c, d := of(w, "channel", b.channels), wire.Direction(min(w.number(), 3))
	place := wire.Place{Epoch: w.number(), Count: w.number(), T: w.hash()}
	if d != 1 && d != 2 {
		w.fail("no such direction")
	}
	n := len(b.report.Messages)
	b.run = &run{book: b, conversation: c, Transcript: facts.Transcript{Direction: d, Place: place}, unsealed: n, waiting: n}
	return w.done()
}

// over refuses a run that does not prove all that it says.
func (r *run) over() error {
	switch {
	case r.messages == 0:
		return errors.New("a run without a message")
	case r.passage != nil:
		return errors.New("a passage that no relay has sealed")
	case !r.covered:
		return errors.New("a run of which nobody has sealed the end")
	case r.unsealed < len(r.book.report.Messages):
		return errors.New("a message that its author has not sealed")
	}
	return nil
}

func (r *run) hidden(w *words) error {
	r.follow(w.hash())
	return w.done()
}

func (r *run) follow(digest [32]byte) {
	r.Add(digest)
	r.covered = false
	if r.passage != nil {
		r.passage.Around(digest)
	}
}

func (r *run) message(w *words) error {
	report := r.book.report
	n := next(w, report.Messages)
	m := Message{Channel: r.ID, Epoch: r.Epoch, Seq: r.Count, Number: w.number(), ID: w.bytes16()}
	m.From, m.To = r.initiator, r.responder
	if r.Direction == wire.RoleResponder.Sends() {
		m.From, m.To = m.To, m.From
	}
	for _, b := range w.bytes(8, 8) {
		m.Time = m.Time<<8 | uint64(b)
	}
	header, ciphertext, opening := w.bytes(1, 2048), w.hash(), w.hash()
	if err := w.done(); err != nil {
		return err
	}
	text, err := r.book.file("text", n, "txt")
	if err != nil {
		return err
	}
	parsed, err := wire.ParseEnvelope(append(header[:len(header):len(header)], make([]byte, wire.MinCiphertext)...))
	switch {
	case err != nil || len(parsed.RawHeader) != len(header) || parsed.Header.Type != wire.EnvelopeContent:
		return errors.New("no header of a message")
	case parsed.Header.Epoch != r.Epoch || parsed.Header.Seq != r.Count:
		return errors.New("the header of another place")
	}
	content := (&wire.Content{Parties: r.Parties(r.Direction), ID: m.ID, Time: m.Time, Type: wire.ContentText, Number: m.Number, Text: string(text)}).Append(nil)
	if _, err := wire.ParseContent(content); err != nil {
		return fmt.Errorf("%s: %w", bundle.Name("text", n, "txt"), err)
	}
	if err := r.Opens(r.Direction, header, opening, content); err != nil {
		return err
	}
	m.Label, m.File, m.Text = parsed.Header.Label, bundle.Name("text", n, "txt"), string(text)
	report.Messages = append(report.Messages, m)
	r.messages++
	r.follow(wire.InnerDigestOf(header, ciphertext))
	return nil
}

func (r *run) epoch(w *words) error {
	epoch, th := w.number(), w.bytes(1, 255)
	if err := w.done(); err != nil {
		return err
	}
	t, err := r.In(epoch, th)
	r.Transcript, r.covered = t, false
	return err
}

// sealed reads a head of that side.
func (r *run) sealed(w *words, by *facts.Person, d wire.Direction) (*wire.Head, *Sealed, error) {
	t := r.book.tail(w)
	if err := w.done(); err != nil {
		return nil, nil, err
	}
	if err := t.holds(wire.PurposeHead, t); err != nil {
		return nil, nil, err
	}
	if t.Person != by {
		return nil, nil, fmt.Errorf("sealed by %s", t.Identity)
	}
	h, err := wire.ParseHead(t.statement)
	if err == nil {
		err = r.SealedAs(d, &h)
	}
	s := &Sealed{At: t.time, Scheme: t.scheme}
	if t.By != nil {
		s.Delegation = &t.By.Delegation
	}
	return &h, s, err
}

func (r *run) head(w *words) error {
	author, _ := r.Between(r.Direction)
	h, s, err := r.sealed(w, author, r.Direction)
	switch {
	case err != nil:
		return err
	case h.Mine == nil || *h.Mine != r.Place:
		return errors.New("the author's head of another place")
	}
	messages := r.book.report.Messages
	for i := r.unsealed; i < len(messages); i++ {
		messages[i].Sealed = *s
	}
	r.unsealed, r.covered = len(messages), true
	return nil
}

func (r *run) receipt(w *words) error {
	_, recipient := r.Between(r.Direction)
	h, s, err := r.sealed(w, recipient, 3-r.Direction)
	switch {
	case err != nil:
		return err
	case h.Yours != r.Place:
		return errors.New("the recipient's head of another place")
	}
	messages := r.book.report.Messages
	for i := r.waiting; i < len(messages); i++ {
		messages[i].Delivered = s
	}
	r.waiting, r.covered = len(messages), true
	return nil
}

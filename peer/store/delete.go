package store

import (
	"time"

	"sinete/peer/store/internal/journal"
	"sinete/peer/store/internal/record"
)

// Delete forgets the messages that a query means, with what proves them, and returns how many there were. What is still to be sent or shown stays.
// Errors: *FullError, *IOError; then nothing is forgotten.
func (s *Store) Delete(q Query) (n int, err error) {
	if s.disk == nil {
		return 0, nil
	}
	s.disk.rewriting.Lock()
	defer s.disk.rewriting.Unlock()
	d := &deletion{store: s, query: q.lower(), own: map[uint32]map[uint64]bool{}, seen: map[[32]byte]bool{}, live: map[[32]byte]bool{}, trimmed: map[[32]byte]bool{}}
	for _, c := range s.all() {
		if channel, ok := c.current(); ok {
			d.live[channel] = true
		}
	}
	if _, err := s.disk.journal.Scan(journal.Mark{}, d.look); err != nil || d.found == 0 {
		return 0, err
	}
	if d.states, err = s.writeState(); err != nil {
		return 0, err
	}
	if _, err := s.disk.journal.Rewrite(d.keep); err != nil {
		return 0, err
	}
	s.disk.state.remove()
	return d.found, nil
}

// writeState stores what is known of every contact beside messages, and returns the numbers of these records by contact: what records of a contact
// before that say of it is worth nothing more. s.disk.rewriting is held, since the numbers are good until the journal is rewritten.
func (s *Store) writeState() (numbers map[uint32]uint64, err error) {
	numbers = map[uint32]uint64{}
	var tickets []*journal.Ticket
	for _, c := range s.all() {
		t := c.writeState()
		if t.Positions != nil {
			numbers[c.number] = t.Positions[0].Number
		}
		tickets = append(tickets, t)
	}
	for _, t := range tickets {
		if err := t.Wait(); err != nil {
			return nil, err
		}
	}
	return numbers, nil
}

// writeState appends what is known of the contact. Its mu is held until the record has its place: what stands before that is in it.
func (c *Contact) writeState() *journal.Ticket {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.store.disk.journal.Append(c.snapshot().Append(nil))
}

// retain forgets what is older than keep, now and once a day, until the store closes.
func (s *Store) retain(keep time.Duration) {
	for {
		if n, err := s.Delete(Query{Until: time.Now().Add(-keep)}); err != nil {
			s.disk.logger.Warn("old messages cannot be deleted", "err", err)
		} else if n > 0 {
			s.disk.logger.Info("old messages deleted", "messages", n)
		}
		select {
		case <-time.After(24 * time.Hour):
		case <-s.disk.closing:
			return
		}
	}
}

// deletion decides which records go.
type deletion struct {
	store  *Store
	query  Query
	found  int                        // messages that go
	own    map[uint32]map[uint64]bool // numbers of those of the owner's, by contact
	states map[uint32]uint64          // of Store.writeState

	seen, live map[[32]byte]bool // channels that have flights; of which one stays
	trimmed    map[[32]byte]bool // of which one goes
}

// look finds what goes, and of which channels anything stays.
func (d *deletion) look(_ journal.Position, b []byte) error {
	r, err := record.Parse(b)
	if err != nil {
		return nil
	}
	switch r := r.(type) {
	case *record.Queued:
		c := d.store.byNumber(r.Contact)
		if state, _ := c.state(r.Text.Number); d.query.matches(c, r.Text.Time, &r.Text) && (state == Delivered || state == Failed) {
			if d.own[r.Contact] == nil {
				d.own[r.Contact] = map[uint64]bool{}
			}
			d.own[r.Contact][r.Text.Number] = true
			d.found++
		}
	case *record.Past:
		if d.goes(r) {
			d.found++
		}
	case *record.Sent:
		d.note(&r.Flight, d.trimSent(r))
	case *record.Received:
		n := d.trimReceived(r)
		d.found += n
		d.note(&r.Flight, n)
	}
	return nil
}

// note takes a flight of which n texts go.
func (d *deletion) note(f *Flight, n int) {
	d.seen[f.Channel] = true
	d.live[f.Channel] = d.live[f.Channel] || f.Worth()
	d.trimmed[f.Channel] = d.trimmed[f.Channel] || n > 0 && !f.Worth()
}

// keep is what becomes of a record.
func (d *deletion) keep(at journal.Position, b []byte) ([]byte, bool) {
	r, err := record.Parse(b)
	if err != nil {
		return b, true // of a later version of the program, say
	}
	old, stays := false, true
	if contact := r.ContactNumber(); contact != nil {
		state, ok := d.states[*contact]
		old = ok && at.Number < state
	}
	switch r := r.(type) {
	case *record.Queued:
		stays = !d.own[r.Contact][r.Text.Number]
	case *record.Past:
		stays = !d.goes(r)
	case *record.Sent:
		b, stays = d.left(b, r, &r.Flight, d.trimSent(r))
	case *record.Received:
		b, stays = d.left(b, r, &r.Flight, d.trimReceived(r))
	case *record.Channel:
		stays = d.stays(r.Channel)
		if d.trimmed[r.Channel] && !r.Trimmed {
			r.Trimmed = true
			b = r.Append(nil)
		}
	case *record.Epoch:
		stays = d.stays(r.Channel)
	case *record.Levels:
		stays = d.stays(r.Channel)
	case *record.Hop:
		stays = d.stays(r.Channel)
	case *record.Passed:
		stays = d.stays(r.Passage.Channel)
	case *record.Marks:
		stays = !old || r.Receipt != nil && d.stays(r.Receipt.Head.Channel)
	case *record.Moved:
		stays = d.store.byNumber(r.Contact).remembers(r)
	case *record.Named, *record.Spoke, *record.Open, *record.Failed, *record.State:
		stays = !old
	}
	return b, stays
}

// left is what is left of a flight's record b of which n texts go.
func (d *deletion) left(b []byte, r record.Record, f *Flight, n int) ([]byte, bool) {
	if n == 0 {
		return b, d.stays(f.Channel) || f.Worth() // which came late, through a channel that had nothing left
	}
	return r.Append(nil), f.Worth()
}

func (d *deletion) goes(r *record.Past) bool {
	return d.query.matches(d.store.byNumber(r.Contact), r.Text.Time, &r.Text)
}

// stays reports whether anything is left of a channel, or may still come.
func (d *deletion) stays(channel [32]byte) bool { return d.live[channel] || !d.seen[channel] }

func (d *deletion) trimSent(r *record.Sent) (n int) {
	for i := range r.Flight.Envelopes {
		if e := &r.Flight.Envelopes[i]; e.Is == IsOwnText && d.own[r.Contact][e.Number] {
			e.Forget()
			n++
		}
	}
	return n
}

func (d *deletion) trimReceived(r *record.Received) (n int) {
	c := d.store.byNumber(r.Contact)
	place := r.First
	for i := range r.Flight.Envelopes {
		e := &r.Flight.Envelopes[i]
		if e.Is != IsNewText && e.Is != IsGone && e.Is != IsPastText {
			continue
		}
		past := e.Is == IsPastText
		if (past || e.Is == IsNewText && c.hasShown(place)) && e.Read() == nil && e.Text != nil && d.query.matches(c, r.At, e.Text) {
			e.Forget()
			n++
			if past {
				e.Is = IsOther
			}
		}
		if !past {
			place++
		}
	}
	return n
}

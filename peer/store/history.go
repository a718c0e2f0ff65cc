package store

import (
	"errors"
	"iter"
	"strings"
	"time"

	"sinete/peer/store/internal/journal"
	"sinete/peer/store/internal/record"
	"sinete/wire"
)

// Query says which messages are meant. The zero value means all.
type Query struct {
	With         string    // identity of the contact; empty: anybody's
	Since, Until time.Time // when they were stored; zero: no bound
	Search       string    // in the text, whatever the case
}

// Entry is a message of the history.
type Entry struct {
	With, Name string // of the contact
	Text       Text
	At         time.Time // when it was stored here
	State      State
	Reason     wire.Code // of a failed one
}

// Verification says what vouches for a message.
type Verification string

const (
	Verified  Verification = "verified"  // the contact's: its author's seal and the commitment were verified before it was stored
	Confirmed Verification = "confirmed" // the owner's, sealed, and the contact has sealed that it arrived
	Sealed    Verification = "sealed"    // by the owner; nobody has confirmed it yet
	Unsealed  Verification = "unsealed"  // it was never sent
)

// Verification is what vouches for the entry.
func (e *Entry) Verification() Verification {
	switch e.State {
	case Received:
		return Verified
	case Delivered:
		return Confirmed
	case Sent, Relayed:
		return Sealed
	}
	return Unsealed
}

// History gives the messages of the store, oldest first, as far as they are written when it begins. In memory there are none.
// Damage tells of the messages that are lost. Errors: *IOError, ErrClosed.
func (s *Store) History(q Query) iter.Seq2[Entry, error] {
	return func(yield func(Entry, error) bool) {
		if s.disk == nil {
			return
		}
		q := q.lower()
		authors := levels{}
		damage, err := s.disk.journal.Scan(journal.Mark{}, func(_ journal.Position, b []byte) error {
			switch record.Kind(b[0]) {
			case record.KindQueued, record.KindQueuedAs, record.KindReceived, record.KindPast, record.KindPastAs, record.KindLevels:
			default:
				return nil
			}
			r, err := record.Parse(b)
			if err != nil {
				return nil
			}
			for _, e := range s.entries(r, &q, authors) {
				if !yield(e, nil) {
					return errEnough
				}
			}
			return nil
		})
		s.disk.found(damage)
		if err != nil && err != errEnough {
			yield(Entry{}, err)
		}
	}
}

var errEnough = errors.New("enough")

// lower is the query in the form that matches wants.
func (q Query) lower() Query {
	q.Search = strings.ToLower(q.Search)
	return q
}

func (q *Query) matches(c *Contact, at time.Time, t *Text) bool {
	return (q.With == "" || q.With == c.Identity) && (q.Since.IsZero() || !at.Before(q.Since)) && (q.Until.IsZero() || at.Before(q.Until)) &&
		(q.Search == "" || strings.Contains(strings.ToLower(t.Text), q.Search))
}

// entries are the messages in a record that a query means. authors are what records before it say of levels.
func (s *Store) entries(r record.Record, q *Query, authors levels) (entries []Entry) {
	switch r := r.(type) {
	case *record.Levels:
		authors[r.Channel] = r.Other
	case *record.Queued:
		c := s.byNumber(r.Contact)
		if q.matches(c, r.Text.Time, &r.Text) {
			state, reason := c.state(r.Text.Number)
			entries = append(entries, Entry{c.Identity, c.Name(), r.Text, r.Text.Time, state, reason})
		}
	case *record.Past:
		if c := s.byNumber(r.Contact); q.matches(c, r.Text.Time, &r.Text) {
			entries = append(entries, Entry{c.Identity, c.Name(), r.Text, r.Text.Time, pastState(r), r.Reason})
		}
	case *record.Received:
		c := s.byNumber(r.Contact)
		for i := range r.Flight.Envelopes {
			if e := &r.Flight.Envelopes[i]; (e.Is == IsNewText || e.Is == IsPastText) && authors.read(&r.Flight, e) && q.matches(c, r.At, e.Text) {
				entries = append(entries, Entry{c.Identity, c.Name(), *e.Text, r.At, Received, 0})
			}
		}
	}
	return entries
}

func pastState(r *record.Past) State {
	if r.Delivered {
		return Delivered
	}
	return Failed
}

func (s *Store) byNumber(number uint32) *Contact {
	s.mu.Lock()
	defer s.mu.Unlock()
	if c := s.numbered[number]; c != nil {
		return c
	}
	return &Contact{store: s} // whose record is being lost just now
}

// state is that of a text of the owner's.
func (c *Contact) state(number uint64) (State, wire.Code) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, f := range c.out.failed {
		if f.First <= number && number <= f.Last {
			return Failed, f.Reason
		}
	}
	switch {
	case number < c.out.delivered:
		return Delivered, 0
	case number < c.out.relayed:
		return Relayed, 0
	case number < c.out.sent:
		return Sent, 0
	}
	return Queued, 0
}

package store

import (
	"errors"
	"iter"
	"strings"
	"time"

	"sinete/peer/store/internal/journal"
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

// History gives the messages of the store, oldest first, as far as they are written when it begins. In memory there are none. Errors: *IOError, ErrClosed.
func (s *Store) History(q Query) iter.Seq2[Entry, error] {
	return func(yield func(Entry, error) bool) {
		if s.disk == nil {
			return
		}
		q.Search = strings.ToLower(q.Search)
		_, err := s.disk.journal.Scan(journal.Mark{}, func(_ journal.Position, b []byte) error {
			if k := kind(b[0]); k != kindQueued && k != kindReceived {
				return nil
			}
			r, err := parseRecord(b)
			if err != nil {
				return nil
			}
			for _, e := range s.entries(r) {
				if q.matches(&e) && !yield(e, nil) {
					return errEnough
				}
			}
			return nil
		})
		if err != nil && err != errEnough {
			yield(Entry{}, err)
		}
	}
}

var errEnough = errors.New("enough")

func (q *Query) matches(e *Entry) bool {
	return (q.With == "" || q.With == e.With) && (q.Since.IsZero() || !e.At.Before(q.Since)) && (q.Until.IsZero() || e.At.Before(q.Until)) &&
		(q.Search == "" || strings.Contains(strings.ToLower(e.Text.Text), q.Search))
}

// entries are the messages in a record.
func (s *Store) entries(r record) (entries []Entry) {
	switch r := r.(type) {
	case *queuedRecord:
		c := s.byNumber(r.Contact)
		state, reason := c.state(r.Text.Number)
		entries = append(entries, Entry{c.Identity, c.Name(), r.Text, r.Text.Time, state, reason})
	case *receivedRecord:
		c := s.byNumber(r.Contact)
		for i := range r.Flight.Envelopes {
			if e := &r.Flight.Envelopes[i]; e.Is == IsNewText && e.read() == nil && e.Text != nil {
				entries = append(entries, Entry{c.Identity, c.Name(), *e.Text, r.At, Received, 0})
			}
		}
	}
	return entries
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

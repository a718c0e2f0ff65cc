package store

import (
	"slices"
	"time"

	"sinete/peer/store/internal/record"
)

// Stay is a machine that a contact speaks from, or spoke from until the next one.
type Stay struct {
	Machine
	Since time.Time // when they were first seen there; zero where an earlier version of the program did not note it
}

// stays are the machines of a contact, oldest first.
type stays struct {
	all  []Stay
	owed *Machine // of Contact.Owed
}

const maxStays = 64 // of a contact: the oldest are forgotten

func (s *stays) last() *Machine {
	if len(s.all) == 0 {
		return nil
	}
	m := s.all[len(s.all)-1].Machine
	return &m
}

// at takes the machine that the contact speaks from since a time. moved is true where it is another than the last, or the first.
func (s *stays) at(m Machine, since time.Time) (moved bool) {
	if since.UnixMilli() <= 0 {
		since = time.Time{}
	}
	last := len(s.all) - 1
	if last >= 0 && s.all[last].Hash == m.Hash {
		if m.Description != "" { // else their direction is closed
			s.all[last].Description = m.Description
		}
		return false
	}
	s.all = append(s.all, Stay{m, since})
	s.all = s.all[max(0, len(s.all)-maxStays):]
	return true
}

// replay takes a record, which may have been read before: the state holds what lies a little behind its place in the journal, too.
func (s *stays) replay(r *record.Moved) {
	if i := slices.IndexFunc(s.all, func(known Stay) bool { return known.is(r) }); i >= 0 {
		s.all[i].Description = r.Machine.Description
		return
	}
	s.at(r.Machine, r.At)
}

// is reports whether a record is of that stay, by whatever description.
func (s Stay) is(r *record.Moved) bool {
	return s.Hash == r.Machine.Hash && max(0, s.Since.UnixMilli()) == r.At.UnixMilli()
}

// SpeaksFrom remembers the machine that the contact speaks from, and returns the one remembered before; nil where there was none.
func (c *Contact) SpeaksFrom(m Machine) (before *Machine) {
	c.mu.Lock()
	defer c.mu.Unlock()
	before = c.stays.last()
	now := time.Now()
	if n := len(c.stays.all); n > 0 { // a machine and a time, in milliseconds, name a stay
		if next := c.stays.all[n-1].Since.Add(time.Millisecond); now.Before(next) {
			now = next
		}
	}
	if c.stays.at(m, now) {
		if c.stays.owed = nil; before != nil {
			c.stays.owed = &Machine{Hash: m.Hash, Description: before.Description}
		}
	} else if *before == *c.stays.last() {
		return before
	}
	last := c.stays.all[len(c.stays.all)-1]
	c.store.disk.note(&record.Moved{Contact: c.number, At: last.Since, Machine: last.Machine})
	return before
}

// Machines are those that the contact has spoken from, oldest first, the last 64 of them.
func (c *Contact) Machines() []Stay {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.stays.all)
}

// Owed is what the contact is still to be told, as long as this store is open: that they speak from another machine than before. It has that
// machine's hash and the description of the one before. nil: nothing.
func (c *Contact) Owed() *Machine {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.stays.owed
}

// Told notes that the contact has been told what Owed returned.
func (c *Contact) Told(owed *Machine) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.stays.owed == owed {
		c.stays.owed = nil
	}
}

// moves are the records of the contact's machines. c.mu is held.
func (c *Contact) moves() (records [][]byte) {
	for _, s := range c.stays.all {
		records = append(records, (&record.Moved{Contact: c.number, At: s.Since, Machine: s.Machine}).Append(nil))
	}
	return records
}

// remembers reports whether a record tells of a machine that is not forgotten, by its last description.
func (c *Contact) remembers(r *record.Moved) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.ContainsFunc(c.stays.all, func(s Stay) bool { return s.is(r) && s.Description == r.Machine.Description })
}

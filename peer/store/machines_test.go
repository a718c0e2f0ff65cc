package store

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"sinete/peer/store/internal/record"
)

func machine(name string) Machine {
	return Machine{Hash: [32]byte([]byte(fmt.Sprintf("%-32s", name))), Description: name}
}

func wantMachines(t *testing.T, c *Contact, want ...string) {
	t.Helper()
	var got []string
	for i, s := range c.Machines() {
		got = append(got, s.Description)
		if i > 0 && s.Since.Before(c.Machines()[i-1].Since) {
			t.Errorf("%s since %v, after one that is younger", s.Description, s.Since)
		}
	}
	if !slices.Equal(got, want) {
		t.Fatalf("machines %q, not %q", got, want)
	}
}

// Each machine that a contact spoke from is remembered with its time, over starts, deletions and moves of the store.
func TestMachinesOutlive(t *testing.T) {
	dir := t.TempDir()
	s := opened(t, dir)
	c := s.Contact("bob", "Bob")
	must(t, begin(c).Save())
	c.SpeaksFrom(machine("one"))
	c.SpeaksFrom(machine("two"))
	renamed := machine("two")
	renamed.Description = "two, renamed"
	c.SpeaksFrom(renamed)
	closed := machine("two")
	closed.Description = "" // their direction is closed now
	if before := c.SpeaksFrom(closed); before.Description != "two, renamed" {
		t.Errorf("before %+v", before)
	}
	c.SpeaksFrom(machine("one"))
	since := c.Machines()[2].Since
	if time.Since(since) > time.Minute {
		t.Errorf("since %v", since)
	}
	for range 2 {
		s = reopened(t, s, dir)
		c = s.Known("bob")
		wantMachines(t, c, "one", "two, renamed", "one")
		if got := c.Machines()[2].Since; got.UnixMilli() != since.UnixMilli() {
			t.Errorf("since %v, where %v was noted", got, since)
		}
		if c.Owed() != nil {
			t.Error("something is owed in a new life")
		}
	}
	talk := begin(c)
	to, err := talk.Receive(from(0, "theirs"))
	must(t, err)
	show(c, to)
	n, err := s.Delete(Query{})
	must(t, err)
	if n != 1 {
		t.Fatalf("%d deleted", n)
	}
	wantMachines(t, c, "one", "two, renamed", "one")
	s = reopened(t, s, dir)
	wantMachines(t, s.Known("bob"), "one", "two, renamed", "one")
}

// What has changed is owed until it is told, or is not true any more.
func TestOwed(t *testing.T) {
	c := NewMemory().Contact("bob", "Bob")
	wants := func(want *Machine) {
		t.Helper()
		if got := c.Owed(); (got == nil) != (want == nil) || got != nil && *got != *want {
			t.Errorf("%+v is owed, not %+v", got, want)
		}
	}
	c.SpeaksFrom(machine("one"))
	c.SpeaksFrom(machine("one"))
	wants(nil)
	c.SpeaksFrom(machine("two"))
	c.SpeaksFrom(machine("two"))
	first := c.Owed()
	wants(&Machine{Hash: machine("two").Hash, Description: "one"})
	c.SpeaksFrom(machine("three"))
	wants(&Machine{Hash: machine("three").Hash, Description: "two"})
	c.Told(first)
	wants(&Machine{Hash: machine("three").Hash, Description: "two"})
	c.Told(c.Owed())
	wants(nil)
}

// A store that was written before times were noted still knows the machines, and one that somebody changes all the time forgets the oldest.
func TestMachinesAreBounded(t *testing.T) {
	dir := t.TempDir()
	s := opened(t, dir)
	c := s.Contact("bob", "Bob")
	must(t, begin(c).Save())
	for _, old := range []Machine{machine("older"), machine("old")} {
		c.stays.at(old, time.Time{})
		must(t, c.append((&record.Spoke{Contact: c.number, Machine: old}).Append(nil)))
	}
	s = reopened(t, s, dir)
	c = s.Known("bob")
	wantMachines(t, c, "older", "old")
	if at := c.Machines()[0].Since; !at.IsZero() {
		t.Errorf("since %v", at)
	}
	s = reopened(t, s, dir)
	c = s.Known("bob")
	wantMachines(t, c, "older", "old")
	if at := c.Machines()[1].Since; !at.IsZero() {
		t.Errorf("since %v, from the state", at)
	}
	for i := range maxStays {
		c.SpeaksFrom(machine(fmt.Sprint(i)))
	}
	if all := c.Machines(); len(all) != maxStays || all[0].Description != "0" {
		t.Errorf("%d machines, the first %s", len(all), all[0].Description)
	}
	must(t, s.Close())
}

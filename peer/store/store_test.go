package store

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"sinete/peer/store/internal/journal"
	"sinete/peer/store/internal/journal/journaltest"
	"sinete/peer/store/internal/record"
	"sinete/wire"
)

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// opened opens the store in a folder until the test ends.
func opened(t *testing.T, dir string) *Store {
	t.Helper()
	s, err := OpenOn(journal.Dir(dir), [32]byte{1})
	must(t, err)
	if damage := s.Damage(); len(damage) > 0 {
		t.Fatalf("damage: %v", damage)
	}
	t.Cleanup(func() { must(t, s.Close()) })
	return s
}

// reopened closes a store and opens it again. Its state must be that which the journal alone gives.
func reopened(t *testing.T, s *Store, dir string) *Store {
	t.Helper()
	must(t, s.Close())
	b, err := os.ReadFile(filepath.Join(dir, "journal"))
	must(t, err)
	alone := t.TempDir()
	must(t, os.WriteFile(filepath.Join(alone, "journal"), b, 0o600))
	s = opened(t, dir)
	want, got := state(opened(t, alone)), state(s)
	if diff := cmp.Diff(want, got, cmpopts.EquateEmpty()); diff != "" {
		t.Fatalf("the state is not that of the journal (-journal +state):\n%s", diff)
	}
	return s
}

// state is all that a store knows of its contacts.
func state(s *Store) (all []any) {
	for _, c := range s.Contacts() {
		all = append(all, *c.snapshot(), c.out.waiting, c.in.before)
		for _, u := range c.in.unshown {
			all = append(all, u.place, u.text)
		}
	}
	return all
}

// What comes before the snapshot is not read again; a snapshot that is lost, altered, or of a journal that is no more costs nothing else.
func TestSnapshot(t *testing.T) {
	dir := t.TempDir()
	s := opened(t, dir)
	bob := s.Contact("bob", "Bob")
	talk := begin(bob)
	_, err := bob.Add("delivered", "waits")
	must(t, err)
	talk.Delivered(1, &wire.SealEntry{Seal: someSeal().Seal, Head: someSeal().Head})
	to, err := talk.Receive(from(0, "theirs"))
	must(t, err)
	shown(bob, to)
	must(t, s.Close())
	want := state(s)
	check := func(damaged int) {
		t.Helper()
		s, err := OpenOn(journal.Dir(dir), [32]byte{1})
		must(t, err)
		got := state(s)
		got[2] = uint64(0) // what came before, which every life counts anew
		if diff := cmp.Diff(want, got, cmpopts.EquateEmpty()); diff != "" {
			t.Fatalf("(-want +got):\n%s", diff)
		}
		if n := len(s.Damage()); n != damaged {
			t.Fatalf("%d times damaged", n)
		}
		must(t, s.Close())
	}
	edit := func(name string, change func([]byte) []byte) {
		t.Helper()
		b, err := os.ReadFile(filepath.Join(dir, name))
		must(t, err)
		must(t, os.WriteFile(filepath.Join(dir, name), change(b), 0o600))
	}
	flip := func(b []byte) []byte { b[len(b)/2] ^= 1; return b }
	check(0)
	edit(snapshotFile, flip)
	check(0)
	edit(snapshotFile, func(b []byte) []byte { return b[:10] })
	check(0)
	edit("journal", func(b []byte) []byte { b[30] ^= 1; return b }) // the record of bob, in the box
	check(0)
	edit(snapshotFile, func([]byte) []byte { return nil })
	s, err = OpenOn(journal.Dir(dir), [32]byte{1})
	must(t, err)
	if len(s.Damage()) != 1 {
		t.Fatal("without a snapshot the damage is not seen")
	}
	must(t, s.Close())
}

var channels byte

func begin(c *Contact) *Talk {
	channels++
	return c.Talk(Channel{ID: [32]byte{channels}, Role: wire.RoleInitiator, TH: make([]byte, 48), Own: wire.Credentials{Chain: [][]byte{{1}, {2}}}})
}

func texts(all []Text) (texts []string) {
	for _, t := range all {
		texts = append(texts, t.Text)
	}
	return texts
}

func wantTexts(t *testing.T, got []string, want ...string) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Fatalf("%q where %q should be", got, want)
	}
}

// from is a flight of texts of the contact's.
func from(number uint64, texts ...string) *Flight {
	f := &Flight{Seal: someSeal()}
	for _, text := range texts {
		content := &wire.Content{Type: wire.ContentText, Number: number, Text: text}
		copy(content.ID[:], text)
		h := wire.Header{Type: wire.EnvelopeContent, Label: wire.Level{Rank: 3}}
		f.Envelopes = append(f.Envelopes, Envelope{Header: h.Append(nil), Content: content.Append(nil), Text: TextOf(content, h.Label)})
		number++
	}
	return f
}

func someSeal() wire.SealEntry {
	p := wire.Place{Count: 1}
	return wire.SealEntry{Seal: wire.Seal{Scheme: wire.SchemeP256, Signature: []byte{1}, Leaves: 1}, Head: wire.Head{Role: wire.RoleResponder, Mine: &p}}
}

func show(c *Contact, to uint64) (t Text, ok bool) {
	t, next, ok := c.Hand(to)
	c.Shown(next)
	return t, ok
}

func shown(c *Contact, to uint64) (texts []string) {
	for {
		t, ok := show(c, to)
		if !ok {
			return texts
		}
		texts = append(texts, t.Text)
	}
}

// What is not confirmed goes out in the next life of the program, under its number and id; what is confirmed does not.
func TestOutboxOutlives(t *testing.T) {
	dir := t.TempDir()
	s := opened(t, dir)
	c := s.Contact("bob", "Bob")
	talk := begin(c)
	for i := range 5 {
		n, err := c.Add(fmt.Sprint("text ", i))
		must(t, err)
		if n != uint64(i) {
			t.Fatalf("text %d has number %d", i, n)
		}
	}
	sent := talk.Take(3, 1<<20, 0)
	wantTexts(t, texts(sent), "text 0", "text 1", "text 2")
	talk.Delivered(2, &wire.SealEntry{Seal: someSeal().Seal, Head: someSeal().Head})

	s = reopened(t, s, dir)
	c = s.Known("bob")
	if c == nil || c.Name() != "Bob" {
		t.Fatal("bob is forgotten")
	}
	talk = begin(c)
	again := talk.Take(10, 1<<20, 0)
	wantTexts(t, texts(again), "text 2", "text 3", "text 4")
	if again[0].ID != sent[2].ID || again[0].Number != 2 {
		t.Fatalf("%+v was %+v", again[0], sent[2])
	}
	n, err := c.Add("text 5")
	must(t, err)
	if n != 5 {
		t.Fatalf("the numbers go on with %d", n)
	}
}

// What was taken and not shown when the program died is handed out in the next life; what was shown is not.
func TestTakenAndNotShown(t *testing.T) {
	dir := t.TempDir()
	s := opened(t, dir)
	c := s.Contact("bob", "Bob")
	to, err := begin(c).Receive(from(0, "a", "b", "c"))
	must(t, err)
	_, next, _ := c.Hand(to)
	c.Hand(to)
	c.Shown(next)

	s = reopened(t, s, dir)
	c = s.Known("bob")
	wantTexts(t, shown(c, c.CameBefore()), "b", "c")
}

// What has come and nobody took is shown in the next life, once; what comes again is known.
func TestInboxOutlives(t *testing.T) {
	dir := t.TempDir()
	s := opened(t, dir)
	c := s.Contact("bob", "Bob")
	talk := begin(c)
	to, err := talk.Receive(from(0, "a", "b"), from(2, "c"))
	must(t, err)
	if got, ok := show(c, to); !ok || got.Text != "a" || got.Label.Rank != 3 {
		t.Fatalf("shown: %+v", got)
	}

	s = reopened(t, s, dir)
	c = s.Known("bob")
	if c.CameBefore() != 3 {
		t.Fatalf("%d came before", c.CameBefore())
	}
	to, err = begin(c).Receive(from(1, "b", "c", "d"))
	must(t, err)
	wantTexts(t, shown(c, c.CameBefore()), "b", "c")
	wantTexts(t, shown(c, to), "d")

	s = reopened(t, s, dir)
	if c = s.Known("bob"); c.Untaken(c.Came()) {
		t.Fatalf("shown again: %q", shown(c, c.Came()))
	}
	to, err = begin(c).Receive(from(0, "a", "b", "c", "d"))
	must(t, err)
	wantTexts(t, shown(c, to))
}

// The machine, whether there was a conversation, and what failed are remembered.
func TestStateOutlives(t *testing.T) {
	dir := t.TempDir()
	s := opened(t, dir)
	c := s.Contact("bob", "Bob")
	begin(c)
	if before := c.SpeaksFrom(Machine{Hash: [32]byte{1}, Description: "one"}); before != nil {
		t.Fatalf("before the first there was %+v", before)
	}
	_, err := c.Add("in vain")
	must(t, err)
	if first, last, n := c.Fail(wire.CodeFlowDenied); first != 0 || last != 0 || n != 1 {
		t.Fatalf("%d failed, from %d to %d", n, first, last)
	}
	s = reopened(t, s, dir)
	c = s.Known("bob")
	if before := c.SpeaksFrom(Machine{Hash: [32]byte{2}, Description: "two"}); before == nil || before.Description != "one" {
		t.Fatalf("the machine before was %+v", before)
	}
	if n, _ := c.Waiting(); n != 0 || !c.WasOpen() {
		t.Fatalf("%d wait, open %v", n, c.WasOpen())
	}
	talk := begin(c)
	talk.Left()
	s = reopened(t, s, dir)
	if s.Known("bob").WasOpen() {
		t.Fatal("a conversation that was left is open")
	}
}

func history(t *testing.T, s *Store, q Query) (texts []string) {
	t.Helper()
	for e, err := range s.History(q) {
		must(t, err)
		texts = append(texts, string(e.State)+" "+e.Text.Text)
	}
	return texts
}

// What is deleted is gone for good, what still has to be sent or shown is not, and numbers, ids and marks stay what they were.
func TestDelete(t *testing.T) {
	dir := t.TempDir()
	s := opened(t, dir)
	bob, eva := s.Contact("bob", "Bob"), s.Contact("eva", "Eva")
	talk := begin(bob)
	_, err := bob.Add("old secret", "old", "unsent secret")
	must(t, err)
	talk.Take(2, 1<<20, 0)
	talk.Sent(2)
	talk.Delivered(2, &wire.SealEntry{Seal: someSeal().Seal, Head: someSeal().Head})
	to, err := talk.Receive(from(0, "a secret", "theirs", "secret unshown"))
	must(t, err)
	show(bob, to)
	show(bob, to)
	bob.SpeaksFrom(Machine{Hash: [32]byte{1}, Description: "one"})
	_, err = eva.Add("secret of eva")
	must(t, err)
	begin(eva).Delivered(1, &wire.SealEntry{Seal: someSeal().Seal, Head: someSeal().Head})

	n, err := s.Delete(Query{With: "bob", Search: "SECRET"})
	must(t, err)
	if n != 2 {
		t.Fatalf("%d deleted", n)
	}
	check := func() {
		t.Helper()
		wantTexts(t, history(t, s, Query{}), "delivered old", "queued unsent secret", "received theirs", "received secret unshown", "delivered secret of eva")
	}
	check()
	s = reopened(t, s, dir)
	check()
	wantTexts(t, history(t, s, Query{With: "eva"}), "delivered secret of eva")
	bob = s.Known("bob")
	talk = begin(bob)
	wantTexts(t, texts(talk.Take(9, 1<<20, 0)), "unsent secret")
	to, err = talk.Receive(from(0, "a secret", "theirs", "new"))
	must(t, err)
	wantTexts(t, shown(bob, to), "secret unshown", "new")
	if before := bob.SpeaksFrom(Machine{}); before == nil || before.Description != "one" {
		t.Fatalf("the machine was %+v", before)
	}
	if n, err := bob.Add("next"); err != nil || n != 3 {
		t.Fatalf("the next number is %d, %v", n, err)
	}
	n, err = s.Delete(Query{})
	must(t, err)
	if n != 5 { // old, theirs, secret unshown, new, of eva
		t.Fatalf("%d deleted", n)
	}
	s = reopened(t, s, dir)
	wantTexts(t, history(t, s, Query{}), "queued unsent secret", "queued next")
	to, err = begin(s.Known("bob")).Receive(from(0, "a secret", "new", "newest"))
	must(t, err)
	wantTexts(t, shown(s.Known("bob"), to), "newest")
}

// Whatever records say, and in whatever order, a store is made of them.
func FuzzReplay(f *testing.F) {
	f.Add((&record.State{Contact: 1, Identity: "a", Next: 5, Came: 3, Shown: 9}).Append(nil), (&record.Queued{Contact: 1, Text: Text{Number: 7}}).Append(nil),
		(&record.Marks{Contact: 1, Shown: 1 << 60, Delivered: 1 << 60}).Append(nil))
	f.Add((&record.Received{Contact: 1, First: 1 << 63, Flight: *from(0, "a", "b")}).Append(nil), (&record.Named{Contact: 1, Identity: "a"}).Append(nil),
		(&record.Failed{Contact: 1, First: 9, Last: 1}).Append(nil))
	f.Add((&record.Levels{Channel: [32]byte{1}}).Append(nil), (&record.Blob{Bytes: []byte("a certificate")}).Append(nil), (&record.Channel{Contact: 1}).Append(nil))
	f.Fuzz(func(t *testing.T, a, b, c []byte) {
		p := newReplay(NewMemory(), map[[32]byte]bool{})
		for _, r := range [][]byte{a, b, c, b, a} {
			must(t, p.visit(journal.Position{}, r))
		}
		for _, c := range p.store.all() {
			talk := c.Talk(Channel{})
			talk.Take(10, 1<<20, 0)
			talk.Delivered(1, nil)
			shown(c, 1<<62)
			if n, unsent := c.Waiting(); n < 0 || unsent < 0 || unsent > n {
				t.Fatalf("%d wait, %d unsent", n, unsent)
			}
		}
	})
}

// What is older than it is to be kept is deleted, also while the program runs.
func TestRetention(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir := t.TempDir()
		s, err := Open(Options{Dir: dir, Owner: Owner{Identity: "ana", Name: "Ana"}, Protection: Protection{Kind: Unprotected}, Keep: 30 * time.Hour})
		must(t, err)
		c := s.Contact("bob", "Bob")
		add := func(text string) {
			n, err := c.Add(text)
			must(t, err)
			begin(c).Delivered(n+1, &wire.SealEntry{Seal: someSeal().Seal, Head: someSeal().Head})
		}
		add("old")
		time.Sleep(20 * time.Hour)
		add("newer")
		time.Sleep(5 * time.Hour)
		wantTexts(t, history(t, s, Query{}), "delivered old", "delivered newer")
		time.Sleep(24 * time.Hour)
		wantTexts(t, history(t, s, Query{}), "delivered newer")
		time.Sleep(24 * time.Hour)
		wantTexts(t, history(t, s, Query{}))
		must(t, s.Close())
	})
}

// A conversation whose flights the disk does not take waits with the next; it can end all the same, and nothing is lost when there is room.
func TestFullDiskHoldsFlights(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		files := &journaltest.Disk{}
		var full atomic.Bool
		files.Fail = func(op journaltest.Op) (int, error) {
			if full.Load() && op.Name == "write" {
				return 0, syscall.ENOSPC
			}
			return 0, nil
		}
		s, err := OpenOn(files, [32]byte{1})
		must(t, err)
		t.Cleanup(func() { must(t, s.Close()) })
		talk := begin(s.Contact("bob", "Bob"))
		must(t, talk.Save())
		full.Store(true)
		flight := from(0, "text")
		flight.Channel, flight.Envelopes[0].Content = talk.channel, make([]byte, 60_000)
		ctx, leave := context.WithCancel(t.Context())
		kept := 0
		done := make(chan struct{})
		go func() {
			defer close(done)
			for ; ctx.Err() == nil; kept++ {
				talk.Keep(ctx, flight)
			}
		}()
		time.Sleep(time.Minute)
		select {
		case <-done:
			t.Fatal("it does not wait")
		default:
		}
		leave()
		<-done
		if bytes := kept * 60_000; bytes < maxNoted || bytes > maxNoted+300_000 {
			t.Fatalf("%d bytes wait", bytes)
		}
		full.Store(false)
		time.Sleep(time.Minute)
		stored := 0
		for e, err := range s.Evidence() {
			must(t, err)
			if e.Own {
				stored++
			}
		}
		if stored != kept {
			t.Fatalf("%d of %d flights are stored", stored, kept)
		}
	})
}

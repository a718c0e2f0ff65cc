package store

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"sinete/peer/store/internal/vault"
	"sinete/wire"
)

var secret = []byte("a passphrase")

func export(t *testing.T, s *Store) []byte {
	t.Helper()
	var b bytes.Buffer
	must(t, s.Export(&b, secret))
	return b.Bytes()
}

// Into an empty store everything moves: what waits waits, numbers, ids, machines and marks go on.
func TestMove(t *testing.T) {
	s := opened(t, t.TempDir())
	bob := s.Contact("bob", "Bob")
	talk := begin(bob)
	_, err := bob.Add("delivered", "waits")
	must(t, err)
	talk.Take(1, 1<<20, 0)
	talk.Sent(1)
	talk.Delivered(1, &wire.SealEntry{Seal: someSeal().Seal, Head: someSeal().Head})
	to, err := talk.Receive(from(0, "shown", "missed"))
	must(t, err)
	show(bob, to)
	bob.SpeaksFrom(Machine{Hash: [32]byte{1}, Description: "one"})
	all := history(t, s, Query{})

	dir := t.TempDir()
	there := opened(t, dir)
	_, err = there.Contact("eva", "Eva").Add("eva's number") // takes the number that bob had
	must(t, err)
	n, err := there.Import(bytes.NewReader(export(t, s)), secret)
	must(t, err)
	if n != 4 {
		t.Fatalf("%d messages came", n)
	}
	for range 2 { // in this life and in the next
		wantTexts(t, history(t, there, Query{With: "bob"}), all...)
		bob = there.Known("bob")
		wantTexts(t, texts(begin(bob).Take(9, 1<<20, 0)), "waits")
		if !bob.Untaken(bob.CameBefore()) || bob.CameBefore() != 2 {
			t.Fatalf("%d came before", bob.CameBefore())
		}
		there = reopened(t, there, dir)
	}
	bob = there.Known("bob")
	wantTexts(t, shown(bob, bob.CameBefore()), "missed")
	if n, err := bob.Add("next"); err != nil || n != 2 {
		t.Fatalf("numbers go on with %d, %v", n, err)
	}
	if before := bob.SpeaksFrom(Machine{}); before == nil || before.Description != "one" {
		t.Fatalf("the machine was %+v", before)
	}
	if n, err := there.Import(bytes.NewReader(export(t, s)), secret); err != nil || n != 0 {
		t.Fatalf("the second time %d messages came, %v", n, err)
	}
}

// Into a store with messages of the same person only those come that it does not know; what was not confirmed goes out again, under its id.
func TestMerge(t *testing.T) {
	s := opened(t, t.TempDir())
	bob := s.Contact("bob", "Bob")
	talk := begin(bob)
	_, err := bob.Add("delivered there", "waits there")
	must(t, err)
	talk.Delivered(1, &wire.SealEntry{Seal: someSeal().Seal, Head: someSeal().Head})
	id := talk.Take(1, 1<<20, 0)[0].ID
	to, err := talk.Receive(from(0, "there", "both"))
	must(t, err)
	shown(bob, to)

	dir := t.TempDir()
	here := opened(t, dir)
	bob = here.Contact("bob", "Bob")
	talk = begin(bob)
	_, err = bob.Add("here")
	must(t, err)
	to, err = talk.Receive(from(0, "both"))
	must(t, err)
	shown(bob, to)
	file := export(t, s)
	n, err := here.Import(bytes.NewReader(file), secret)
	must(t, err)
	if n != 3 {
		t.Fatalf("%d messages came", n)
	}
	for range 2 {
		wantTexts(t, history(t, here, Query{}), "queued here", "received both", "delivered delivered there", "queued waits there", "received there")
		bob = here.Known("bob")
		waiting := begin(bob).Take(9, 1<<20, 0)
		wantTexts(t, texts(waiting), "here", "waits there")
		if waiting[1].ID != id || waiting[1].Number != 1 {
			t.Fatalf("%+v", waiting[1])
		}
		if bob.Untaken(bob.Came()) || bob.Came() != 1 {
			t.Fatalf("%d came", bob.Came())
		}
		here = reopened(t, here, dir)
	}
	if n, err := here.Import(bytes.NewReader(file), secret); err != nil || n != 0 {
		t.Fatalf("the second time %d messages came, %v", n, err)
	}
	if n, err := here.Delete(Query{Search: "there"}); err != nil || n != 2 {
		t.Fatalf("%d deleted, %v", n, err)
	}
	here = reopened(t, here, dir)
	wantTexts(t, history(t, here, Query{}), "queued here", "received both", "queued waits there")
}

// An export needs its passphrase, is whole, and is its owner's.
func TestImportRefuses(t *testing.T) {
	s := opened(t, t.TempDir())
	_, err := s.Contact("bob", "Bob").Add("text")
	must(t, err)
	file := export(t, s)
	if bytes.Contains(file, []byte("text")) || bytes.Contains(file, []byte("bob")) {
		t.Fatal("an export in the clear")
	}
	there := opened(t, t.TempDir())
	if _, err := there.Import(bytes.NewReader(file), []byte("another")); !errors.Is(err, ErrPassphraseWrong) {
		t.Errorf("another passphrase: %v", err)
	}
	for _, cut := range []int{0, 3, 10, 100} {
		if _, err := there.Import(bytes.NewReader(file[:cut]), secret); err == nil {
			t.Errorf("cut at %d it was taken", cut)
		}
	}
	if len(there.Contacts()) > 0 {
		t.Error("something came all the same")
	}
	there.disk.owner.Identity = "somebody else"
	if _, err := there.Import(bytes.NewReader(file), secret); err == nil {
		t.Error("an export of another person's was taken")
	}
	if len(there.Contacts()) > 0 {
		t.Error("something came all the same")
	}
}

// What is whole in an export that is damaged or cut off is taken over, and nobody is left to believe that it was all.
func TestImportOfAPart(t *testing.T) {
	s := opened(t, t.TempDir())
	for _, text := range []string{"one", "two"} {
		_, err := s.Contact("bob", "Bob").Add(text)
		must(t, err)
	}
	file := export(t, s)
	altered := bytes.Clone(file)
	altered[len(file)-1] ^= 1
	for _, part := range [][]byte{file[:len(file)-1], altered} {
		there := opened(t, t.TempDir())
		n, err := there.Import(bytes.NewReader(part), secret)
		if !isFormat(err) {
			t.Errorf("%d messages came, %v", n, err)
		}
	}
}

// A journal without its store.json is nobody's to begin anew in: the file may come back from a backup.
func TestJournalWithoutItsKey(t *testing.T) {
	dir := t.TempDir()
	o := Options{Dir: dir, Owner: Owner{Identity: "ana"}, Protection: Protection{Kind: Unprotected}}
	s, err := Open(o)
	must(t, err)
	_, err = s.Contact("bob", "Bob").Add("text")
	must(t, err)
	must(t, s.Close())
	path := filepath.Join(vault.Folder(dir, "ana"), vaultFile)
	backup, err := os.ReadFile(path)
	must(t, err)
	must(t, os.Remove(path))
	if _, err := Look(dir, "ana"); !isFormat(err) {
		t.Errorf("Look: %v", err)
	}
	if _, err := Open(o); !isFormat(err) {
		t.Errorf("Open: %v", err)
	}
	must(t, os.WriteFile(path, backup, 0o600))
	s, err = Open(o)
	must(t, err)
	wantTexts(t, history(t, s, Query{}), "queued text")
	must(t, s.Close())
}

func isFormat(err error) bool {
	_, ok := errors.AsType[*FormatError](err)
	return ok
}

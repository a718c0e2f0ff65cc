package store

import (
	"bytes"
	"testing"

	"sinete/wire"
)

// labels are the texts with the labels that their authors chose.
func labels(all []Text) (texts []string) {
	for _, t := range all {
		if t.Labelled {
			t.Text += " " + t.Label.String()
		}
		texts = append(texts, t.Text)
	}
	return texts
}

func labelsIn(t *testing.T, s *Store) []string {
	t.Helper()
	var all []Text
	for e, err := range s.History(Query{}) {
		must(t, err)
		all = append(all, e.Text)
	}
	return labels(all)
}

// A label that was chosen stays with its text: while it waits, in the next life, in history, and in another store. What is taken together has one label.
func TestLabelsOutlive(t *testing.T) {
	dir := t.TempDir()
	s := opened(t, dir)
	bob := s.Contact("bob", "Bob")
	low, ops := wire.Level{Rank: 0}, wire.Level{Rank: 1, Compartments: []string{"ops"}}
	_, err := bob.AddAs(low, "a", "b")
	must(t, err)
	_, err = bob.Add("c")
	must(t, err)
	_, err = bob.AddAs(ops, "d")
	must(t, err)
	talk := bob.Talk(Channel{ID: [32]byte{7}, Role: wire.RoleInitiator, Suite: 1, OtherLevel: wire.Level{Rank: 9}})
	to, err := talk.Receive(func() *Flight { f := from(0, "below theirs"); f.Channel = [32]byte{7}; return f }()) // from has rank 3
	must(t, err)
	shown(bob, to)
	all := []string{"a 0", "b 0", "c", "d 1{ops}", "below theirs 3"}
	for range 2 {
		bob = s.Known("bob")
		talk = begin(bob)
		for _, want := range [][]string{{"a 0", "b 0"}, {"c"}, {"d 1{ops}"}} {
			wantTexts(t, labels(talk.Take(9, 1<<20, 0)), want...)
		}
		wantTexts(t, labelsIn(t, s), all...)
		s = reopened(t, s, dir)
	}

	bob = s.Known("bob")
	talk = begin(bob)
	taken := talk.Take(9, 1<<20, 0)
	next := talk.Take(9, 1<<20, 0)
	talk.Fail(taken, wire.CodeLabelDenied) // and what was taken behind them is not taken again
	wantTexts(t, labels(next), "c")
	wantTexts(t, labels(talk.Take(9, 1<<20, 0)), "d 1{ops}")
	if n, unsent := bob.Waiting(); n != 2 || unsent != 0 {
		t.Fatalf("%d wait, %d unsent", n, unsent)
	}
	if first, ok := talk.Sent(3); !ok || first != 2 {
		t.Fatalf("what failed counts as sent: %d, %v", first, ok)
	}
	wantTexts(t, history(t, s, Query{}), "failed a", "failed b", "sent c", "queued d", "received below theirs")

	there := opened(t, t.TempDir())
	_, err = there.Contact("bob", "Bob").Add("here before") // so that what failed is of another store
	must(t, err)
	_, err = there.Import(bytes.NewReader(export(t, s)), secret)
	must(t, err)
	wantTexts(t, labelsIn(t, there), "here before", "a 0", "b 0", "c", "d 1{ops}", "below theirs 3")
}

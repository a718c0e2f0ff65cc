package export

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"sinete/peer/store"

	"sinete/peer/evidence"
	"sinete/peer/evidence/internal/bundle"
)

// lines counts the lines of a bundle's proof that begin so.
func lines(t *testing.T, x *Exported, word string) int {
	t.Helper()
	files, err := bundle.Unpack(x.Bundle)
	must(t, err)
	return strings.Count(string(files[bundle.Proof]), "\n"+word+" ")
}

// A message that went out twice is shown once, where its receipt is.
func TestSentAgain(t *testing.T) {
	s := shortStory(t, p256, p256)
	s.says(s.ana, "twice")
	id := s.ana.events[0].Flight.Envelopes[0].Text.ID
	s.begin()
	s.again, s.ana.number = &id, 0
	s.says(s.ana, "twice")
	s.confirms(s.rui)
	x := s.export(s.ana)
	if m := x.Report.Messages; len(m) != 1 || m[0].Delivered == nil || m[0].Channel != s.id {
		t.Errorf("%+v", m)
	}
}

// Two messages of one number, of a contact who counted anew, are both shown.
func TestOneNumberTwice(t *testing.T) {
	s := shortStory(t, p256, p256)
	s.says(s.rui, "of the first life")
	s.rui.number = 0
	s.says(s.rui, "of the second life")
	if m := s.export(s.ana, Range{false, 0, 0}).Report.Messages; len(m) != 2 {
		t.Errorf("%+v", m)
	}
}

// Where flights between were deleted, what is left is proved in parts; where none were, in one. A receipt far behind is led to.
func TestParts(t *testing.T) {
	s := shortStory(t, p256, p256)
	for _, text := range []string{"one", "two", "three", "four"} {
		s.says(s.ana, text)
	}
	s.confirms(s.rui)
	x := s.export(s.ana, Range{true, 0, 0})
	if runs, hidden := lines(t, x, "run"), lines(t, x, "hidden"); runs != 1 || hidden != 3 || x.Report.Messages[0].Delivered == nil {
		t.Errorf("%d runs, %d hidden, %+v", runs, hidden, x.Report.Messages)
	}
	if x := s.export(s.rui, Range{false, 0, 0}, Range{false, 3, 3}); lines(t, x, "run") != 2 || lines(t, x, "hidden") != 0 {
		t.Error("what came is not shown in parts")
	}
	s.ana.events = slices.Delete(s.ana.events, 1, 2)
	x = s.export(s.ana)
	if m := x.Report.Messages; lines(t, x, "run") != 2 || len(m) != 3 || m[0].Delivered != nil || m[2].Delivered == nil {
		t.Errorf("%d runs, %+v", lines(t, x, "run"), m)
	}
	if len(x.Left) != 1 || x.Left[0].Which() != "sent:2" || !errors.Is(x.Left[0].Err, ErrNoProof) {
		t.Errorf("left: %v", x.Left)
	}
}

// A receipt that the other has not sealed is none: the next one serves.
func TestForgedReceipt(t *testing.T) {
	s := shortStory(t, p256, p256)
	s.says(s.ana, "one")
	s.confirms(s.rui)
	s.ana.events[1].Receipt.Seal.Signature[10] ^= 1
	if m := s.export(s.ana).Report.Messages; len(m) != 1 || m[0].Delivered != nil {
		t.Errorf("%+v", m)
	}
	s.says(s.ana, "two")
	s.confirms(s.rui)
	if m := s.export(s.ana).Report.Messages; len(m) != 2 || m[0].Delivered == nil || m[1].Delivered == nil {
		t.Errorf("%+v", m)
	}
}

// What cannot be proved is named, with the reason. Single messages are all proved or none is.
func TestUnproved(t *testing.T) {
	s := shortStory(t, p256, p256)
	s.says(s.ana, "sent")
	s.says(s.ana, "altered")
	s.ana.events[1].Flight.Envelopes[0].Text.Text = "alterado"
	waits := s.ana.history[0]
	waits.State, waits.Text.Number, waits.Text.ID = store.Queued, 2, [16]byte{1}
	s.ana.history = append(s.ana.history, waits)
	x := s.export(s.ana)
	if len(x.Report.Messages) != 1 || len(x.Left) != 1 || x.Left[0].Which() != "sent:2" {
		t.Errorf("%+v, left %v", x.Report.Messages, x.Left)
	}
	_, err := Export(t.Context(), s.ana, s.policy, Wanted{With: s.rui.identity, Messages: []Range{{true, 0, 3}, {false, 0, 0}}})
	none, ok := errors.AsType[*UnprovedError](err)
	if !ok || len(none.Messages) != 4 {
		t.Fatal(err)
	}
	for i, want := range []struct {
		which string
		err   error
	}{{"received:1", ErrNoMessage}, {"sent:2", nil}, {"sent:3", ErrNotSent}, {"sent:4", ErrNoMessage}} {
		if u := none.Messages[i]; u.Which() != want.which || want.err != nil && !errors.Is(u.Err, want.err) {
			t.Errorf("%s: %v", u.Which(), u.Err)
		}
	}
	if _, err := Export(t.Context(), s.ana, s.policy, Wanted{With: "BI0@nobody"}); !errors.As(err, new(*UnprovedError)) {
		t.Errorf("of nobody: %v", err)
	}
}

func TestAnchors(t *testing.T) {
	s, other := shortStory(t, p256, p256), shortStory(t, p256, p256)
	s.says(s.ana, "sealed")
	x := s.export(s.ana)
	if _, err := evidence.Verify(x.Bundle, nil); err != nil {
		t.Error(err)
	}
	_, err := evidence.Verify(x.Bundle, other.policy.Anchors)
	if e, ok := errors.AsType[*evidence.AnchorError](err); !ok || e.SHA256 != evidence.Fingerprint(s.policy.Anchors[0]) {
		t.Errorf("of another authority: %v", err)
	}
	if _, err := Export(t.Context(), s.ana, other.policy, Wanted{With: s.rui.identity}); !errors.As(err, new(*UnprovedError)) {
		t.Errorf("exported below another authority: %v", err)
	}
}

func TestParseRange(t *testing.T) {
	for s, want := range map[string]Range{"sent:1": {true, 0, 0}, "received:5": {false, 4, 4}, "sent:5-9": {true, 4, 8}} {
		if r, err := ParseRange(s); err != nil || r != want || r.String() != s {
			t.Errorf("%s: %+v, %v", s, r, err)
		}
	}
	for _, s := range []string{"", "3", "sent", "sent:", "sent:0", "sent:0-3", "sent:-1", "sent:5-4", "both:3", "sent:1-", "sent:1-2-3", "sent:1-70000", "sent:99999999999999999999"} {
		if r, err := ParseRange(s); err == nil {
			t.Errorf("%q is %+v", s, r)
		}
	}
}

package chaos

import (
	"strings"
	"testing"
	"time"
)

// A judge who finds nothing wrong with anything would show nothing.
func TestJudge(t *testing.T) {
	if faults := judge(innocent()); faults != nil {
		t.Fatalf("nothing is wrong, and the judge says: %q", faults)
	}
	ab := pair{0, 1}
	for _, c := range []struct {
		way, word string // and what the judge says of it
		spoil     func(*trial)
	}{
		{"lost", "in the recipient's", func(t *trial) { t.histories[1] = without(t.histories[1], ab, 2) }},
		{"lost by both", "was taken, and is not", func(t *trial) {
			t.histories[0], t.histories[1] = without(t.histories[0], ab, 3), without(t.histories[1], ab, 3)
		}},
		{"twice with the recipient", "in the recipient's", func(t *trial) { t.histories[1] = append(t.histories[1], t.histories[1][4]) }},
		{"in another order", "entry 1", func(t *trial) { h := t.histories[1]; h[1], h[2] = h[2], h[1] }},
		{"altered", "with the author and", func(t *trial) { t.histories[1][2].text += "!" }},
		{"forged in both", "never typed", func(t *trial) {
			e := entry{ab, 5, textOf(ab, 99), "delivered", "confirmed"}
			t.histories[0] = append(t.histories[0], e)
			e.state, e.verification = "received", "verified"
			t.histories[1] = append(t.histories[1], e)
		}},
		{"not delivered", "is relayed", func(t *trial) { t.histories[0][0].state = "relayed" }},
		{"unverified", "none", func(t *trial) { t.histories[1][0].verification = "none" }},
		{"confirmed beyond", "were confirmed", func(t *trial) { t.confirmed[ab] = 6 }},
		{"refused, and there", "was refused", func(t *trial) { t.said[ab][1].outcome = refused }},
		{"taken, and not there", "was taken, and is not", func(t *trial) { t.said[ab][3].outcome = taken }},
		{"queued beyond", "were queued", func(t *trial) { t.queued[ab] = 6 }},
		{"never shown", "never shown", func(t *trial) { t.shown[ab] = t.shown[ab][:4] }},
		{"passed over", "was next", func(t *trial) { t.shown[ab] = append(t.shown[ab][:3:3], t.shown[ab][4:]...) }},
		{"shown twice in a life", "shown again", func(t *trial) { t.shown[ab] = append(t.shown[ab], t.shown[ab][4]) }},
		{"shown again, long before the kill", "shown again", func(t *trial) { t.ends[1][0] = t.ends[1][0].Add(time.Hour) }},
		{"shown otherwise", "is not that", func(t *trial) { t.shown[ab][0].text = "0" }},
	} {
		guilty := innocent()
		c.spoil(guilty)
		if faults := judge(guilty); !strings.Contains(strings.Join(faults, "\n"), c.word) {
			t.Errorf("%s: the judge says %q", c.way, faults)
		}
	}
}

// innocent is a trial in which all is well: Alice has typed six texts for Bruno, of which one was refused, and of which one vanished with
// her program before that could say anything to it. Bruno was killed just when the second had been shown, and saw it again.
func innocent() *trial {
	ab, began := pair{0, 1}, time.Now()
	t := &trial{said: map[pair][]said{}, shown: map[pair][]shown{}, histories: map[int][]entry{},
		queued: map[pair]int{ab: 4}, confirmed: map[pair]int{ab: 5}, ends: map[int][]time.Time{1: {began.Add(instant), began.Add(time.Hour)}}}
	seq := 0
	for n, o := range []outcome{taken, taken, taken, silent, refused, taken, silent} {
		s := said{n: n, text: textOf(ab, n), outcome: o}
		if o == taken || n == 6 { // it was too late to say so of the last
			t.histories[0] = append(t.histories[0], entry{ab, seq, s.text, "delivered", "confirmed"})
			t.histories[1] = append(t.histories[1], entry{ab, seq, s.text, "received", "verified"})
			t.shown[ab] = append(t.shown[ab], shown{min(seq/2, 1), began, seq, s.text})
			if seq == 1 {
				t.shown[ab] = append(t.shown[ab], shown{1, began, seq, s.text})
			}
			seq++
		}
		t.said[ab] = append(t.said[ab], s)
	}
	return t
}

func without(h []entry, p pair, seq int) (rest []entry) {
	for _, e := range h {
		if e.pair != p || e.seq != seq {
			rest = append(rest, e)
		}
	}
	return rest
}

func TestTexts(t *testing.T) {
	seen, shortest, longest := map[string]bool{}, 1<<20, 0
	for _, p := range pairs() {
		for n := range 2000 {
			text := textOf(p, n)
			if seen[text] || strings.ContainsAny(text, "\r\n") {
				t.Fatalf("%v says %q for the %d-th time", p, text, n)
			}
			if q, m, ok := pairOf(text); q != p || m != n || !ok {
				t.Fatalf("%q is taken for %v's %d-th", text, q, m)
			}
			seen[text], shortest, longest = true, min(shortest, len(text)), max(longest, len(text))
		}
	}
	if shortest != 1 || longest < 2000 || longest > 60<<10 {
		t.Errorf("from %d to %d bytes", shortest, longest)
	}
	if _, _, ok := pairOf(textOf(pair{0, 1}, 5) + "x"); ok {
		t.Error("anything is something that somebody says")
	}
}

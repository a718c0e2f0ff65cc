package chaos

import (
	"fmt"
	"time"
)

// trial is all that is known of what three people said to each other: by their own doing, by what their programs printed over all their
// lives, and by the histories that their stores hold in the end.
type trial struct {
	said      map[pair][]said     // in the order in which they were typed
	shown     map[pair][]shown    // in the order in which the recipient's programs printed them
	queued    map[pair]int        // how many the author's programs said were queued, by their numbers
	confirmed map[pair]int        // how many they said the recipient has, likewise
	ends      map[int][]time.Time // when each life of a person had ended
	histories map[int][]entry     // by person, oldest first
}

// pair is an author and a recipient, by their number.
type pair struct{ from, to int }

// said is a text that was typed.
type said struct {
	n       int // how many the author had typed for the recipient before
	text    string
	outcome outcome
}

// outcome is what the program said to it.
type outcome int

const (
	silent  outcome = iota // it was killed before it could say
	taken                  // it counts
	refused                // it does not
)

// shown is a text that was printed for its recipient.
type shown struct {
	life int
	at   time.Time
	seq  int
	text string
}

// entry is one of a history.
type entry struct {
	pair
	seq          int
	text         string
	state        string
	verification string
}

// instant is how long before a kill somebody may have been shown what their next life shows again.
const instant = 500 * time.Millisecond

// judge returns all that is wrong.
func judge(t *trial) (faults []string) {
	for _, p := range pairs() {
		j := judgement{trial: t, pair: p}
		j.histories()
		j.typed()
		j.printed()
		faults = append(faults, j.faults...)
	}
	return faults
}

// judgement is that of one direction between two people.
type judgement struct {
	*trial
	pair
	author []string // texts in the author's history, by number
	faults []string
}

func (j *judgement) fault(format string, args ...any) {
	j.faults = append(j.faults, fmt.Sprintf("%s to %s: %s", people[j.from], people[j.to], fmt.Sprintf(format, args...)))
}

// histories wants the same in both: each message once, in order, delivered.
func (j *judgement) histories() {
	of := func(who int) (mine []entry) {
		for _, e := range j.trial.histories[who] {
			if e.pair == j.pair {
				mine = append(mine, e)
			}
		}
		return mine
	}
	author, recipient := of(j.from), of(j.to)
	for i, e := range author {
		j.author = append(j.author, e.text)
		if e.seq != i {
			j.fault("entry %d of the author's history is number %d (%q)", i, e.seq, short(e.text))
		}
		if e.state != "delivered" || e.verification != "confirmed" {
			j.fault("the author's %d is %s, %s", e.seq, e.state, e.verification)
		}
	}
	for i, e := range recipient {
		if e.seq != i {
			j.fault("entry %d of the recipient's history is number %d (%q)", i, e.seq, short(e.text))
		}
		if e.state != "received" || e.verification != "verified" {
			j.fault("the recipient's %d is %s, %s", e.seq, e.state, e.verification)
		}
	}
	if len(author) != len(recipient) {
		j.fault("%d in the author's history, %d in the recipient's", len(author), len(recipient))
	}
	for i := range min(len(author), len(recipient)) {
		if author[i].text != recipient[i].text {
			j.fault("%d is %q with the author and %q with the recipient", i, short(author[i].text), short(recipient[i].text))
			break
		}
	}
	if n := j.queued[j.pair]; n > len(author) {
		j.fault("%d were queued, and the author's history has %d", n, len(author))
	}
	if n := j.confirmed[j.pair]; n > len(recipient) {
		j.fault("%d were confirmed, and the recipient's history has %d", n, len(recipient))
	}
}

// typed wants in the author's history what was typed, in that order: all that was taken, nothing that was refused, and perhaps what nobody
// said anything to.
func (j *judgement) typed() {
	place := 0
	for _, s := range j.said[j.pair] {
		there := place < len(j.author) && j.author[place] == s.text
		switch {
		case there && s.outcome == refused:
			j.fault("text %d was refused, and is %d in the history", s.n, place)
		case !there && s.outcome == taken:
			j.fault("text %d was taken, and is not %d in the history", s.n, place)
			return // or every one that follows would be a fault
		}
		if there {
			place++
		}
	}
	if place < len(j.author) {
		j.fault("%d in the history (%q) was never typed, or not there", place, short(j.author[place]))
	}
}

// printed wants each message printed once, in order, and again only what had been printed in the instant of a kill.
func (j *judgement) printed() {
	next := 0
	last := map[int]shown{} // by number
	for _, s := range j.shown[j.pair] {
		before, again := last[s.seq]
		switch {
		case s.seq >= len(j.author) || j.author[s.seq] != s.text:
			j.fault("%q was shown as %d, and is not that in the author's history", short(s.text), s.seq)
		case s.seq > next:
			j.fault("%d was shown where %d was next", s.seq, next)
		case again && (before.life == s.life || j.ends[j.to][before.life].Sub(before.at) > instant):
			j.fault("%d was shown again in life %d", s.seq, s.life)
		}
		last[s.seq] = s
		next = max(next, s.seq+1)
	}
	if next < len(j.author) {
		j.fault("%d and what follows was never shown (%d in the history)", next, len(j.author))
	}
}

func short(s string) string {
	if len(s) > 40 {
		return s[:40] + "..."
	}
	return s
}

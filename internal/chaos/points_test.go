package chaos

import (
	"cmp"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"sinete/internal/program"
)

// point is a place in a program where a message is in a certain state.
type point struct {
	name  string
	state string // of the message, where the program dies there
	relay bool   // it is the relay that dies
	program.Change
}

// states are how far a message is, by what its author's store, the relay and its recipient's store know.
var states = []string{
	"queued",       // stored by its author, and not yet sealed
	"sealed",       // and written, and not acknowledged by the relay
	"relayed",      // H1 is there; its recipient has not stored it
	"stored",       // by its recipient, and H3 is not out
	"acknowledged", // H3 is out, and its author has not recorded it
}

// points are where somebody dies. Their programs are built so that each tells when it gets there.
var points = []point{
	{"author has stored", "queued", false, program.Change{File: "peer/store/outbox.go",
		Old: "err := c.append(records...)", New: "err := c.append(records...); if err == nil { REACHED }"}},
	{"author about to seal", "queued", false, program.Change{File: "peer/send.go",
		Old: "case len(texts) > 0:", New: "case len(texts) > 0: REACHED"}},
	{"author has written", "sealed", false, program.Change{File: "peer/send.go",
		Old: "err = c.sendTexts(items, texts)", New: "err = c.sendTexts(items, texts); REACHED"}},
	{"relay has verified", "sealed", true, program.Change{File: "relay/conversation.go",
		Old: "err = l.forward(f)", New: "REACHED; err = l.forward(f)"}},
	{"relay has acknowledged", "relayed", true, program.Change{File: "relay/conversation.go",
		Old: "return l.lane.Confirm()", New: "err = l.lane.Confirm(); REACHED; return err"}},
	{"author hears of H1", "relayed", false, program.Change{File: "peer/send.go",
		Old: "c.talk.Relayed(f.next)", New: "REACHED; c.talk.Relayed(f.next)"}},
	{"recipient about to store", "relayed", false, program.Change{File: "peer/receive.go",
		Old: "to, err := c.talk.Receive(flights...)", New: "if len(flights) > 0 { REACHED }; to, err := c.talk.Receive(flights...)"}},
	{"recipient has stored", "stored", false, program.Change{File: "peer/receive.go",
		Old: "c.show(to, func() { c.stored(place) })", New: "if len(flights) > 0 { REACHED }; c.show(to, func() { c.stored(place) })"}},
	{"recipient about to be shown", "stored", false, program.Change{File: "cmd/peer/talk.go",
		Old: "c.screen.Show(screen.MessageOf(", New: "LATE; c.screen.Show(screen.MessageOf("}},
	{"recipient about to acknowledge", "stored", false, program.Change{File: "peer/receive.go",
		Old: "c.session.link.Acknowledge(c.inner)", New: "REACHED; c.session.link.Acknowledge(c.inner)"}},
	{"relay has H3", "acknowledged", true, program.Change{File: "relay/receipt.go",
		Old: "l.other().confirm(e)", New: "REACHED; l.other().confirm(e)"}},
	{"author about to record H3", "acknowledged", false, program.Change{File: "peer/send.go",
		Old: "c.talk.Delivered(next, e)", New: "REACHED; c.talk.Delivered(next, e)"}},
}

// build builds the programs with their points.
func build(dir string) error {
	room, err := os.Getwd()
	if err != nil {
		return err
	}
	var changes []program.Change
	added := map[string]string{"internal/chaos/aimed/aimed.go": filepath.Join(room, "testdata", "overlay", "aimed.go")}
	for _, p := range points {
		p.New = strings.ReplaceAll(p.New, "REACHED", fmt.Sprintf("reached(%q)", p.name))
		p.New = strings.ReplaceAll(p.New, "LATE", fmt.Sprintf("reached(%q, %d)", p.name, 50*time.Millisecond)) // when all that goes on beside is done
		changes = append(changes, p.Change)
		name := filepath.Dir(p.File)
		file := filepath.Join(dir, strings.ReplaceAll(name, "/", "_")+"_reached.go")
		pkg := filepath.Base(name)
		if filepath.Dir(name) == "cmd" {
			pkg = "main"
		}
		text := fmt.Sprintf("package %s\n\nimport \"sinete/internal/chaos/aimed\"\n\nvar reached = aimed.Reached\n", pkg)
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			return err
		}
		added[filepath.Join(name, "chaos_reached.go")] = file
	}
	overlay, err := program.Overlay(dir, filepath.Dir(filepath.Dir(room)), changes, added)
	if err != nil {
		return err
	}
	return program.Build(filepath.Join(dir, "bin"), "-ldflags=-s -w", "-overlay", overlay, "sinete/cmd/...")
}

// tally counts deaths by point, and those that are still to come.
type tally struct {
	mu           sync.Mutex
	deaths, aims map[string]int
}

func newTally() *tally { return &tally{deaths: map[string]int{}, aims: map[string]int{}} }

// aim chooses a point of the state in which the fewest die, among those of the relay or of people. died must follow.
func (t *tally) aim(relay bool) string {
	t.mu.Lock()
	defer t.mu.Unlock()
	of := func(p point) (inState, here int) {
		return t.of(p.state, t.deaths) + t.of(p.state, t.aims), t.deaths[p.name] + t.aims[p.name]
	}
	var choice []point
	for _, p := range points {
		if p.relay == relay {
			choice = append(choice, p)
		}
	}
	p := slices.MinFunc(choice, func(a, b point) int {
		aState, aHere := of(a)
		bState, bHere := of(b)
		return cmp.Or(aState-bState, aHere-bHere)
	})
	t.aims[p.name]++
	return p.name
}

// died says what became of an aim.
func (t *tally) died(name string, there bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.aims[name]--
	if there {
		t.deaths[name]++
	}
}

// of counts what is at all points of a state. mu is held.
func (t *tally) of(state string, counts map[string]int) (n int) {
	for _, p := range points {
		if p.state == state {
			n += counts[p.name]
		}
	}
	return n
}

// least is the smallest number of deaths in any state.
func (t *tally) least() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	var all []int
	for _, s := range states {
		all = append(all, t.of(s, t.deaths))
	}
	return slices.Min(all)
}

// lines are what to print.
func (t *tally) lines() (lines []string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, s := range states {
		lines = append(lines, fmt.Sprintf("%4d killed where a message is %s", t.of(s, t.deaths), s))
		for _, p := range points {
			if p.state == s {
				lines = append(lines, fmt.Sprintf("     %4d %s", t.deaths[p.name], p.name))
			}
		}
	}
	return lines
}

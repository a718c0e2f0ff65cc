//go:build cgo

package processtest

import (
	"bytes"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"sinete/internal/program"
)

// What this file shows: whichever of three processes dies, in the middle of whatever rekeying, the conversation goes on by itself. Two
// people write to each other all the time and take new keys all the time; one of the three programs is killed and started again, until it
// has happened often enough: 12 times, or KILLS.

const (
	killWorlds   = 4 // at once, each with a relay of its own
	writingEvery = 10 * time.Millisecond
	unconfirmed  = 100 // of what somebody has written, before they write no more
	// healing is how long a silence may be. Somebody who sends nothing, since new keys are waited for, notices a relay that was restarted
	// after 15 seconds; the rest is for slow machines.
	healing = 2 * time.Minute
)

// rekeyStates are how far a rekeying is by what a process has done last (testdata/overlay/link.go).
var rekeyStates = []string{"hello sent", "answer sent", "proof sent", "accept sent", "switched one way", "switched both ways"}

func TestKills(t *testing.T) {
	t.Parallel()
	kills := 12
	if s := os.Getenv("KILLS"); s != "" {
		n, err := strconv.Atoi(s)
		must(t, err)
		kills = n
	}
	var mu sync.Mutex
	seen := map[string]int{}
	t.Run("worlds", func(t *testing.T) {
		for n := range killWorlds {
			t.Run(fmt.Sprint(n), func(t *testing.T) {
				t.Parallel()
				w := newKillWorld(t, n)
				for k := range (kills + killWorlds - 1 - n) / killWorlds {
					states := w.kill(k)
					mu.Lock()
					for _, s := range states {
						seen[s]++
					}
					mu.Unlock()
				}
				w.end()
			})
		}
	})
	for _, s := range slices.Sorted(maps.Keys(seen)) {
		t.Logf("%4d killed: %s", seen[s], s)
	}
	for _, s := range rekeyStates {
		hit := 0
		for k, n := range seen {
			if strings.HasSuffix(k, s) {
				hit += n
			}
		}
		if hit == 0 && kills >= 60 && !t.Failed() {
			t.Errorf("nobody was killed in state %q", s)
		}
	}
}

// killWorld is a relay and two people.
type killWorld struct {
	t      *testing.T
	dir    string
	random *rand.Rand
	relay  *relay
	people [2]*writer
	epoch  string       // how many envelopes one has: with few, keys are waited for most of the time
	order  []int        // who is killed next: 0 and 1 the people, 2 the relay
	phase  atomic.Int64 // how many kills are behind what is written now
}

var killNames = [3]string{"alice", "bruno", "relay"}

func newKillWorld(t *testing.T, n int) *killWorld {
	w := &killWorld{t: t, dir: t.TempDir(), epoch: []string{"50", "400"}[min(n, 1)], random: rand.New(rand.NewPCG(2026, uint64(n)))}
	w.relay = startRelay(t, trial, w.statesOf(2))
	for i := range w.people {
		w.people[i] = w.person(i, 0)
		w.people[i].event("session", "state", "open")
	}
	a, b := connected(t, w.people[0].process, w.people[1].process, "Alice", "Bruno")
	for i, p := range []person{a, b} {
		w.people[i].other = p.other
		w.people[i].lives()
	}
	w.goesOn()
	return w
}

func (w *killWorld) file(who int) string { return filepath.Join(w.dir, killNames[who]) }

func (w *killWorld) statesOf(who int) string { return "SINETE_TEST_STATES=" + w.file(who) }

// kill kills one of them, starts it again, waits until both people hear what the other wrote after that, and returns what the dead one was
// doing: in a hop and in the conversation.
func (w *killWorld) kill(k int) (states []string) {
	if len(w.order) == 0 {
		w.order = w.random.Perm(3)
	}
	who := w.order[0]
	w.order = w.order[1:]
	if k%2 == 0 {
		time.Sleep(time.Duration(w.random.IntN(1000)) * time.Millisecond) // somebody pulls the plug, whenever
	} else {
		w.awaitState(who, rekeyStates[w.random.IntN(len(rekeyStates))])
	}
	victim := w.relay.process
	if who < 2 {
		victim = w.people[who].process
	}
	victim.signal(syscall.SIGKILL)
	if who == 2 {
		victim.ends(-1)
	} else {
		<-w.people[who].over
	}
	states = w.lastStates(who)
	must(w.t, os.WriteFile(w.file(who), nil, 0o600))

	w.phase.Add(1)
	began := time.Now()
	defer func() {
		w.t.Logf("%s killed (%s), healed in %v", killNames[who], strings.Join(states, "; "), time.Since(began).Round(time.Millisecond))
	}()
	if who == 2 {
		w.relay = startRelayAt(w.t, trial, w.relay.address, w.statesOf(2))
	} else {
		old, other := w.people[who], w.people[1-who]
		w.people[who] = w.person(who, old.life+1)
		other.mu.Lock()
		other.reborn = true
		other.mu.Unlock()
		w.people[who].lives()
	}
	w.goesOn()
	return states
}

// awaitState waits until a process is in a state, or has not been for a while.
func (w *killWorld) awaitState(who int, state string) {
	if who == 2 && (state == "hello sent" || state == "proof sent") {
		state = "answer sent" // it only answers
	}
	for range 2000 {
		if text, err := os.ReadFile(w.file(who)); err == nil && bytes.HasSuffix(bytes.TrimSpace(text), []byte(state)) {
			return
		}
		time.Sleep(time.Millisecond)
	}
}

// lastStates is the last thing that a process did in rekeyings of hops and of conversations.
func (w *killWorld) lastStates(who int) []string {
	text, err := os.ReadFile(w.file(who))
	if !os.IsNotExist(err) {
		must(w.t, err)
	}
	last := map[string]string{}
	for line := range strings.Lines(string(text)) {
		kind, state, whole := strings.Cut(strings.TrimSuffix(line, "\n"), ": ")
		if whole && strings.HasSuffix(line, "\n") {
			last[kind] = fmt.Sprintf("%s, %s: %s", map[bool]string{true: "the relay", false: "a peer"}[who == 2], kind, state)
		}
	}
	if len(last) == 0 {
		return []string{"before any rekeying"}
	}
	return slices.Collect(maps.Values(last))
}

// goesOn waits until each hears what the other wrote in this phase.
func (w *killWorld) goesOn() {
	w.t.Helper()
	late := time.After(healing)
	for i := 0; i < len(w.people); {
		heard, err := w.people[i].state()
		if err != nil {
			w.t.Fatal(err)
		}
		if heard >= int(w.phase.Load()) {
			i++
			continue
		}
		select {
		case <-w.people[i].change:
		case <-late:
			w.t.Fatalf("phase %d: %s heard nothing of it for %v\n%s\n%s", w.phase.Load(), w.people[i].Name, healing, w.people[0].Stderr(), w.people[1].Stderr())
		}
	}
}

// end has everybody leave.
func (w *killWorld) end() {
	for _, p := range w.people {
		close(p.stop)
		<-p.quiet
	}
	for _, p := range w.people {
		p.says("disconnect")
		<-p.over
		if _, err := p.state(); err != nil {
			w.t.Error(err)
		}
	}
	w.relay.stop()
}

// writer is somebody's program, from its start to its end.
type writer struct {
	*process
	world  *killWorld
	life   int           // how often they were killed before
	change chan struct{} // something has changed
	stop   chan struct{} // to write no more
	quiet  chan struct{} // nothing more is written
	over   chan struct{} // the program has ended

	mu        sync.Mutex
	other     string // the number of the other, empty while no conversation is open
	written   int
	confirmed int // of these
	heard     int // the newest phase of the other that came
	fault     error

	from, seq, text int  // the other's life, and what must come next from there
	began, reborn   bool // anything has come; the other has been killed, so that another life may begin
}

func (w *killWorld) person(n, life int) *writer {
	p := &writer{world: w, life: life, change: make(chan struct{}, 1), stop: make(chan struct{}), quiet: make(chan struct{}), over: make(chan struct{})}
	p.process = chat(w.t, w.relay.address, soft(killNames[n]), []string{w.statesOf(n)}, "--rekey-after", "1s", "--rekey-messages", w.epoch)
	p.Patience = healing
	return p
}

// lives reads and writes until the program ends.
func (p *writer) lives() {
	go p.reads()
	go p.writes()
}

func (p *writer) state() (heard int, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.heard, p.fault
}

func (p *writer) writes() {
	defer close(p.quiet)
	every := time.NewTicker(writingEvery)
	defer every.Stop()
	for {
		select {
		case <-every.C:
		case <-p.stop:
			return
		case <-p.over:
			return
		}
		p.mu.Lock()
		if p.other != "" && p.written-p.confirmed < unconfirmed {
			_ = p.Say(fmt.Sprintf("send##%s##%d %d %d", p.other, p.life, p.world.phase.Load(), p.written)) // it may have been killed
			p.written++
		}
		p.mu.Unlock()
	}
}

func (p *writer) reads() {
	defer close(p.over)
	for {
		e, err := p.Next()
		if err != nil {
			return // it has ended, or goesOn says that nothing comes
		}
		p.mu.Lock()
		p.takes(e)
		p.mu.Unlock()
		select {
		case p.change <- struct{}{}:
		default:
		}
	}
}

// takes judges an event. mu is held.
func (p *writer) takes(e program.Event) {
	var err error
	switch e["event"] {
	case "conversation":
		p.other = ""
		if e["state"] == "open" {
			p.other = fmt.Sprint(e["id"])
		}
	case "receipt":
		if e["stage"] == "peer" {
			p.confirmed = int(e["seq"].(float64)) + 1
		}
	case "message":
		err = p.hears(int(e["seq"].(float64)), fmt.Sprint(e["text"]))
	case "refused", "error":
		err = fmt.Errorf("%s says %v", p.Name, e)
	}
	if p.fault == nil {
		p.fault = err
	}
}

// hears wants what comes next: nothing lost, nothing twice, all in order. A program that was killed has forgotten what it had, and what its
// owner wrote there and nobody confirmed.
func (p *writer) hears(seq int, said string) error {
	var life, phase, text int
	if _, err := fmt.Sscanf(said, "%d %d %d", &life, &phase, &text); err != nil {
		return err
	}
	p.heard = max(p.heard, phase)
	switch {
	case !p.began: // a new memory
	case life == p.from:
		if seq != p.seq || text != p.text {
			return fmt.Errorf("%s hears %d (%q) where %d (%d %d) was next", p.Name, seq, said, p.seq, p.from, p.text)
		}
	case !p.reborn || life < p.from || seq != 0 || text != 0:
		return fmt.Errorf("%s hears %d (%q) behind life %d", p.Name, seq, said, p.from)
	}
	p.began, p.from, p.seq, p.text = true, life, seq+1, text+1
	return nil
}

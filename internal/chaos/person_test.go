package chaos

import (
	"context"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"sinete/internal/program"
	"sinete/internal/udpproxy"
)

// ever is longer than all of this: what hangs is noticed by who waits for the end of it.
const ever = 100 * time.Hour

// Somebody types no more where so many texts are not confirmed, or so many bursts not even taken.
const (
	unconfirmed = 200
	unanswered  = 5
)

// noLogin is what a program may end with that has not logged in yet: the way to the relay is cut, the relay is just restarted, or holds the
// place of a program that was killed in the middle of its login.
var noLogin = []string{"cut", "busy", "timeout", "going-away", "relay-unreachable", "card-in-use"}

// person is somebody, through all the lives of their program.
type person struct {
	world   *world
	who     int
	store   string    // folder
	disk    smallDisk // that it lies on; empty: it has none of its own
	network *udpproxy.Proxy
	aim     string // file, as testdata/overlay/aimed.go reads it

	mu       sync.Mutex
	life     *life
	ends     []time.Time // of the lives before
	typed    [len(people)][]said
	shown    [len(people)][]shown
	took     [len(people)]int // of what was typed for them: what this person's programs said they took
	queued   [len(people)]int // likewise, by its number
	received [len(people)]int // of what was typed for them: what they have confirmed
	refusals map[string]int   // by code
	faults   []string
}

// life is that of one process.
type life struct {
	*program.Program
	number  int
	open    chan struct{} // closed when it has logged in
	over    chan struct{} // closed when it has ended and all that it printed was taken
	forced  bool          // somebody ended it, or let it end
	failed  string        // code of the error that it ended with
	ids     map[string]int
	talks   map[int]bool // conversations that are open
	answers []answer     // to what was typed, that have not come
	last    []string     // what it printed last
}

// answer is what becomes of texts that were typed together.
type answer struct {
	to, first, n int
	refused      int
}

func newPerson(w *world, who int) (*person, error) {
	p := &person{world: w, who: who, store: filepath.Join(w.dir, people[who]), aim: filepath.Join(w.dir, people[who]+".aim"), refusals: map[string]int{}}
	var err error
	p.network, err = udpproxy.Listen(w.relay.address, uint64(who))
	return p, err
}

// logsIn returns the life that there is once it has logged in. Where it has ended another begins, again and again: having no network, and a
// relay that is just restarted, is nothing that a login heals by itself.
func (p *person) logsIn(ctx context.Context) (l *life, err error) {
	for l = p.now(); ; {
		if l == nil || l.isOver() {
			if l, err = p.begins(); err != nil {
				return nil, err
			}
		}
		select {
		case <-l.open:
			return l, nil
		case <-l.over:
			p.world.note("no login", "%s: %s", people[p.who], l.failed)
			pause(ctx, 500*time.Millisecond)
		case <-ctx.Done():
		}
		if ctx.Err() != nil {
			return l, fmt.Errorf("%s does not log in: %w", people[p.who], ctx.Err())
		}
	}
}

// begins starts their program.
func (p *person) begins() (*life, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	l := &life{number: len(p.ends), open: make(chan struct{}), over: make(chan struct{}), ids: map[string]int{}, talks: map[int]bool{}}
	var err error
	l.Program, err = program.Command{Name: fmt.Sprintf("%s's program, life %d", people[p.who], l.number), Path: p.world.path("bin/peer"),
		Args: append([]string{"chat", p.network.Addr(), "--store", p.store, "--json"}, p.world.own(p.who)...),
		Env:  []string{"SINETE_CHAOS_AIM=" + p.aim}, Patience: ever}.Start()
	if err != nil {
		return nil, err
	}
	p.life = l
	go p.reads(l)
	return l, nil
}

func (p *person) fault(format string, args ...any) {
	p.faults = append(p.faults, people[p.who]+": "+fmt.Sprintf(format, args...))
}

// reads takes what a process prints until it ends.
func (p *person) reads(l *life) {
	for {
		line, err := l.Line("anything", func(string) bool { return true })
		if err != nil {
			break
		}
		at := time.Now()
		p.mu.Lock()
		if l.last = append(l.last, line); len(l.last) > 40 {
			l.last = l.last[1:]
		}
		if e, whole := program.ParseEvent(line); whole {
			p.takes(l, e, at)
		}
		p.mu.Unlock()
	}
	status, _ := l.Wait()
	p.mu.Lock()
	defer p.mu.Unlock()
	p.ends = append(p.ends, time.Now())
	if ended := l.forced || strings.Contains(l.Stderr(), "chaos: died at"); !ended && (l.isOpen() || !slices.Contains(noLogin, l.failed)) {
		p.fault("the program ended by itself, with status %d and %q", status, l.failed)
	}
	if strings.Contains(l.Stderr(), "panic: ") || strings.Contains(l.Stderr(), "fatal error: ") {
		p.fault("the program panicked")
	}
	close(l.over)
}

// takes judges an event. mu is held.
func (p *person) takes(l *life, e program.Event, at time.Time) {
	number := func(field string) int {
		n, _ := e[field].(float64)
		return int(n)
	}
	switch e["event"] {
	case "conversation":
		other := index(fmt.Sprint(e["name"]))
		if other < 0 {
			p.fault("a conversation with nobody: %v", e)
			return
		}
		l.ids[fmt.Sprint(e["id"])] = other
		l.talks[other] = e["state"] == "open"
	case "message":
		text := fmt.Sprint(e["text"])
		from, _, ok := pairOf(text)
		if !ok || from.to != p.who {
			p.fault("was shown %v", e)
			return
		}
		p.shown[from.from] = append(p.shown[from.from], shown{l.number, at, number("seq"), text})
	case "state":
		to := index(fmt.Sprint(e["name"]))
		if e["state"] == "failed" || to < 0 {
			p.fault("was told of a failure: %v", e)
			return
		}
		p.queued[to] = max(p.queued[to], number("last")+1)
	case "receipt":
		to, ok := l.ids[fmt.Sprint(e["id"])]
		if !ok {
			p.fault("a receipt of nobody: %v", e)
		} else if e["stage"] == "peer" {
			p.received[to] = max(p.received[to], number("seq")+1)
		}
	case "refused":
		p.refusals[fmt.Sprint(e["code"])]++
		if len(l.answers) == 0 || e["command"] != "send" {
			p.fault("a refusal of nothing: %v", e)
			return
		}
		l.answers[0].refused++
	case "ciphers": // which was typed behind texts, so that they are through
		if len(l.answers) == 0 {
			p.fault("an answer to nothing: %v", e)
			return
		}
		a := l.answers[0]
		l.answers = l.answers[1:]
		for i := range a.n {
			s := &p.typed[a.to][a.first+i]
			switch a.refused {
			case 0:
				s.outcome = taken
				p.took[a.to]++
			case a.n:
				s.outcome = refused
			}
		}
	case "error":
		l.failed = fmt.Sprint(e["code"])
	case "session":
		if e["state"] == "open" && !l.isOpen() {
			close(l.open)
		}
	}
}

func (l *life) isOpen() bool { return closed(l.open) }
func (l *life) isOver() bool { return closed(l.over) }

func closed(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}

// types types texts for somebody, all at once. A process that has just died takes none of them.
func (p *person) types(to, n int) {
	p.mu.Lock()
	l := p.life
	first := len(p.typed[to])
	var lines []string
	for i := range n {
		text := textOf(pair{p.who, to}, first+i)
		p.typed[to] = append(p.typed[to], said{n: first + i, text: text})
		lines = append(lines, "send##"+people[to]+"##"+text)
	}
	l.answers = append(l.answers, answer{to: to, first: first, n: n})
	p.mu.Unlock()
	_ = l.Say(append(lines, "ciphers")...)
}

// writes types texts, in bursts and with pauses, until stop is closed.
func (p *person) writes(stop <-chan struct{}, random *rand.Rand) {
	for {
		pause := time.Duration(random.IntN(500)) * time.Millisecond
		if random.IntN(20) == 0 {
			pause *= 10
		}
		select {
		case <-time.After(pause):
		case <-stop:
			return
		}
		to := (p.who + 1 + random.IntN(len(people)-1)) % len(people)
		p.mu.Lock()
		open := p.life.talks[to] || p.life.number > 0
		open = open && p.took[to]-p.received[to] < unconfirmed && len(p.life.answers) < unanswered
		p.mu.Unlock()
		if n := 1 + random.IntN(15); open {
			p.types(to, n)
		}
	}
}

// now is the life that there is.
func (p *person) now() *life {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.life
}

// met reports whether this life has so many conversations open.
func (p *person) met(l *life, n int) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, open := range l.talks {
		if open {
			n--
		}
	}
	return n <= 0
}

// force says that what ends now ends by force, or in order because somebody wanted that.
func (p *person) force(l *life) {
	p.mu.Lock()
	defer p.mu.Unlock()
	l.forced = true
}

// lastLines is what their program printed last.
func (p *person) lastLines() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	lines := slices.Clone(p.life.last)
	for i, l := range lines {
		lines[i] = l[:min(len(l), 300)]
	}
	return lines
}

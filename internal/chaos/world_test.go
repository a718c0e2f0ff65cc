package chaos

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"sinete/internal/program"
	"sinete/internal/udpproxy"
)

// world is a relay and three people.
type world struct {
	dir    string // of this world, beside the programs
	number int
	seed   uint64
	began  time.Time
	tally  *tally
	relay  *relay
	people [len(people)]*person
	proved proved // by their stores, in the end

	mu     sync.Mutex
	plan   []string       // what was done
	counts map[string]int // by what it was
}

// relay is the relay, through all its lives, at one address.
type relay struct {
	address string
	config  string
	aim     string

	mu      sync.Mutex
	program *program.Program
	over    chan struct{} // closed when it has ended
}

func (w *world) path(name string) string { return filepath.Join(filepath.Dir(w.dir), name) }

// own are the flags that somebody's programs are given.
func (w *world) own(who int) []string {
	return []string{"--card", "soft:" + w.path(strings.ToLower(people[who])+".card") + "?pin-value=1234", "--trust", w.path("trust"), "--revocation", "off"}
}

// note keeps what was done, for whoever looks for the cause of a failure.
func (w *world) note(kind, format string, args ...any) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.counts[kind]++
	w.plan = append(w.plan, fmt.Sprintf("%8.3f s  %s: %s", time.Since(w.began).Seconds(), kind, fmt.Sprintf(format, args...)))
}

// draws gives one actor its own random numbers: what it draws does not depend on what others do meanwhile.
func (w *world) draws(actor uint64) *rand.Rand {
	return rand.New(rand.NewPCG(w.seed, uint64(w.number)<<32|actor))
}

// newWorld starts a relay and three people, and has them connect.
func newWorld(dir string, number int, seed uint64, tally *tally) (*world, error) {
	w := &world{dir: filepath.Join(dir, fmt.Sprintf("world-%d", number)), number: number, seed: seed, began: time.Now(), tally: tally, counts: map[string]int{}}
	w.relay = &relay{address: "127.0.0.1:0", config: w.path(fmt.Sprintf("relay-%d.toml", number)), aim: filepath.Join(w.dir, "relay.aim")}
	if err := os.MkdirAll(w.dir, 0o700); err != nil {
		return w, err
	}
	text, err := os.ReadFile(w.path("relay.toml"))
	if err != nil {
		return w, err
	}
	for range 2 { // anywhere, and from then on there
		place := strings.NewReplacer("127.0.0.1:0", w.relay.address, `"audit"`, fmt.Sprintf("%q", filepath.Join(w.dir, "audit")))
		if err := os.WriteFile(w.relay.config, []byte(place.Replace(string(text))), 0o600); err != nil {
			return w, err
		}
		if w.relay.program == nil {
			if err := w.startRelay(); err != nil {
				return w, err
			}
		}
	}
	for who := range people {
		if w.people[who], err = newPerson(w, who); err != nil {
			return w, err
		}
		if p := w.people[who]; number == 0 && who == small {
			if err = os.Mkdir(p.store, 0o700); err == nil {
				p.disk, err = mountDisk(p.store)
			}
			if err != nil {
				return w, err
			}
		}
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		_, err = w.people[who].logsIn(ctx)
		cancel()
		if err != nil {
			return w, err
		}
	}
	return w, w.meet()
}

func (w *world) startRelay() error {
	p, err := program.Command{Name: "the relay", Path: w.path("bin/relay"), Args: []string{"serve", "--config", w.relay.config},
		Env: []string{"SINETE_CHAOS_AIM=" + w.relay.aim}, Patience: time.Minute}.Start()
	if err != nil {
		return err
	}
	line, err := p.Line("listening on ADDR", func(l string) bool { return strings.HasPrefix(l, "listening on ") })
	if err != nil {
		return err
	}
	w.relay.mu.Lock()
	w.relay.address = strings.TrimPrefix(line, "listening on ")
	over := make(chan struct{})
	w.relay.program, w.relay.over = p, over
	w.relay.mu.Unlock()
	go func() {
		p.Patience = ever
		_, _ = p.Wait()
		close(over)
	}()
	return nil
}

// meet has everybody connect with everybody, once and for all.
func (w *world) meet() error {
	for who, p := range w.people {
		for other := who + 1; other < len(people); other++ {
			if err := p.now().Say("connect#" + people[other]); err != nil {
				return err
			}
		}
	}
	for who, p := range w.people {
		if err := await(time.Minute, func() bool { return p.met(p.now(), len(people)-1) }); err != nil {
			return fmt.Errorf("%s does not meet the others: %w\n%s", people[who], err, p.now().Stderr())
		}
	}
	return nil
}

// settle ends all trouble and all writing, waits until every message has arrived, and has everybody leave.
func (w *world) settle() error {
	w.note("settle", "no more trouble, no more texts")
	for _, p := range w.people {
		p.network.Set(udpproxy.Weather{})
		if err := os.RemoveAll(p.aim); err != nil {
			return err
		}
		_ = p.now().Signal(syscall.SIGCONT) // it may have ended
	}
	ctx, cancel := context.WithTimeout(context.Background(), healing)
	defer cancel()
	for _, p := range w.people {
		if _, err := p.logsIn(ctx); err != nil {
			return err
		}
	}
	began := time.Now()
	last := map[pair]int{} // number of the text behind which nothing follows
	for _, p := range pairs() {
		last[p] = len(w.people[p.from].typed[p.to])
		w.people[p.from].types(p.to, 1)
	}
	err := await(healing, func() bool {
		for p, n := range last {
			if !w.arrived(p, n) {
				return false
			}
		}
		return true
	})
	if err != nil {
		return fmt.Errorf("the last texts have not arrived and been confirmed: %w", err)
	}
	w.note("settled", "after %v", time.Since(began).Round(time.Millisecond))
	for _, p := range w.people {
		l := p.now()
		p.force(l)
		if err := l.Say("disconnect"); err != nil {
			return err
		}
		if err := ended(l.over); err != nil {
			return fmt.Errorf("%s does not leave: %w", people[p.who], err)
		}
		if status, err := l.Wait(); err != nil || status != 0 {
			return fmt.Errorf("%s leaves with status %d, %v", people[p.who], status, err)
		}
	}
	if err := w.relay.program.Signal(syscall.SIGTERM); err != nil {
		return err
	}
	if err := ended(w.relay.over); err != nil {
		return fmt.Errorf("the relay does not stop: %w", err)
	}
	if status, err := w.relay.program.Wait(); err != nil || status != 0 {
		return fmt.Errorf("the relay stops with status %d, %v\n%s", status, err, w.relay.program.Stderr())
	}
	return nil
}

// arrived reports whether a text was shown to its recipient, and its author knows that they have it.
func (w *world) arrived(p pair, n int) bool {
	author, recipient := w.people[p.from], w.people[p.to]
	text := textOf(p, n)
	recipient.mu.Lock()
	i := slices.IndexFunc(recipient.shown[p.from], func(s shown) bool { return s.text == text })
	seq := 0
	if i >= 0 {
		seq = recipient.shown[p.from][i].seq
	}
	recipient.mu.Unlock()
	author.mu.Lock()
	defer author.mu.Unlock()
	return i >= 0 && author.received[p.to] > seq
}

// evidence is all that is known of what was said, for the judge.
func (w *world) evidence() (*trial, error) {
	t := &trial{said: map[pair][]said{}, shown: map[pair][]shown{}, queued: map[pair]int{}, confirmed: map[pair]int{}, ends: map[int][]time.Time{}, histories: map[int][]entry{}}
	for _, p := range pairs() {
		author, recipient := w.people[p.from], w.people[p.to]
		t.said[p], t.queued[p], t.confirmed[p] = author.typed[p.to], author.queued[p.to], author.received[p.to]
		t.shown[p] = recipient.shown[p.from]
	}
	for who, p := range w.people {
		t.ends[who] = p.ends
		h, err := w.history(who)
		if err != nil {
			return nil, err
		}
		t.histories[who] = h
		proved, err := w.proves(who, h)
		if err != nil {
			p.faults = append(p.faults, err.Error())
		}
		w.proved.sent += proved.sent
		w.proved.received += proved.received
		w.proved.receipts += proved.receipts
	}
	return t, nil
}

// history is what somebody's store holds.
func (w *world) history(who int) (all []entry, err error) {
	events, err := w.asks("history-entry", "history", "--store", w.people[who].store)
	for _, e := range events {
		other := index(fmt.Sprint(e["name"]))
		one := entry{pair{other, who}, int(e["seq"].(float64)), fmt.Sprint(e["text"]), fmt.Sprint(e["state"]), fmt.Sprint(e["verification"])}
		if e["direction"] == "out" {
			one.pair = pair{who, other}
		}
		all = append(all, one)
	}
	return all, err
}

// proves has somebody's store verified: every message that came to them, and that every receipt is for what was sent.
func (w *world) proves(who int, history []entry) (proved, error) {
	events, err := w.asks("checked", "store", "check", w.people[who].store, "--trust", w.path("trust"))
	if err != nil {
		return proved{}, err
	}
	e := events[0]
	p := proved{int(e["sent"].(float64)), int(e["received"].(float64)), int(e["receipts"].(float64))}
	came := 0
	for _, e := range history {
		if e.to == who {
			came++
		}
	}
	if p.received < came || p.receipts == 0 && len(history) > came {
		return p, fmt.Errorf("%s's store proves %+v, and has %d messages, of which %d came", people[who], p, len(history), came)
	}
	for other := range people {
		if err == nil && other != who {
			err = w.shows(who, other, history)
		}
	}
	return p, err
}

// shows has evidence made and verified of all that somebody's history has with another, and compares.
func (w *world) shows(who, other int, history []entry) error {
	want := map[string]bool{}
	for _, e := range history {
		if e.from == other || e.to == other {
			want[fmt.Sprint(e.pair, e.seq, e.text)] = true
		}
	}
	if len(want) == 0 {
		return nil
	}
	bundle := filepath.Join(w.dir, fmt.Sprintf("evidence-%d-%d.zip", who, other))
	lost, err := w.asks("warning", "evidence", "export", "--store", w.people[who].store, "--with", people[other], "--all", "--trust", w.path("trust"), bundle)
	if err != nil {
		return err
	}
	proved, err := w.asks("proved", "evidence", "verify", "--trust", w.path("trust"), bundle)
	if err != nil {
		return err
	}
	named, err := w.asks("evidence", "evidence", "verify", "--trust", w.path("trust"), bundle)
	if err != nil {
		return err
	}
	name := map[any]int{}
	for _, p := range named[0]["people"].([]any) {
		p := p.(map[string]any)
		name[p["identity"]] = index(fmt.Sprint(p["name"]))
	}
	for _, e := range proved {
		delete(want, fmt.Sprint(pair{name[e["from"]], name[e["to"]]}, int(e["seq"].(float64)), e["text"]))
	}
	if len(want) > 0 {
		return fmt.Errorf("%s's evidence with %s lacks %d messages: %v", people[who], people[other], len(want), lost)
	}
	return nil
}

// proved counts what a store proves; what was sent again counts again.
type proved struct{ sent, received, receipts int }

// asks runs a command of the peer program and returns the events of one name that it prints.
func (w *world) asks(event string, args ...string) (found []program.Event, err error) {
	var stderr strings.Builder
	c := exec.Command(w.path("bin/peer"), append(args, "--json")...)
	c.Stderr = &stderr
	out, err := c.Output()
	if err != nil {
		return nil, fmt.Errorf("%s: %w\n%s%s", c, err, out, stderr.String())
	}
	for line := range strings.Lines(string(out)) {
		e, whole := program.ParseEvent(line)
		if !whole {
			return nil, fmt.Errorf("%s prints %q", c, line)
		}
		if e["event"] == event {
			found = append(found, e)
		}
	}
	return found, nil
}

// end ends what is left of its programs.
func (w *world) end() {
	for _, p := range w.people {
		if p == nil {
			continue
		}
		if l := p.now(); l != nil {
			p.force(l)
			_ = l.Signal(syscall.SIGKILL)
			<-l.over
		}
		if p.network != nil {
			p.network.Close()
		}
	}
	if w.relay.program != nil {
		_ = w.relay.program.Signal(syscall.SIGKILL)
		<-w.relay.over
	}
}

// unmount takes the small disk away; with keep, what is on it stays.
func (w *world) unmount(keep bool) (err error) {
	for _, p := range w.people {
		if p == nil || p.disk == "" {
			continue
		}
		if keep {
			err = os.CopyFS(p.store+".kept", os.DirFS(p.store))
		}
		err = errors.Join(err, p.disk.unmount())
	}
	return err
}

var errLate = errors.New("not in time")

// await waits until something holds.
func await(within time.Duration, holds func() bool) error {
	for end := time.Now().Add(within); !holds(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(end) {
			return fmt.Errorf("%w, which is %v", errLate, within)
		}
	}
	return nil
}

func ended(over <-chan struct{}) error {
	select {
	case <-over:
		return nil
	case <-time.After(time.Minute):
		return errLate
	}
}

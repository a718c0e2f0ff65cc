package chaos

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

const (
	small = 2 // who has a store on a disk of its own, in the first world
	// healing is how long the last message may take once nothing is wrong any more: those who are not there are looked for every minute.
	healing = 4 * time.Minute
	// enough deaths in each state of a message, where there is time for them: on a slow machine the trouble lasts longer than it was to, by so much.
	enough     = 20
	enoughTime = 2 * time.Minute
	longer     = 2 * time.Minute
)

// Whatever dies, stops or is cut off, and whenever: each message is delivered once and in order. CHAOS is for how long, SINETE_CHAOS_SEED
// what is drawn from.
func TestChaos(t *testing.T) {
	lasts, worlds := 5*time.Second, 1
	seed := rand.Uint64()
	var err error
	if s := os.Getenv("CHAOS"); s != "" {
		worlds = 8 // at once: a life is mostly spent in waiting
		if lasts, err = time.ParseDuration(s); err != nil {
			t.Fatal(err)
		}
	}
	if s := os.Getenv("SINETE_CHAOS_SEED"); s != "" {
		if seed, err = strconv.ParseUint(s, 10, 64); err != nil {
			t.Fatal(err)
		}
	}
	t.Logf("SINETE_CHAOS_SEED=%d", seed)
	dir, err := os.MkdirTemp("", "sinete-chaos-")
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if t.Failed() {
			t.Logf("what is left of it is in %s", dir)
		} else if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	}()
	if err := prepare(dir); err != nil {
		t.Fatal(err)
	}
	deaths := newTally()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var running sync.WaitGroup
	running.Go(func() {
		defer cancel()
		pause(ctx, lasts)
		for end := time.Now().Add(longer); lasts >= enoughTime && deaths.least() < enough && time.Now().Before(end); {
			pause(ctx, time.Second)
		}
	})
	var reports sync.Mutex // one after the other
	for n := range worlds {
		running.Go(func() {
			w, err := live(ctx, dir, n, seed, lasts, deaths)
			reports.Lock()
			defer reports.Unlock()
			w.report(t, err)
		})
	}
	running.Wait()
	for _, line := range deaths.lines() {
		t.Log(line)
	}
	if least := deaths.least(); least < enough && lasts >= enoughTime && !t.Failed() {
		t.Errorf("fewer than %d died in some state", enough)
	}
}

func prepare(dir string) error {
	if err := build(dir); err != nil {
		return err
	}
	bin := func(name string) string { return filepath.Join(dir, "bin", name) }
	commands := [][]string{{bin("testpki"), "init", dir}, {bin("relay"), "init", dir, "--listen", "127.0.0.1:0", "--revocation", "off"}}
	for _, name := range people {
		commands = append(commands, []string{bin("testpki"), "card", dir, strings.ToLower(name), "--cn", name})
	}
	for _, c := range commands {
		if out, err := exec.Command(c[0], c[1:]...).CombinedOutput(); err != nil {
			return fmt.Errorf("%s: %w\n%s", strings.Join(c, " "), err, out)
		}
	}
	return nil
}

// live has a world go through its trouble and come to rest.
func live(ctx context.Context, dir string, n int, seed uint64, lasts time.Duration, deaths *tally) (*world, error) {
	w, err := newWorld(dir, n, seed, deaths)
	defer w.end()
	if err != nil {
		return w, err
	}
	var running sync.WaitGroup
	var errs [len(people) + 2]error
	for i, p := range w.people {
		running.Go(func() { p.writes(ctx.Done(), w.draws(uint64(10+i))) })
		running.Go(func() { p.weather(ctx, w.draws(uint64(20+i))) })
		running.Go(func() { errs[i] = p.suffers(ctx, w.draws(uint64(30+i))) })
		if p.disk != "" {
			running.Go(func() { errs[len(people)] = p.fills(ctx, w.draws(40)) })
		}
	}
	running.Go(func() { errs[len(people)+1] = w.relay.suffers(ctx, w, lasts, w.draws(50)) })
	running.Wait()
	if err := errors.Join(errs[:]...); err != nil {
		return w, err
	}
	return w, w.settle()
}

// report judges what is left of a world and prints what happened in it; all of it where something is wrong.
func (w *world) report(t *testing.T, err error) {
	var faults []string
	if err != nil {
		faults = append(faults, err.Error())
	}
	if !slices.Contains(w.people[:], nil) { // else there was hardly a world
		known, err := w.evidence()
		if err != nil {
			faults = append(faults, err.Error())
		} else {
			faults = append(faults, judge(known)...)
		}
	}
	texts := 0
	for _, p := range w.people {
		if p == nil {
			continue
		}
		for to := range people {
			texts += len(p.typed[to])
		}
		faults = append(faults, p.faults...)
		for code, n := range p.refusals {
			if code != "store-full" || p.disk == "" {
				faults = append(faults, fmt.Sprintf("%s was refused %d times: %s", people[p.who], n, code))
			}
		}
	}
	t.Logf("world %d: %d texts typed; the stores prove %d sent, %d received and %d receipts", w.number, texts, w.proved.sent, w.proved.received, w.proved.receipts)
	for _, kind := range slices.Sorted(maps.Keys(w.counts)) {
		t.Logf("%4d %s", w.counts[kind], kind)
	}
	if len(faults) > 0 {
		t.Errorf("SINETE_CHAOS_SEED=%d, world %d: %d faults, the first of them:\n%s", w.seed, w.number, len(faults), strings.Join(faults[:min(len(faults), 40)], "\n"))
		t.Logf("what was done:\n%s", strings.Join(w.plan, "\n"))
		for _, p := range w.people {
			if p != nil && p.life != nil {
				t.Logf("%s printed last:\n%s\n%s", p.life.Name, strings.Join(p.lastLines(), "\n"), tail(p.life.Stderr()))
			}
		}
		if w.relay.program != nil {
			t.Logf("the relay said last:\n%s", tail(w.relay.program.Stderr()))
		}
	}
	if err := w.unmount(len(faults) > 0); err != nil {
		t.Error(err)
	}
}

func tail(s string) string { return s[max(0, len(s)-4000):] }

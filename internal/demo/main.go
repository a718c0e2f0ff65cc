// Command demo shows that the whole of Sinete works: it makes a trial world, starts a relay and people's programs as separate
// processes, and has them do everything that there is. Each step is judged by what the programs print.
//
// With -sabotage STEP it breaks the world before that step, which must then fail: a demonstration that cannot fail shows nothing.
package main

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"sinete/internal/program"
)

func main() {
	bin := flag.String("bin", "bin", "folder of the programs")
	dir := flag.String("world", "demo-world", "folder that is made anew for the trial world")
	sabotage := flag.String("sabotage", "", "break the world before this step")
	list := flag.Bool("list", false, "print the names of the steps")
	flag.Parse()
	if *list {
		for _, s := range steps {
			fmt.Println(s.name)
		}
		return
	}
	if err := demonstrate(*bin, *dir, *sabotage); err != nil {
		fmt.Fprintln(os.Stderr, "demo:", err)
		os.Exit(1)
	}
}

// demonstrate runs all steps, and stops at the first that fails, naming it.
func demonstrate(bin, dir, sabotage string) error {
	w := &world{bin: bin, dir: dir}
	defer w.end()
	known := sabotage == ""
	began := time.Now()
	for _, s := range steps {
		if s.name == sabotage {
			known = true
			if err := s.sabotage(w); err != nil {
				return fmt.Errorf("sabotage of %q: %w", s.name, err)
			}
		}
		stepBegan := time.Now()
		if err := s.do(w); err != nil {
			return fmt.Errorf("step %q failed: %w", s.name, err)
		}
		fmt.Printf("  ok  %-12s %s (%.1f s)\n", s.name, s.shows, time.Since(stepBegan).Seconds())
	}
	if !known {
		return fmt.Errorf("no step is called %q", sabotage)
	}
	fmt.Printf("\nAll of it works (%.1f s). To chat by hand, one line in each of four terminals:\n\n%s\n", time.Since(began).Seconds(), w.byHand())
	return nil
}

// world is the trial world and the programs at work in it.
type world struct {
	bin, dir string
	address  string // of the relay
	serial   map[string]string
	relay    *program.Program
	ocsp     *program.Program // answers whether cards still hold
	people   map[string]*program.Program
	moved    map[string]string // behind the name of the file that names a person's machine: where they are on another one
}

func (w *world) path(name string) string { return filepath.Join(w.bin, name) }

func (w *world) end() {
	for _, p := range w.people {
		p.Kill()
	}
	for _, p := range []*program.Program{w.relay, w.ocsp} {
		if p != nil {
			p.Kill()
		}
	}
}

// store is where a person keeps their messages.
func (w *world) store(name string) string { return filepath.Join(w.dir, "store-"+name) }

// machine is what names a person's machine to their contacts.
func (w *world) machine(name string) string { return filepath.Join(w.dir, "machine-"+name) }

func (w *world) chatArgs(name string) []string {
	return []string{"chat", w.address, "--card", "soft:" + filepath.Join(w.dir, name+".card") + "?pin-value=1234",
		"--trust", filepath.Join(w.dir, "trust"), "--revocation-network", loopback, "--machine", w.machine(name) + w.moved[name]}
}

// byHand is what to paste for chatting without this program.
func (w *world) byHand() string {
	const address = "127.0.0.1:7443"
	hand := func(name string) string {
		w := &world{bin: w.bin, dir: w.dir, address: address}
		return w.path("peer") + " " + strings.ReplaceAll(strings.Join(append(w.chatArgs(name), "--store", w.store(name)), " "), "?pin-value=1234", "")
	}
	return fmt.Sprintf("  %s ocsp %s\n  %s serve --config %s\n  %s\n  %s\n\nThe PIN of these trial cards is 1234. Type list, connect#ID, send##ID##TEXT.",
		w.path("testpki"), w.dir, w.path("relay"), filepath.Join(w.dir, "hand", "relay.toml"), hand("alice"), hand("carla"))
}

// login starts somebody's program and waits until the session is open.
func (w *world) login(name string) error { return w.loginWithin(name, patience) }

func (w *world) loginWithin(name string, patience time.Duration) error {
	p, err := start(name, w.path("peer"), append(w.chatArgs(name), "--json", "--store", w.store(name))...)
	if err != nil {
		return err
	}
	if old := w.people[name]; old != nil {
		old.Kill()
	}
	w.people[name] = p
	p.Patience = patience
	_, err = p.Event("session", "state", "open", "signing", "card")
	return err
}

// idOf asks a person's program for the id of another, by name.
func (w *world) idOf(person, other string) (string, program.Event, error) {
	p := w.people[person]
	if err := p.Say("list"); err != nil {
		return "", nil, err
	}
	e, err := p.Event("peers")
	if err != nil {
		return "", nil, err
	}
	list, _ := e["peers"].([]any)
	for _, item := range list {
		if m, _ := item.(map[string]any); strings.HasPrefix(fmt.Sprint(m["name"]), other) {
			return fmt.Sprint(m["id"]), m, nil
		}
	}
	return "", nil, fmt.Errorf("%s's list does not show %s: %v", person, other, e)
}

var errJudged = errors.New("that is not what should have been printed")

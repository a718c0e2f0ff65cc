package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"text/tabwriter"
	"time"

	"sinete/bench/rivals"
	"sinete/internal/trialpki"
	"sinete/peer"
)

// Contest is what -rivals prints: everybody at the same job, in turns.
type Contest struct {
	Settings
	Entries []Entry   `json:"entries"`
	Budgets []Verdict `json:"budgets"`
}

// Entry is one system under one window.
type Entry struct {
	Name    string `json:"name"`
	Version string `json:"version,omitempty"` // of the server, where it is somebody else's
	Window  int    `json:"window"`
	N       int    `json:"n"` // messages of a run
	Figures
}

// Verdict is one budget, and how it was met.
type Verdict struct {
	Budget string  `json:"budget"`
	What   string  `json:"what"`
	Got    float64 `json:"got"`
	Limit  float64 `json:"limit"`
	AtMost bool    `json:"at_most"` // else at least
	Met    bool    `json:"met"`
}

// The names of what is ours.
const (
	ours    = "sinete"
	oursRSA = "sinete, RSA-2048"
	singly  = "one signature a message, RSA-2048"
	besides = "splice"
)

type contender struct {
	name, system string
	of           Settings
}

// contenders are those of a window. Where one message at a time is what counts, the card delegates, as for those who must not wait for it.
func contenders(s Settings, window int) []contender {
	s.Window = window
	first, rsa := s, s
	if window == 1 {
		first.Sign = peer.SignDelegated
	}
	rsa.Key = trialpki.RSA2048
	all := []contender{{ours, ours, first}}
	if window > 1 {
		all = append(all, contender{oursRSA, ours, rsa})
	}
	if window == 1024 {
		one := rsa
		one.Singly = true
		all = append(all, contender{singly, ours, one})
	}
	for _, name := range rivals.All {
		all = append(all, contender{name, name, s})
	}
	return append(all, contender{besides, besides, s})
}

// budgets are those of the contest, each a figure of one system against the same of another, or by itself.
var budgets = []struct {
	id, what    string
	window      int
	of, against string
	figure      func(*Figures) float64
	limit       float64
	atMost      bool
}{
	{"P1", "messages/s against NATS", 1024, ours, "nats", rate, 1, false},
	{"P1", "with RSA-2048", 1024, oursRSA, "nats", rate, 0.6, false},
	{"P2", "messages/s against NATS", 64, ours, "nats", rate, 1, false},
	{"P2", "with RSA-2048", 64, oursRSA, "nats", rate, 0.15, false},
	{"P3", "median latency against NATS", 1, ours, "nats", func(f *Figures) float64 { return f.P50 }, 3.5, true},
	{"P4", "messages/s against Mosquitto", 1024, ours, "mosquitto", rate, 8, false},
	{"P4", "messages/s against Prosody", 1024, ours, "prosody", rate, 20, false},
	{"P5", "messages/s against one signature a message", 1024, oursRSA, singly, rate, 300, false},
	{"P7", "messages/s against the splice", 1024, ours, besides, rate, 0.5, false},
	{"P13", "relay's CPU a message, us", 1024, ours, "", func(f *Figures) float64 { return f.RelayCPU }, 4, true},
}

func rate(f *Figures) float64 { return f.MessagesPerSecond }

// contest measures all contenders, window after window, and within a window in turns.
func contest(ctx context.Context, s Settings, out, log io.Writer) error {
	c := &Contest{Settings: s}
	var faults error
	for _, window := range []int{1, 64, 1024} {
		entries, err := round(ctx, s, window, log)
		if err != nil {
			return err
		}
		for _, e := range entries {
			faults = errors.Join(faults, e.faults(e.Name))
		}
		c.Entries = append(c.Entries, entries...)
	}
	c.judge()
	return errors.Join(c.write(), c.print(out), faults)
}

// round is one window.
func round(ctx context.Context, s Settings, window int, log io.Writer) ([]Entry, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var systems []*system
	var entries []Entry
	for _, one := range contenders(s, window) {
		w, err := newWorld(one.of)
		if err != nil {
			return nil, err
		}
		sys, err := startSystem(ctx, one.system, one.of, w, log)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", one.name, err)
		}
		defer sys.end()
		n, err := sys.calibrate(s.runFor)
		if err != nil {
			return nil, err
		}
		systems = append(systems, sys)
		entries = append(entries, Entry{Name: one.name, Version: sys.version, Window: window, N: n})
	}
	runs := make([][]Figures, len(systems))
	for range s.Runs {
		for i, sys := range systems {
			f, err := sys.measure(entries[i].N)
			if err != nil {
				return nil, err
			}
			runs[i] = append(runs[i], f)
		}
	}
	for i := range entries {
		entries[i].Figures = medians(runs[i])
	}
	return entries, nil
}

// calibrate warms a system up, and returns how many messages it takes in that time.
func (sys *system) calibrate(run time.Duration) (n int, err error) {
	n = 64
	for _, during := range []time.Duration{run / 4, run} {
		f, err := sys.measure(n)
		if err != nil {
			return 0, err
		}
		n = max(64, int(f.MessagesPerSecond*during.Seconds()))
	}
	return n, nil
}

func (c *Contest) entry(name string, window int) *Entry {
	return &c.Entries[slices.IndexFunc(c.Entries, func(e Entry) bool { return e.Name == name && e.Window == window })]
}

func (c *Contest) judge() {
	for _, b := range budgets {
		v := Verdict{Budget: b.id, What: b.what, Limit: b.limit, AtMost: b.atMost, Got: b.figure(&c.entry(b.of, b.window).Figures)}
		if b.against != "" {
			v.Got /= b.figure(&c.entry(b.against, b.window).Figures)
		}
		v.Met = v.Got >= v.Limit
		if v.AtMost {
			v.Met = v.Got <= v.Limit
		}
		c.Budgets = append(c.Budgets, v)
	}
}

// write writes the result as JSON where that was asked for.
func (c *Contest) write() error {
	if c.file == "" {
		return nil
	}
	b, err := json.MarshalIndent(c, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(c.file, append(b, '\n'), 0o644)
}

func (c *Contest) print(w io.Writer) error {
	if c.json {
		return printJSON(w, c)
	}
	fmt.Fprintf(w, "texts of %d bytes, %d conversation(s), medians of %d runs in turns; CPU is us a message\n\n", c.Size, c.Conversations, c.Runs)
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(t, "window\t\tmessages/s\tp50 us\tp99 us\tserver CPU\tclients' CPU\tserver MiB\t")
	for _, e := range c.Entries {
		name := e.Name
		if e.Version != "" {
			name = e.Version
		}
		fmt.Fprintf(t, "%d\t%s\t%.0f\t%.0f\t%.0f\t%.1f\t%.1f\t%.0f\t\n", e.Window, name, e.MessagesPerSecond, e.P50, e.P99, e.RelayCPU, e.PeerCPU, e.RelayRSS/(1<<20))
	}
	fmt.Fprintln(t, "\t\t\t\t\t\t\t\t")
	for _, v := range c.Budgets {
		bound, met := "at least", "missed"
		if v.AtMost {
			bound = "at most"
		}
		if v.Met {
			met = "met"
		}
		fmt.Fprintf(t, "%s\t%s\t%.2f\t%s\t%g\t%s\t\t\t\n", v.Budget, v.What, v.Got, bound, v.Limit, met)
	}
	return t.Flush()
}

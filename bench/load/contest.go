package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"text/tabwriter"
	"time"

	"sinete/bench/roles"
)

// Contest is what -rivals prints: everybody at the same jobs, in turns.
type Contest struct {
	roles.Settings
	Runs    int       `json:"runs"`
	Entries []Entry   `json:"entries"`
	Budgets []Verdict `json:"budgets"`
}

// Entry is one who took part in an event.
type Entry struct {
	Event   string `json:"event"`
	Name    string `json:"name"`
	Version string `json:"version,omitempty"` // of the server, where it is somebody else's
	N       int    `json:"n"`                 // messages of a run
	Figures
}

// Verdict is one budget, and how it was met.
type Verdict struct {
	Budget string  `json:"budget"`
	What   string  `json:"what"`
	Got    float64 `json:"got"`
	Limit  float64 `json:"limit"`   // 0: there is no budget, and it counts as met
	AtMost bool    `json:"at_most"` // else at least
	Met    bool    `json:"met"`
}

// contest measures all events, and within an event in turns.
func contest(ctx context.Context, o Options, out, log io.Writer) error {
	c := &Contest{Settings: o.Settings, Runs: o.runs}
	var faults error
	for _, e := range events(o.Settings) {
		if o.only != "" && o.only != e.name {
			continue
		}
		began := time.Now()
		entries, err := e.hold(ctx, o, log)
		if ctx.Err() != nil {
			return err
		}
		fmt.Fprintf(log, "%s: %.0f s\n", e.name, time.Since(began).Seconds())
		if err != nil { // what the others have shown is not lost for it
			faults = errors.Join(faults, fmt.Errorf("%s: %w", e.name, err))
			continue
		}
		for _, entry := range entries {
			faults = errors.Join(faults, entry.faults(e.name+", "+entry.Name))
		}
		c.Entries = append(c.Entries, entries...)
	}
	if len(c.Entries) == 0 && faults == nil {
		var names []string
		for _, e := range events(o.Settings) {
			names = append(names, e.name)
		}
		return fmt.Errorf("-only: there is no %q, only %q", o.only, names)
	}
	c.judge()
	return errors.Join(c.write(o.file), c.print(out, o.json), faults)
}

// hold has everybody take part in turns.
func (e *event) hold(ctx context.Context, o Options, log io.Writer) ([]Entry, error) {
	if e.name == sessions {
		return e.holdIdle(ctx, o, log)
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var entries []Entry
	systems := map[string]*system{}
	for _, c := range e.contenders {
		n := c.scaled(o.runFor)
		sys := systems[c.as]
		if c.as == "" {
			w, err := newWorld(c.of, n)
			if err != nil {
				return nil, err
			}
			defer w.end()
			if sys, err = startSystem(ctx, cmp.Or(c.system, roles.Sinete), c.of, w, log); err != nil {
				return nil, fmt.Errorf("%s: %w", c.name, err)
			}
			defer sys.end()
		}
		systems[c.name] = sys
		var err error
		if c.n == 0 && c.as == "" {
			n, err = sys.calibrate(o.runFor)
		} else if c.as == "" {
			_, err = sys.measure(c.plan(n, nil))
		}
		if err != nil {
			return nil, fmt.Errorf("%s: %w", c.name, err)
		}
		if c.ofPeak > 0 {
			n = max(1, int(float64(entries[len(entries)-1].N)*c.ofPeak))
		}
		entries = append(entries, Entry{Event: e.name, Name: c.name, Version: sys.version, N: n})
	}
	runs := make([][]Figures, len(entries))
	for range o.runs {
		var last Figures
		for i, c := range e.contenders {
			var err error
			if last, err = systems[c.name].measure(c.plan(entries[i].N, &last)); err != nil {
				return nil, fmt.Errorf("%s: %w", c.name, err)
			}
			runs[i] = append(runs[i], last)
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
		f, err := sys.measure(roles.Plan{N: n})
		if err != nil {
			return 0, err
		}
		n = max(64, int(f.MessagesPerSecond*during.Seconds()))
	}
	return n, nil
}

// figures are those of somebody in an event, nil where it was not held.
func (c *Contest) figures(p place) *Figures {
	i := slices.IndexFunc(c.Entries, func(e Entry) bool { return e.Event == p.event && e.Name == p.name })
	if i < 0 {
		return nil
	}
	return &c.Entries[i].Figures
}

// judge holds the figures against the budgets of the events that took place.
func (c *Contest) judge() {
	for _, b := range budgets {
		of := c.figures(b.of)
		if of == nil {
			continue
		}
		v := Verdict{Budget: b.id, What: b.what, Limit: b.limit, AtMost: b.atMost, Got: b.figure(of, c.figures(b.against))}
		v.Met = v.Got >= v.Limit
		if v.AtMost && v.Limit > 0 {
			v.Met = v.Got <= v.Limit
		}
		c.Budgets = append(c.Budgets, v)
	}
}

// write writes the result as JSON where that was asked for.
func (c *Contest) write(file string) error {
	if file == "" {
		return nil
	}
	b, err := json.MarshalIndent(c, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(file, append(b, '\n'), 0o644)
}

func (c *Contest) print(w io.Writer, asJSON bool) error {
	if asJSON {
		return printJSON(w, c)
	}
	fmt.Fprintf(w, "texts of %d bytes where nothing else is said, medians of %d runs in turns; CPU is us a message, a message a login where those count\n\n",
		c.Size, c.Runs)
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(t, "\t\tmessages/s\tp50 us\tp99 us\tserver CPU\tclients' CPU\tserver MiB\tallocations, server\tclients\t")
	for _, e := range c.Entries {
		fmt.Fprintf(t, "%s\t%s\t%.0f\t%.0f\t%.0f\t%.1f\t%.1f\t%.0f\t%.1f\t%.1f\t\n", e.Event, cmp.Or(e.Version, e.Name), e.MessagesPerSecond, e.P50,
			e.P99, e.RelayCPU, e.PeerCPU, e.RelayRSS/(1<<20), e.RelayAllocs, e.SenderAllocs+e.ReceiverAllocs)
	}
	if err := t.Flush(); err != nil {
		return err
	}
	fmt.Fprintln(w)
	for _, v := range c.Budgets {
		if v.Limit == 0 {
			fmt.Fprintf(t, "%s\t%s\t%.2f\t\t\tno budget\t\n", v.Budget, v.What, v.Got)
			continue
		}
		bound, met := "at least", "missed"
		if v.AtMost {
			bound = "at most"
		}
		if v.Met {
			met = "met"
		}
		fmt.Fprintf(t, "%s\t%s\t%.2f\t%s\t%g\t%s\t\n", v.Budget, v.What, v.Got, bound, v.Limit, met)
	}
	return t.Flush()
}

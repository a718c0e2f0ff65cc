package main

import (
	"cmp"
	"context"
	"io"

	"sinete/bench/roles"
)

// holdIdle has those take part who measure idle sessions.
func (e *event) holdIdle(ctx context.Context, o Options, log io.Writer) ([]Entry, error) {
	c := e.contenders[0] // all have its settings and its number
	n := c.scaled(o.runFor)
	var systems []string
	for _, c := range e.contenders {
		systems = append(systems, cmp.Or(c.system, roles.Sinete))
	}
	runs, err := o.idleSessions(ctx, c.of, n, systems, log)
	if err != nil {
		return nil, err
	}
	var entries []Entry
	for i, c := range e.contenders {
		entries = append(entries, Entry{Event: e.name, Name: c.name, N: n, Figures: medians(runs[i])})
	}
	return entries, nil
}

// loadIdle is load where sessions stay.
func loadIdle(ctx context.Context, o Options, log io.Writer) (*Result, error) {
	systems := []string{roles.Sinete}
	besideName, besideSystem, _ := o.beside()
	if besideName != "" {
		systems = append(systems, besideSystem)
	}
	runs, err := o.idleSessions(ctx, o.Settings, o.N, systems, log)
	if err != nil {
		return nil, err
	}
	return o.result(runs, besideName), nil
}

// idleSessions measures what sessions that stay take, of several systems in turns, and returns the runs of each.
//
// A session's memory lies among holes that the garbage of logins has left, which those after it fill again or not, as the last collection was
// long ago or just now: 400 sessions that come to 2,000 take anything from 70 to 100 KiB each. So each run has processes of its own, to which a
// fifth of n come first, and then counts many sessions at once. In a new process collections come at the same sessions each time, and so runs
// go from n sessions up to nearly twice as many, over more than what lies between two collections, before which the heap doubles at most.
func (o *Options) idleSessions(ctx context.Context, s roles.Settings, n int, systems []string, log io.Writer) ([][]Figures, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	first := max(1, n/5)
	w, err := newWorld(s, first+2*n)
	if err != nil {
		return nil, err
	}
	defer w.end()
	runs := make([][]Figures, len(systems))
	for run := range o.runs {
		for i, name := range systems {
			f, err := o.idleRun(ctx, w, name, s, []int{first, n + n*run/o.runs}, log)
			if err != nil {
				return nil, err
			}
			runs[i] = append(runs[i], f)
		}
	}
	return runs, nil
}

// idleRun has clients come to a new server, so many one time after the other, and returns the figures of the last.
func (o *Options) idleRun(ctx context.Context, w *world, system string, s roles.Settings, come []int, log io.Writer) (f Figures, err error) {
	sys, err := startSystem(ctx, system, s, w, log)
	if err != nil {
		return f, err
	}
	defer sys.end()
	if o.cpuProfile != "" {
		if err := sys.profile(o.cpuProfile, system); err != nil {
			return f, err
		}
	}
	for _, n := range come {
		if f, err = sys.measure(roles.Plan{N: n}); err != nil {
			return f, err
		}
	}
	return f, nil
}

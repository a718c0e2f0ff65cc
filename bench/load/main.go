// Load measures the whole system: a relay and two peers, each a process of its own, pass messages in a closed loop over
// loopback. A message counts when its author has the recipient's receipt, checked (protocol.md section 6). Beside it, in the
// same go, a plain QUIC splice passes frames of the same size, to show what all the security costs.
//
//	go run ./bench/load -window 1024 -size 256 -n 100000 -runs 5
//	go run ./bench/load -window 1 -n 2000 -sign delegated -json
//
// It fails when a message was lost, doubled, or out of order. docs/performance.md has figures and how to read them.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"sinete/internal/heap"
)

func main() {
	if os.Getenv(roleVariable) != "" {
		heap.Floor() // as the programs do
		if err := child(os.Stdin, os.Stdout); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	settings, err := parseSettings(os.Args[1:], os.Stderr)
	if errors.Is(err, flag.ErrHelp) {
		return
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "load:", err)
		os.Exit(2)
	}
	work := measure
	if settings.rivals {
		work = contest
	}
	if err := work(ctx, settings, os.Stdout, os.Stderr); err != nil {
		if ctx.Err() != nil {
			err = ctx.Err()
		}
		fmt.Fprintln(os.Stderr, "load:", err)
		stop()
		os.Exit(1)
	}
}

// measure prints the result, and fails where a message did not arrive as it should.
func measure(ctx context.Context, s Settings, out, log io.Writer) error {
	result, err := load(ctx, s, log)
	if err != nil {
		return err
	}
	if err := result.print(out, s.json); err != nil {
		return err
	}
	err = result.faults("sinete")
	if result.Beside != nil {
		err = errors.Join(err, result.Beside.faults(result.BesideName))
	}
	return err
}

// load starts the systems, warms them up and measures them in turns.
func load(ctx context.Context, s Settings, log io.Writer) (*Result, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	w, err := newWorld(s)
	if err != nil {
		return nil, err
	}
	if s.Store == onDisk {
		if s.Dir, err = os.MkdirTemp(s.Dir, "sinete-load-"); err != nil {
			return nil, err
		}
		defer os.RemoveAll(s.Dir)
	}
	type setup struct {
		system string
		of     Settings
	}
	setups := []setup{{"sinete", s}}
	besideName, besideSystem, besideOf := s.beside()
	if besideName != "" {
		setups = append(setups, setup{besideSystem, besideOf})
	}
	var systems []*system
	for _, one := range setups {
		sys, err := startSystem(ctx, one.system, one.of, w, log)
		if err != nil {
			return nil, err
		}
		defer sys.end()
		systems = append(systems, sys)
		if _, err := sys.measure(warmUp(s)); err != nil {
			return nil, err
		}
		if s.cpuProfile != "" {
			if err := sys.profile(s.cpuProfile); err != nil {
				return nil, err
			}
		}
	}
	runs := make([][]Figures, len(systems))
	for range s.Runs {
		for i, sys := range systems {
			f, err := sys.measure(s.N)
			if err != nil {
				return nil, err
			}
			runs[i] = append(runs[i], f)
		}
	}
	r := &Result{Settings: s, Figures: medians(runs[0]), Frame: s.frameSize()}
	if besideName != "" {
		beside := medians(runs[1])
		r.BesideName, r.Beside, r.Ratio, r.CPURatio = besideName, &beside, r.MessagesPerSecond/beside.MessagesPerSecond, r.cpu()/beside.cpu()
	}
	return r, nil
}

// warmUp is how many messages go before what is measured: the windows of QUIC and the memory have grown by then.
func warmUp(s Settings) int { return max(s.N/5, s.Conversations) }

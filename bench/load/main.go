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

	"sinete/bench/roles"
	"sinete/cardauth/pkcs11card"
	"sinete/internal/heap"
)

func main() {
	pkcs11card.ChildMain()
	if os.Getenv(roles.Variable) != "" {
		heap.Floor() // as the programs do
		if err := roles.Serve(os.Stdin, os.Stdout); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	options, err := parseOptions(os.Args[1:], os.Stderr)
	if errors.Is(err, flag.ErrHelp) {
		return
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "load:", err)
		os.Exit(2)
	}
	work := measure
	if options.rivals {
		work = contest
	}
	if err := work(ctx, options, os.Stdout, os.Stderr); err != nil {
		if ctx.Err() != nil {
			err = ctx.Err()
		}
		fmt.Fprintln(os.Stderr, "load:", err)
		stop()
		os.Exit(1)
	}
}

// measure prints the result, and fails where a message did not arrive as it should.
func measure(ctx context.Context, o Options, out, log io.Writer) error {
	result, err := load(ctx, o, log)
	if err != nil {
		return err
	}
	if err := result.print(out, o.json); err != nil {
		return err
	}
	err = result.faults("sinete")
	if result.Beside != nil {
		err = errors.Join(err, result.Beside.faults(result.BesideName))
	}
	return err
}

// load starts the systems, warms them up and measures them in turns.
func load(ctx context.Context, o Options, log io.Writer) (*Result, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	if o.Job == roles.Idle {
		return loadIdle(ctx, o, log)
	}
	warmUp := max(o.N/5, o.Conversations) // the windows of QUIC and the memory have grown by then
	if o.Job == roles.Logins {
		warmUp = o.N // and everybody has the staples
	}
	type setup struct {
		system string
		of     roles.Settings
	}
	setups := []setup{{roles.Sinete, o.Settings}}
	besideName, besideSystem, besideOf := o.beside()
	if besideName != "" {
		setups = append(setups, setup{besideSystem, besideOf})
	}
	var systems []*system
	for i, one := range setups {
		w, err := newWorld(one.of, o.N)
		if err != nil {
			return nil, err
		}
		defer w.end()
		sys, err := startSystem(ctx, one.system, one.of, w, log)
		if err != nil {
			return nil, err
		}
		defer sys.end()
		systems = append(systems, sys)
		if _, err := sys.measure(roles.Plan{N: warmUp}); err != nil {
			return nil, err
		}
		if o.cpuProfile != "" {
			name := one.system
			if i > 0 && name == setups[0].system {
				name = "beside"
			}
			if err := sys.profile(o.cpuProfile, name); err != nil {
				return nil, err
			}
		}
	}
	if o.ofPeak > 0 {
		peak, err := systems[0].measure(roles.Plan{N: o.N})
		if err != nil {
			return nil, err
		}
		o.Rate = peak.MessagesPerSecond * o.ofPeak
	}
	runs := make([][]Figures, len(systems))
	for range o.runs {
		for i, sys := range systems {
			f, err := sys.measure(roles.Plan{N: o.N, Rate: o.Rate})
			if err != nil {
				return nil, err
			}
			runs[i] = append(runs[i], f)
		}
	}
	return o.result(runs, besideName), nil
}

package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"

	"sinete/bench/roles"
)

// process is one child.
type process struct {
	name    string
	cmd     *exec.Cmd
	in      io.WriteCloser
	tell    *json.Encoder
	replies *json.Decoder
}

// startProcess runs this program again with a role. ctx kills it.
func startProcess(ctx context.Context, s roles.Setup, log io.Writer) (p *process, reply roles.Reply, err error) {
	self, err := os.Executable()
	if err != nil {
		return nil, reply, err
	}
	p = &process{name: s.System + " " + s.Role, cmd: exec.CommandContext(ctx, self)}
	p.cmd.Env = append(os.Environ(), roles.Variable+"="+s.Role)
	p.cmd.Stderr = log
	p.cmd.SysProcAttr = roles.DiesWithParent()
	if p.in, err = p.cmd.StdinPipe(); err != nil {
		return nil, reply, err
	}
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		return nil, reply, err
	}
	if err := p.cmd.Start(); err != nil {
		return nil, reply, err
	}
	p.tell, p.replies = json.NewEncoder(p.in), json.NewDecoder(out)
	if reply, err = p.ask(s); err != nil {
		return nil, reply, errors.Join(err, p.end())
	}
	return p, reply, nil
}

func (p *process) ask(what any) (r roles.Reply, err error) {
	if err := p.tell.Encode(what); err != nil {
		return r, fmt.Errorf("%s: %w", p.name, err)
	}
	if err := p.replies.Decode(&r); err != nil {
		return r, fmt.Errorf("%s ended: %w", p.name, err)
	}
	if r.Error != "" {
		return r, fmt.Errorf("%s: %s", p.name, r.Error)
	}
	return r, nil
}

// end hangs up, upon which the child ends.
func (p *process) end() error {
	_ = p.in.Close() // it may have ended already
	return p.cmd.Wait()
}

// system is three processes that pass messages: server, receiver, sender.
type system struct {
	name      string
	job       roles.Job
	version   string     // of a rival's server
	dir       string     // of its files, stores on disk among them
	processes []*process // by atServer, atReceiver, atSender
}

const (
	atServer = iota
	atReceiver
	atSender
)

// startSystem starts the processes of a system.
func startSystem(ctx context.Context, name string, s roles.Settings, w *world, log io.Writer) (*system, error) {
	sys := &system{name: name, job: s.Job}
	dir, err := os.MkdirTemp(s.Dir, "sinete-load-")
	if err != nil {
		return nil, err
	}
	s.Dir, sys.dir = dir, dir
	address := ""
	for _, setup := range []roles.Setup{
		{Role: roles.Server, Cards: []roles.Card{w.relay}},
		{Role: roles.Receiver, Cards: w.receivers},
		{Role: roles.Sender, Cards: w.senders, Others: w.identities},
	} {
		setup.System, setup.Settings, setup.Anchor, setup.Address, setup.Dir = name, s, w.anchor, address, dir
		p, reply, err := startProcess(ctx, setup, log)
		if err != nil {
			sys.end()
			return nil, err
		}
		sys.processes = append(sys.processes, p)
		if reply.Address != "" {
			address, sys.version = reply.Address, reply.Version
		}
	}
	return sys, nil
}

func (sys *system) end() {
	for i := len(sys.processes) - 1; i >= 0; i-- {
		_ = sys.processes[i].end() // whatever it says, all figures are taken
	}
	_ = os.RemoveAll(sys.dir)
}

// profile makes each process write a CPU profile until it ends, into files that begin with that name.
func (sys *system) profile(dir, name string) error {
	for i, role := range []string{roles.Server, roles.Receiver, roles.Sender} {
		_, err := sys.processes[i].ask(roles.Command{Do: roles.DoProfile, Profile: filepath.Join(dir, name+"-"+role+".pprof")})
		if err != nil {
			return err
		}
	}
	return nil
}

func (sys *system) counts() ([]roles.Counts, error) {
	var all []roles.Counts
	for _, p := range sys.processes {
		r, err := p.ask(roles.Command{Do: roles.DoMeasure})
		if err != nil {
			return nil, err
		}
		all = append(all, r.Counts)
	}
	return all, nil
}

// settle has all processes end what is left of the runs before, and give back memory that is free.
func (sys *system) settle() error {
	for _, p := range sys.processes {
		if _, err := p.ask(roles.Command{Do: roles.DoSettle}); err != nil {
			return err
		}
	}
	return nil
}

// measure does a run and returns its figures.
func (sys *system) measure(plan roles.Plan) (f Figures, err error) {
	if sys.job != roles.Messages {
		if err := sys.settle(); err != nil {
			return f, err
		}
	}
	before, err := sys.counts()
	if err != nil {
		return f, err
	}
	wire, err := roles.LoopbackBytes()
	if err != nil {
		return f, err
	}
	r, err := sys.processes[atSender].ask(roles.Command{Do: roles.DoRun, Plan: plan})
	if err != nil {
		return f, err
	}
	if sys.job == roles.Idle {
		if err := sys.settle(); err != nil {
			return f, err
		}
	}
	after, err := sys.counts()
	if err != nil {
		return f, err
	}
	wired, err := roles.LoopbackBytes()
	if err != nil {
		return f, err
	}
	return figuresOf(plan.N, r.Run, before, after, wired-wire), nil
}

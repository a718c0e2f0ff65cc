package main

import (
	"context"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"sinete/cardauth"
	"sinete/internal/trialpki"
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
func startProcess(ctx context.Context, s Setup, log io.Writer) (p *process, reply Reply, err error) {
	self, err := os.Executable()
	if err != nil {
		return nil, reply, err
	}
	p = &process{name: s.System + " " + s.Role, cmd: exec.CommandContext(ctx, self)}
	p.cmd.Env = append(os.Environ(), roleVariable+"="+s.Role)
	p.cmd.Stderr = log
	p.cmd.SysProcAttr = diesWithParent()
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

func (p *process) ask(what any) (r Reply, err error) {
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
	version   string     // of a rival's server
	dir       string     // of its files
	processes []*process // by atServer, atReceiver, atSender
}

const (
	atServer = iota
	atReceiver
	atSender
)

// world is the certificates of a measurement.
type world struct {
	anchor             []byte // DER
	relay              Card
	senders, receivers []Card   // one each for a conversation
	identities         []string // of the receivers
}

// startSystem starts the processes of a system.
func startSystem(ctx context.Context, name string, s Settings, w *world, log io.Writer) (*system, error) {
	sys := &system{name: name}
	dir, err := os.MkdirTemp("", "load")
	if err != nil {
		return nil, err
	}
	sys.dir = dir
	address := ""
	for _, setup := range []Setup{
		{Role: roleServer, Cards: []Card{w.relay}},
		{Role: roleReceiver, Cards: w.receivers},
		{Role: roleSender, Cards: w.senders, Others: w.identities},
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

// profile makes each process write a CPU profile until it ends.
func (sys *system) profile(dir string) error {
	for i, role := range []string{roleServer, roleReceiver, roleSender} {
		_, err := sys.processes[i].ask(Command{Do: "profile", Profile: filepath.Join(dir, sys.name+"-"+role+".pprof")})
		if err != nil {
			return err
		}
	}
	return nil
}

func (sys *system) counts() ([]Counts, error) {
	var all []Counts
	for _, p := range sys.processes {
		r, err := p.ask(Command{Do: "measure"})
		if err != nil {
			return nil, err
		}
		all = append(all, r.Counts)
	}
	return all, nil
}

// measure runs n messages and returns its figures.
func (sys *system) measure(n int) (f Figures, err error) {
	before, err := sys.counts()
	if err != nil {
		return f, err
	}
	r, err := sys.processes[atSender].ask(Command{Do: "run", N: n})
	if err != nil {
		return f, err
	}
	after, err := sys.counts()
	if err != nil {
		return f, err
	}
	perMessage := func(process int) float64 {
		return micros(after[process].CPU-before[process].CPU) / float64(n)
	}
	f.MessagesPerSecond = float64(n) / r.Run.Elapsed.Seconds()
	f.P50, f.P99 = micros(r.Run.P50), micros(r.Run.P99)
	f.RelayCPU, f.SenderCPU, f.ReceiverCPU = perMessage(atServer), perMessage(atSender), perMessage(atReceiver)
	f.PeerCPU = f.SenderCPU + f.ReceiverCPU
	f.RelayRSS = float64(after[atServer].RSS)
	for i := range after {
		f.Signatures += float64(after[i].Signatures - before[i].Signatures)
	}
	f.HopRekeyings = float64(after[atSender].HopEpochs - before[atSender].HopEpochs)
	f.Rekeyings = float64(after[atSender].Epochs - before[atSender].Epochs)
	got, had := after[atReceiver], before[atReceiver]
	f.Received = float64(got.Received - had.Received)
	f.Lost = float64(n) - f.Received
	f.Duplicates = float64(got.Duplicates - had.Duplicates)
	f.WrongOrder = float64(got.WrongOrder - had.WrongOrder)
	return f, nil
}

func micros(d time.Duration) float64 { return float64(d) / float64(time.Microsecond) }

// newWorld issues the certificates.
func newWorld(s Settings) (*world, error) {
	pki, err := trialpki.New(trialpki.Options{})
	if err != nil {
		return nil, err
	}
	w := &world{anchor: pki.Root.Certificate.Raw}
	issued, err := pki.IssueRelay(trialpki.Relay{Names: []string{relayName}, Key: s.RelayKey})
	if err != nil {
		return nil, err
	}
	if w.relay, err = pack(issued); err != nil {
		return nil, err
	}
	person := func(name string) (Card, *x509.Certificate, error) {
		issued, err := pki.IssuePerson(trialpki.Person{Name: name, Key: s.Key})
		if err != nil {
			return Card{}, nil, err
		}
		c, err := pack(issued)
		return c, issued.Certificate, err
	}
	for i := range s.Conversations {
		from, _, err := person(fmt.Sprintf("sender%d", i))
		if err != nil {
			return nil, err
		}
		to, certificate, err := person(fmt.Sprintf("receiver%d", i))
		if err != nil {
			return nil, err
		}
		identity, err := cardauth.Identity(certificate, pki.Root.Certificate)
		if err != nil {
			return nil, err
		}
		w.senders, w.receivers = append(w.senders, from), append(w.receivers, to)
		w.identities = append(w.identities, identity)
	}
	return w, nil
}

package roles

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"runtime/debug"
	"runtime/pprof"
	"slices"
	"time"

	"sinete/bench/rivals"
)

// Variable tells a process that it is a child. What it is to do comes over its standard input, one JSON object a line; each
// is answered by one on its standard output. It ends when its input does.
const Variable = "SINETE_LOAD_ROLE"

// The roles of a system's three processes.
const (
	Server   = "server"
	Receiver = "receiver"
	Sender   = "sender"
)

// The systems beside the rivals.
const (
	Sinete = "sinete"
	Splice = "splice" // QUIC alone, passing frames of the same size
	Bare   = "bare"   // QUIC alone, with mutual TLS and one stream
)

// Setup is the first that a child is told.
type Setup struct {
	System   string // Sinete, Splice, Bare or a rival's name
	Role     string
	Settings Settings
	Address  string   // of the server, for the peers
	Dir      string   // for files of a rival's server
	Anchor   []byte   // DER
	Cards    []Card   // the server's one, or one for each pair or client
	Others   []string // identities of the receivers, for the sender
}

// Command is what a child is told after that.
type Command struct {
	Do      Deed
	Plan    Plan   // DoRun
	Profile string // DoProfile: the file
}

// Deed is what a Command wants done.
type Deed string

// The deeds.
const (
	DoRun     Deed = "run"
	DoMeasure Deed = "measure" // what the process has used up to now
	DoSettle  Deed = "settle"  // end what is left of the runs before, and give back what memory is free
	DoProfile Deed = "profile" // until the process ends: of processor time, and in a file NAME.heap of what it holds then
)

// Plan is one run of a sender.
type Plan struct {
	N     int     // messages or logins
	Rate  float64 // messages a second, of all conversations together, at fixed times; 0: as fast as the windows let
	Turns bool    // one message at a time, of one conversation after the other
}

// Reply answers Setup and every Command.
type Reply struct {
	Error   string `json:",omitempty"`
	Address string `json:",omitempty"` // of the server, to Setup
	Version string `json:",omitempty"` // likewise, where it is somebody else's
	Run     Run
	Counts  Counts
}

// Run is what the sender saw of one.
type Run struct {
	Elapsed            time.Duration
	P50, P90, P99, Max time.Duration
	Bulk               uint64 // texts of the bulk pair
}

// Counts are what a process has used and seen up to now.
type Counts struct {
	CPU        time.Duration // user and system
	RSS        uint64        // bytes
	Mallocs    uint64        // allocations; 0 of somebody else's server
	Signatures uint64
	Received   uint64 // messages in order, receiver only, and logins
	Bulk       uint64 // the same, of the bulk pair
	WrongOrder uint64 // messages that came too early
	Duplicates uint64 // messages that had come before
	HopEpochs  uint64 // rekeyings of hops, sender only
	Epochs     uint64 // rekeyings of conversations, sender only
}

// role is one of the things that a child can be.
type role interface {
	// run does what a plan says and returns how long each message or login took. Senders only.
	run(ctx context.Context, p Plan, r *Run) (took []time.Duration, err error)
	// count adds what only the role knows.
	count(*Counts) error
	// settle ends what is left of the runs before.
	settle() error
}

// passive is what the roles embed that only answer.
type passive struct{}

func (passive) run(context.Context, Plan, *Run) ([]time.Duration, error) {
	return nil, fmt.Errorf("this process sends nothing")
}
func (passive) count(*Counts) error { return nil }
func (passive) settle() error       { return nil }

// Serve serves the parent until it hangs up.
func Serve(in io.Reader, out io.Writer) error {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	commands, replies := json.NewDecoder(bufio.NewReader(in)), json.NewEncoder(out)
	var setup Setup
	if err := commands.Decode(&setup); err != nil {
		return err
	}
	r, reply, err := begin(ctx, setup)
	reply.Error = text(err)
	if err := replies.Encode(reply); err != nil || r == nil {
		return err
	}
	defer pprof.StopCPUProfile()
	profile := ""
	for {
		var c Command
		if err := commands.Decode(&c); err == io.EOF {
			return heapProfile(profile)
		} else if err != nil {
			return err
		}
		reply := obey(ctx, r, c)
		if c.Do == DoProfile && reply.Error == "" {
			profile = c.Profile
		}
		if err := replies.Encode(reply); err != nil {
			return err
		}
	}
}

// heapProfile writes what lives in memory beside a CPU profile.
func heapProfile(beside string) error {
	if beside == "" {
		return nil
	}
	f, err := os.Create(beside + ".heap")
	if err != nil {
		return err
	}
	runtime.GC()
	return errors.Join(pprof.Lookup("heap").WriteTo(f, 0), f.Close())
}

// tell says on standard error, which is the parent's, why a server has ended before its time.
func tell(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
	}
}

func text(err error) string {
	if err != nil {
		return err.Error()
	}
	return ""
}

func begin(ctx context.Context, s Setup) (r role, reply Reply, err error) {
	system := s.System
	if slices.Contains(rivals.All, system) {
		system = "rival"
	}
	s.Role = fmt.Sprint(system, " ", s.Settings.Job, " ", s.Role)
	switch s.Role {
	case "sinete messages server", "sinete logins server", "sinete idle server":
		r, reply.Address, err = startRelay(ctx, s)
	case "sinete messages receiver":
		r, err = startReceiver(ctx, s)
	case "sinete messages sender":
		r, err = startSender(ctx, s)
	case "sinete logins sender", "sinete idle sender", "bare logins sender", "bare idle sender":
		r, err = startClients(s)
	case "sinete logins receiver", "sinete idle receiver", "bare logins receiver", "bare idle receiver":
		r = passive{} // only for the symmetry
	case "bare logins server", "bare idle server":
		r, reply.Address, err = startBare(ctx, s)
	case "splice messages server":
		r, reply.Address, err = startSplice(ctx, s)
	case "splice messages receiver":
		r, err = startSpliceReceiver(ctx, s)
	case "splice messages sender":
		r, err = startSpliceSender(ctx, s)
	case "rival messages server":
		r, reply, err = startRival(ctx, s)
	case "rival messages receiver":
		r, err = startRivalReceiver(ctx, s)
	case "rival messages sender":
		r, err = startRivalSender(ctx, s)
	default:
		err = fmt.Errorf("there is no %q", s.Role)
	}
	return r, reply, err
}

func obey(ctx context.Context, r role, c Command) (reply Reply) {
	var err error
	switch c.Do {
	case DoRun:
		start := time.Now()
		var took []time.Duration
		took, err = r.run(ctx, c.Plan, &reply.Run)
		reply.Run.Elapsed = time.Since(start)
		if n := len(took); err == nil && n > 0 {
			slices.Sort(took)
			reply.Run.P50, reply.Run.P90, reply.Run.P99, reply.Run.Max = took[n/2], took[n*90/100], took[n*99/100], took[n-1]
		}
	case DoMeasure:
		if reply.Counts, err = processCounts(); err == nil {
			err = r.count(&reply.Counts)
		}
	case DoSettle:
		err = r.settle()
		debug.FreeOSMemory()
	case DoProfile:
		var f *os.File
		if f, err = os.Create(c.Profile); err == nil {
			err = pprof.StartCPUProfile(f)
		}
	default:
		err = fmt.Errorf("no command %q", c.Do)
	}
	reply.Error = text(err)
	return reply
}

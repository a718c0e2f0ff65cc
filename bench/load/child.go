package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"runtime/pprof"
	"slices"
	"time"

	"sinete/bench/rivals"
)

// roleVariable tells a process that it is a child. What it is to do comes over its standard input, one JSON object a line; each
// is answered by one on its standard output. It ends when its input does.
const roleVariable = "SINETE_LOAD_ROLE"

// The roles of a system's three processes.
const (
	roleServer   = "server"
	roleReceiver = "receiver"
	roleSender   = "sender"
)

// Setup is the first that a child is told.
type Setup struct {
	System   string // "sinete", "splice" or a rival's name
	Role     string
	Settings Settings
	Address  string   // of the server, for the peers
	Dir      string   // for files of a rival's server
	Anchor   []byte   // DER
	Cards    []Card   // the server's one, or one for each conversation
	Others   []string // identities of the receivers, for the sender
}

// Card is a key and its chain, handed to the process that signs with it.
type Card struct {
	Key   []byte // PKCS #8
	Chain [][]byte
}

// Command is what a child is told after that.
type Command struct {
	Do      string // "run", "measure" or "profile"
	N       int    // run
	Profile string // profile: the file
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
	Elapsed  time.Duration
	P50, P99 time.Duration
}

// Counts are what a process has used and seen up to now.
type Counts struct {
	CPU        time.Duration // user and system
	RSS        uint64        // bytes
	Signatures uint64
	Received   uint64 // messages in order, receiver only
	WrongOrder uint64 // messages that came too early
	Duplicates uint64 // messages that had come before
	HopEpochs  uint64 // rekeyings of hops, sender only
	Epochs     uint64 // rekeyings of conversations, sender only
}

// role is one of the nine things that a child can be.
type role interface {
	// run sends n messages and returns how long each took. Senders only.
	run(ctx context.Context, n int) ([]time.Duration, error)
	// count adds what only the role knows.
	count(*Counts) error
}

// passive is what the roles embed that only answer.
type passive struct{}

func (passive) run(context.Context, int) ([]time.Duration, error) {
	return nil, fmt.Errorf("this process sends nothing")
}
func (passive) count(*Counts) error { return nil }

// child serves the parent until it hangs up.
func child(in io.Reader, out io.Writer) error {
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
	for {
		var c Command
		if err := commands.Decode(&c); err == io.EOF {
			return nil
		} else if err != nil {
			return err
		}
		if err := replies.Encode(obey(ctx, r, c)); err != nil {
			return err
		}
	}
}

func text(err error) string {
	if err != nil {
		return err.Error()
	}
	return ""
}

func begin(ctx context.Context, s Setup) (r role, reply Reply, err error) {
	if slices.Contains(rivals.All, s.System) {
		s.Role = "rival " + s.Role
	} else {
		s.Role = s.System + " " + s.Role
	}
	switch s.Role {
	case "sinete " + roleServer:
		r, reply.Address, err = startRelay(ctx, s)
	case "sinete " + roleReceiver:
		r, err = startReceiver(ctx, s)
	case "sinete " + roleSender:
		r, err = startSender(ctx, s)
	case "splice " + roleServer:
		r, reply.Address, err = startSplice(ctx, s)
	case "splice " + roleReceiver:
		r, err = startSpliceReceiver(ctx, s)
	case "splice " + roleSender:
		r, err = startSpliceSender(ctx, s)
	case "rival " + roleServer:
		r, reply, err = startRival(ctx, s)
	case "rival " + roleReceiver:
		r, err = startRivalReceiver(ctx, s)
	case "rival " + roleSender:
		r, err = startRivalSender(ctx, s)
	default:
		err = fmt.Errorf("there is no %q", s.Role)
	}
	return r, reply, err
}

func obey(ctx context.Context, r role, c Command) (reply Reply) {
	var err error
	switch c.Do {
	case "run":
		start := time.Now()
		var took []time.Duration
		took, err = r.run(ctx, c.N)
		reply.Run.Elapsed = time.Since(start)
		if n := len(took); err == nil && n > 0 {
			slices.Sort(took)
			reply.Run.P50, reply.Run.P99 = took[n/2], took[n*99/100]
		}
	case "measure":
		if reply.Counts, err = processCounts(); err == nil {
			err = r.count(&reply.Counts)
		}
	case "profile":
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

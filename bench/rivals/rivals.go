// Package rivals is what bench/load -rivals compares with: the servers that people would use instead, each doing the same job. One client
// sends texts to another through a server over TLS 1.3, and the other acknowledges them with messages of its own. What the servers
// acknowledge by themselves does not count.
//
// Most readers need All, Start, Dial, Receive and NewSender.
package rivals

import (
	"bytes"
	"context"
	"crypto/tls"
	"fmt"
	"strconv"
	"sync"
	"sync/atomic"
)

// All are the rivals' names.
var All = []string{"nats", "mosquitto", "prosody"}

// Server is a rival at work on loopback.
type Server struct {
	Address string
	Version string
	PID     int // of its process, 0 where it is this one
}

// Start starts a rival's server, which ends with ctx. dir is for its files.
func Start(ctx context.Context, name, dir string, certificate tls.Certificate) (*Server, error) {
	switch name {
	case "nats":
		return startNATS(ctx, certificate)
	case "mosquitto":
		return startMosquitto(ctx, dir, certificate)
	case "prosody":
		return startProsody(ctx, dir, certificate)
	}
	return nil, fmt.Errorf("no rival %q", name)
}

// Line is a client's connection to a server, and through it to one other client. One goroutine may receive while another sends.
type Line interface {
	// Send takes a text without control characters and markup. It may wait in a buffer until Flush.
	Send(text []byte) error
	Flush() error
	// Receive waits for a text, valid until the next call. more is true where another one is there already.
	Receive() (text []byte, more bool, err error)
}

// Dial connects one side of a pair: 0 is the sender's, 1 the receiver's.
func Dial(ctx context.Context, name, address string, pair, side int) (Line, error) {
	own, other := inbox(pair, side), inbox(pair, 1-side)
	switch name {
	case "nats":
		return dialNATS(address, own, other)
	case "mosquitto":
		return dialMosquitto(ctx, address, own, other)
	case "prosody":
		return dialProsody(ctx, address, own, other)
	}
	return nil, fmt.Errorf("no rival %q", name)
}

func inbox(pair, side int) string { return fmt.Sprintf("%c%d", 'a'+side, pair) }

// clientTLS takes any certificate: on loopback, from whoever measures.
func clientTLS() *tls.Config {
	return &tls.Config{InsecureSkipVerify: true, MinVersion: tls.VersionTLS13}
}

// numberSize is how many digits a text ends with: its number, from 0.
const numberSize = 20

func putNumber(text []byte, n uint64) {
	var digits [numberSize]byte
	d := strconv.AppendUint(digits[:0], n, 10)
	end := text[len(text)-numberSize:]
	copy(end, bytes.Repeat([]byte{'0'}, numberSize-len(d)))
	copy(end[numberSize-len(d):], d)
}

func number(text []byte) (uint64, error) {
	return strconv.ParseUint(string(text[max(0, len(text)-numberSize):]), 10, 64)
}

// Receiver counts what it gets.
type Receiver struct {
	Received, WrongOrder, Duplicates atomic.Uint64
}

// Receive acknowledges in the background whatever comes: one message back for all texts that came together.
func Receive(line Line, size int) *Receiver {
	r := &Receiver{}
	go func() { _ = r.run(line, size) }() // until the connection ends
	return r
}

func (r *Receiver) run(line Line, size int) error {
	ack := make([]byte, numberSize)
	for due := uint64(0); ; {
		text, more, err := line.Receive()
		if err != nil {
			return err
		}
		switch n, err := number(text); {
		case err != nil || n > due || len(text) != size:
			r.WrongOrder.Add(1)
		case n < due:
			r.Duplicates.Add(1)
		default:
			r.Received.Add(1)
			due++
		}
		if more {
			continue
		}
		putNumber(ack, due)
		if err := line.Send(ack); err != nil {
			return err
		}
		if err := line.Flush(); err != nil {
			return err
		}
	}
}

// Sender sends texts of one size.
type Sender struct {
	line   Line
	text   []byte
	number uint64
	news   chan struct{}

	mu   sync.Mutex
	next uint64 // everything before is acknowledged
	err  error
}

// NewSender sends over a line. size is at least 20.
func NewSender(line Line, size int) *Sender {
	s := &Sender{line: line, text: bytes.Repeat([]byte{'0'}, size), news: make(chan struct{}, 1)}
	go s.acknowledgements()
	return s
}

func (s *Sender) acknowledgements() {
	for {
		text, _, err := s.line.Receive()
		var next uint64
		if err == nil {
			next, err = number(text)
		}
		s.mu.Lock()
		s.next, s.err = max(s.next, next), err
		s.mu.Unlock()
		select {
		case s.news <- struct{}{}:
		default:
		}
		if err != nil {
			return
		}
	}
}

// Send takes the next message. It may wait in a buffer until Flush.
func (s *Sender) Send(context.Context) error {
	putNumber(s.text, s.number)
	s.number++
	return s.line.Send(s.text)
}

// Flush writes what waits.
func (s *Sender) Flush() error { return s.line.Flush() }

// Confirmed waits for news and returns the number before which everything is acknowledged.
func (s *Sender) Confirmed(ctx context.Context) (next uint64, err error) {
	select {
	case <-s.news:
	case <-ctx.Done():
		return 0, context.Cause(ctx)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.next, s.err
}

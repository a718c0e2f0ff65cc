// Package splice is what bench/load compares with: messages of the same size over the same two QUIC hops, and nothing else. A
// server copies the bytes of one connection to another; the receiver acknowledges what it has read, and the sender counts it.
// No card, no envelope, no seal, no look inside.
//
// Most readers need Serve, Receive and NewSender.
package splice

import (
	"bufio"
	"context"
	"crypto/tls"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"sync"
	"sync/atomic"

	"github.com/quic-go/quic-go"
)

const (
	alpn      = "splice"
	copyBlock = 32 << 10 // what the server reads and writes at once
	writeAt   = 16 << 10 // what the sender gathers for one write while its window is open
	lenSize   = 4
	numSize   = 8
	// AckSize is about what a seal frame takes that holds one acknowledging head under P-256.
	AckSize = 192
	// MinSize is the smallest message.
	MinSize = lenSize + numSize
)

// The windows are those that transport grants, so that both systems stall alike.
func config() *quic.Config {
	return &quic.Config{MaxIncomingStreams: 128, InitialStreamReceiveWindow: 64 << 10, MaxStreamReceiveWindow: 1 << 20,
		InitialConnectionReceiveWindow: 16 << 20, MaxConnectionReceiveWindow: 16 << 20}
}

// Serve splices until ctx ends: the streams that senders and receivers open, in pairs by the number that each stream begins with.
func Serve(ctx context.Context, socket net.PacketConn, certificate tls.Certificate) error {
	l, err := quic.Listen(socket, &tls.Config{MinVersion: tls.VersionTLS13, NextProtos: []string{alpn},
		Certificates: []tls.Certificate{certificate}}, config())
	if err != nil {
		return err
	}
	s := server{waiting: map[uint64]*quic.Stream{}}
	for {
		conn, err := l.Accept(ctx)
		if err != nil {
			return l.Close()
		}
		go s.serve(ctx, conn)
	}
}

type server struct {
	mu      sync.Mutex
	waiting map[uint64]*quic.Stream
}

func (s *server) serve(ctx context.Context, conn *quic.Conn) {
	for {
		stream, err := conn.AcceptStream(ctx)
		if err != nil {
			return
		}
		go s.pair(stream)
	}
}

func (s *server) pair(stream *quic.Stream) {
	var number [numSize]byte
	if _, err := io.ReadFull(stream, number[:]); err != nil {
		return
	}
	id := binary.BigEndian.Uint64(number[:])
	s.mu.Lock()
	other := s.waiting[id]
	if other == nil {
		s.waiting[id] = stream
	}
	s.mu.Unlock()
	if other == nil {
		return
	}
	go pass(other, stream)
	pass(stream, other)
}

func pass(to, from *quic.Stream) {
	_, _ = io.CopyBuffer(struct{ io.Writer }{to}, struct{ io.Reader }{from}, make([]byte, copyBlock)) // ends with the process
}

// dial connects and opens a stream of that number.
func dial(ctx context.Context, address string, number int) (*quic.Stream, error) {
	conn, err := quic.DialAddr(ctx, address, &tls.Config{InsecureSkipVerify: true, NextProtos: []string{alpn}}, config())
	if err != nil {
		return nil, err
	}
	stream, err := conn.OpenStreamSync(ctx)
	if err != nil {
		return nil, err
	}
	_, err = stream.Write(binary.BigEndian.AppendUint64(nil, uint64(number)))
	return stream, err
}

// Receiver counts what it gets.
type Receiver struct {
	Received, WrongOrder atomic.Uint64
}

// Receive connects as the receiver of a pair, and acknowledges in the background whatever comes.
func Receive(ctx context.Context, address string, pair int) (*Receiver, error) {
	stream, err := dial(ctx, address, pair)
	if err != nil {
		return nil, err
	}
	r := &Receiver{}
	go r.run(stream)
	return r, nil
}

func (r *Receiver) run(stream *quic.Stream) {
	in := bufio.NewReaderSize(stream, 64<<10)
	message := make([]byte, 64<<10)
	ack := make([]byte, AckSize)
	for expected := uint64(0); ; expected++ {
		if _, err := io.ReadFull(in, message[:MinSize]); err != nil {
			return
		}
		n := binary.BigEndian.Uint32(message)
		if _, err := io.ReadFull(in, message[MinSize:n]); err != nil {
			return
		}
		if binary.BigEndian.Uint64(message[lenSize:]) != expected {
			r.WrongOrder.Add(1)
		}
		r.Received.Add(1)
		if in.Buffered() > 0 {
			continue // one acknowledgement for all that has come
		}
		binary.BigEndian.PutUint64(ack, expected+1)
		if _, err := stream.Write(ack); err != nil {
			return
		}
	}
}

// Sender sends messages of one size.
type Sender struct {
	stream  *quic.Stream
	size    int
	number  uint64
	waiting []byte

	mu   sync.Mutex
	news chan struct{}
	next uint64 // everything before is acknowledged
	err  error
}

// NewSender connects as the sender of a pair. size is that of a message with its length and number.
func NewSender(ctx context.Context, address string, pair, size int) (*Sender, error) {
	if size < MinSize || size > 64<<10 {
		return nil, fmt.Errorf("messages of %d bytes", size)
	}
	stream, err := dial(ctx, address, pair)
	if err != nil {
		return nil, err
	}
	s := &Sender{stream: stream, size: size, news: make(chan struct{}, 1)}
	go s.acknowledgements()
	return s, nil
}

func (s *Sender) acknowledgements() {
	in := bufio.NewReader(s.stream)
	ack := make([]byte, AckSize)
	for {
		_, err := io.ReadFull(in, ack)
		s.mu.Lock()
		s.next, s.err = max(s.next, binary.BigEndian.Uint64(ack)), err
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
	start := len(s.waiting)
	s.waiting = append(s.waiting, make([]byte, s.size)...)
	binary.BigEndian.PutUint32(s.waiting[start:], uint32(s.size))
	binary.BigEndian.PutUint64(s.waiting[start+lenSize:], s.number)
	s.number++
	if len(s.waiting) < writeAt {
		return nil
	}
	return s.Flush()
}

// Flush writes what waits.
func (s *Sender) Flush() error {
	if len(s.waiting) == 0 {
		return nil
	}
	_, err := s.stream.Write(s.waiting)
	s.waiting = s.waiting[:0]
	return err
}

// Confirmed waits for news and returns the number before which everything is acknowledged.
func (s *Sender) Confirmed(ctx context.Context) (next uint64, err error) {
	select {
	case <-s.news:
	case <-ctx.Done():
		return 0, ctx.Err()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.next, s.err
}

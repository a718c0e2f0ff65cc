// Package bare is what bench/load compares logins and idle sessions with: a QUIC connection with mutual TLS 1.3 and one stream, over which
// a byte has gone in both directions, and nothing else.
//
// Most readers need Serve and Dial.
package bare

import (
	"context"
	"crypto/tls"
	"io"
	"net"
	"time"

	"github.com/quic-go/quic-go"
)

const alpn = "bare"

// The times and windows are those that package transport has.
func config() *quic.Config {
	return &quic.Config{MaxIdleTimeout: 45 * time.Second, KeepAlivePeriod: 20 * time.Second, MaxIncomingStreams: 1, MaxIncomingUniStreams: -1,
		InitialStreamReceiveWindow: 64 << 10, MaxStreamReceiveWindow: 1 << 20, InitialConnectionReceiveWindow: 16 << 20, MaxConnectionReceiveWindow: 16 << 20}
}

// whole has every handshake run in full.
func whole(c *tls.Config) *tls.Config {
	c.MinVersion, c.NextProtos, c.SessionTicketsDisabled = tls.VersionTLS13, []string{alpn}, true
	return c
}

// Serve greets whoever comes, until ctx ends, and keeps the connections.
func Serve(ctx context.Context, socket net.PacketConn, c *tls.Config) error {
	quiet := config()
	quiet.KeepAlivePeriod = 0 // only clients ping
	l, err := quic.Listen(socket, whole(c), quiet)
	if err != nil {
		return err
	}
	for {
		conn, err := l.Accept(ctx)
		if err != nil {
			return l.Close()
		}
		go serve(ctx, conn)
	}
}

// serve has one goroutine that reads, as any server has.
func serve(ctx context.Context, conn *quic.Conn) {
	stream, err := conn.AcceptStream(ctx)
	if err != nil {
		return
	}
	b := make([]byte, 1)
	for {
		if _, err := io.ReadFull(stream, b); err != nil {
			return
		}
		if _, err := stream.Write(b); err != nil {
			return
		}
	}
}

// Conn is a client's connection, with a socket of its own.
type Conn struct {
	transport *quic.Transport
	conn      *quic.Conn
}

// Dial connects and exchanges a byte, after which the server has seen the client's certificate.
func Dial(ctx context.Context, address string, c *tls.Config) (_ *Conn, err error) {
	to, err := net.ResolveUDPAddr("udp", address)
	if err != nil {
		return nil, err
	}
	socket, err := net.ListenUDP("udp", nil)
	if err != nil {
		return nil, err
	}
	b := &Conn{transport: &quic.Transport{Conn: socket}}
	defer func() {
		if err != nil {
			_ = b.Close()
		}
	}()
	if b.conn, err = b.transport.Dial(ctx, to, whole(c), config()); err != nil {
		return nil, err
	}
	stream, err := b.conn.OpenStreamSync(ctx)
	if err != nil {
		return nil, err
	}
	if _, err = stream.Write([]byte{1}); err != nil {
		return nil, err
	}
	_, err = io.ReadFull(stream, make([]byte, 1))
	return b, err
}

// Close ends the connection and its socket.
func (b *Conn) Close() error {
	if b.conn != nil {
		_ = b.conn.CloseWithError(0, "") // it always succeeds
	}
	_ = b.transport.Close()
	return b.transport.Conn.Close()
}

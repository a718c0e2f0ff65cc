package rivals

import (
	"context"
	"crypto/tls"
	"errors"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
)

// patience is how long a server may take to be there.
const patience = 10 * time.Second

// startNATS runs the server in this process: it is written in Go, and its own program is little more.
func startNATS(ctx context.Context, certificate tls.Certificate) (*Server, error) {
	s, err := server.NewServer(&server.Options{Host: "127.0.0.1", Port: server.RANDOM_PORT, NoLog: true, NoSigs: true, TLS: true, TLSTimeout: 5,
		TLSConfig: &tls.Config{Certificates: []tls.Certificate{certificate}, MinVersion: tls.VersionTLS13}})
	if err != nil {
		return nil, err
	}
	go s.Start()
	context.AfterFunc(ctx, s.Shutdown)
	if !s.ReadyForConnections(patience) {
		return nil, errors.New("nats: the server does not start")
	}
	return &Server{Address: s.Addr().String(), Version: "NATS " + server.VERSION}, nil
}

// natsLine is core NATS: a subject for each client's inbox. Its library writes together what is published together.
type natsLine struct {
	conn  *nats.Conn
	other string
	came  chan *nats.Msg
}

func dialNATS(address, own, other string) (Line, error) {
	conn, err := nats.Connect("tls://"+address, nats.Secure(clientTLS()), nats.NoReconnect())
	if err != nil {
		return nil, err
	}
	l := &natsLine{conn: conn, other: other, came: make(chan *nats.Msg, 8192)} // more than any window
	if _, err := conn.ChanSubscribe(own, l.came); err != nil {
		return nil, err
	}
	return l, conn.Flush()
}

func (l *natsLine) Send(text []byte) error { return l.conn.Publish(l.other, text) }
func (l *natsLine) Flush() error           { return nil }

func (l *natsLine) Receive() ([]byte, bool, error) {
	m, ok := <-l.came
	if !ok {
		return nil, false, nats.ErrConnectionClosed
	}
	return m.Data, len(l.came) > 0, nil
}

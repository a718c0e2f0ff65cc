package transport

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"

	"github.com/quic-go/quic-go"

	"sinete/wire"
)

// ClientConfig says which relay is meant.
type ClientConfig struct {
	// ServerName goes to the relay in TLS. That the certificate carries it is for VerifyServer to check.
	ServerName string
	// VerifyServer judges the certificates that the relay shows in TLS: DER, its own first. Dial refuses to work without.
	VerifyServer func(chain [][]byte) error
}

// Dial connects to a relay. It takes over socket and closes it with the connection, or before it returns an error.
//
// The error is a *ServerCertificateError, *UnreachableError (after 5 seconds of silence or at ctx's deadline),
// *RefusedError, *ProtocolError, *LostError, or ctx's when it was cancelled. A connection beyond the relay's capacity can be
// refused just after Dial returned it: only a completed login is success.
func Dial(ctx context.Context, socket net.PacketConn, relay net.Addr, cfg ClientConfig) (*Conn, error) {
	if cfg.VerifyServer == nil {
		_ = socket.Close()
		return nil, errors.New("transport: ClientConfig.VerifyServer is missing")
	}
	refused := make(chan error, 1)
	conf := tlsConfig()
	conf.ServerName = cfg.ServerName
	// Not insecure: VerifyServer decides instead, by the rules of protocol.md section 3.8, which differ from the Web's.
	conf.InsecureSkipVerify = true
	conf.VerifyPeerCertificate = func(chain [][]byte, _ [][]*x509.Certificate) error {
		err := cfg.VerifyServer(chain)
		if err != nil {
			refused <- err
		}
		return err
	}

	udp, isUDP := socket.(*net.UDPConn)
	patient := &patientSocket{UDPConn: udp}
	if isUDP {
		socket = patient
	}
	tr := &quic.Transport{Conn: readTogether(socket, clientBundles)}
	qc, err := tr.Dial(ctx, relay, conf, &quic.Config{
		MaxIdleTimeout:  idleTimeout,
		KeepAlivePeriod: keepAlive,
		// Packets never become longer than what any path takes: nobody notices in time that the client's next path takes less.
		DisablePathMTUDiscovery:        true,
		MaxIncomingStreams:             wire.MaxStreams,
		MaxIncomingUniStreams:          -1,
		InitialStreamReceiveWindow:     streamWindow,
		MaxStreamReceiveWindow:         maxStreamWindow,
		InitialConnectionReceiveWindow: connectionWindow,
		MaxConnectionReceiveWindow:     connectionWindow,
	})
	if err != nil {
		_ = tr.Close()
		_ = socket.Close()
		select {
		case err := <-refused:
			return nil, &ServerCertificateError{err}
		default:
			return nil, dialError(ctx, relay, err)
		}
	}

	patient.connected.Store(true)
	released := make(chan struct{})
	context.AfterFunc(qc.Context(), func() {
		_ = tr.Close()
		_ = socket.Close()
		close(released)
	})
	return &Conn{qc: qc, tr: tr, udp: isUDP, relay: relay, released: released}, nil
}

func dialError(ctx context.Context, relay net.Addr, err error) error {
	e, answered := errors.AsType[*quic.TransportError](err)
	answered = answered && (e.Remote || e.ErrorCode != quic.InternalError) // which says here that nothing could be sent: there is no way there
	err = typed(err)
	lost, silent := err.(*LostError)
	switch {
	case errors.Is(ctx.Err(), context.Canceled), answered:
		return err
	case silent:
		return &UnreachableError{relay.String(), lost.Err}
	case errors.Is(err, context.DeadlineExceeded):
		return &UnreachableError{relay.String(), err}
	}
	return err
}

// tlsConfig is what both sides have in common.
func tlsConfig() *tls.Config {
	return &tls.Config{
		MinVersion:             tls.VersionTLS13,
		NextProtos:             []string{alpn},
		SessionTicketsDisabled: true,
		VerifyConnection: func(s tls.ConnectionState) error {
			if s.DidResume {
				return errors.New("transport: a resumed TLS session")
			}
			return nil
		},
	}
}

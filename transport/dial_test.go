package transport_test

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/quic-go/quic-go"

	"sinete/transport"
	"sinete/transport/transporttest"
	"sinete/wire"
)

func TestDialErrors(t *testing.T) {
	bubble(t, func(t *testing.T) {
		n := transporttest.New(t, transporttest.Options{Latency: 10 * time.Millisecond})
		l := n.Listen(transport.ServerConfig{})
		nobody := &net.UDPAddr{IP: net.IPv4(10, 9, 9, 9), Port: 1}

		wrong := transport.ClientConfig{VerifyServer: transporttest.Trust(transporttest.NewCertificate("relay.test"))}
		_, err := transport.Dial(t.Context(), n.Endpoint(), l.Addr(), wrong)
		var cert *transport.ServerCertificateError
		if !errors.As(err, &cert) || !errors.Is(err, transporttest.ErrNotPinned) {
			t.Errorf("wrong certificate: %v", err)
		}
		if c, err := transport.Dial(t.Context(), n.Endpoint(), l.Addr(), transport.ClientConfig{}); err == nil {
			c.Close(0)
			t.Error("dialled without VerifyServer")
		}

		var unreachable *transport.UnreachableError
		start := time.Now()
		_, err = transport.Dial(t.Context(), n.Endpoint(), nobody, trust())
		if !errors.As(err, &unreachable) || unreachable.Addr != nobody.String() {
			t.Errorf("nobody there: %v", err)
		}
		if d := time.Since(start); d != 5*time.Second {
			t.Errorf("given up after %v", d)
		}
		if _, err = transport.Dial(t.Context(), noWay{n.Endpoint()}, nobody, trust()); !errors.As(err, &unreachable) {
			t.Errorf("no way there: %v", err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		_, err = transport.Dial(ctx, n.Endpoint(), nobody, trust())
		if !errors.As(err, &unreachable) || !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("deadline: %v", err)
		}
		ctx, cancel = context.WithCancel(t.Context())
		time.AfterFunc(time.Second, cancel)
		_, err = transport.Dial(ctx, n.Endpoint(), nobody, trust())
		if !errors.Is(err, context.Canceled) || errors.As(err, &unreachable) {
			t.Errorf("cancelled: %v", err)
		}
	})
}

// noWay is the socket of a machine without a network.
type noWay struct{ net.PacketConn }

func (noWay) WriteTo([]byte, net.Addr) (int, error) {
	return 0, &net.OpError{Op: "write", Net: "udp", Err: syscall.ENETUNREACH}
}

func TestOtherProtocols(t *testing.T) {
	bubble(t, func(t *testing.T) {
		n := transporttest.New(t, transporttest.Options{})
		tr := &quic.Transport{Conn: n.Endpoint()}
		defer tr.Close()
		web := must(tr.Listen(&tls.Config{
			Certificates: []tls.Certificate{transporttest.Certificate()}, NextProtos: []string{"h3"}}, nil))
		defer web.Close()
		_, err := transport.Dial(t.Context(), n.Endpoint(), web.Addr(), trust())
		var protocol *transport.ProtocolError
		if !errors.As(err, &protocol) {
			t.Errorf("a web server: %v", err)
		}

		l := n.Listen(transport.ServerConfig{})
		browser := &quic.Transport{Conn: n.Endpoint()}
		defer browser.Close()
		if _, err := browser.Dial(t.Context(), l.Addr(), &tls.Config{InsecureSkipVerify: true, NextProtos: []string{"h3"}}, nil); err == nil {
			t.Error("a browser came in")
		}
		synctest.Wait()
		if s := l.Stats(); s.Open != 0 {
			t.Errorf("%+v", s)
		}
	})
}

func TestThousandDialsOverLoopback(t *testing.T) {
	l := must(transport.Listen(must(net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})),
		transport.ServerConfig{Certificate: transporttest.Certificate()}))
	defer l.Close()
	var serving sync.WaitGroup
	serving.Go(func() {
		for {
			c, err := l.Accept(t.Context())
			if err != nil {
				return
			}
			serving.Go(func() { echo(t, c) })
		}
	})
	var dialling sync.WaitGroup
	jobs := make(chan struct{})
	for range 8 {
		dialling.Go(func() {
			for range jobs {
				ask(t, l.Addr())
			}
		})
	}
	for range 1000 {
		jobs <- struct{}{}
	}
	close(jobs)
	dialling.Wait()
	l.Close()
	serving.Wait()
	if s := l.Stats(); s != (transport.Stats{}) {
		t.Errorf("%+v", s)
	}
}

// echo answers frames, reads to the end, and only then closes.
func echo(t *testing.T, c *transport.Conn) {
	defer c.Close(wire.CodeBye)
	s, err := c.AcceptStream(t.Context())
	if err != nil {
		t.Error(err)
		return
	}
	for {
		f, err := s.ReadFrame()
		if err == io.EOF {
			return
		}
		if err == nil {
			err = s.Append(f.Append)
		}
		if err != nil {
			t.Error(err)
			return
		}
	}
}

func ask(t *testing.T, relay net.Addr) {
	c, err := transport.Dial(t.Context(), must(net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})), relay, trust())
	if err != nil {
		t.Error(err)
		return
	}
	defer c.Close(wire.CodeBye)
	s := must(c.OpenStream(t.Context()))
	for _, n := range []int{1, 3000} {
		_ = s.Append(envelope(make([]byte, n)))
		if f, err := s.ReadFrame(); err != nil || len(f.Body) != n {
			t.Errorf("%d bytes, %v", len(f.Body), err)
		}
	}
	_ = s.Finish(t.Context())
	wantBye := second(s.ReadFrame())
	var e *transport.CloseError
	if !errors.As(wantBye, &e) || !e.Remote || e.Number != wire.CodeBye {
		t.Errorf("end: %v", wantBye)
	}
}

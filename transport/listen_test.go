package transport_test

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"testing"
	"testing/synctest"
	"time"

	"github.com/quic-go/quic-go"

	"sinete/transport"
	"sinete/transport/transporttest"
	"sinete/wire"
)

func trust() transport.ClientConfig {
	return transport.ClientConfig{VerifyServer: transporttest.Trust(transporttest.Certificate()), ServerName: "relay.test"}
}

func TestBytesBeforeLogin(t *testing.T) {
	bubble(t, func(t *testing.T) {
		client, server := transporttest.Pair(t, transporttest.Options{})
		a, b := open(t, client, server)
		const size = 1000
		for range 100 {
			ok(t, a.Append(envelope(make([]byte, size))))
		}
		var got int
		var err error
		for ; err == nil; got += size {
			_, err = b.ReadFrame()
		}
		wantCode(t, err, wire.CodeLimitExceeded)
		if got > wire.MaxBeforeLogin+size || got < wire.MaxBeforeLogin-8<<10 {
			t.Errorf("ended after %d bytes", got)
		}
		<-client.Context().Done()
		wantCode(t, client.Err(), wire.CodeLimitExceeded)
	})
}

func TestLoginTime(t *testing.T) {
	for name, c := range map[string]struct {
		extend time.Duration
		login  bool
		want   time.Duration // 0: lives
	}{
		"silent":       {0, false, 10 * time.Second},
		"card waited":  {180 * time.Second, false, 185 * time.Second},
		"logged in":    {0, true, 0},
		"card, logged": {180 * time.Second, true, 0},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				client, server := transporttest.Pair(t, transporttest.Options{})
				start := time.Now()
				time.Sleep(5 * time.Second)
				if c.extend > 0 {
					server.ExtendLogin(c.extend)
				}
				if c.login {
					server.LoggedIn()
					server.LoggedIn()
					server.ExtendLogin(time.Second)
				}
				select {
				case <-client.Context().Done():
					if c.want == 0 {
						t.Fatalf("ended: %v", client.Err())
					}
					wantCode(t, client.Err(), wire.CodeTimeout)
					if d := time.Since(start).Round(time.Second); d != c.want {
						t.Errorf("after %v, not %v", d, c.want)
					}
				case <-time.After(time.Hour):
					if c.want != 0 {
						t.Error("lives on")
					}
				}
			})
		})
	}
}

func TestCapsBeforeLogin(t *testing.T) {
	bubble(t, func(t *testing.T) {
		n := transporttest.New(t, transporttest.Options{Latency: time.Millisecond})
		l := n.Listen(transport.ServerConfig{MaxPerAddress: 2, MaxBeforeLogin: 3, MaxConnections: 5})
		port := 0
		dial := func(ip string) (*transport.Conn, error) {
			port++
			socket := n.EndpointAt(&net.UDPAddr{IP: net.ParseIP(ip), Port: port})
			c, err := transport.Dial(t.Context(), socket, l.Addr(), trust())
			if err == nil {
				t.Cleanup(func() { c.Close(0) })
			}
			return c, err
		}
		in := func(ip string) *transport.Conn {
			t.Helper()
			_, err := dial(ip)
			ok(t, err)
			return must(l.Accept(t.Context()))
		}
		out := func(ip string) {
			t.Helper()
			start := time.Now()
			_, err := dial(ip)
			var refused *transport.RefusedError
			if !errors.As(err, &refused) {
				t.Errorf("from %s: %v", ip, err)
			}
			if d := time.Since(start); d > time.Second {
				t.Errorf("refused after %v", d)
			}
		}
		first := in("fd00:0:0:1::1")
		second := in("fd00:0:0:1:ffff::2")
		out("fd00:0:0:1::3") // the /64 is full
		third := in("192.0.2.1")
		out("192.0.2.2") // all are full
		first.LoggedIn()
		second.LoggedIn()
		in("fd00:0:0:1::3")
		in("192.0.2.2")
		out("192.0.2.3") // five in all
		third.Close(wire.CodeBye)
		synctest.Wait()
		in("192.0.2.3")
		if s := l.Stats(); s.Open != 5 || s.BeforeLogin != 3 || s.Refused < 3 {
			t.Errorf("%+v", s)
		}
	})
}

// A relay whose key is slow has as many handshakes under way as it says, and refuses the others at once.
func TestHandshakesUnderWay(t *testing.T) {
	bubble(t, func(t *testing.T) {
		const latency = 100 * time.Millisecond
		n := transporttest.New(t, transporttest.Options{Latency: latency})
		most := 1
		l := n.Listen(transport.ServerConfig{MaxHandshakes: func() int { return most }})
		dial := func() <-chan error {
			dialled := make(chan error, 1)
			socket := n.Endpoint()
			go func() {
				c, err := transport.Dial(t.Context(), socket, l.Addr(), trust())
				if err == nil {
					t.Cleanup(func() { c.Close(0) })
				}
				dialled <- err
			}()
			return dialled
		}
		refused := func(err error) bool {
			_, ok := errors.AsType[*transport.RefusedError](err)
			return ok
		}
		first := dial()
		time.Sleep(latency + latency/2) // its first packet is there, and its last is not
		if err := <-dial(); !refused(err) {
			t.Errorf("a second one: %v", err)
		}
		ok(t, <-first)
		must(l.Accept(t.Context()))
		time.Sleep(8 * time.Second) // until nothing is left of the second one's packets
		ok(t, <-dial())             // the first one's handshake is over, though it is not logged in
		must(l.Accept(t.Context()))
		most = 0
		if err := <-dial(); !refused(err) {
			t.Errorf("where none may be: %v", err)
		}
	})
}

func TestDrainAndClose(t *testing.T) {
	bubble(t, func(t *testing.T) {
		n := transporttest.New(t, transporttest.Options{Latency: time.Millisecond})
		l := n.Listen(transport.ServerConfig{})
		client, server := n.Dial(l)
		server.LoggedIn()
		waiting := must(transport.Dial(t.Context(), n.Endpoint(), l.Addr(), trust())) // and never accepted
		defer waiting.Close(0)
		l.Drain()
		start := time.Now()
		_, err := transport.Dial(t.Context(), n.Endpoint(), l.Addr(), trust())
		var refused *transport.RefusedError
		if !errors.As(err, &refused) || time.Since(start) > time.Second {
			t.Errorf("dialled a draining relay: %v after %v", err, time.Since(start))
		}
		<-waiting.Context().Done()
		wantCode(t, waiting.Err(), wire.CodeGoingAway)
		if _, err := l.Accept(t.Context()); !errors.Is(err, transport.ErrListenerClosed) {
			t.Errorf("Accept: %v", err)
		}

		a, b := open(t, client, server)
		ok(t, b.Append(envelope([]byte("still here"))))
		ok(t, second(a.ReadFrame()))
		l.Close()
		l.Close()
		<-client.Context().Done()
		wantCode(t, client.Err(), wire.CodeGoingAway)
		if s := l.Stats(); s.Open != 0 || s.BeforeLogin != 0 {
			t.Errorf("%+v", s)
		}
	})
}

func TestAcceptEndsWithItsContext(t *testing.T) {
	bubble(t, func(t *testing.T) {
		l := transporttest.New(t, transporttest.Options{}).Listen(transport.ServerConfig{})
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := l.Accept(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Error(err)
		}
	})
}

// A client of other make finds no unidirectional stream, no second stream even when it ignores the limit, no ticket.
func TestForeignClient(t *testing.T) {
	bubble(t, func(t *testing.T) {
		n := transporttest.New(t, transporttest.Options{})
		l := n.Listen(transport.ServerConfig{})
		tickets := &countingCache{ClientSessionCache: tls.NewLRUClientSessionCache(4)}
		conf := &tls.Config{InsecureSkipVerify: true, NextProtos: []string{"sinete/1"}, ServerName: "relay.test", ClientSessionCache: tickets}
		for range 2 {
			tr := &quic.Transport{Conn: n.Endpoint()}
			defer tr.Close()
			c := must(tr.Dial(t.Context(), l.Addr(), conf, nil))
			server := must(l.Accept(t.Context()))
			if _, err := c.OpenUniStream(); err == nil {
				t.Error("opened a unidirectional stream")
			}
			must(c.OpenStream())
			if _, err := c.OpenStream(); err == nil {
				t.Error("opened a second stream")
			}
			synctest.Wait()
			if c.ConnectionState().TLS.DidResume {
				t.Error("resumed")
			}
			server.Close(wire.CodeBye)
			<-c.Context().Done()
		}
		if tickets.puts != 0 {
			t.Errorf("%d tickets", tickets.puts)
		}
	})
}

type countingCache struct {
	tls.ClientSessionCache
	puts int
}

func (c *countingCache) Put(key string, s *tls.ClientSessionState) {
	c.puts++
	c.ClientSessionCache.Put(key, s)
}

// A relay that comes back with its reset key is noticed with the client's next packet, not by silence.
func TestRestartedRelayIsNoticed(t *testing.T) {
	bubble(t, func(t *testing.T) {
		n := transporttest.New(t, transporttest.Options{Latency: time.Millisecond})
		cfg := transport.ServerConfig{ResetKey: [32]byte{1}, Certificate: transporttest.Certificate()}
		at := &net.UDPAddr{IP: net.IPv4(10, 1, 1, 1), Port: 1}
		l := must(transport.Listen(n.EndpointAt(at), cfg))
		client := must(transport.Dial(t.Context(), n.Endpoint(), at, trust()))
		defer client.Close(wire.CodeBye)
		s := must(client.OpenStream(t.Context()))
		synctest.Wait()
		n.Cut(at) // the relay's last words are lost
		l.Close()
		n.Restore(at)
		l = must(transport.Listen(n.EndpointAt(at), cfg))
		defer l.Close()
		start := time.Now()
		ok(t, s.Append(envelope(make([]byte, 100))))
		<-client.Context().Done()
		var lost *transport.LostError
		if d := time.Since(start); !errors.As(client.Err(), &lost) || d > time.Second {
			t.Errorf("noticed after %v: %v", d, client.Err())
		}
	})
}

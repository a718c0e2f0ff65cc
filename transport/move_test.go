package transport_test

import (
	"context"
	"fmt"
	"net"
	"testing"
	"testing/synctest"
	"time"

	"sinete/transport"
	"sinete/transport/transporttest"
	"sinete/wire"
)

// echoes sends frames one way and back, and returns how long that took.
func echoes(t *testing.T, a, b *transport.Stream, frames int) time.Duration {
	t.Helper()
	start := time.Now()
	go func() {
		for i := range frames {
			_ = a.Append(envelope(fmt.Appendf(nil, "%d", i)))
		}
	}()
	for i := range frames {
		f, err := b.ReadFrame()
		ok(t, err)
		if string(f.Body) != fmt.Sprint(i) {
			t.Fatalf("frame %d is %q", i, f.Body)
		}
		ok(t, b.Append(envelope(f.Body)))
	}
	for i := range frames {
		if f := must(a.ReadFrame()); string(f.Body) != fmt.Sprint(i) {
			t.Fatalf("answer %d is %q", i, f.Body)
		}
	}
	return time.Since(start)
}

// The NAT of a client gives it another address, again and again, and nobody tells the client: the relay follows, and the connection goes on.
func TestNATRebinding(t *testing.T) {
	bubble(t, func(t *testing.T) {
		n := transporttest.New(t, transporttest.Options{Latency: 20 * time.Millisecond})
		client, server := n.Dial(n.Listen(transport.ServerConfig{}))
		server.LoggedIn()
		a, b := open(t, client, server)
		own, binding := server.RemoteAddr(), must(client.Binding())
		for range 5 {
			as := n.Rebind(own)
			if took := echoes(t, a, b, 200); took > 5*time.Second {
				t.Errorf("the relay took %v to follow", took)
			}
			if got := server.RemoteAddr().String(); got != as.String() {
				t.Errorf("the relay sends to %v, and not to %v", got, as)
			}
			time.Sleep(time.Minute) // idle, as most of the time
		}
		if client.Err() != nil || must(server.Binding()) != binding {
			t.Errorf("it is not the same connection any more: %v", client.Err())
		}
	})
}

// A client that knows of its new address tells the relay, which then reaches it there before it has sent anything else.
func TestMigrate(t *testing.T) {
	bubble(t, func(t *testing.T) {
		n := transporttest.New(t, transporttest.Options{Latency: 20 * time.Millisecond})
		client, server := n.Dial(n.Listen(transport.ServerConfig{}))
		server.LoggedIn()
		a, b := open(t, client, server)
		own := server.RemoteAddr()
		time.Sleep(time.Second)
		for range 5 {
			as := n.Rebind(own)
			start := time.Now()
			ok(t, client.Migrate(t.Context()))
			ok(t, b.Append(envelope([]byte("there you are"))))
			if f := must(a.ReadFrame()); string(f.Body) != "there you are" {
				t.Errorf("it reads %q", f.Body)
			}
			if took := time.Since(start); took > time.Second {
				t.Errorf("the relay took %v to follow", took)
			}
			if got := server.RemoteAddr().String(); got != as.String() {
				t.Errorf("the relay sends to %v, and not to %v", got, as)
			}
			echoes(t, a, b, 200)
		}
	})
}

// What a client does not hear an answer to, it gives up when its caller does, and the connection is as it was.
func TestMigrateInVain(t *testing.T) {
	bubble(t, func(t *testing.T) {
		n := transporttest.New(t, transporttest.Options{Latency: 20 * time.Millisecond})
		client, server := n.Dial(n.Listen(transport.ServerConfig{}))
		server.LoggedIn()
		a, b := open(t, client, server)
		synctest.Wait()
		for range 10 { // each takes a connection id, and gives it back
			n.Cut(server.RemoteAddr())
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			if err := client.Migrate(ctx); err == nil {
				t.Error("a relay that is cut off has answered")
			}
			cancel()
			n.Restore(server.RemoteAddr())
			echoes(t, a, b, 10)
		}
	})
}

func TestRoute(t *testing.T) {
	l := must(transport.Listen(must(net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})), transport.ServerConfig{Certificate: transporttest.Certificate()}))
	defer l.Close()
	socket := must(net.ListenUDP("udp", nil))
	client := must(transport.Dial(t.Context(), socket, l.Addr(), trust()))
	defer client.Close(wire.CodeBye)
	if route := client.Route(); route.String() != "127.0.0.1" {
		t.Errorf("the relay is reached from %v", route)
	}
}

package udpproxy

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"slices"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// world is a client behind a proxy, and a server.
type world struct {
	t      *testing.T
	proxy  *Proxy
	server *net.UDPConn
	client *net.UDPConn
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{t: t}
	var err error
	w.server, err = net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	w.must(err)
	t.Cleanup(func() { w.server.Close() })
	w.proxy, err = Listen(w.server.LocalAddr().String(), 1)
	w.must(err)
	t.Cleanup(w.proxy.Close)
	to, err := net.ResolveUDPAddr("udp", w.proxy.Addr())
	w.must(err)
	w.client, err = net.DialUDP("udp", nil, to)
	w.must(err)
	t.Cleanup(func() { w.client.Close() })
	return w
}

func (w *world) must(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) says(text string) {
	w.t.Helper()
	_, err := w.client.Write([]byte(text))
	w.must(err)
}

// hears returns the next datagram of a socket and where it came from, "" where none came in time.
func (w *world) hears(c *net.UDPConn, within time.Duration) (string, netip.AddrPort) {
	w.t.Helper()
	w.must(c.SetReadDeadline(time.Now().Add(within)))
	b := make([]byte, 100)
	n, from, err := c.ReadFromUDPAddrPort(b)
	if !errors.Is(err, os.ErrDeadlineExceeded) {
		w.must(err)
	}
	return string(b[:n]), from
}

const (
	long  = 10 * time.Second       // more than anything here takes
	short = 100 * time.Millisecond // what does not come in this does not come
)

// there sends a datagram to the server and one back, and returns as whom the server knew the client.
func (w *world) there(text string) netip.AddrPort {
	w.t.Helper()
	w.says(text)
	got, from := w.hears(w.server, long)
	if got != text {
		w.t.Fatalf("the server hears %q, not %q", got, text)
	}
	_, err := w.server.WriteToUDPAddrPort([]byte("re: "+text), from)
	w.must(err)
	if got, _ := w.hears(w.client, long); got != "re: "+text {
		w.t.Fatalf("the client hears %q", got)
	}
	return from
}

func TestCutAndHeal(t *testing.T) {
	w := newWorld(t)
	from := w.there("before")
	w.proxy.Set(Weather{Cut: true})
	w.says("into the void")
	_, err := w.server.WriteToUDPAddrPort([]byte("likewise"), from)
	w.must(err)
	for _, c := range []*net.UDPConn{w.server, w.client} {
		if got, _ := w.hears(c, short); got != "" {
			t.Errorf("%q came through", got)
		}
	}
	w.proxy.Set(Weather{})
	if again := w.there("after"); again != from {
		t.Errorf("the client is %v now, and was %v", again, from)
	}
}

func TestRebind(t *testing.T) {
	w := newWorld(t)
	before := w.there("before")
	w.must(w.proxy.Rebind())
	_, err := w.server.WriteToUDPAddrPort([]byte("to whom it was"), before)
	w.must(err)
	if got, _ := w.hears(w.client, short); got != "" {
		t.Errorf("%q came through", got)
	}
	if after := w.there("after"); after == before {
		t.Errorf("the client is still %v", after)
	}
}

func TestServerRestarts(t *testing.T) {
	w := newWorld(t)
	w.there("before")
	address := w.server.LocalAddr().(*net.UDPAddr)
	w.server.Close()
	for range 3 { // each is refused, and the refusal comes back to the proxy
		w.says("into the void")
		if got, _ := w.hears(w.client, short); got != "" {
			t.Errorf("%q came through", got)
		}
	}
	var err error
	w.server, err = net.ListenUDP("udp", address)
	w.must(err)
	w.there("after")
}

func TestDropAndReorder(t *testing.T) {
	w := newWorld(t)
	w.proxy.Set(Weather{Drop: 0.5, Delay: short, Jitter: short})
	const n = 200
	began := time.Now()
	for i := range n {
		w.says(fmt.Sprintf("%03d", i))
	}
	var got []string
	for {
		text, _ := w.hears(w.server, 5*short)
		if text == "" {
			break
		}
		if len(got) == 0 && time.Since(began) < short {
			t.Errorf("the first came after %v", time.Since(began))
		}
		got = append(got, text)
	}
	if len(got) < n/4 || len(got) > 3*n/4 {
		t.Errorf("%d of %d came through", len(got), n)
	}
	if slices.IsSorted(got) {
		t.Error("all came in order")
	}
}

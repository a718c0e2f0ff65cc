package transport_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/quic-go/quic-go"
	"go.uber.org/goleak"

	"sinete/transport"
	"sinete/transport/transporttest"
	"sinete/wire"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// bubble runs a test in virtual time; synctest itself fails it when a goroutine is left.
func bubble(t *testing.T, f func(t *testing.T)) {
	t.Helper()
	transporttest.Certificate() // its key generation is no part of any bubble
	synctest.Test(t, f)
}

func envelope(body []byte) func([]byte) []byte {
	return wire.Frame{Type: wire.FrameEnvelope, Body: body}.Append
}

func raw(b []byte) func([]byte) []byte {
	return func(to []byte) []byte { return append(to, b...) }
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

func ok(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// open opens a stream and hands out both ends; a seal frame without body goes first, to show it to the other side.
func open(t *testing.T, from, to *transport.Conn) (a, b *transport.Stream) {
	t.Helper()
	a = must(from.OpenStream(t.Context()))
	ok(t, a.Append(wire.Frame{Type: wire.FrameSeal}.Append))
	b = must(to.AcceptStream(t.Context()))
	if f := must(b.ReadFrame()); f.Type != wire.FrameSeal || len(f.Body) != 0 {
		t.Fatalf("first frame is %v of %d bytes", f.Type, len(f.Body))
	}
	return a, b
}

func wantCode(t *testing.T, err error, want wire.Code) {
	t.Helper()
	if err == nil || wire.CodeOf(err) != want {
		t.Fatalf("error is %v, its code not %v", err, want)
	}
}

func TestFramesArriveAsSent(t *testing.T) {
	bubble(t, func(t *testing.T) {
		client, server := transporttest.Pair(t, transporttest.Options{Latency: time.Millisecond})
		server.LoggedIn()
		a, b := open(t, client, server)
		if a.ID() != 0 || b.ID() != 0 {
			t.Errorf("control stream's ids are %d and %d", a.ID(), b.ID())
		}
		var sizes []int
		for _, n := range []int{0, 1, 63, 64, 4090, 4096, 16383, 16384, 65535, 65536} {
			sizes = append(sizes, n, 10, n)
		}
		go func() {
			for i, n := range sizes {
				for errors.Is(a.Append(envelope(bytes.Repeat([]byte{byte(i)}, n))), transport.ErrFull) {
					_ = a.WaitBelow(t.Context(), 64<<10)
				}
			}
			_ = a.Finish(t.Context())
		}()
		for i, n := range sizes {
			f, err := b.ReadFrame()
			ok(t, err)
			if f.Type != wire.FrameEnvelope || !bytes.Equal(f.Body, bytes.Repeat([]byte{byte(i)}, n)) {
				t.Fatalf("frame %d of %d bytes is not what was sent", i, n)
			}
		}
		for range 2 {
			if _, err := b.ReadFrame(); err != io.EOF {
				t.Fatalf("after the last frame: %v", err)
			}
		}
	})
}

// Everything that a peer can cut off or garble in the framing, and what it must lead to.
func TestBadFrames(t *testing.T) {
	giant := binary.BigEndian.AppendUint32([]byte{byte(wire.FrameEnvelope)}, wire.MaxFrameBody+1|0x80<<24)
	whole := envelope([]byte("sealed"))(nil)
	for name, c := range map[string]struct {
		bytes []byte
		code  wire.Code
	}{
		"unknown type":       {[]byte{0x0e, 0}, wire.CodeMalformed},
		"type zero":          {[]byte{0, 0}, wire.CodeMalformed},
		"giant":              {giant, wire.CodeLimitExceeded},
		"length not minimal": {[]byte{5, 0x40, 1, 0}, wire.CodeMalformed},
	} {
		t.Run(name, func(t *testing.T) { badFrame(t, c.bytes, c.code) })
	}
	for n := 1; n < len(whole); n++ {
		t.Run(fmt.Sprint("truncated after ", n), func(t *testing.T) { badFrame(t, whole[:n], wire.CodeMalformed) })
	}
}

func badFrame(t *testing.T, b []byte, code wire.Code) {
	bubble(t, func(t *testing.T) {
		client, server := transporttest.Pair(t, transporttest.Options{})
		from, to := open(t, client, server)
		ok(t, from.Append(raw(b)))
		ok(t, from.Finish(t.Context()))
		for range 2 { // the error stays
			_, err := to.ReadFrame()
			wantCode(t, err, code)
		}
	})
}

func TestFrameThatDoesNotEnd(t *testing.T) {
	bubble(t, func(t *testing.T) {
		client, server := transporttest.Pair(t, transporttest.Options{})
		server.LoggedIn()
		from, to := open(t, client, server)

		// Silence between frames is no fault, and neither is a frame that comes in pieces within its time.
		whole := envelope([]byte("slow but whole"))(nil)
		go func() {
			time.Sleep(10 * time.Minute)
			for _, b := range whole {
				_ = from.Append(raw([]byte{b}))
				time.Sleep(transport.FrameTimeout / time.Duration(len(whole)+1))
			}
			time.Sleep(10 * time.Minute)
			_ = from.Append(raw(whole[:3]))
			time.Sleep(transport.FrameTimeout - time.Second)
			_ = from.Append(raw(whole[3:4])) // a byte now and then does not buy more time
		}()
		ok(t, second(to.ReadFrame()))
		start := time.Now()
		_, err := to.ReadFrame()
		wantCode(t, err, wire.CodeTimeout)
		if d := time.Since(start) - 10*time.Minute; d < transport.FrameTimeout-5*time.Second || d > transport.FrameTimeout+5*time.Second {
			t.Errorf("given up after %v", d)
		}
		time.Sleep(2 * time.Second) // the writer's last byte
	})
}

func second[T any](_ T, err error) error { return err }

// Thousands of streams wait for something: none of them has a buffer meanwhile, whatever it has read before.
func TestStreamsThatWaitHoldNoBuffer(t *testing.T) {
	bubble(t, func(t *testing.T) {
		client, server := transporttest.Pair(t, transporttest.Options{})
		server.LoggedIn()
		from, to := open(t, client, server)
		for _, size := range []int{0, 1, 700, wire.MaxFrameBody} {
			read := make(chan []byte)
			go func() { read <- bytes.Clone(must(to.ReadFrame()).Body) }()
			synctest.Wait()
			if to.Lent() {
				t.Errorf("it waits with a buffer for %d bytes", size)
			}
			body := bytes.Repeat([]byte{byte(size)}, size)
			ok(t, from.Append(envelope(body)))
			if got := <-read; !bytes.Equal(got, body) {
				t.Errorf("%d bytes instead of %d, or others", len(got), size)
			}
			if !to.Lent() {
				t.Error("a body that nobody holds") // until the next call
			}
		}
	})
}

// A block is made while the stream goes on, and what was appended meanwhile leaves first.
func TestAppendBlock(t *testing.T) {
	bubble(t, func(t *testing.T) {
		client, server := transporttest.Pair(t, transporttest.Options{})
		server.LoggedIn()
		a, b := open(t, client, server)
		ok(t, a.AppendBlock(0, func(block []byte) []byte {
			ok(t, a.Append(envelope([]byte("meanwhile"))))
			if f, err := b.ReadFrame(); err != nil || string(f.Body) != "meanwhile" {
				t.Errorf("%q arrived while the block was made: %v", f.Body, err)
			}
			return envelope([]byte("block"))(block)
		}))
		if f, err := b.ReadFrame(); err != nil || string(f.Body) != "block" {
			t.Errorf("%q arrived: %v", f.Body, err)
		}
		ok(t, a.Finish(t.Context()))
		if err := a.AppendBlock(0, envelope(nil)); !errors.Is(err, transport.ErrFinished) {
			t.Errorf("a block on a stream that is finished: %v", err)
		}
		b.Cancel(wire.CodeBye)
		if err := b.AppendBlock(0, envelope(nil)); err == nil {
			t.Error("a block on a stream that was given up")
		}
	})
}

// What is to stay until something follows leaves with it, in one packet, and in the order in which it was appended.
func TestAppendBlockThatStays(t *testing.T) {
	bubble(t, func(t *testing.T) {
		client, server := transporttest.Pair(t, transporttest.Options{})
		server.LoggedIn()
		a, b := open(t, client, server)
		arrives := func(bodies ...string) {
			t.Helper()
			for _, want := range bodies {
				if f, err := b.ReadFrame(); err != nil || string(f.Body) != want {
					t.Fatalf("%q arrived, not %q: %v", f.Body, want, err)
				}
			}
		}
		block := func(hold int, body string) {
			t.Helper()
			synctest.Wait()
			before := server.Received()
			ok(t, a.AppendBlock(hold, envelope([]byte(body))))
			synctest.Wait()
			if left, stays := server.Received() != before, len(body) < hold; left == stays {
				t.Errorf("%d bytes, of which fewer than %d stay: left is %v", len(body), hold, left)
			}
		}

		block(100, "stays")
		before := server.Received()
		ok(t, a.Append(envelope([]byte("follows"))))
		arrives("stays", "follows")
		if n := server.Received() - before; n != 1 {
			t.Errorf("they came in %d packets", n)
		}

		long := strings.Repeat("x", 100)
		block(100, "stays")
		block(100, long)
		arrives("stays", long)

		block(100, "one")
		ok(t, a.AppendBlock(100, envelope([]byte("another"))))
		arrives("one")
		if synctest.Wait(); a.Pending() == 0 {
			t.Error("the second did not stay")
		}
		ok(t, a.Finish(t.Context()))
		arrives("another")
		if _, err := b.ReadFrame(); err != io.EOF {
			t.Errorf("after the last: %v", err)
		}
	})
}

func TestQueueIsBounded(t *testing.T) {
	bubble(t, func(t *testing.T) {
		client, server := transporttest.Pair(t, transporttest.Options{})
		server.LoggedIn()
		a, b := open(t, client, server)
		a.SetLimit(300 << 10)
		body, n := make([]byte, 10<<10), 0
		for ; ; n++ {
			if err := a.Append(envelope(body)); errors.Is(err, transport.ErrFull) {
				break
			} else if err != nil || n > 100 {
				t.Fatalf("after %d frames: %v", n, err)
			}
			synctest.Wait()
		}
		if p := a.Pending(); p < 300<<10 || p > 311<<10 {
			t.Errorf("%d bytes pending at the limit", p)
		}
		if err := a.Append(func([]byte) []byte { t.Error("called although full"); return nil }); !errors.Is(err, transport.ErrFull) {
			t.Errorf("still full, and Append says %v", err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := a.WaitBelow(ctx, 1000); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("waiting for a reader that does not read: %v", err)
		}
		var reading sync.WaitGroup
		reading.Go(func() {
			for range n {
				if _, err := b.ReadFrame(); err != nil {
					t.Error(err)
				}
			}
		})
		ok(t, a.WaitBelow(t.Context(), 1))
		if a.Pending() != 0 {
			t.Errorf("%d bytes pending", a.Pending())
		}
		ok(t, a.Append(envelope(body)))
		ok(t, a.Finish(t.Context()))
		ok(t, a.Finish(t.Context()))
		if err := a.Append(envelope(body)); !errors.Is(err, transport.ErrFinished) {
			t.Errorf("after Finish: %v", err)
		}
		reading.Wait()
	})
}

// A client that allows any number of bytes and acknowledges none of the packets does not make its relay keep more than the limit: what comes frame by frame,
// each of which QUIC would take at once, counts as well.
func TestQueueIsBoundedWhereTheWindowIsNot(t *testing.T) {
	bubble(t, func(t *testing.T) {
		n := transporttest.New(t, transporttest.Options{})
		l := n.Listen(transport.ServerConfig{})
		tr := &quic.Transport{Conn: n.Endpoint()}
		defer tr.Close()
		const window = 1 << 30
		c := must(tr.Dial(t.Context(), l.Addr(), &tls.Config{InsecureSkipVerify: true, NextProtos: []string{"sinete/1"}, ServerName: "relay.test"},
			&quic.Config{InitialStreamReceiveWindow: window, MaxStreamReceiveWindow: window, InitialConnectionReceiveWindow: window, MaxConnectionReceiveWindow: window}))
		server := must(l.Accept(t.Context()))
		defer server.Close(wire.CodeBye)
		s := must(c.OpenStream())
		must(s.Write(envelope(nil)(nil)))
		relay := must(server.AcceptStream(t.Context()))
		relay.SetLimit(300 << 10)
		n.Cut(tr.Conn.LocalAddr())
		taken := 0
		for {
			err := relay.Append(envelope(make([]byte, 1000)))
			if errors.Is(err, transport.ErrFull) {
				break
			}
			if taken += 1000; err != nil || taken > 2<<20 {
				t.Fatalf("after %d bytes: %v", taken, err)
			}
			synctest.Wait()
		}
		if kept := relay.Pending(); taken-kept > 100<<10 { // what the first congestion window holds, and 16 KiB
			t.Errorf("QUIC has %d bytes, and %d are pending", taken-kept, kept)
		}
	})
}

// A peer whose window stays shut for 30 seconds fails the stream, and this stream only.
func TestStalledWriter(t *testing.T) {
	bubble(t, func(t *testing.T) {
		client, server := transporttest.Pair(t, transporttest.Options{})
		server.LoggedIn()
		control, _ := open(t, client, server)
		a, b := open(t, server, client)
		start := time.Now()
		ok(t, a.Append(raw(make([]byte, 256<<10))))
		err := a.WaitBelow(t.Context(), 1)
		wantCode(t, err, wire.CodeSlow)
		if d := time.Since(start); d < transport.FrameTimeout || d > transport.FrameTimeout+5*time.Second {
			t.Errorf("given up after %v", d)
		}
		wantCode(t, a.Append(envelope(nil)), wire.CodeSlow)
		synctest.Wait()
		var reset *transport.ResetError
		for err = nil; err == nil; {
			_, err = b.ReadFrame()
			if wire.CodeOf(err) == wire.CodeMalformed { // the zeros that did arrive
				b.Cancel(wire.CodeMalformed)
				_, err = b.ReadFrame()
			}
		}
		if !errors.As(err, &reset) {
			t.Errorf("the stalled side reads %v", err)
		}
		ok(t, control.Append(envelope(nil)))
		ok(t, control.WaitBelow(t.Context(), 1))
		if client.Err() != nil || server.Err() != nil {
			t.Errorf("connection: %v, %v", client.Err(), server.Err())
		}
	})
}

// A reader that takes a frame every 20 seconds is slow and not stalled, though all takes minutes.
func TestSlowIsNotStalled(t *testing.T) {
	bubble(t, func(t *testing.T) {
		client, server := transporttest.Pair(t, transporttest.Options{})
		server.LoggedIn()
		a, b := open(t, client, server)
		body := make([]byte, 60<<10)
		for range 9 {
			ok(t, a.Append(envelope(body)))
		}
		for range 9 {
			time.Sleep(20 * time.Second)
			ok(t, second(b.ReadFrame()))
		}
		ok(t, a.WaitBelow(t.Context(), 1))
	})
}

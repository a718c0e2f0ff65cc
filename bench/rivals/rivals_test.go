package rivals

import (
	"context"
	"crypto/tls"
	"strings"
	"testing"
	"time"

	"sinete/internal/trialpki"
)

// TestRivals passes messages through each rival and back, and expects that nothing but TLS 1.3 gets in.
func TestRivals(t *testing.T) {
	pki, err := trialpki.New(trialpki.Options{})
	if err != nil {
		t.Fatal(err)
	}
	issued, err := pki.IssueRelay(trialpki.Relay{Names: []string{"rival.example"}, Key: "p256"})
	if err != nil {
		t.Fatal(err)
	}
	certificate := tls.Certificate{Certificate: issued.Chain, PrivateKey: issued.Key}
	for _, name := range All {
		t.Run(name, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			s, err := Start(ctx, name, t.TempDir(), certificate)
			if err != nil {
				t.Fatal(err)
			}
			if !strings.Contains(strings.ToLower(s.Version), name) || !strings.ContainsAny(s.Version, "0123456789") {
				t.Errorf("a version %q", s.Version)
			}
			old := clientTLS()
			old.MinVersion, old.MaxVersion = 0, tls.VersionTLS12
			if name != "nats" { // which begins in clear, with a line that says that TLS is a must
				if c, err := tls.Dial("tcp", s.Address, old); err == nil {
					_ = c.Close()
					t.Error("TLS 1.2 gets in")
				}
			}
			const n, size, window = 3000, 256, 100
			to, err := Dial(ctx, name, s.Address, 0, 1)
			if err != nil {
				t.Fatal(err)
			}
			from, err := Dial(ctx, name, s.Address, 0, 0)
			if err != nil {
				t.Fatal(err)
			}
			receiver, sender := Receive(to, size), NewSender(from, size)
			for sent, next := uint64(0), uint64(0); next < n; {
				for ; sent < n && sent-next < window; sent++ {
					if err := sender.Send(ctx); err != nil {
						t.Fatal(err)
					}
				}
				if err := sender.Flush(); err != nil {
					t.Fatal(err)
				}
				if next, err = sender.Confirmed(ctx); err != nil {
					t.Fatalf("%v, %d of %d sent acknowledged", err, next, sent)
				}
			}
			if got, wrong, twice := receiver.Received.Load(), receiver.WrongOrder.Load(), receiver.Duplicates.Load(); got != n || wrong != 0 || twice != 0 {
				t.Errorf("%d received, %d out of order, %d twice", got, wrong, twice)
			}
		})
	}
}

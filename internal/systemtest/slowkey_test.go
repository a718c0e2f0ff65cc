package systemtest

import (
	"context"
	"crypto"
	"fmt"
	"io"
	"sync"
	"testing"
	"time"

	"sinete/cardauth"
	"sinete/peer"
	"sinete/relay"
	"sinete/wire"
)

// slowKey is a relay's key in an HSM that takes its time, for seals and for TLS, and makes one signature at a time.
type slowKey struct {
	cardauth.Card
	crypto.Signer
	delay time.Duration

	mu         sync.Mutex
	busy       bool
	together   bool // two signatures at once were asked for
	signatures int
}

func (k *slowKey) Software() bool { return false }

func (k *slowKey) slowly(f func() ([]byte, error)) ([]byte, error) {
	k.mu.Lock()
	k.together = k.together || k.busy
	k.busy = true
	k.signatures++
	k.mu.Unlock()
	time.Sleep(k.delay) // virtual
	k.mu.Lock()
	k.busy = false
	k.mu.Unlock()
	return f()
}

func (k *slowKey) Sign(random io.Reader, digest []byte, opts crypto.SignerOpts) ([]byte, error) {
	return k.slowly(func() ([]byte, error) { return k.Signer.Sign(random, digest, opts) })
}

func (k *slowKey) SealRoot(ctx context.Context, in wire.SealInput) ([]byte, error) {
	return k.slowly(func() ([]byte, error) { return k.Card.SealRoot(ctx, in) })
}

// A crowd wants to log in at a relay whose key makes three signatures a second. As many as it can serve get in, the others are told at
// once that it is busy, and a conversation goes on.
func TestLoginStormAtASlowKey(t *testing.T) {
	const (
		delay  = 300 * time.Millisecond
		crowd  = 60
		queued = 5 // 3 s of waiting, each behind its own signature and a seal
	)
	var key *slowKey
	simulated(t, func(cfg *relay.Config) {
		key = &slowKey{Card: cfg.Card, Signer: cfg.Certificate.PrivateKey.(crypto.Signer), delay: delay}
		cfg.Card, cfg.Certificate.PrivateKey = key, key
	}, func(t *testing.T, w *world) {
		a, b := connect(t, w.login(w.card("alice")), w.login(w.card("bob")))

		type result struct {
			took time.Duration
			err  error
		}
		results := make(chan result, crowd)
		for i := range crowd {
			time.Sleep(20 * time.Millisecond) // virtual; QUIC drops some refusals of one and the same instant
			cfg := w.config(w.card(fmt.Sprintf("p%d", i)))
			go func() {
				ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
				defer cancel()
				start := time.Now()
				s, err := peer.Login(ctx, cfg)
				results <- result{time.Since(start), err}
				if err == nil {
					<-t.Context().Done()
					_ = s.Close(context.Background())
				}
			}()
		}
		for range 5 {
			start := time.Now()
			n := sendText(t, a, "while others knock")
			next[*peer.Message](t, b)
			delivered(t, a, n)
			// Alone it is four seals of the relay; each may wait for one newcomer's signature, and for the end of the one before.
			if d := time.Since(start); d > 12*delay {
				t.Errorf("a message took %v", d)
			}
		}
		in, busy := 0, 0
		for range crowd {
			r := <-results
			switch {
			case r.err == nil:
				in++
				if r.took > wire.LoginSeconds*time.Second {
					t.Errorf("a login took %v", r.took)
				}
			case wire.CodeOf(r.err) == wire.CodeBusy:
				busy++
				if r.took > time.Second {
					t.Errorf("told that the relay is busy after %v", r.took)
				}
			default:
				t.Errorf("a login ended with %v", r.err)
			}
		}
		if in < queued || in > 3*queued || in+busy != crowd {
			t.Errorf("%d got in, %d were told that the relay is busy", in, busy)
		}
		key.mu.Lock() // it goes on sealing for those who are in
		defer key.mu.Unlock()
		if key.together {
			t.Error("the key was asked for two signatures at once")
		}
	})
}

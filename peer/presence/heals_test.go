package presence

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"sinete/cardauth"
	"sinete/cardauth/seal"
	"sinete/peer"
	"sinete/transport"
	"sinete/wire"
)

func TestHeals(t *testing.T) {
	closed := func(n wire.Code) error { return &transport.CloseError{Number: n, Remote: true} }
	for _, c := range []struct {
		err  error
		want bool
	}{
		{&transport.LostError{Err: errors.New("silence")}, true},
		{&transport.UnreachableError{Addr: "a", Err: context.DeadlineExceeded}, true},
		{&transport.RefusedError{Err: errors.New("full")}, true},
		{closed(wire.CodeGoingAway), true},
		{closed(wire.CodeBusy), true},
		{closed(wire.CodeIntegrity), true},
		{closed(wire.CodeRevocationUnknown), true},
		{&seal.SignError{Err: &cardauth.AbsentError{Card: "c"}}, true},
		{&seal.SignError{Err: &cardauth.PINError{Card: "c"}}, false},
		{&seal.SignError{Err: errors.New("nobody to ask for the PIN")}, false},
		{&peer.OwnCertificateError{Err: &cardauth.CertificateError{Number: wire.CodeCertificateExpired}}, false},
		{&transport.ServerCertificateError{Err: errors.New("another")}, false},
		{closed(wire.CodeCertificateRevoked), false},
		{closed(wire.CodeCertificateInvalid), false},
		{closed(wire.CodeCardInUse), false},
		{closed(wire.CodeSuperseded), false},
		{closed(wire.CodeFlowDenied), false},
		{closed(wire.CodeSigningRefused), false},
	} {
		if heals(c.err) != c.want {
			t.Errorf("%v: %v", c.err, !c.want)
		}
	}
	for n := wire.Code(0); n <= wire.CodeLevelChanged; n++ { // what heals a session heals a conversation, but for what only sessions end by
		if heals(wire.Errorf(n, "x")) && !healsChannel(n) {
			t.Errorf("%v heals a session and no conversation", n)
		}
	}
}

// Whoever waited for the seal of a card that is away is not told of a fault in this program.
func TestAbsentCardIsNoFault(t *testing.T) {
	err := &seal.SignError{Err: &cardauth.AbsentError{Card: "c"}}
	if number := wire.CodeOf(err); number != wire.CodeUnsealed {
		t.Errorf("the other side is told %v", number)
	}
	if isFault(ErrRemoved) || !heals(err) {
		t.Error("it is taken for a fault")
	}
}

// Delays grow, stay within their bounds, and are not the same for all.
func TestDelays(t *testing.T) {
	for failures := range 70 {
		different := map[time.Duration]bool{}
		for range 100 {
			d := backoff(failures)
			different[d] = true
			if most := min(longestDelay, time.Second<<min(failures, 20)); d < most/2 || d > most {
				t.Fatalf("%v after %d failures", d, failures)
			}
		}
		if len(different) < 50 {
			t.Fatalf("only %d different delays of 100", len(different))
		}
	}
	for why, most := range map[error]time.Duration{
		&transport.LostError{Err: fmt.Errorf("silence")}: afterLoss, wire.Errorf(wire.CodeGoingAway, "x"): afterGoingAway,
	} {
		different := map[time.Duration]bool{}
		for range 100 {
			d := firstDelay(why)
			different[d/(most/10)] = true
			if d < 0 || d > most {
				t.Fatalf("%v after %v", d, why)
			}
		}
		if len(different) < 8 {
			t.Errorf("first delays after %v fall into %d tenths", why, len(different))
		}
	}
}

// A nap is over soon after the machine has slept through its end, and is as long as it was when the clock is put back.
func TestNap(t *testing.T) {
	for _, c := range []struct{ jump, want time.Duration }{{0, 30 * time.Second}, {time.Hour, 6 * time.Second}, {-time.Hour, 30 * time.Second}, {10 * time.Second, 20 * time.Second}} {
		now, waited := time.Now(), time.Duration(0)
		err := nap(30*time.Second, func() time.Time { return now }, func(d time.Duration) error {
			waited += d
			now = now.Add(d)
			if waited == 6*time.Second { // within this part the machine sleeps
				now = now.Add(c.jump)
			}
			return nil
		})
		if err != nil || waited != c.want {
			t.Errorf("the clock goes %v: %v of waiting, %v", c.jump, waited, err)
		}
	}
}

package link

import (
	"context"
	"testing"
	"time"

	"sinete/wire"
)

// begins runs a rekeying that the peer begins, up to the relay's switched.
func (e *evil) begins() error {
	e.t.Helper()
	_, _, _, err := Initiate(e.t.Context(), OnStream{e.end.control}, Initiation{Acquaintance: e.other,
		Config: e.channel.Rekeying(wire.Credentials{Chain: [][]byte{{1}}}, wire.RekeyLimits{Messages: 1 << 20, Seconds: 900}),
		Seal: func(ctx context.Context, th2 []byte) (wire.Seal, *wire.SealedDelegation, error) {
			s, err := SealHandshake(ctx, e.sealer, wire.PurposeInitiator, th2, false)
			return s, nil, err
		}})
	if err != nil {
		return err
	}
	e.send(e.turns())
	f, err := e.end.control.ReadFrame()
	must(e.t, err)
	must(e.t, e.channel.Switched(f.Body))
	return nil
}

// A channel takes so many rekeyings at once and so many a second after that, and the next one ends it (section 10).
func TestRekeyRate(t *testing.T) {
	for name, quiet := range map[string]time.Duration{"at once": 0, "once more than allowed, after a while": 10 * time.Second} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				c, s := ends(t)
				who := rekeys(s, wire.RekeyLimits{}, nil)
				who.Known = who.Other
				e := &evil{t: t, end: c, lane: c.channel.Hop(0), other: who.Acquaintance}
				server := s.run(t, c, func(cfg *Config) { cfg.Rekeys = rekeys(c, wire.RekeyLimits{}, nil) })
				began := time.Now()
				for range wire.MaxRekeys {
					must(t, e.begins())
				}
				wantEpoch(t, wire.MaxRekeys, server)
				time.Sleep(quiet) // virtual
				n, before := wire.MaxRekeys, time.Now()
				for ; n <= 2*wire.MaxRekeys && e.begins() == nil; n++ {
					before = time.Now()
				}
				// The last one let through had its time, and the one after it had not.
				since := func(at time.Time) float64 { return wire.MaxRekeys + wire.RekeysPerSecond*at.Sub(began).Seconds() }
				if float64(n) > since(before) || float64(n+1) <= since(before) {
					t.Errorf("%d rekeyings in %v", n, before.Sub(began))
				}
				if err := server.said(t); wire.CodeOf(err) != wire.CodeLimitExceeded {
					t.Errorf("it ended with %v", err)
				}
			})
		})
	}
}

// An initiator that wants more rekeyings than that waits, and nothing ends.
func TestRekeysWaitForTheRate(t *testing.T) {
	bubble(t, func(t *testing.T) {
		client, server, _ := rekeyingSession(t, wire.RekeyLimits{Messages: 1 << 20, Seconds: 900})
		const seconds = 60
		for range 20 * seconds {
			client.link.Rekey()
			time.Sleep(time.Second / 20) // virtual
		}
		time.Sleep(2 * time.Second) // for the last one
		const most = wire.MaxRekeys/2 + (seconds+2)*wire.RekeysPerSecond
		if n := client.epoch(); n > most || n < most-5 {
			t.Errorf("%d rekeyings in %d seconds", n, seconds)
		}
		wantEpoch(t, client.epoch(), server)
		carries(t, client, server, 0, 5)
	})
}

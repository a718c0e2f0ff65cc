package main

import (
	"os"
	"syscall"
	"testing"
	"time"

	"sinete/bench/roles"
	"sinete/internal/trialpki"
	"sinete/peer"
	"sinete/wire"
)

// The recipients' machine stops while authors pour messages out over it: what the relay holds for each conversation is bounded by what may be
// unacknowledged, however much the authors have. When the machine goes on, everything arrives.
func TestStalledRecipientsCostBoundedMemory(t *testing.T) {
	const (
		conversations = 10
		size          = 2000
		each          = 4 * wire.MaxUnackedBytes / size // messages: four windows
		most          = shadow * (conversations*5*wire.MaxUnackedBytes/2 + 16<<20)
	)
	ctx := bounded(t)
	s := roles.Settings{Job: roles.Messages, Window: each, Size: size, Conversations: conversations, Key: trialpki.P256, RelayKey: trialpki.P256, Sign: peer.SignDelegated}
	w, err := newWorld(s, 0)
	must(t, err)
	sys, err := startSystem(ctx, roles.Sinete, s, w, os.Stderr)
	must(t, err)
	defer sys.end()
	held := func() uint64 {
		t.Helper()
		r, err := sys.processes[atServer].ask(roles.Command{Do: roles.DoMeasure})
		must(t, err)
		return r.Counts.RSS
	}
	before, recipients := held(), sys.processes[atReceiver].cmd.Process
	must(t, recipients.Signal(syscall.SIGSTOP))
	sent := make(chan error, 1)
	go func() {
		_, err := sys.processes[atSender].ask(roles.Command{Do: roles.DoRun, Plan: roles.Plan{N: conversations * each}})
		sent <- err
	}()
	last := before
	for began, still := time.Now(), 0; still < 3; { // the relay's memory grows no more
		<-time.After(time.Second)
		if now := held(); now > last+last/100 {
			last, still = now, 0
		} else if still++; last < before+conversations*wire.MaxUnackedBytes/2 {
			still = 0 // it has hardly begun
		}
		if time.Since(began) > 25*time.Second {
			t.Fatalf("after %v the relay has %d bytes, and it had %d", time.Since(began), last, before)
		}
	}
	t.Logf("%d KiB for each conversation", (last-before)/conversations>>10)
	if last-before > most {
		t.Errorf("the relay holds %d bytes for %d conversations", last-before, conversations)
	}
	must(t, recipients.Signal(syscall.SIGCONT))
	must(t, <-sent)
	r, err := sys.processes[atReceiver].ask(roles.Command{Do: roles.DoMeasure})
	must(t, err)
	if got := r.Counts; got.Received != conversations*each || got.Duplicates+got.WrongOrder > 0 {
		t.Errorf("of %d messages came %+v", conversations*each, got)
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

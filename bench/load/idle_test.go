package main

import (
	"os"
	"testing"

	"sinete/bench/roles"
)

// Each run of idle sessions has new processes, for there are not enough cards for more than one of them, and more sessions than the one before.
func TestIdleSessions(t *testing.T) {
	o := options(t, "-job", "idle", "-n", "20", "-window", "8", "-runs", "3")
	runs, err := o.idleSessions(bounded(t), o.Settings, o.N, []string{roles.Sinete, roles.Bare}, os.Stderr)
	if err != nil {
		t.Fatal(err)
	}
	for i, of := range runs {
		if len(of) != o.runs {
			t.Fatalf("%d runs of %d", len(of), o.runs)
		}
		for run, want := range []float64{20, 26, 33} {
			if got := of[run]; got.Received != want || got.Lost != 0 || got.RelayGrowth < 8<<10 {
				t.Errorf("run %d of system %d: %v of %v sessions, %v lost, of %.0f bytes each", run, i, got.Received, want, got.Lost, got.RelayGrowth)
			}
		}
	}
}

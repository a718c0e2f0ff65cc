package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"sinete/bench/rivals"
	"sinete/peer"
)

// TestMain lets the test's own binary be the processes that it starts.
func TestMain(m *testing.M) {
	if os.Getenv(roleVariable) != "" {
		if err := child(os.Stdin, os.Stdout); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

func settings(t *testing.T, args ...string) Settings {
	t.Helper()
	s, err := parseSettings(args, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func bounded(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 4*time.Minute)
	t.Cleanup(cancel)
	return ctx
}

// All processes, both systems, in small: nothing lost, doubled or out of order, and every figure that the tool promises.
func TestLoad(t *testing.T) {
	for name, args := range map[string][]string{
		"card":      {"-conversations", "1"},
		"delegated": {"-conversations", "3", "-sign", "delegated", "-suite", "X25519-CHACHA20POLY1305-SHA256"},
	} {
		t.Run(name, func(t *testing.T) {
			s := settings(t, append(args, "-n", "2000", "-window", "64", "-json")...)
			var out bytes.Buffer
			if err := measure(bounded(t), s, &out, os.Stderr); err != nil {
				t.Fatal(err)
			}
			var r map[string]any
			if err := json.Unmarshal(out.Bytes(), &r); err != nil {
				t.Fatalf("%v in %s", err, out.String())
			}
			for _, f := range []string{"lost", "duplicates", "wrong_order"} {
				if r[f] != 0.0 {
					t.Errorf("%s is %v", f, r[f])
				}
			}
			for f, want := range map[string]any{"received": 2000.0, "n": 2000.0, "window": 64.0, "size": 256.0, "key": "p256",
				"relay_key": "p256", "sign": string(s.Sign), "suite": s.Suite, "store": "memory", "conversations": float64(s.Conversations)} {
				if r[f] != want {
					t.Errorf("%s is %v, not %v", f, r[f], want)
				}
			}
			for _, f := range []string{"msgs_per_s", "p50_us", "p99_us", "relay_cpu_us_per_msg", "peer_cpu_us_per_msg",
				"sender_cpu_us_per_msg", "receiver_cpu_us_per_msg", "relay_rss_bytes", "ratio", "cpu_ratio"} {
				if v, ok := r[f].(float64); !ok || v <= 0 {
					t.Errorf("%s is %v", f, r[f])
				}
			}
			// Flights share signatures; each message's own would be thousands.
			if n, ok := r["signatures"].(float64); !ok || n < 10 || n > 2000 {
				t.Errorf("%v signatures for 2,000 messages", r["signatures"])
			}
			beside, ok := r["beside_figures"].(map[string]any)
			if !ok || beside["received"] != 2000.0 || beside["lost"] != 0.0 || beside["wrong_order"] != 0.0 || beside["signatures"] != 0.0 {
				t.Errorf("the splice says %v", r["beside_figures"])
			}
		})
	}
}

// New keys after every few messages, and the same without, in turns.
func TestLoadWithRekeying(t *testing.T) {
	s := settings(t, "-n", "2000", "-window", "64", "-rekey-messages", "500")
	r, err := load(bounded(t), s, os.Stderr)
	if err != nil {
		t.Fatal(err)
	}
	if r.Rekeyings < 2 || r.HopRekeyings < 2 || r.Beside.Rekeyings != 0 || r.Beside.HopRekeyings != 0 {
		t.Errorf("%.0f and %.0f rekeyings; beside, %.0f and %.0f", r.Rekeyings, r.HopRekeyings, r.Beside.Rekeyings, r.Beside.HopRekeyings)
	}
	for _, f := range []*Figures{&r.Figures, r.Beside} {
		if err := f.faults(r.BesideName); err != nil || f.Received != 2000 {
			t.Errorf("%.0f messages received: %v", f.Received, err)
		}
	}
}

// Stores on disk, and in memory, in turns.
func TestLoadOnDisk(t *testing.T) {
	dir := t.TempDir()
	s := settings(t, "-n", "2000", "-window", "64", "-conversations", "2", "-store", "disk", "-dir", dir)
	r, err := load(bounded(t), s, os.Stderr)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range []*Figures{&r.Figures, r.Beside} {
		if err := f.faults(r.BesideName); err != nil || f.Received != 2000 {
			t.Errorf("%.0f messages received: %v", f.Received, err)
		}
	}
	if r.BesideName != "in memory" {
		t.Errorf("beside it %q was measured", r.BesideName)
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
		t.Errorf("it leaves %v, %v", left, err)
	}
}

// All who take part under one window, in small: nobody loses a message, and the others say which version they are.
func TestRound(t *testing.T) {
	s := settings(t, "-rivals", "-for", "20ms")
	entries, err := round(bounded(t), s, 64, os.Stderr)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, e := range entries {
		names = append(names, e.Name)
		if err := e.faults(e.Name); err != nil || e.N < 64 || e.Received != float64(e.N) || e.MessagesPerSecond <= 0 || e.Window != 64 {
			t.Errorf("%s: %+v, %v", e.Name, e, err)
		}
		if foreign := slices.Contains(rivals.All, e.Name); foreign != (e.Version != "") {
			t.Errorf("%s has the version %q", e.Name, e.Version)
		}
	}
	if want := []string{ours, oursRSA, "nats", "mosquitto", "prosody", besides}; !slices.Equal(names, want) {
		t.Errorf("%v take part, expected %v", names, want)
	}
}

// One signature a message means at least that many of the author alone.
func TestSingly(t *testing.T) {
	s := settings(t, "-n", "100", "-window", "64", "-splice=false")
	s.Singly = true
	r, err := load(bounded(t), s, os.Stderr)
	if err != nil {
		t.Fatal(err)
	}
	if err := r.faults("sinete"); err != nil || r.Signatures < 100 { // the relay and the recipient may answer several at once
		t.Errorf("%.0f signatures for 100 messages, %v", r.Signatures, err)
	}
}

// Budgets are judged by the right systems in the right direction.
func TestJudge(t *testing.T) {
	var c Contest
	for _, window := range []int{1, 64, 1024} {
		for i, one := range contenders(Settings{}, window) {
			c.Entries = append(c.Entries, Entry{Name: one.name, Window: window, Figures: Figures{MessagesPerSecond: float64(100 + window + i), P50: 70, RelayCPU: 5}})
		}
	}
	c.entry(ours, 1024).MessagesPerSecond = 2 * c.entry("nats", 1024).MessagesPerSecond
	c.entry(ours, 1).P50 = 140
	c.judge()
	if len(c.Budgets) != len(budgets) {
		t.Fatalf("%d of %d budgets are judged", len(c.Budgets), len(budgets))
	}
	for _, v := range c.Budgets {
		switch {
		case v.Budget == "P1" && v.Limit == 1 && (v.Got != 2 || !v.Met), v.Budget == "P3" && (v.Got != 2 || !v.Met),
			v.Budget == "P5" && v.Met, v.Budget == "P13" && (v.Got != 5 || v.Met):
			t.Errorf("%+v", v)
		}
	}
}

// What is not as it should be fails the measurement.
func TestFaultsAreTold(t *testing.T) {
	clean := Figures{MessagesPerSecond: 1000, Received: 10}
	for name, f := range map[string]Figures{"lost": {Lost: 1}, "doubled": {Duplicates: 1}, "out of order": {WrongOrder: 1}} {
		m := medians([]Figures{clean, f, clean}) // a median would hide it
		if m.faults("sinete") == nil {
			t.Errorf("a message was %s in one run of three, and nobody says so", name)
		}
	}
	if m := medians([]Figures{clean, clean}); m.faults("sinete") != nil {
		t.Error("faults where there are none:", m.faults("sinete"))
	}
}

// The receiver tells a message that is missing from one that came again.
func TestReceiverChecksTheOrder(t *testing.T) {
	text := func(n int) string { return fmt.Sprintf("%0*d", minSize, n) }
	var r receiverRole
	next := uint64(0)
	for _, m := range []*peer.Message{
		{Number: 0, Text: text(0)},
		{Number: 1, Text: text(1)},
		{Number: 1, Text: text(1)},       // again
		{Number: 3, Text: text(3)},       // 2 is missing
		{Number: 2, Text: text(7)},       // another's text
		{Number: 2, Text: text(2) + "0"}, // too long
		{Number: 2, Text: text(2)},
	} {
		next = r.check(m, next, minSize)
	}
	if got := [3]uint64{r.received.Load(), r.duplicates.Load(), r.wrongOrder.Load()}; got != [3]uint64{3, 1, 3} {
		t.Errorf("received, doubled, out of order: %v", got)
	}
}

func TestSettingsThatAreRefused(t *testing.T) {
	for _, args := range []string{"-window 0", "-window 4096", "-size 19", "-size 61001", "-n 0", "-conversations 0", "-runs 0", "-key p521",
		"-relay-key ed25519", "-sign auto", "-suite TLS", "-store tape", "more", "-n 2 -conversations 3"} {
		if _, err := parseSettings(strings.Fields(args), io.Discard); err == nil {
			t.Errorf("%s is taken", args)
		}
	}
}

// Whoever interrupts the measurement is rid of its processes, whatever they are about.
func TestInterrupted(t *testing.T) {
	ctx, cancel := context.WithCancel(bounded(t))
	s := settings(t, "-n", "100", "-window", "1", "-splice=false")
	w, err := newWorld(s)
	if err != nil {
		t.Fatal(err)
	}
	sys, err := startSystem(ctx, "sinete", s, w, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	failed := make(chan error, 1)
	go func() {
		for {
			if _, err := sys.measure(s.N); err != nil {
				failed <- err
				return
			}
		}
	}()
	cancel()
	if err := <-failed; err == nil {
		t.Error("the measurement goes on")
	}
	for _, p := range sys.processes {
		if err := p.end(); err == nil || p.cmd.ProcessState == nil {
			t.Errorf("%s was not killed: %v", p.name, err)
		}
	}
}

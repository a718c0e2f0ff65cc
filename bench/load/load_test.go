package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strings"
	"testing"
	"time"

	"sinete/bench/roles"
	"sinete/cardauth/pkcs11card"
)

// TestMain lets the test's own binary be the processes that it starts.
func TestMain(m *testing.M) {
	pkcs11card.ChildMain()
	if os.Getenv(roles.Variable) != "" {
		if err := roles.Serve(os.Stdin, os.Stdout); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

func options(t *testing.T, args ...string) Options {
	t.Helper()
	s, err := parseOptions(args, io.Discard)
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
			s := options(t, append(args, "-n", "2000", "-window", "64", "-json")...)
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
				"sender_cpu_us_per_msg", "receiver_cpu_us_per_msg", "relay_rss_bytes", "ratio", "cpu_ratio", "p90_us", "max_us", "seconds",
				"relay_allocs_per_msg", "sender_allocs_per_msg", "receiver_allocs_per_msg", "sender_rss_bytes", "receiver_rss_bytes", "growth",
				"wire_bytes_per_msg", "relay_msgs_per_signature", "sender_msgs_per_signature", "receiver_msgs_per_signature"} {
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
	s := options(t, "-n", "2000", "-window", "64", "-rekey-messages", "500")
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
	s := options(t, "-n", "2000", "-window", "64", "-conversations", "2", "-store", "disk", "-dir", dir)
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

// Half of what goes at most, and the largest texts.
func TestLoadAtARate(t *testing.T) {
	r, err := load(bounded(t), options(t, "-n", "100", "-window", "16", "-rate", "0.5x", "-size", "61000", "-conversations", "4"), os.Stderr)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range []*Figures{&r.Figures, r.Beside} {
		if err := f.faults(r.BesideName); err != nil || f.Received != 100 || f.MessagesPerSecond > 1.1*r.Rate || f.Wire < 2*61000 {
			t.Errorf("%+v with %.0f a second due: %v", f, r.Rate, err)
		}
	}
}

// One signature a message means at least that many of the author alone.
func TestSingly(t *testing.T) {
	s := options(t, "-n", "100", "-window", "64", "-splice=false")
	s.Singly = true
	r, err := load(bounded(t), s, os.Stderr)
	if err != nil {
		t.Fatal(err)
	}
	if err := r.faults("sinete"); err != nil || r.Signatures < 100 { // the relay and the recipient may answer several at once
		t.Errorf("%.0f signatures for 100 messages, %v", r.Signatures, err)
	}
}

// What is not as it should be fails the measurement.
func TestFaultsAreTold(t *testing.T) {
	clean := Figures{Speed: Speed{MessagesPerSecond: 1000}, Delivery: Delivery{Received: 10}}
	for name, f := range map[string]Figures{"lost": {Delivery: Delivery{Lost: 1}}, "doubled": {Delivery: Delivery{Duplicates: 1}},
		"out of order": {Delivery: Delivery{WrongOrder: 1}}} {
		m := medians([]Figures{clean, f, clean}) // a median would hide it
		if m.faults("sinete") == nil {
			t.Errorf("a message was %s in one run of three, and nobody says so", name)
		}
	}
	if m := medians([]Figures{clean, clean}); m.faults("sinete") != nil {
		t.Error("faults where there are none:", m.faults("sinete"))
	}
}

func TestSettingsThatAreRefused(t *testing.T) {
	for _, args := range []string{"-window 0", "-window 4096", "-size 19", "-size 61001", "-n 0", "-conversations 0", "-runs 0", "-key p521",
		"-relay-key ed25519", "-sign auto", "-suite TLS", "-store tape", "more", "-n 2 -conversations 3", "-rate fast", "-rate 0", "-rate -1x", "-rate NaN",
		"-job sleep", "-job idle -rate 5", "-job logins -bulk", "-card chip", "-card-time -1s", "-only logins", "-write x.json", "-rivals -job idle",
		"-rivals -rate 5", "-rivals -bulk", "-rivals -cpuprofile ."} {
		if _, err := parseOptions(strings.Fields(args), io.Discard); err == nil {
			t.Errorf("%s is taken", args)
		}
	}
}

// Whoever interrupts the measurement is rid of its processes, whatever they are about.
func TestInterrupted(t *testing.T) {
	ctx, cancel := context.WithCancel(bounded(t))
	s := options(t, "-n", "100", "-window", "1", "-splice=false")
	w, err := newWorld(s.Settings, 0)
	if err != nil {
		t.Fatal(err)
	}
	sys, err := startSystem(ctx, roles.Sinete, s.Settings, w, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	failed := make(chan error, 1)
	go func() {
		for {
			if _, err := sys.measure(roles.Plan{N: s.N}); err != nil {
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

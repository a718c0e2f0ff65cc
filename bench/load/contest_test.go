package main

import (
	"math"
	"os"
	"slices"
	"testing"

	"sinete/bench/rivals"
	"sinete/bench/roles"
)

// All events in small, but for the crowds: nobody loses a message, and the others say which version they are.
func TestEvents(t *testing.T) {
	o := options(t, "-rivals", "-for", "20ms")
	for _, e := range events(o.Settings) {
		if e.name == window1 || e.name == window1024 { // as with window 64
			continue
		}
		t.Run(e.name, func(t *testing.T) {
			for i := range e.contenders {
				c := &e.contenders[i]
				c.of.Conversations = min(c.of.Conversations, 6)
				if c.name == slow {
					c.of.CardTime /= 10
				}
			}
			entries, err := e.hold(bounded(t), o, os.Stderr)
			if err != nil {
				t.Fatal(err)
			}
			if len(entries) != len(e.contenders) {
				t.Fatalf("%d of %d took part", len(entries), len(e.contenders))
			}
			for i, got := range entries {
				c := e.contenders[i]
				if err := got.faults(got.Name); err != nil || got.Name != c.name || got.Event != e.name || got.MessagesPerSecond <= 0 || got.cpu() <= 0 {
					t.Errorf("%s: %+v, %v", c.name, got, err)
				}
				if got.Received != float64(got.N) {
					t.Errorf("%s: %v received, not %v", c.name, got.Received, got.N)
				}
				if foreign := slices.Contains(rivals.All, c.system); foreign != (got.Version != "") {
					t.Errorf("%s has the version %q", c.name, got.Version)
				}
				if (c.name == withBulk) != (got.BulkPerSecond > 0) {
					t.Errorf("%s: %v bytes a second beside", c.name, got.BulkPerSecond)
				}
				if c.of.Job == roles.Idle && got.RelayGrowth < 8<<10 {
					t.Errorf("%s: a session takes %.0f bytes", c.name, got.RelayGrowth)
				}
			}
		})
	}
}

// Budgets are judged by the right contenders in the right direction, all of them where all events took place.
func TestJudge(t *testing.T) {
	var c Contest
	for _, e := range events(roles.Settings{}) {
		for i, one := range e.contenders {
			c.Entries = append(c.Entries, Entry{Event: e.name, Name: one.name, Figures: Figures{
				Speed: Speed{MessagesPerSecond: float64(100 + i), Seconds: 4, P50: 70, P99: 80}, Cost: Cost{RelayCPU: 5, PeerCPU: 10, RelayGrowth: 2048}}})
		}
	}
	c.figures(place{window1024, ours}).MessagesPerSecond = 2 * c.figures(place{window1024, "nats"}).MessagesPerSecond
	c.figures(place{window1, ours}).P50 = 140
	c.figures(place{slowCards, slow}).Seconds = 8.2
	c.figures(place{slowCards, slowOne}).P50 = 1_000_070
	c.figures(place{logins, ours}).RelayCPU = 10.5
	c.figures(place{sessions, ours}).RelayGrowth += 20 << 10
	c.judge()
	if len(c.Budgets) != len(budgets) {
		t.Fatalf("%d of %d budgets are judged", len(c.Budgets), len(budgets))
	}
	for what, want := range map[string]struct {
		got float64
		met bool
	}{
		"messages/s against NATS":                                                   {2, true},
		"median latency against NATS":                                               {2, true},
		"messages/s against one signature a message":                                {101. / 103, false},
		"10,000 messages, less six signatures of 500 ms, against 1 ms":              {1.3, false},
		"one message, less two signatures, against 1 ms":                            {1, true},
		"one conversation: p99 at half of what goes, against one message at a time": {1, true},
		"with stores on disk":                                                       {102. / 104, true},
		"logins by all processor time against mutual TLS":                           {15 / 20.5, true},
		"logins by the server's processor time":                                     {5 / 10.5, false},
		"KiB of an idle session above mutual TLS with a stream":                     {20, false},
		"relay's CPU a message, us":                                                 {5, false},
		"CPU a message with 2,000 clients against 2":                                {1, true},
	} {
		i := slices.IndexFunc(c.Budgets, func(v Verdict) bool { return v.What == what })
		if i < 0 {
			t.Errorf("nobody judges %q", what)
		} else if v := c.Budgets[i]; math.Abs(v.Got-want.got) > 1e-9 || v.Met != want.met {
			t.Errorf("%q: %v, met %v", what, v.Got, v.Met)
		}
	}
}

// Where one event only took place, its budgets are judged.
func TestJudgeOne(t *testing.T) {
	c := Contest{Entries: []Entry{{Event: bulk, Name: ours}, {Event: bulk, Name: besides}}}
	if c.judge(); len(c.Budgets) != 2 || c.Budgets[0].Budget != "P9" {
		t.Errorf("judged: %+v", c.Budgets)
	}
}

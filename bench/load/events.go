package main

import (
	"time"

	"sinete/bench/rivals"
	"sinete/bench/roles"
	"sinete/internal/trialpki"
	"sinete/peer"
	"sinete/wire"
)

// event is a job that some do in turns.
type event struct {
	name       string
	contenders []contender
}

// contender is one who takes part in an event.
type contender struct {
	name, system string
	of           roles.Settings
	n            int     // messages of a run of a second; 0: as many as it takes
	as           string  // on the system of that contender before it; empty: on one of its own
	turns        bool    // one message at a time, of one conversation after the other
	ofPeak       float64 // at fixed times, and so many of the messages a second that the contender before it has just reached
}

// The names of what is ours, and of what it is compared with.
const (
	ours     = "sinete"
	oursRSA  = "sinete, RSA-2048"
	oursDisk = "sinete, stores on disk"
	singly   = "one signature a message, RSA-2048"
	besides  = "splice"
	quick    = "cards of 1 ms"
	slow     = "cards of 500 ms"
	quickOne = "cards of 1 ms, one message"
	slowOne  = "cards of 500 ms, one message"
	idle     = "one message at a time"
	peak     = "as fast as it goes, window 1"
	half     = "at half of that rate"
	peak64   = "as fast as it goes, window 64"
	half64   = "at half of that one"
	peakOne  = "as fast as it goes, window 1,024"
	alone    = "without the bulk"
	withBulk = "beside the bulk"
	mutual   = "mutual TLS"
	two      = "2 clients"
	many     = "2,000 clients"
)

// The names of events.
const (
	window1    = "window 1"
	window64   = "window 64"
	window1024 = "window 1,024"
	slowCards  = "slow cards"
	couple     = "one conversation"
	crowd      = "100 conversations"
	fairness   = "chatting beside bulk"
	bulk       = "1 GiB"
	logins     = "logins"
	sessions   = "idle sessions"
	scale      = "clients"
)

const slowCard = 500 * time.Millisecond

// events are all, in the order in which they take place.
func events(s roles.Settings) []event {
	with := func(change func(s *roles.Settings)) roles.Settings {
		of := s
		change(&of)
		return of
	}
	cards := func(takes time.Duration) roles.Settings {
		return with(func(s *roles.Settings) { s.Conversations, s.Window, s.CardTime = 10, 1000, takes })
	}
	hundred := func(window int) roles.Settings {
		return with(func(s *roles.Settings) { s.Conversations, s.Window = 100, window })
	}
	chat := func(bulk bool) roles.Settings {
		return with(func(s *roles.Settings) { s.Conversations, s.Rate, s.Bulk = 100, 100, bulk })
	}
	large := with(func(s *roles.Settings) { s.Size, s.Window = wire.MaxText, 64 })
	clients := func(j roles.Job) roles.Settings {
		return with(func(s *roles.Settings) { s.Job, s.Window = j, 8 })
	}
	return []event{
		{window1, exchange(s, 1)},
		{window64, exchange(s, 64)},
		{window1024, exchange(s, 1024)},
		{slowCards, []contender{{name: quick, of: cards(time.Millisecond), n: 10_000}, {name: slow, of: cards(slowCard), n: 10_000},
			{name: quickOne, as: quick, n: 100, turns: true}, {name: slowOne, as: slow, n: 3, turns: true}}},
		{couple, []contender{{name: peakOne, of: with(func(s *roles.Settings) { s.Window = 1024 })}, {name: half, as: peakOne, ofPeak: 0.5},
			{name: idle, as: peakOne, n: 500, turns: true}}},
		{crowd, []contender{{name: peak, of: hundred(1), n: 2000}, {name: half, as: peak, ofPeak: 0.5},
			{name: peak64, of: hundred(64), n: 20_000}, {name: half64, as: peak64, ofPeak: 0.5}, {name: idle, as: peak, n: 500, turns: true}}},
		{fairness, []contender{{name: alone, of: chat(false), n: 300}, {name: withBulk, of: chat(true), n: 300}}},
		{bulk, []contender{{name: ours, of: large, n: 1<<30/wire.MaxText + 1}, {name: besides, system: roles.Splice, of: large, n: 1<<30/wire.MaxText + 1}}},
		{logins, []contender{{name: ours, of: clients(roles.Logins), n: 300}, {name: mutual, system: roles.Bare, of: clients(roles.Logins), n: 300}}},
		{sessions, []contender{{name: ours, of: clients(roles.Idle), n: 1000}, {name: mutual, system: roles.Bare, of: clients(roles.Idle), n: 1000}}},
		{scale, []contender{{name: two, of: with(func(s *roles.Settings) { s.Window = 64 })},
			{name: many, of: with(func(s *roles.Settings) { s.Conversations, s.Window = 1000, 64 }), n: 100_000}}},
	}
}

// exchange is texts in a conversation, by us and by the rivals. Where one message at a time is what counts, the card delegates, as for those
// who must not wait for it.
func exchange(s roles.Settings, window int) []contender {
	s.Window = window
	first, rsa, disk := s, s, s
	if window == 1 {
		first.Sign = peer.SignDelegated
	}
	rsa.Key = trialpki.RSA2048
	disk.Store = roles.OnDisk
	all := []contender{{name: ours, of: first}}
	if window > 1 {
		all = append(all, contender{name: oursRSA, of: rsa}, contender{name: oursDisk, of: disk})
	}
	if window == 1024 {
		one := rsa
		one.Singly = true
		all = append(all, contender{name: singly, of: one})
	}
	for _, name := range rivals.All {
		all = append(all, contender{name: name, system: name, of: s})
	}
	return append(all, contender{name: besides, system: roles.Splice, of: s})
}

// place is whose figures a budget looks at.
type place struct{ event, name string }

// budgets are those that figures are held against, each a figure of one contender, or of two.
var budgets = []struct {
	id, what    string
	of, against place
	figure      func(of, against *Figures) float64
	limit       float64
	atMost      bool
}{
	{"P1", "messages/s against NATS", place{window1024, ours}, place{window1024, "nats"}, ratio(rate), 1, false},
	{"P1", "with RSA-2048", place{window1024, oursRSA}, place{window1024, "nats"}, ratio(rate), 0.6, false},
	{"P1", "with stores on disk", place{window1024, oursDisk}, place{window1024, "nats"}, ratio(rate), 0, false},
	{"P2", "messages/s against NATS, window 64", place{window64, ours}, place{window64, "nats"}, ratio(rate), 1, false},
	{"P2", "with RSA-2048", place{window64, oursRSA}, place{window64, "nats"}, ratio(rate), 0.15, false},
	{"P2", "with stores on disk", place{window64, oursDisk}, place{window64, "nats"}, ratio(rate), 0, false},
	{"P3", "median latency against NATS", place{window1, ours}, place{window1, "nats"}, ratio(func(f *Figures) float64 { return f.P50 }), 3.5, true},
	{"P4", "messages/s against Mosquitto", place{window1024, ours}, place{window1024, "mosquitto"}, ratio(rate), 8, false},
	{"P4", "messages/s against Prosody", place{window1024, ours}, place{window1024, "prosody"}, ratio(rate), 20, false},
	{"P5", "messages/s against one signature a message", place{window1024, oursRSA}, place{window1024, singly}, ratio(rate), 300, false},
	{"P6", "10,000 messages, less six signatures of 500 ms, against 1 ms", place{slowCards, slow}, place{slowCards, quick},
		func(of, against *Figures) float64 { return (of.Seconds - 6*slowCard.Seconds()) / against.Seconds }, 1.25, true},
	{"P6", "one message, less two signatures, against 1 ms", place{slowCards, slowOne}, place{slowCards, quickOne},
		func(of, against *Figures) float64 { return (of.P50 - 2*micros(slowCard)) / against.P50 }, 1.25, true},
	{"P7", "messages/s against the splice", place{window1024, ours}, place{window1024, besides}, ratio(rate), 0.5, false},
	{"P8", "one conversation: p99 at half of what goes, against one message at a time", place{couple, half}, place{couple, idle},
		ratio(p99), 3, true},
	{"P8", "100 conversations: the same, half of what goes with window 1", place{crowd, half}, place{crowd, idle},
		ratio(p99), 3, true},
	{"P8", "100 conversations: the same, half of what goes with window 64", place{crowd, half64}, place{crowd, idle},
		ratio(p99), 3, true},
	{"P8", "chatting: median latency beside the bulk against without", place{fairness, withBulk}, place{fairness, alone},
		ratio(func(f *Figures) float64 { return f.P50 }), 0, true},
	{"P8", "p99 of the same", place{fairness, withBulk}, place{fairness, alone}, ratio(p99), 0, true},
	{"P9", "bytes/s against the splice", place{bulk, ours}, place{bulk, besides}, ratio(rate), 0.65, false},
	{"P9", "memory after the GiB against before, where it grew most", place{bulk, ours}, place{}, one(func(f *Figures) float64 { return f.Growth }), 1.25, true},
	{"P10", "logins by all processor time against mutual TLS", place{logins, ours}, place{logins, mutual},
		ratio(func(f *Figures) float64 { return 1 / f.cpu() }), 0.5, false},
	{"P10", "logins by the server's processor time", place{logins, ours}, place{logins, mutual},
		ratio(func(f *Figures) float64 { return 1 / f.RelayCPU }), 0.5, false},
	{"P11", "KiB of an idle session above mutual TLS with a stream", place{sessions, ours}, place{sessions, mutual},
		func(of, against *Figures) float64 { return (of.RelayGrowth - against.RelayGrowth) / 1024 }, 16, true},
	{"P12", "relay's allocations a message", place{window1024, ours}, place{}, one(func(f *Figures) float64 { return f.RelayAllocs }), 2, true},
	{"P12", "peers' allocations a message, of the one with more", place{window1024, ours}, place{},
		one(func(f *Figures) float64 { return max(f.SenderAllocs, f.ReceiverAllocs) }), 8, true},
	{"P13", "relay's CPU a message, us", place{window1024, ours}, place{}, one(func(f *Figures) float64 { return f.RelayCPU }), 4, true},
	{"P14", "CPU a message with 2,000 clients against 2", place{scale, many}, place{scale, two}, ratio((*Figures).cpu), 1.5, true},
}

func rate(f *Figures) float64 { return f.MessagesPerSecond }

func p99(f *Figures) float64 { return f.P99 }

func one(figure func(*Figures) float64) func(of, against *Figures) float64 {
	return func(of, _ *Figures) float64 { return figure(of) }
}

func ratio(figure func(*Figures) float64) func(of, against *Figures) float64 {
	return func(of, against *Figures) float64 { return figure(of) / figure(against) }
}

// plan is a run, given what the contender before it has just reached.
func (c *contender) plan(n int, before *Figures) roles.Plan {
	p := roles.Plan{N: n, Rate: c.of.Rate, Turns: c.turns}
	if c.ofPeak > 0 {
		p.Rate = before.MessagesPerSecond * c.ofPeak
	}
	return p
}

// scaled is how many messages a run has that may take so long.
func (c *contender) scaled(runFor time.Duration) int {
	n := int(float64(c.n) * min(1, runFor.Seconds()))
	return max(n, min(c.n, max(c.of.Pairs(), 5)))
}

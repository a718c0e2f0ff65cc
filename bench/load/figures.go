package main

import (
	"encoding/json"
	"fmt"
	"io"
	"reflect"
	"slices"
	"text/tabwriter"
	"time"

	"sinete/bench/roles"
	"sinete/wire"
)

// Figures are those of one run of one system, or the medians of several; what must be 0 is summed up instead. A message is a login where
// those are measured.
type Figures struct {
	Speed
	Cost
	Delivery
}

// Speed is how fast they went.
type Speed struct {
	MessagesPerSecond float64 `json:"msgs_per_s"`
	Seconds           float64 `json:"seconds"` // of the run
	P50               float64 `json:"p50_us"`
	P90               float64 `json:"p90_us"`
	P99               float64 `json:"p99_us"`
	Max               float64 `json:"max_us"`
	BulkPerSecond     float64 `json:"bulk_bytes_per_s"` // texts of the pair that pours them out beside
}

// Cost is what the processes took for it.
type Cost struct {
	RelayCPU       float64 `json:"relay_cpu_us_per_msg"`
	PeerCPU        float64 `json:"peer_cpu_us_per_msg"` // sender and receiver
	SenderCPU      float64 `json:"sender_cpu_us_per_msg"`
	ReceiverCPU    float64 `json:"receiver_cpu_us_per_msg"`
	RelayAllocs    float64 `json:"relay_allocs_per_msg"`
	SenderAllocs   float64 `json:"sender_allocs_per_msg"`
	ReceiverAllocs float64 `json:"receiver_allocs_per_msg"`
	RelayRSS       float64 `json:"relay_rss_bytes"` // after the run, as the following
	SenderRSS      float64 `json:"sender_rss_bytes"`
	ReceiverRSS    float64 `json:"receiver_rss_bytes"`
	RelayGrowth    float64 `json:"relay_growth_bytes_per_msg"` // what the relay holds more than before: of each session that stays
	Growth         float64 `json:"growth"`                     // RSS after the run by that before, of the process that has grown most
	Wire           float64 `json:"wire_bytes_per_msg"`         // over the loopback interface, everybody's
	Signatures     float64 `json:"signatures"`                 // of all three processes in a run
	RelayBatch     float64 `json:"relay_msgs_per_signature"`
	SenderBatch    float64 `json:"sender_msgs_per_signature"`
	ReceiverBatch  float64 `json:"receiver_msgs_per_signature"`
	HopRekeyings   float64 `json:"hop_rekeyings"` // of the senders' hops, in a run
	Rekeyings      float64 `json:"rekeyings"`     // of conversations
}

// Delivery is what became of them.
type Delivery struct {
	Received   float64 `json:"received"` // in a run
	Lost       float64 `json:"lost"`     // those of the bulk included, as the following
	Duplicates float64 `json:"duplicates"`
	WrongOrder float64 `json:"wrong_order"`
}

// figuresOf are those of a run of n, given what the processes had used before and after it.
func figuresOf(n int, run roles.Run, before, after []roles.Counts, wired uint64) (f Figures) {
	each := func(x float64) float64 { return x / float64(n) }
	f.Seconds = run.Elapsed.Seconds()
	f.MessagesPerSecond = float64(n) / f.Seconds
	f.P50, f.P90, f.P99, f.Max = micros(run.P50), micros(run.P90), micros(run.P99), micros(run.Max)
	f.BulkPerSecond = float64(run.Bulk) * wire.MaxText / f.Seconds
	for i, p := range []struct{ cpu, allocs, rss, batch *float64 }{
		atServer:   {&f.RelayCPU, &f.RelayAllocs, &f.RelayRSS, &f.RelayBatch},
		atReceiver: {&f.ReceiverCPU, &f.ReceiverAllocs, &f.ReceiverRSS, &f.ReceiverBatch},
		atSender:   {&f.SenderCPU, &f.SenderAllocs, &f.SenderRSS, &f.SenderBatch},
	} {
		was, is := before[i], after[i]
		*p.cpu, *p.allocs, *p.rss = each(micros(is.CPU-was.CPU)), each(float64(is.Mallocs-was.Mallocs)), float64(is.RSS)
		if signatures := float64(is.Signatures - was.Signatures); signatures > 0 {
			*p.batch = float64(n) / signatures
			f.Signatures += signatures
		}
		f.Growth = max(f.Growth, float64(is.RSS)/float64(was.RSS))
		f.Received += float64(is.Received - was.Received)
		f.Lost -= float64(is.Bulk - was.Bulk)
		f.Duplicates += float64(is.Duplicates - was.Duplicates)
		f.WrongOrder += float64(is.WrongOrder - was.WrongOrder)
		f.HopRekeyings += float64(is.HopEpochs - was.HopEpochs)
		f.Rekeyings += float64(is.Epochs - was.Epochs)
	}
	f.PeerCPU = f.SenderCPU + f.ReceiverCPU
	f.RelayGrowth = each(float64(after[atServer].RSS) - float64(before[atServer].RSS))
	f.Wire = each(float64(wired))
	f.Lost += float64(n) - f.Received + float64(run.Bulk)
	return f
}

func micros(d time.Duration) float64 { return float64(d) / float64(time.Microsecond) }

// Result is what -json prints.
type Result struct {
	roles.Settings
	Runs int `json:"runs"`
	Figures
	// Frame is how many bytes a message takes on a hop.
	Frame int `json:"frame_bytes"`
	// Beside is what was measured in turns with it, under that name: the splice, or the same under other settings.
	BesideName string   `json:"beside,omitempty"`
	Beside     *Figures `json:"beside_figures,omitempty"`
	// Ratio is the messages per second against those beside.
	Ratio float64 `json:"ratio,omitempty"`
	// CPURatio is the processor time of a message in all three processes against that beside. A busy machine sways it less.
	CPURatio float64 `json:"cpu_ratio,omitempty"`
}

// result is that of the runs of ours, and of what was measured beside it where that has a name.
func (o *Options) result(runs [][]Figures, besideName string) *Result {
	r := &Result{Settings: o.Settings, Runs: o.runs, Figures: medians(runs[0]), Frame: o.FrameSize()}
	if besideName != "" {
		beside := medians(runs[1])
		r.BesideName, r.Beside, r.Ratio, r.CPURatio = besideName, &beside, r.MessagesPerSecond/beside.MessagesPerSecond, r.cpu()/beside.cpu()
	}
	return r
}

// medians takes the median of each figure by itself.
func medians(runs []Figures) (m Figures) {
	out := reflect.ValueOf(&m).Elem()
	for group := range out.NumField() {
		for i := range out.Field(group).NumField() {
			var values []float64
			for _, r := range runs {
				values = append(values, reflect.ValueOf(r).Field(group).Field(i).Float())
			}
			slices.Sort(values)
			out.Field(group).Field(i).SetFloat(values[len(values)/2])
		}
	}
	m.Lost, m.Duplicates, m.WrongOrder = 0, 0, 0
	for _, r := range runs {
		m.Lost += r.Lost
		m.Duplicates += r.Duplicates
		m.WrongOrder += r.WrongOrder
	}
	return m
}

// cpu is that of all three processes.
func (f *Figures) cpu() float64 { return f.RelayCPU + f.PeerCPU }

// faults says what must not be in the figures, nil if nothing is.
func (f *Figures) faults(system string) error {
	if f.Lost != 0 || f.Duplicates != 0 || f.WrongOrder != 0 {
		return fmt.Errorf("%s: %.0f lost, %.0f duplicates, %.0f out of order", system, f.Lost, f.Duplicates, f.WrongOrder)
	}
	return nil
}

func printJSON(w io.Writer, what any) error {
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	return e.Encode(what)
}

func (r *Result) print(w io.Writer, asJSON bool) error {
	if asJSON {
		return printJSON(w, r)
	}
	suite := r.Suite
	if suite == "" {
		suite = "the best suite"
	}
	switch {
	case r.Job != roles.Messages:
		fmt.Fprintf(w, "%d %s, %d at once, median of %d; a message is a client\n", r.N, r.Job, r.Window, r.Runs)
	case r.Rate > 0:
		fmt.Fprintf(w, "%d messages of %d bytes (%d on a hop), %.0f a second, %d conversation(s), median of %d\n", r.N, r.Size, r.Frame, r.Rate,
			r.Conversations, r.Runs)
	default:
		fmt.Fprintf(w, "%d messages of %d bytes (%d on a hop), window %d, %d conversation(s), median of %d\n", r.N, r.Size, r.Frame, r.Window,
			r.Conversations, r.Runs)
	}
	fmt.Fprintf(w, "cards %s (%s, %s), relay %s, %s, store in %s\n\n", r.Key, r.Card, r.Sign, r.RelayKey, suite, r.Store)
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	rows := []struct {
		name   string
		of     func(*Figures) float64
		always bool // else where it is not 0
	}{
		{"messages/s", rate, false},
		{"p50 us", func(f *Figures) float64 { return f.P50 }, false},
		{"p90 us", func(f *Figures) float64 { return f.P90 }, false},
		{"p99 us", func(f *Figures) float64 { return f.P99 }, false},
		{"at most us", func(f *Figures) float64 { return f.Max }, false},
		{"bulk MiB/s", func(f *Figures) float64 { return f.BulkPerSecond / (1 << 20) }, false},
		{"relay CPU us/message", func(f *Figures) float64 { return f.RelayCPU }, false},
		{"sender CPU us/message", func(f *Figures) float64 { return f.SenderCPU }, false},
		{"receiver CPU us/message", func(f *Figures) float64 { return f.ReceiverCPU }, false},
		{"relay allocations/message", func(f *Figures) float64 { return f.RelayAllocs }, false},
		{"sender allocations/message", func(f *Figures) float64 { return f.SenderAllocs }, false},
		{"receiver allocations/message", func(f *Figures) float64 { return f.ReceiverAllocs }, false},
		{"relay RSS MiB", func(f *Figures) float64 { return f.RelayRSS / (1 << 20) }, false},
		{"sender RSS MiB", func(f *Figures) float64 { return f.SenderRSS / (1 << 20) }, false},
		{"receiver RSS MiB", func(f *Figures) float64 { return f.ReceiverRSS / (1 << 20) }, false},
		{"relay's growth KiB/message", func(f *Figures) float64 { return f.RelayGrowth / (1 << 10) }, false},
		{"bytes on the wire/message", func(f *Figures) float64 { return f.Wire }, false},
		{"signatures", func(f *Figures) float64 { return f.Signatures }, false},
		{"messages/signature of the relay", func(f *Figures) float64 { return f.RelayBatch }, false},
		{"of the sender", func(f *Figures) float64 { return f.SenderBatch }, false},
		{"of the receiver", func(f *Figures) float64 { return f.ReceiverBatch }, false},
		{"rekeyings of hops", func(f *Figures) float64 { return f.HopRekeyings }, false},
		{"of conversations", func(f *Figures) float64 { return f.Rekeyings }, false},
		{"lost", func(f *Figures) float64 { return f.Lost }, true},
		{"duplicates", func(f *Figures) float64 { return f.Duplicates }, true},
		{"out of order", func(f *Figures) float64 { return f.WrongOrder }, true},
	}
	heading := "\tsinete\t"
	if r.Beside != nil {
		heading += r.BesideName + "\t"
	}
	fmt.Fprintln(t, heading)
	for _, row := range rows {
		if !row.always && row.of(&r.Figures) == 0 && (r.Beside == nil || row.of(r.Beside) == 0) {
			continue
		}
		fmt.Fprintf(t, "%s\t%.1f\t", row.name, row.of(&r.Figures))
		if r.Beside != nil {
			fmt.Fprintf(t, "%.1f\t", row.of(r.Beside))
		}
		fmt.Fprintln(t)
	}
	if err := t.Flush(); err != nil {
		return err
	}
	if r.Beside != nil {
		_, err := fmt.Fprintf(w, "\n%.2f times the messages (%s), %.2f times the CPU for each\n", r.Ratio, r.BesideName, r.CPURatio)
		return err
	}
	return nil
}

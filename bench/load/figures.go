package main

import (
	"encoding/json"
	"fmt"
	"io"
	"reflect"
	"slices"
	"text/tabwriter"
)

// Figures are those of one run of one system, or the medians of several; what must be 0 is summed up instead.
type Figures struct {
	MessagesPerSecond float64 `json:"msgs_per_s"`
	P50               float64 `json:"p50_us"`
	P99               float64 `json:"p99_us"`
	RelayCPU          float64 `json:"relay_cpu_us_per_msg"`
	PeerCPU           float64 `json:"peer_cpu_us_per_msg"` // sender and receiver
	SenderCPU         float64 `json:"sender_cpu_us_per_msg"`
	ReceiverCPU       float64 `json:"receiver_cpu_us_per_msg"`
	RelayRSS          float64 `json:"relay_rss_bytes"`
	Signatures        float64 `json:"signatures"`    // of all three processes in a run
	HopRekeyings      float64 `json:"hop_rekeyings"` // of the senders' hops, in a run
	Rekeyings         float64 `json:"rekeyings"`     // of conversations
	Received          float64 `json:"received"`      // in a run
	Lost              float64 `json:"lost"`
	Duplicates        float64 `json:"duplicates"`
	WrongOrder        float64 `json:"wrong_order"`
}

// Result is what -json prints.
type Result struct {
	Settings
	Figures
	// Frame is how many bytes a message takes on a hop.
	Frame int `json:"frame_bytes"`
	// Beside is what was measured in turns with it, under that name: the splice, or the same without new keys.
	BesideName string   `json:"beside,omitempty"`
	Beside     *Figures `json:"beside_figures,omitempty"`
	// Ratio is the messages per second against those beside.
	Ratio float64 `json:"ratio,omitempty"`
	// CPURatio is the processor time of a message in all three processes against that beside. A busy machine sways it less.
	CPURatio float64 `json:"cpu_ratio,omitempty"`
}

// medians takes the median of each figure by itself.
func medians(runs []Figures) (m Figures) {
	out := reflect.ValueOf(&m).Elem()
	for i := range out.NumField() {
		var values []float64
		for _, r := range runs {
			values = append(values, reflect.ValueOf(r).Field(i).Float())
		}
		slices.Sort(values)
		out.Field(i).SetFloat(values[len(values)/2])
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
	fmt.Fprintf(w, "%d messages of %d bytes (%d on a hop), window %d, %d conversation(s), median of %d\n", r.N, r.Size, r.Frame, r.Window,
		r.Conversations, r.Runs)
	fmt.Fprintf(w, "cards %s (%s), relay %s, %s, store in %s\n\n", r.Key, r.Sign, r.RelayKey, suite, r.Store)
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	rows := []struct {
		name string
		of   func(*Figures) float64
	}{
		{"messages/s", func(f *Figures) float64 { return f.MessagesPerSecond }},
		{"p50 us", func(f *Figures) float64 { return f.P50 }},
		{"p99 us", func(f *Figures) float64 { return f.P99 }},
		{"relay CPU us/message", func(f *Figures) float64 { return f.RelayCPU }},
		{"sender CPU us/message", func(f *Figures) float64 { return f.SenderCPU }},
		{"receiver CPU us/message", func(f *Figures) float64 { return f.ReceiverCPU }},
		{"relay RSS MiB", func(f *Figures) float64 { return f.RelayRSS / (1 << 20) }},
		{"signatures", func(f *Figures) float64 { return f.Signatures }},
		{"rekeyings of hops", func(f *Figures) float64 { return f.HopRekeyings }},
		{"of conversations", func(f *Figures) float64 { return f.Rekeyings }},
		{"lost", func(f *Figures) float64 { return f.Lost }},
		{"duplicates", func(f *Figures) float64 { return f.Duplicates }},
		{"out of order", func(f *Figures) float64 { return f.WrongOrder }},
	}
	heading := "\tsinete\t"
	if r.Beside != nil {
		heading += r.BesideName + "\t"
	}
	fmt.Fprintln(t, heading)
	for _, row := range rows {
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

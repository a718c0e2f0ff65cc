package seal

import (
	"context"
	"slices"
	"time"
)

const (
	paceOver   = 16 // signing times that count
	paceFactor = 8  // medians from a start to the next but one
)

// pace keeps a software key from taking the processor from the work that it seals (protocol.md section 4.4). It is over two starts, so that what
// comes right behind a batch, as H3 behind H2, need not wait.
type pace struct {
	started time.Time
	before  time.Time               // the start before
	times   [paceOver]time.Duration // a ring
	n       int                     // times measured so far
}

func (p *pace) begin() { p.before, p.started = p.started, time.Now() }

func (p *pace) end() {
	p.times[p.n%paceOver] = time.Since(p.started)
	p.n++
}

// wait returns when the next signature may start, or when ctx ends. Who signs after a while waits for nothing.
func (p *pace) wait(ctx context.Context) {
	if p.n == 0 {
		return
	}
	d := paceFactor*p.median() - time.Since(p.before)
	switch {
	case d <= 0:
	case d < time.Millisecond:
		shortSleep(d)
	default:
		timer := time.NewTimer(d)
		defer timer.Stop()
		select {
		case <-timer.C:
		case <-ctx.Done():
		}
	}
}

func (p *pace) median() time.Duration {
	sorted := p.times
	known := sorted[:min(p.n, paceOver)]
	slices.Sort(known)
	return known[len(known)/2]
}

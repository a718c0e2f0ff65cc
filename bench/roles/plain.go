package roles

import (
	"context"
	"time"
)

// plainSender sends for the splice and for the rivals.
type plainSender struct {
	passive
	loops loops
}

func (r *plainSender) run(ctx context.Context, p Plan, _ *Run) ([]time.Duration, error) {
	return r.loops.run(ctx, p)
}

// plain is one of their conversations.
type plain struct {
	sender interface {
		Send(ctx context.Context) error
		Flush() error
		Confirmed(ctx context.Context) (next uint64, err error)
	}
}

func (p plain) send(ctx context.Context) error { return p.sender.Send(ctx) }
func (p plain) flush() error                   { return p.sender.Flush() }
func (p plain) confirmed(ctx context.Context) (next uint64, err error) {
	return p.sender.Confirmed(ctx)
}

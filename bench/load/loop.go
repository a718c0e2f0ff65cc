package main

import (
	"context"
	"fmt"
	"sync"
	"time"
)

// conversation is what both systems offer to the closed loop.
type conversation interface {
	// send takes the next message.
	send(ctx context.Context) error
	// flush is called when the window is full or everything is sent.
	flush() error
	// confirmed waits for news, and returns the number before which everything is acknowledged.
	confirmed(ctx context.Context) (next uint64, err error)
}

// stalled is how long a run may go without an acknowledgement.
const stalled = 30 * time.Second

// loop keeps a window of unacknowledged messages in a conversation.
type loop struct {
	conversation
	window int
	sent   uint64
	next   uint64 // everything before is acknowledged
}

// run sends n messages and returns how long each took until its acknowledgement.
func (l *loop) run(ctx context.Context, n int) ([]time.Duration, error) {
	end := l.sent + uint64(n)
	at := make([]time.Time, l.window)
	took := make([]time.Duration, 0, n)
	patience, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	timer := time.AfterFunc(stalled, func() { cancel(fmt.Errorf("no acknowledgement for %v", stalled)) })
	defer timer.Stop()
	for l.next < end {
		for l.sent < end && l.sent-l.next < uint64(l.window) {
			at[l.sent%uint64(l.window)] = time.Now()
			if err := l.send(ctx); err != nil {
				return nil, err
			}
			l.sent++
		}
		if err := l.flush(); err != nil {
			return nil, err
		}
		next, err := l.confirmed(patience)
		if err != nil {
			return nil, fmt.Errorf("after %d of %d messages: %w", l.next, end, err)
		}
		if next > l.sent {
			return nil, fmt.Errorf("message %d acknowledged, and only %d sent", next, l.sent)
		}
		now := time.Now()
		for ; l.next < next; l.next++ {
			took = append(took, now.Sub(at[l.next%uint64(l.window)]))
		}
		timer.Reset(stalled)
	}
	return took, nil
}

// loops run side by side.
type loops []*loop

func (ls loops) run(ctx context.Context, s Settings, n int) ([]time.Duration, error) {
	var wg sync.WaitGroup
	took, errs := make([][]time.Duration, len(ls)), make([]error, len(ls))
	for i, l := range ls {
		wg.Go(func() { took[i], errs[i] = l.run(ctx, s.each(n, i)) })
	}
	wg.Wait()
	var all []time.Duration
	for i := range ls {
		if errs[i] != nil {
			return nil, errs[i]
		}
		all = append(all, took[i]...)
	}
	return all, nil
}

package channel

import (
	"fmt"

	"sinete/wire"
)

// DivergedError says that a head of the other side, under a seal that verifies, names a place that is none here: the two sides' views of the
// lane differ.
type DivergedError struct {
	Channel [32]byte
	Lane    uint64
	Mine    bool // the head's `mine`, what they sent; else its `yours`, what was sent to them
	Theirs  wire.Place
	Ours    wire.Place // that place where it is another one here; else how far this side's view has come
}

func (e *DivergedError) Error() string {
	what := "yours"
	if e.Mine {
		what = "mine"
	}
	return fmt.Sprintf("a head of lane %d whose %s is %v, and here it is %v", e.Lane, what, e.Theirs, e.Ours)
}

// Code is CodeIntegrity.
func (e *DivergedError) Code() wire.Code { return wire.CodeIntegrity }

// diverged is what a head says that does not agree with the transcript.
func (t *Transcript) diverged(channel [32]byte, mine bool, theirs wire.Place) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	e := &DivergedError{channel, t.lane, mine, theirs, t.here.Place}
	for _, known := range [][]mark{{t.acked}, t.sealed, t.passed} {
		for _, m := range known {
			if m.Epoch == theirs.Epoch && m.Count == theirs.Count && m.T != theirs.T {
				e.Ours = m.Place
			}
		}
	}
	return e
}

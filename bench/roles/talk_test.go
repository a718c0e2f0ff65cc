package roles

import (
	"fmt"
	"testing"

	"sinete/peer"
)

// The receiver tells a message that is missing from one that came again.
func TestReceiverChecksTheOrder(t *testing.T) {
	text := func(n int) string { return fmt.Sprintf("%0*d", MinSize, n) }
	var r receiverRole
	e := &ear{of: &r, size: MinSize, received: &r.received}
	for _, m := range []*peer.Message{
		{Number: 0, Text: text(0)},
		{Number: 1, Text: text(1)},
		{Number: 1, Text: text(1)},       // again
		{Number: 3, Text: text(3)},       // 2 is missing
		{Number: 2, Text: text(7)},       // another's text
		{Number: 2, Text: text(2) + "0"}, // too long
		{Number: 2, Text: text(2)},
	} {
		e.hear(m)
	}
	if got := [3]uint64{r.received.Load(), r.duplicates.Load(), r.wrongOrder.Load()}; got != [3]uint64{3, 1, 3} {
		t.Errorf("received, doubled, out of order: %v", got)
	}
}

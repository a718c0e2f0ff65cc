package peer

import (
	"time"

	"sinete/cardauth/seal"
	"sinete/wire"
)

// acknowledgeAlone acknowledges in a closed direction: each head in a batch of its own, and no more of them than the relay passes on
// (protocol.md section 8.4).
func (c *Conversation) acknowledgeAlone() {
	for {
		select {
		case <-c.owed:
		case <-c.ctx.Done():
			return
		}
		h, news := c.inner.Acknowledging()
		if !news {
			continue
		}
		own, err := c.session.self.sealer.SealAlone(c.ctx, seal.Statement{Purpose: wire.PurposeHead, Bytes: h.Append(nil)})
		if err == nil {
			err = c.session.link.Pass([]wire.SealEntry{{Seal: own, Head: h}})
		}
		if err != nil && c.ctx.Err() == nil {
			c.session.link.Fail(err) // as where an acknowledgement cannot be sealed for the relay
			return
		}
		select {
		case <-time.After(wire.ClosedHeadSeconds * time.Second):
		case <-c.ctx.Done():
			return
		}
	}
}

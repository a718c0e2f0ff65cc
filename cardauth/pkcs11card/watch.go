package pkcs11card

import (
	"context"
	"errors"
	"time"

	"sinete/cardauth"
	"sinete/cardauth/pkcs11card/internal/child"
)

// pollTime is how often Watch looks. There is no event to wait for: modules that have C_WaitForSlotEvent are few, and the
// binding turns the others' refusal into an event.
const pollTime = 1500 * time.Millisecond

// Watch looks every one and a half seconds, while nobody uses the module, whether the card is there.
func (c *card) Watch(ctx context.Context, changed func(present bool)) {
	for there := true; ; {
		select {
		case <-ctx.Done():
			return
		case <-c.Ending.Done():
			return
		case <-child.After(pollTime):
		}
		if c.Module.Busy() {
			continue
		}
		if now, known := c.look(ctx, there); known && now != there {
			there = now
			changed(there)
		}
	}
}

// look reports whether the card is there, and whether that could be seen.
func (c *card) look(ctx context.Context, there bool) (now, known bool) {
	select {
	case c.Turn <- struct{}{}:
		defer func() { <-c.Turn }()
	default:
		return false, false
	}
	if c.Closed() {
		return false, false
	}
	var err error
	if there {
		_, err = c.Present(ctx)
	} else if err = c.Seek(ctx); err == nil {
		err = c.same(ctx)
	}
	if _, absent := errors.AsType[*cardauth.AbsentError](err); absent {
		return false, c.Drop(ctx) == nil // its session is gone with it
	}
	return err == nil, err == nil
}

// rest ends the session of a card that has not signed for a while, and with the program's last one on the token its login.
func (c *card) rest() {
	select {
	case c.Turn <- struct{}{}:
		defer func() { <-c.Turn }()
	default:
		return // it signs just now
	}
	if !c.Closed() {
		_ = c.Drop(c.Ending) // the next signature opens one, whatever became of this
	}
}

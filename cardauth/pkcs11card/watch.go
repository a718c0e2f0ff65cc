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

// Watch looks every one and a half seconds, while nobody uses the module, whether the card is there. Options.Notify is told once of
// another card in its place.
func (c *card) Watch(ctx context.Context, changed func(present bool)) {
	for there, other := true, false; ; {
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
		now, stranger, known := c.look(ctx, there)
		if !known {
			continue
		}
		if now != there {
			there = now
			changed(there)
		}
		if stranger && !other {
			c.notify(NoticeOther)
		}
		other = stranger
	}
}

// look reports whether the card is there, whether another is in its place, and whether that could be seen.
func (c *card) look(ctx context.Context, there bool) (now, stranger, known bool) {
	select {
	case c.Turn <- struct{}{}:
		defer func() { <-c.Turn }()
	default:
		return false, false, false
	}
	if c.Closed() {
		return false, false, false
	}
	var err error
	if there {
		_, err = c.Present(ctx)
	} else if err = c.Seek(ctx); err == nil {
		err = c.same(ctx)
	}
	if absent, ok := errors.AsType[*cardauth.AbsentError](err); ok {
		return false, absent.Other, c.Drop(ctx) == nil // its session is gone with it
	}
	return err == nil, false, err == nil
}

// Lock ends the card's session, and with the program's last one on the token its login.
func (c *card) Lock() {
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

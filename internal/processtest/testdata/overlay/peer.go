package main

import (
	"context"

	"sinete/peer/presence"
)

// recordedBegin stands in the place of presence.Begin.
func recordedBegin(ctx context.Context, cfg presence.Config) (*presence.Presence, error) {
	if records() != nil { // else the card shows all that it can
		cfg.Card = recordedCard{cfg.Card}
	}
	return presence.Begin(ctx, cfg)
}

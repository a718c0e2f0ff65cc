package main

import (
	"context"

	"sinete/peer"
)

// recordedLogin stands in the place of peer.Login.
func recordedLogin(ctx context.Context, cfg peer.Config) (*peer.Session, error) {
	cfg.Card = recordedCard{cfg.Card}
	return peer.Login(ctx, cfg)
}

package main

import (
	"os"
	"path/filepath"
	"time"

	"sinete/cardauth"
	"sinete/cardauth/revocation"
)

// revocation is what asks whether cards were revoked.
func (c *chatCommand) revocation() (cardauth.Revocation, error) {
	if c.Revocation == "off" {
		return cardauth.RevocationOff, nil
	}
	if c.RevocationRecheck < time.Second {
		return nil, wrongUsage("--revocation-recheck: not below 1s")
	}
	cfg := revocation.Config{Fresh: c.RevocationRecheck / 2, Allowed: c.RevocationNetwork}
	if c.Revocation == "grace" {
		cfg.Grace = revocation.DefaultGrace
	}
	if home, err := os.UserCacheDir(); err == nil {
		cfg.Dir = filepath.Join(home, "sinete", "revocation")
		if k, err := revocation.New(cfg); err == nil {
			return k, nil
		}
		cfg.Dir = "" // a machine where nothing can be kept asks anew at each start
	}
	return revocation.New(cfg)
}

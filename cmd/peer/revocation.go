package main

import (
	"net/netip"
	"os"
	"path/filepath"
	"time"

	"sinete/cardauth"
	"sinete/cardauth/revocation"
)

// asksRevocation are the flags of whoever asks whether cards were revoked.
type asksRevocation struct {
	Revocation        string         `enum:"hard,grace,off" default:"hard" help:"What to do where nobody can say whether a card was revoked (${enum}): hard refuses it; grace takes the last good answer for a day more; off asks nothing and accepts revoked cards, for trials only. Default: ${default}."`
	RevocationNetwork []netip.Prefix `placeholder:"NET" help:"A network of private addresses that may be asked about revocation, as 10.20.0.0/16. May be repeated."`
}

// checker is what asks; recheck is how long after a revocation it must be noticed.
func (f *asksRevocation) checker(recheck time.Duration) (cardauth.Revocation, error) {
	if f.Revocation == "off" {
		return cardauth.RevocationOff, nil
	}
	return f.asking(recheck, func(*revocation.Config) {})
}

// asking is checker where something is to be asked; edit changes how.
func (f *asksRevocation) asking(recheck time.Duration, edit func(*revocation.Config)) (*revocation.Checker, error) {
	if recheck < time.Second {
		return nil, wrongUsage("--revocation-recheck: not below 1s")
	}
	cfg := revocation.Config{Fresh: recheck / 2, Allowed: f.RevocationNetwork}
	if f.Revocation == "grace" {
		cfg.Grace = revocation.DefaultGrace
	}
	edit(&cfg)
	var err error
	if cfg.Dir, err = cacheFolder(); err == nil {
		if k, err := revocation.New(cfg); err == nil {
			return k, nil
		}
		cfg.Dir = "" // a machine where nothing can be kept asks anew at each start
	}
	return revocation.New(cfg)
}

// cacheFolder is where answers are kept for the next start.
func cacheFolder() (string, error) {
	home, err := os.UserCacheDir()
	if err != nil {
		return "", err
	}
	return filepath.Join(home, "sinete", "revocation"), nil
}

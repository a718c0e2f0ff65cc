package settings

import (
	"net/netip"
	"os"
	"path/filepath"
	"time"

	"sinete/cardauth"
	"sinete/cardauth/revocation"
	"sinete/cmd/peer/internal/trouble"
)

// AsksRevocation are the flags of whoever asks whether cards were revoked.
type AsksRevocation struct {
	Revocation        string         `enum:"hard,grace,off" default:"hard" help:"What to do where nobody can say whether a card was revoked (${enum}): hard refuses it; grace takes the last good answer for a day more; off asks nothing and accepts revoked cards, for trials only. Default: ${default}."`
	RevocationNetwork []netip.Prefix `placeholder:"NET" help:"A network of private addresses that may be asked about revocation, as 10.20.0.0/16. May be repeated."`
}

// Checker is what asks; recheck is how long after a revocation it must be noticed.
func (f *AsksRevocation) Checker(recheck time.Duration) (cardauth.Revocation, error) {
	if f.Revocation == "off" {
		return cardauth.RevocationOff, nil
	}
	return f.Asking(recheck, func(*revocation.Config) {})
}

// Asking is checker where something is to be asked; edit changes how.
func (f *AsksRevocation) Asking(recheck time.Duration, edit func(*revocation.Config)) (*revocation.Checker, error) {
	if recheck < time.Second {
		return nil, trouble.WrongUsage("--revocation-recheck: not below 1s")
	}
	cfg := revocation.Config{Fresh: recheck / 2, Allowed: f.RevocationNetwork}
	if f.Revocation == "grace" {
		cfg.Grace = revocation.DefaultGrace
	}
	edit(&cfg)
	var err error
	if cfg.Dir, err = CacheFolder(); err == nil {
		if k, err := revocation.New(cfg); err == nil {
			return k, nil
		}
		cfg.Dir = "" // a machine where nothing can be kept asks anew at each start
	}
	return revocation.New(cfg)
}

// CacheFolder is where answers are kept for the next start.
func CacheFolder() (string, error) {
	home, err := os.UserCacheDir()
	if err != nil {
		return "", err
	}
	return filepath.Join(home, "sinete", "revocation"), nil
}

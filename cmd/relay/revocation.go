package main

import (
	"log/slog"
	"net/netip"
	"slices"
	"time"

	"sinete/cardauth"
	"sinete/cardauth/revocation"
)

// revocation reads the keys that begin so. The configuration is nil where nothing is to be asked.
func (s settings) revocation(source string) (c *revocation.Config, recheck time.Duration, err error) {
	if may := []string{"hard", "grace", "off"}; !slices.Contains(may, s.Revocation) {
		return nil, 0, badValue(source, "revocation", s.Revocation, may...)
	}
	const least = time.Second
	if recheck, err = time.ParseDuration(s.Recheck); err != nil || recheck < least {
		return nil, 0, badValue(source, "revocation_recheck", s.Recheck, `a time like "15m", and not below "1s"`)
	}
	c = &revocation.Config{Fresh: recheck / 2, Dir: s.Cache}
	grace, err := time.ParseDuration(s.RevocationGrace)
	if err != nil || grace < 0 {
		return nil, 0, badValue(source, "revocation_grace", s.RevocationGrace, `a time like "24h"`)
	}
	for _, n := range s.Networks {
		p, err := netip.ParsePrefix(n)
		if err != nil {
			return nil, 0, badValue(source, "revocation_networks", n, `a list of networks like "10.20.0.0/16"`)
		}
		c.Allowed = append(c.Allowed, p)
	}
	switch s.Revocation {
	case "off":
		return nil, recheck, nil
	case "grace":
		c.Grace = grace
	}
	return c, recheck, nil
}

// newRevocation makes what asks, or what does not.
func newRevocation(c *revocation.Config, log *slog.Logger) (cardauth.Revocation, error) {
	if c == nil {
		return cardauth.RevocationOff, nil
	}
	asking := *c
	asking.Logger = log
	k, err := revocation.New(asking)
	if err != nil {
		return nil, badCache(c.Dir, err)
	}
	return k, nil
}

package main

import (
	"errors"
	"fmt"
	"slices"
	"text/tabwriter"

	"sinete/cardauth"
	"sinete/relay/levels"
	"sinete/wire"
)

type levelCommand struct {
	List  levelList  `cmd:"" help:"Show who has which level."`
	Set   levelSet   `cmd:"" help:"Give somebody a level, in place of theirs."`
	Unset levelUnset `cmd:"" help:"Take a level away; the default level is left."`
}

type configFlag struct {
	Config string `help:"The relay's configuration (${default})." placeholder:"FILE" default:"relay.toml"`
}

type levelList struct{ configFlag }

func (c *levelList) Run(t *terminal) error {
	s, err := readSettings(c.Config)
	if err != nil {
		return err
	}
	entries, err := levels.Read(s.Levels)
	if err != nil {
		return badLevels(s.Levels, err)
	}
	w := tabwriter.NewWriter(t.stdout, 0, 0, 2, ' ', 0)
	for _, e := range entries {
		fmt.Fprintf(w, "%s\t%v\n", e.Identity, e.Level)
	}
	if s.Unknown == "refuse" {
		fmt.Fprintf(w, "(everybody else)\trefused\n")
	} else {
		fmt.Fprintf(w, "(everybody else)\t%d\n", s.DefaultLevel)
	}
	return w.Flush()
}

// whose reads the configuration and completes an identity by it.
func (c configFlag) whose(who string) (s settings, identity string, err error) {
	if s, err = readSettings(c.Config); err == nil {
		identity, err = resolve(who, s.Trust)
	}
	return s, identity, err
}

type levelSet struct {
	Identity     string   `arg:"" help:"An identity (SERIALNUMBER@ANCHOR), or a card's serialNumber where one root is trusted."`
	Rank         uint16   `arg:"" help:"0 to 65535, higher is more."`
	Compartments []string `arg:"" optional:"" help:"Compartments, in a-z, 0-9 and -."`
	configFlag
}

// Help is shown by --help.
func (c *levelSet) Help() string { return aboutLevelSet }

func (c *levelSet) Run(t *terminal) error {
	s, identity, err := c.whose(c.Identity)
	if err != nil {
		return err
	}
	slices.Sort(c.Compartments)
	e := levels.Entry{Identity: identity, Level: wire.Level{Rank: c.Rank, Compartments: c.Compartments}}
	if err := levels.Set(s.Levels, e); err != nil {
		if invalid := (*levels.InvalidEntryError)(nil); errors.As(err, &invalid) {
			return badEntry(err)
		}
		return badLevels(s.Levels, err)
	}
	fmt.Fprintf(t.stdout, "%s  %v\n%s\n", identity, e.Level, takenUp)
	return nil
}

type levelUnset struct {
	Identity string `arg:"" help:"An identity, or a card's serialNumber where one root is trusted."`
	configFlag
}

func (c *levelUnset) Run(t *terminal) error {
	s, identity, err := c.whose(c.Identity)
	if err != nil {
		return err
	}
	if err := levels.Unset(s.Levels, identity); err != nil {
		if unknown := (*levels.UnknownIdentityError)(nil); errors.As(err, &unknown) {
			return noSuchEntry(err)
		}
		return badLevels(s.Levels, err)
	}
	if s.Unknown == "refuse" {
		fmt.Fprintf(t.stdout, "%s  refused\n%s\n", identity, takenUp)
		return nil
	}
	fmt.Fprintf(t.stdout, "%s  %d\n%s\n", identity, s.DefaultLevel, takenUp)
	return nil
}

// resolve turns what an administrator typed into an identity: a whole one, or a card's serialNumber where one root is trusted.
func resolve(typed, trust string) (string, error) {
	if levels.ValidIdentity(typed) {
		return typed, nil
	}
	if !levels.ValidIdentity(typed + "@0000000000000000") {
		return "", badIdentity(typed)
	}
	anchors, _, err := cardauth.LoadTrust(trust)
	if err != nil {
		return "", badTrust(err)
	}
	if len(anchors) > 1 {
		return "", whichAnchor(typed, anchors)
	}
	return typed + "@" + cardauth.AnchorID(anchors[0]), nil
}

package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"
)

type initCommand struct {
	Dir               string   `arg:"" help:"The folder with trust/, relay.pem and relay.key."`
	Listen            string   `help:"Address and UDP port to listen on (${default})." default:"127.0.0.1:7443" placeholder:"ADDR"`
	Name              string   `help:"The name that people are shown; the first of relay.pem's if not given." placeholder:"NAME"`
	Revocation        string   `help:"What is asked about revocation: ${enum} (${default})." enum:"hard,grace,off" default:"hard"`
	RevocationNetwork []string `help:"A network of private addresses that may be asked about revocation, as 10.20.0.0/16. May be repeated." placeholder:"NET"`
	Key               string   `help:"The relay's private key: a PEM file, or a PKCS #11 URI with a pin-source (${default})." default:"relay.key" placeholder:"KEY"`
}

func (c *initCommand) Run(t *terminal) error {
	s := defaults()
	s.Listen, s.Name, s.Revocation, s.Networks = c.Listen, c.Name, c.Revocation, c.RevocationNetwork
	s.Key = c.Key
	file, levels := filepath.Join(c.Dir, "relay.toml"), filepath.Join(c.Dir, s.Levels)
	if err := c.lacks(s); err != nil {
		return err
	}
	config, err := s.in(c.Dir).load("relay init", time.Now())
	if err != nil {
		return err
	}
	if err := release(config.Certificate); err != nil {
		return err
	}
	s.Name = config.Name
	if err := writeNew(levels, levelsHeader, 0o600); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	var text strings.Builder
	if err := document.Execute(&text, s); err != nil {
		return err
	}
	if err := writeNew(file, text.String(), 0o644); err != nil {
		if errors.Is(err, fs.ErrExist) {
			return alreadyThere(file)
		}
		return err
	}
	fmt.Fprint(t.stdout, initDone(file, levels))
	return nil
}

// lacks says all that the folder lacks at once.
func (c *initCommand) lacks(s settings) error {
	var lacks []string
	found := s.in(c.Dir)
	for _, need := range []struct{ name, path string }{{s.Trust, found.Trust}, {s.Certificate, found.Certificate}, {s.Key, found.Key}} {
		if inHSM(need.path) {
			continue
		}
		if _, err := os.Stat(need.path); err != nil {
			lacks = append(lacks, need.name)
		}
	}
	if len(lacks) > 0 {
		return notReady(c.Dir, lacks)
	}
	return nil
}

func writeNew(path, text string, mode fs.FileMode) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, mode)
	if err != nil {
		return err
	}
	if _, err := f.WriteString(text); err != nil {
		f.Close()
		return err
	}
	return f.Close()
}

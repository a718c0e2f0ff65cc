package main

import (
	"sinete/cardauth/fork"
	"sinete/relay/audit"
)

type auditFork struct {
	Head        string `arg:"" help:"A head that was kept elsewhere." type:"path"`
	File        string `arg:"" help:"Where to write the proof." type:"path"`
	Other       string `help:"The head to hold against it. Default: the log's of the same size." type:"path" placeholder:"FILE"`
	Certificate string `help:"The relay's certificate with its issuers (PEM), in place of the configuration's." type:"path" placeholder:"FILE"`
	configFlag
}

// Help is shown by --help.
func (c *auditFork) Help() string { return aboutAuditFork }

func (c *auditFork) Run(*terminal) error {
	var heads [2]audit.Head
	if err := readJSON(c.Head, &heads[0]); err != nil {
		return err
	}
	var s settings
	var err error
	if c.Other != "" {
		err = readJSON(c.Other, &heads[1])
	} else {
		s, heads[1], err = c.ofSize(heads[0].Size)
	}
	if err == nil && c.Certificate == "" {
		if s, err = readSettings(c.Config); err == nil && inHSM(s.Certificate) {
			err = certificateOnToken()
		}
		c.Certificate = s.Certificate
	}
	if err != nil {
		return err
	}
	verify, err := (&auditVerify{Certificate: []string{c.Certificate}}).verifier(s)
	if err != nil {
		return err
	}
	var sealed [2]fork.Sealed
	for i, h := range heads {
		if err := verify(h); err != nil {
			return badAudit(c.Head, err)
		}
		sealed[i] = fork.Sealed{Statement: h.AuditHead.Append(nil), Seal: h.Seal}
	}
	chain, err := readChain(c.Certificate)
	if err != nil {
		return noFile(err)
	}
	p := fork.AuditHeads(chain, sealed[0], sealed[1])
	if p == nil {
		return noFork()
	}
	b, err := p.Pack()
	if err != nil {
		return err
	}
	return writeNew(c.File, string(b), 0o600)
}

// ofSize is the log's head over that many records.
func (c *auditFork) ofSize(size uint64) (settings, audit.Head, error) {
	s, r, err := c.readAudit()
	if err != nil {
		return s, audit.Head{}, err
	}
	defer r.Close()
	h, ok := r.HeadOf(size)
	if !ok {
		err = noHeadOfSize(size)
	}
	return s, h, err
}

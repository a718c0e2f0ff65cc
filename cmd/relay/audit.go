package main

import (
	"crypto/sha256"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"

	"sinete/cardauth/seal"
	"sinete/relay/audit"
	"sinete/wire"
)

type auditCommand struct {
	Verify auditVerify `cmd:"" help:"Check the log against its sealed heads, or a head or proof that was kept elsewhere."`
	Show   auditShow   `cmd:"" help:"Show the records, one a line, or the newest head."`
	Prove  auditProve  `cmd:"" help:"Prove that a record stands in the log, or that it only grew since a head."`
	Fork   auditFork   `cmd:"" help:"Prove that the relay has sealed two different logs, by a head that was kept elsewhere."`
}

// maxBeside bounds how many relays may run with one configuration.
const maxBeside = 64

// openAudit opens the log that the relay writes; nil where there is to be none. Relays that run with one configuration (docs/audit.md) write
// beside each other: dir, dir-2 and so on, since a log has one writer.
func openAudit(dir string, log *slog.Logger) (*audit.Log, error) {
	if dir == "" {
		return nil, nil
	}
	own := dir
	for n := 2; ; n++ {
		l, err := audit.Open(own, audit.Options{})
		switch {
		case err == nil && own != dir:
			log.Warn("another relay writes the audit log", "its", dir, "ours", own)
			return l, nil
		case err == nil:
			return l, nil
		case n > maxBeside || !errors.As(err, new(*audit.InUseError)):
			return nil, badAudit(own, err)
		}
		own = fmt.Sprintf("%s-%d", dir, n)
	}
}

// readAudit opens the log for looking at it.
func (c configFlag) readAudit() (settings, *audit.Reader, error) {
	s, err := readSettings(c.Config)
	if err != nil {
		return s, nil, err
	}
	if s.Audit == "" {
		return s, nil, noAudit(c.Config)
	}
	r, err := audit.Read(s.Audit)
	if err != nil {
		return s, nil, badAudit(s.Audit, err)
	}
	return s, r, nil
}

type auditVerify struct {
	Head        string   `help:"A head that was kept elsewhere: the log must have grown from it." type:"path" placeholder:"FILE"`
	Proof       string   `help:"A proof to check, in place of the log." type:"path" placeholder:"FILE"`
	Certificate []string `help:"The relay's certificate (PEM), in place of the configuration's. May be repeated, for earlier ones." type:"path" placeholder:"FILE"`
	configFlag
}

// Help is shown by --help.
func (c *auditVerify) Help() string { return aboutAuditVerify }

func (c *auditVerify) Run(t *terminal) error {
	if c.Proof != "" {
		return c.proof(t)
	}
	s, r, err := c.readAudit()
	if err != nil {
		return err
	}
	defer r.Close()
	verify, err := c.verifier(s)
	if err != nil {
		return err
	}
	report, err := r.Check(verify)
	if err != nil {
		return badAudit(s.Audit, err)
	}
	if c.Head != "" {
		var h audit.Head
		if err := readJSON(c.Head, &h); err != nil {
			return err
		}
		if err := verify(h); err != nil {
			return badAudit(c.Head, err)
		}
		if err := r.Covers(h); err != nil {
			return badAudit(s.Audit, err)
		}
		fmt.Fprintf(t.stdout, "the log begins with the %d records of %s\n", h.Size, c.Head)
	}
	fmt.Fprint(t.stdout, auditReport(report))
	if report.Verified == 0 {
		return nothingSealed()
	}
	return nil
}

// proof checks a proof with nothing but certificates.
func (c *auditVerify) proof(t *terminal) error {
	b, err := os.ReadFile(c.Proof)
	if err != nil {
		return noFile(err)
	}
	p, err := audit.ParseProof(b)
	if err != nil {
		return badAudit(c.Proof, err)
	}
	var s settings
	if len(c.Certificate) == 0 {
		if s, err = readSettings(c.Config); err != nil {
			return err
		}
	}
	verify, err := c.verifier(s)
	if err == nil {
		err = p.Check(verify)
	}
	if err != nil {
		return badAudit(c.Proof, err)
	}
	if p.Before != nil {
		fmt.Fprintf(t.stdout, "genuine: the log of %d records begins with the %d of the earlier head\n", p.Head.Size, p.Before.Size)
	} else {
		fmt.Fprintf(t.stdout, "genuine: record %d of a log of %d\n%s\n", p.Number, p.Head.Size, p.Record)
	}
	return nil
}

// verifier verifies heads with the certificates that are named, or else the configuration's.
func (c *auditVerify) verifier(s settings) (func(audit.Head) error, error) {
	files := c.Certificate
	if len(files) == 0 {
		if inHSM(s.Certificate) {
			return nil, certificateOnToken()
		}
		files = []string{s.Certificate}
	}
	known := map[[32]byte]*x509.Certificate{}
	for _, file := range files {
		chain, err := readChain(file)
		if err != nil {
			return nil, noFile(err)
		}
		for _, der := range chain[:1] {
			cert, err := x509.ParseCertificate(der)
			if err != nil {
				return nil, noFile(fmt.Errorf("%s: %w", file, err))
			}
			known[sha256.Sum256(der)] = cert
		}
	}
	v := seal.NewVerifier(0)
	return func(h audit.Head) error {
		cert := known[h.Certificate]
		if cert == nil {
			return audit.ErrUnknownCertificate
		}
		by := seal.Signer{Key: cert.PublicKey, Scheme: h.Seal.Scheme, Digest: wire.SignerHash(cert.Raw, nil)}
		if err := seal.CheckKey(by.Key, by.Scheme); err != nil {
			return err
		}
		return v.Verify(by, wire.PurposeAuditHead, h.AuditHead.Append(nil), h.Seal)
	}, nil
}

type auditShow struct {
	From int64 `help:"Begin with the record of this number." placeholder:"N"`
	Head bool  `help:"Show the newest head instead: keep it elsewhere, for verify --head and prove --since."`
	configFlag
}

func (c *auditShow) Run(t *terminal) error {
	s, r, err := c.readAudit()
	if err != nil {
		return err
	}
	defer r.Close()
	if c.Head {
		h, ok := r.Head()
		if !ok {
			return nothingSealed()
		}
		return json.NewEncoder(t.stdout).Encode(h)
	}
	next := c.From
	for n, data := range r.Records(c.From) {
		if n != next {
			fmt.Fprintf(t.stderr, "records %d to %d: their files are not in %s\n", next, n-1, s.Audit)
		}
		if next = n + 1; !json.Valid(data) { // which a relay writes; anything else must not reach a terminal
			data = []byte("(no record)")
		}
		if _, err := fmt.Fprintf(t.stdout, "%d\t%s\n", n, data); err != nil {
			return err
		}
	}
	return nil
}

type auditProve struct {
	Record *int64 `help:"Prove that the record of this number stands in the log." placeholder:"N" xor:"what" required:""`
	Since  string `help:"Prove that the log only grew since this head." type:"path" placeholder:"FILE" xor:"what" required:""`
	configFlag
}

// Help is shown by --help.
func (c *auditProve) Help() string { return aboutAuditProve }

func (c *auditProve) Run(t *terminal) error {
	s, r, err := c.readAudit()
	if err != nil {
		return err
	}
	defer r.Close()
	var p *audit.Proof
	if c.Record != nil {
		p, err = r.ProveRecord(*c.Record)
	} else {
		var before audit.Head
		if err := readJSON(c.Since, &before); err != nil {
			return err
		}
		after, ok := r.Head()
		if !ok {
			return nothingSealed()
		}
		p, err = r.ProveGrowth(before, after)
	}
	if err != nil {
		return badAudit(s.Audit, err)
	}
	return json.NewEncoder(t.stdout).Encode(p)
}

func readJSON(file string, into any) error {
	b, err := os.ReadFile(file)
	if err != nil {
		return noFile(err)
	}
	if err := json.Unmarshal(b, into); err != nil {
		return badAudit(file, err)
	}
	return nil
}

func badAudit(where string, err error) error {
	p := &problem{what: "the audit log " + where, err: err}
	var damage *audit.DamageError
	var inUse *audit.InUseError
	var uncovered *audit.NotCoveredError
	var path *fs.PathError
	switch {
	case errors.As(err, &damage):
		p.advice = "Records were lost, changed or taken away since a head was sealed. Keep the folder as it is for whoever looks into that;\n" +
			"to go on, move it away: the relay begins another log. Files of old records may be moved away, hashes and heads.jsonl not."
	case errors.As(err, &inUse):
		p.advice = "Another relay runs with the same folder. audit in relay.toml names it."
	case errors.As(err, &uncovered):
		p.advice = "A running relay makes a head within a minute or so."
	case errors.Is(err, audit.ErrUnknownCertificate):
		p.advice = "Name the certificate that the relay had then: --certificate FILE"
	case errors.Is(err, fs.ErrNotExist):
		p.advice = "The relay makes it when it runs. audit in relay.toml names the folder."
	case errors.As(err, &path):
		p.advice = "audit in relay.toml names a folder in which the relay may write."
	}
	return p
}

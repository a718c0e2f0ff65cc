package main

import (
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strings"
	"syscall"
	"time"

	"sinete/cardauth"
	"sinete/cardauth/pkcs11card"
	"sinete/relay/audit"
	"sinete/relay/flow"
	"sinete/relay/levels"
)

// All that a person reads stands here, apart from the help of single flags.

const aboutRelay = `The relay of Sinete: it passes sealed messages between people, cannot read them, and keeps to the flow policy.

To begin: relay init DIR, then relay serve --config DIR/relay.toml.

Exit status: 0 done, 1 failed, 2 wrong usage.`

const aboutServe = `Once it is ready it prints one line to standard output, "listening on ADDR", with the port that it has where the
configuration says 0; the log goes to standard error.

On SIGTERM or Ctrl-C it tells the peers, gives them five seconds, and ends with status 0.`

const aboutLevelSet = `Example, rank 2 and the compartments ops and crypto:

  relay level set BI12345678 2 ops crypto --config DIR/relay.toml

` + takenUp

// takenUp is true of every change of a level.
const takenUp = "A running relay takes this up within a second, for who is logged in as well: their conversations end and begin anew."

const revocationWarning = `WARNING: revocation = "off": this relay lets in cards that were revoked, lost or stolen. For trials only.`

// problem is what went wrong and what to do about it.
type problem struct {
	what   string
	advice string
	usage  bool // the command was wrong, not the world
	err    error
}

func (p *problem) Error() string {
	if p.err != nil {
		return p.what + ": " + p.err.Error()
	}
	return p.what
}

func (p *problem) Unwrap() error { return p.err }

// tell shows an error, with its advice where there is some.
func tell(w io.Writer, err error) {
	fmt.Fprintln(w, "relay:", err)
	if p := (*problem)(nil); errors.As(err, &p) && p.advice != "" {
		fmt.Fprintln(w, "  "+strings.ReplaceAll(p.advice, "\n", "\n  "))
	}
}

func wrongUsage(err error) error {
	return &problem{what: "wrong usage", err: err, advice: "relay --help shows the commands.", usage: true}
}

func notReady(dir string, lacks []string) error {
	return &problem{what: fmt.Sprintf("%s is not ready: it lacks %s", dir, strings.Join(lacks, ", ")),
		advice: "For a trial, make all of it with: testpki init " + dir + "\n" +
			"Otherwise put there: trust/ with the certificates (*.pem) of your cards' authorities up to the root,\n" +
			"relay.pem with the relay's TLS server certificate and its issuers, relay.key with its private key."}
}

func alreadyThere(path string) error {
	return &problem{what: path + " is there already", advice: "Edit it, or move it away and try again."}
}

func noConfig(path string, err error) error {
	p := &problem{what: "cannot read the configuration", err: err}
	if errors.Is(err, fs.ErrNotExist) {
		p.advice = "Name it with --config FILE. To make one: relay init DIR"
	}
	return p
}

func badConfig(path string, err error) error {
	return &problem{what: path, err: err, advice: "Each key is explained in a file that relay init writes."}
}

func unknownKeys(path string, keys []string) error {
	return &problem{what: fmt.Sprintf("%s: unknown: %s", path, strings.Join(keys, ", ")),
		advice: "Is it a slip of the pen? The keys are: " + strings.Join(keyNames(), ", ") + "."}
}

func badValue(path, key, value string, may ...string) error {
	return &problem{what: fmt.Sprintf("%s: %s = %q", path, key, value), advice: "It may be " + strings.Join(may, ", or ") + "."}
}

func badListen(file, value string) error {
	return badValue(file, "listen", value, "an address and a port: 127.0.0.1:7443, [::1]:7443, :7443")
}

func badPolicy(path, value string) error { return badValue(path, "policy", value, flow.Names()...) }

func badTrust(err error) error {
	return &problem{what: "the trust folder", err: err,
		advice: "It holds the certificates of your cards' authorities up to the root, as PEM, in files *.pem."}
}

func badKeyPair(err error) error {
	return &problem{what: "the relay's certificate and key", err: err,
		advice: "certificate names a PEM file: the relay's own first, then its issuers; key one with the key that belongs to it."}
}

func noResetKey(err error) error {
	return &problem{what: "the secret that tells peers of a restart", err: err,
		advice: "It is kept beside the key, in a file of 32 random bytes. Make the folder writable, or remove a damaged file."}
}

func badHSM(err error) error {
	p := &problem{what: "the relay's key in the HSM", err: err,
		advice: "key is a PKCS #11 URI: pkcs11:token=LABEL;id=%01?module-path=MODULE&pin-source=file:PATH."}
	if pin, ok := errors.AsType[*cardauth.PINError](err); ok {
		p.advice = "The PIN is read from the file that pin-source names. It was tried once and is wrong."
		if pin.Locked || pin.Final {
			p.advice = "The token's software says how the PIN is unlocked. The relay never uses up the last try."
		}
	} else if _, ok := errors.AsType[*pkcs11card.UnsupportedError](err); ok {
		p.advice = "A relay's key is P-256, P-384, or RSA on a token with CKM_RSA_PKCS_PSS (TLS 1.3 has no other padding); it signs without a\n" +
			"PIN each time, and its certificate is for TLS servers. The PIN comes from a file: pin-source=file:PATH."
	} else if _, ok := errors.AsType[*pkcs11card.ExportableError](err); ok {
		p.advice = "Have the key generated in the HSM, as one that is sensitive and not extractable. For a trial: exportable-key=yes."
	}
	return p
}

func badCertificate(file string, reason string) error {
	return &problem{what: fmt.Sprintf("the relay's certificate %s %s", file, reason),
		advice: "No peer would accept it. Have one issued that is in its time, for TLS servers, and with the relay's name as DNS name."}
}

func outOfTime(c *x509.Certificate) string {
	return fmt.Sprintf("is valid from %s to %s only", c.NotBefore.Format(time.DateTime), c.NotAfter.Format(time.DateTime))
}

func badLevels(path string, err error) error {
	p := &problem{what: "the levels file", err: err}
	if damage := (*levels.SyntaxError)(nil); errors.As(err, &damage) {
		p.advice = "Correct that line: IDENTITY RANK [COMPARTMENT ...]. Nothing was changed."
	} else if errors.Is(err, fs.ErrNotExist) {
		p.advice = "An empty file will do: touch " + path
	} else if errors.Is(err, syscall.ENOSPC) {
		p.advice = "Make room on the disk of " + path + ". Nothing was changed."
	}
	return p
}

func cannotListen(address string, err error) error {
	return &problem{what: "cannot listen on " + address, err: err,
		advice: "Another relay may run there already; listen in relay.toml names the address and port (UDP)."}
}

func badEntry(err error) error { return &problem{what: err.Error(), usage: true} }

func noSuchEntry(err error) error {
	return &problem{what: err.Error(), advice: "relay level list shows who has one."}
}

func badIdentity(s string) error {
	return &problem{what: fmt.Sprintf("%q is no identity", s), usage: true,
		advice: "An identity is SERIALNUMBER@ANCHOR or mailto:NAME%40DOMAIN@ANCHOR, as peers show it; or the card's serialNumber alone."}
}

func whichAnchor(serial string, anchors []*x509.Certificate) error {
	advice := fmt.Sprintf("%d roots are trusted. Say which one issued the card:", len(anchors))
	for _, a := range anchors {
		advice += fmt.Sprintf("\n%s@%s   %q", serial, cardauth.AnchorID(a), a.Subject.CommonName)
	}
	return &problem{what: fmt.Sprintf("%q could be a card of several roots", serial), advice: advice, usage: true}
}

func badCache(dir string, err error) error {
	return &problem{what: "the folder " + dir, err: err,
		advice: `revocation_cache names a folder in which the relay may write; "" keeps answers in memory only.`}
}

func initDone(config, levels string) string {
	return fmt.Sprintf("wrote %s and %s\nto run it: relay serve --config %s\n", config, levels, config)
}

const aboutAuditVerify = `Checks every record, every hash and every sealed head. Keep a head elsewhere from time to time (relay audit show --head): with --head
the log is checked against that one, which whoever runs the relay cannot change.

With --proof and --certificate nothing else is needed: no relay, no configuration, no network.`

const aboutAuditProve = `Writes a proof to standard output. Whoever has the relay's certificate can check it anywhere:

  relay audit verify --proof FILE --certificate relay.pem`

const aboutAuditFork = `A relay that has sealed two heads over as many records, but not the same ones, keeps two logs, or has rewritten one. Such a pair is proof of it to whoever
trusts the certificate's authority:

  peer evidence verify FILE`

func noFork() error {
	return &problem{what: "the two heads do not contradict each other", advice: "A fork is two heads of one log over as many records, with another root.\n" +
		"relay audit verify --head says whether the log begins as it did under a head."}
}

func noHeadOfSize(size uint64) error {
	return &problem{what: fmt.Sprintf("the log has no head over %d records", size), advice: "Name another head of that size, kept by somebody else: --other FILE"}
}

func auditReport(r audit.Report) string {
	text := fmt.Sprintf("%d records, %d of them here; %d heads, %d of them verified\n", r.Records, r.Present, r.Heads, r.Verified)
	if r.Present < r.Records {
		text += fmt.Sprintf("the files of %d records are not here, or end early; their hashes hold\n", r.Records-r.Present)
	}
	if r.Heads > r.Verified {
		text += fmt.Sprintf("%d heads were sealed under another certificate: name it with --certificate\n", r.Heads-r.Verified)
	}
	if r.Open > 0 && r.Verified > 0 {
		text += fmt.Sprintf("the newest %d records are under no head yet\n", r.Open)
	}
	return text
}

func noAudit(config string) error {
	return &problem{what: "there is no audit log", advice: "audit in " + config + " names its folder."}
}

func nothingSealed() error {
	return &problem{what: "the log has no head that could be verified", advice: "A running relay makes one within a minute or so. After a renewal, name the earlier certificate: --certificate FILE"}
}

func noFile(err error) error { return &problem{what: "cannot read what was named", err: err} }

func certificateOnToken() error {
	return &problem{what: "the relay's certificate is on a token", advice: "Name a copy of it (PEM): --certificate FILE"}
}

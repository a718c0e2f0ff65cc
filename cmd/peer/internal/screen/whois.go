package screen

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strings"
	"time"

	"sinete/peer"
	"sinete/peer/store"
	"sinete/wire"
)

// WhoisOf is somebody by the list, where they are in it.
func WhoisOf(p peer.Person, listed bool) Whois {
	e := Whois{ID: p.ID, Name: p.Name, Identity: p.Identity, Here: listed, Conversation: "none"}
	if p.Certificate != ([32]byte{}) {
		e.Certificate = hex.EncodeToString(p.Certificate[:])
	}
	if listed {
		e.Level, e.Compartments, e.Send = &p.Level.Rank, p.Level.Compartments, p.Send
	}
	return e
}

// In adds what the last conversation with them knows.
func (e Whois) In(c Conversation, shown peer.Shown) Whois {
	e.Conversation = c.State
	if x := shown.Certificate; x != nil {
		e.Certificate, e.Key = fingerprint(x.Raw), fingerprint(x.RawSubjectPublicKeyInfo)
		e.Issuer, e.notBefore, e.notAfter = x.Issuer.String(), x.NotBefore, x.NotAfter
		e.NotBefore, e.NotAfter = inJSON(x.NotBefore), inJSON(x.NotAfter)
	}
	switch {
	case shown.Found == wire.CodeCertificateRevoked:
		e.Revocation = "revoked"
	case shown.Found != 0:
		e.Revocation = "unknown"
	case !shown.Asked:
		e.Revocation = "unchecked"
	case c.State == "open":
		e.Revocation = "good"
	}
	if c.State == "open" {
		e.Suite, e.Epoch, e.Signing, e.until, e.SigningUntil = c.Suite, &c.Epoch, c.Signing, shown.Until, inJSON(shown.Until)
	}
	return e
}

// On adds the machines that they have spoken from, oldest first.
func (e Whois) On(machines []store.Stay) Whois {
	if n := len(machines); n > 0 {
		last := machines[n-1]
		e.seen, e.Machine, e.since, e.Changes = true, last.Description, last.Since, n-1
		if !last.Since.IsZero() {
			e.MachineSince = inJSON(last.Since)
		}
	}
	return e
}

func fingerprint(b []byte) string {
	h := sha256.Sum256(b)
	return hex.EncodeToString(h[:])
}

func inJSON(t time.Time) string { return t.UTC().Format(timeForm) }

func whoisLines(e Whois) []string {
	head := e.Name
	if e.ID != 0 {
		head += fmt.Sprintf(" (%d)", e.ID)
	}
	here := []string{"not logged in"}
	if e.Here {
		here = []string{fmt.Sprintf("logged in, level %v", wire.Level{Rank: *e.Level, Compartments: e.Compartments}), "you may write"}
		if !e.Send {
			here[1] = "you may not write"
		}
	}
	if e.Conversation == "open" {
		here = append(here, "connected")
	}
	rows := [][]string{{"  identity", e.Identity}, {"  now", strings.Join(here, "; ")}}
	add := func(what, text string) { rows = append(rows, []string{"  " + what, text}) }
	if e.Issuer != "" {
		add("issuer", e.Issuer)
		add("valid", "from "+Day(e.notBefore)+" to "+Day(e.notAfter))
	}
	if e.Certificate != "" {
		add("certificate", "SHA-256 "+e.Certificate)
	}
	if e.Key != "" {
		add("its key", "SHA-256 "+e.Key)
	}
	if e.Revocation != "" {
		add("revoked", map[string]string{"good": "no: that was asked, and is asked again while you are connected", "revoked": "yes",
			"unknown": "nobody could say", "unchecked": "nobody was asked (--revocation off)"}[e.Revocation])
	}
	if e.Suite != "" {
		by := "the card itself"
		if e.Signing == peer.SignDelegated {
			by = "a key that the card delegated to"
		}
		add("seals with", by+", until "+e.until.Local().Format("2006-01-02 15:04"))
		add("keys", fmt.Sprintf("%s, epoch %d", e.Suite, *e.Epoch))
	}
	if e.seen {
		machine := described(e.Machine)
		if !e.since.IsZero() {
			machine += ", since " + e.since.Local().Format("2006-01-02 15:04")
		}
		if e.Changes > 0 {
			machine += Plural(e.Changes, "; 1 change", "; %d changes")
		}
		add("machine", machine)
	}
	return append([]string{head}, columns(rows)...)
}

package screen

import (
	"encoding/hex"
	"fmt"
	"math"
	"time"

	"sinete/cardauth"
	"sinete/peer/evidence"
)

// EvidenceOf is a bundle as it is shown.
func EvidenceOf(file, state string, r *evidence.Report) Evidence {
	e := Evidence{File: file, State: state, Messages: len(r.Messages), People: []EvidencePerson{}}
	for i := range r.Messages {
		if r.Messages[i].Delivered != nil {
			e.Confirmed++
		}
	}
	for i := range r.People {
		p := &r.People[i]
		hash := evidence.Fingerprint(p.Anchor())
		e.People = append(e.People, EvidencePerson{p.Name, p.Identity, cardauth.DisplayName(p.Anchor()), hex.EncodeToString(hash[:])})
	}
	for i := range r.Relays {
		relay := &r.Relays[i]
		hash := evidence.Fingerprint(relay.Anchor())
		e.Relays = append(e.Relays, EvidenceRelay{relay.Name, cardauth.DisplayName(relay.Anchor()), hex.EncodeToString(hash[:])})
	}
	for i := range r.Stamps {
		s := &r.Stamps[i]
		hash, at := evidence.Fingerprint(s.Anchor), time.Unix(int64(s.At), 0)
		e.Stamps = append(e.Stamps, EvidenceStamp{at.UTC().Format(timeForm), cardauth.DisplayName(s.Certificate), cardauth.DisplayName(s.Anchor), hex.EncodeToString(hash[:]), at})
	}
	return e
}

// ProvedOf is a message of a report.
func ProvedOf(r *evidence.Report, m *evidence.Message) Proved {
	from, to := &r.People[m.From], &r.People[m.To]
	p := Proved{From: from.Identity, To: to.Identity, Seq: m.Number, Message: hex.EncodeToString(m.ID[:]), Text: m.Text, Label: m.Label.Rank,
		Compartments: m.Label.Compartments, SentAt: time.UnixMilli(int64(min(m.Time, math.MaxInt64))).UTC().Format(timeForm),
		from: from.Name, to: to.Name, sealed: time.Unix(int64(m.Sealed.At), 0)}
	p.SealedAt = p.sealed.UTC().Format(timeForm)
	if m.Delivered != nil {
		p.confirmed = time.Unix(int64(m.Delivered.At), 0)
		p.ConfirmedAt = p.confirmed.UTC().Format(timeForm)
	}
	if m.Relayed != nil {
		p.relayed = time.Unix(int64(m.Relayed.At), 0)
		p.RelayedAt, p.Relay = p.relayed.UTC().Format(timeForm), r.Relays[m.Relayed.Relay].Name
	}
	return p
}

func evidenceLines(e Evidence) []string {
	what := Plural(e.Messages, "evidence of 1 message", "evidence of %d messages")
	if e.Confirmed > 0 {
		what += Plural(e.Confirmed, ", 1 of them with its receipt,", ", %d of them with their receipts,")
	}
	lines := []string{what + " is in " + e.File}
	if e.State == "verified" {
		lines[0] = what + " in " + e.File + " is genuine"
	}
	for _, p := range e.People {
		lines = append(lines, fmt.Sprintf("  %s (%s), whose card stands below %s", p.Name, p.Identity, p.Anchor), "    SHA-256 "+p.SHA256)
	}
	for _, r := range e.Relays {
		lines = append(lines, fmt.Sprintf("  the relay %s, whose certificate stands below %s", r.Name, r.Anchor), "    SHA-256 "+r.SHA256)
	}
	for _, s := range e.Stamps {
		lines = append(lines, fmt.Sprintf("  all of it was there %s, states %s, whose certificate stands below %s", s.at.Local().Format(proofForm), s.Name, s.Anchor), "    SHA-256 "+s.SHA256)
	}
	return lines
}

// proofForm is how times are shown that are proved.
const proofForm = "2006-01-02 15:04:05"

func provedLines(e Proved) []string {
	line := fmt.Sprintf("%s to %s, number %d, sealed %s", e.from, e.to, e.Seq+1, e.sealed.Local().Format(proofForm))
	if e.RelayedAt != "" {
		line += fmt.Sprintf(", at the relay %s %s", e.Relay, e.relayed.Local().Format(proofForm))
	}
	if e.ConfirmedAt != "" {
		line += ", confirmed " + e.confirmed.Local().Format(proofForm)
	}
	return []string{line + ": " + e.Text}
}

package screen

import (
	"encoding/hex"
	"fmt"

	"sinete/cardauth/fork"
)

// ForkOf is what a proof in a file shows.
func ForkOf(file string, f *fork.Finding) Fork {
	e := Fork{File: file, Name: f.Party.Name, Identity: f.Party.Identity, What: f.What, Channel: hex.EncodeToString(f.Channel[:]), Epoch: f.Epoch, Count: f.Count}
	if f.What == fork.Log {
		e.Channel = hex.EncodeToString(f.Channel[:16])
	}
	for i := range f.Values {
		e.Values[i], e.SealedAt[i] = hex.EncodeToString(f.Values[i][:]), f.Times[i].Format(timeForm)
	}
	return e
}

func forkLines(e Fork) []string {
	who, what := "the relay "+e.Name, "audit log"
	if e.Identity != "" {
		who = fmt.Sprintf("%s (%s)", e.Name, e.Identity)
	}
	if e.What != fork.Log {
		what = "conversation, or with their relay: what they " + string(e.What)
	}
	lines := []string{fmt.Sprintf("%s is genuine: %s has sealed two different accounts of one %s, up to number %d (epoch %d)", e.File, who, what, e.Count, e.Epoch)}
	for i := range e.Values {
		lines = append(lines, fmt.Sprintf("  %s, sealed %s", e.Values[i], e.SealedAt[i]))
	}
	return append(lines, "  whether the card was revoked, and since when, was not asked about")
}

func whoForked(name string) string {
	if name == "" {
		name = "the relay"
	}
	return name + " has sealed two different accounts of the same messages, which no honest program does"
}

// ForkKept is of a proof that was written to a file.
func ForkKept(name, path string) string {
	return whoForked(name) + ". The proof is in " + path + ". Keep it, trust nothing more that they seal, and show it to whoever issued their card or runs the relay"
}

// ForkLost is of one that could not be written.
func ForkLost(name string, err error) string {
	return whoForked(name) + ". The proof could not be kept: " + err.Error()
}

package export

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"sinete/cardauth/seal"
	"sinete/cardauth/softcard"
	"sinete/internal/trialpki"
	"sinete/peer/store"
	"sinete/wire"

	"sinete/internal/judge"
	"sinete/peer/evidence"
	"sinete/peer/evidence/internal/bundle"
	"sinete/peer/evidence/internal/facts"
)

// relay is one that seals what passes.
type relay struct {
	store.Relay
	*talker
}

// through gives a story a relay, that seals what both stores hold: one passage for each two flights, with something else between them.
func (s *story) through(t testing.TB, name string) *relay {
	t.Helper()
	w, err := trialpki.New(trialpki.Options{})
	must(t, err)
	issued, err := w.IssueRelay(trialpki.Relay{Names: []string{name}})
	must(t, err)
	s.policy.Anchors = append(s.policy.Anchors, w.Root.Certificate)
	scheme, err := seal.DefaultScheme(issued.Certificate.PublicKey)
	must(t, err)
	card, err := softcard.FromKey(issued.Key, issued.Chain, scheme)
	must(t, err)
	r := &relay{store.Relay{Name: name, Chain: issued.Chain}, &talker{key: card, digest: wire.SignerHash(issued.Chain[0], nil)}}
	for _, p := range []*talker{s.ana, s.rui} {
		for _, own := range []bool{true, false} {
			p.events = slices.Concat(s.passes(r, p, own), p.events) // before the flights, as it can be in a store
		}
		for i := range p.events {
			p.events[i].Channel.Relay = r.Relay
		}
	}
	return r
}

func (s *story) passes(r *relay, p *talker, own bool) (passages []store.Evidence) {
	var flights []*store.Flight
	for _, e := range p.events {
		if e.Flight != nil && e.Own == own {
			flights = append(flights, e.Flight)
		}
	}
	here := facts.Outer{Place: wire.Place{Epoch: 70, Count: 16_000, T: [32]byte(random(32))}}
	for two := range slices.Chunk(flights, 2) {
		passage := &store.Passage{Channel: s.id, Own: own, Before: here.Place}
		for _, f := range two {
			aside := [32]byte(random(32))
			passage.Steps = append(passage.Steps, store.Step{Epoch: f.Epoch, First: f.First, Count: uint32(len(f.Envelopes))}, store.Step{Digest: aside})
			for i := range f.Envelopes {
				here.Around(f.Envelopes[i].Digest())
			}
			here.Add(aside)
		}
		place := here.Place
		h := wire.Head{Channel: [32]byte{7}, Lane: 12, Role: wire.RoleResponder, Yours: place}
		if !own {
			h.Mine, h.Yours = &place, wire.Place{Epoch: 1}
		}
		passage.Seal = wire.SealEntry{Seal: s.seal(r.talker, wire.PurposeHead, h.Append(nil)), Head: h, Statement: h.Append(nil)}
		passages = append(passages, store.Evidence{Channel: s.known(p), Own: own, Passage: passage})
	}
	return passages
}

// The relay's statement goes with each message, in bundles of all and of some, and what the relay had beside them is not shown.
func TestRelayStates(t *testing.T) {
	for name, wanted := range map[string][]Range{"relay.example": nil, "192.0.2.7": {{true, 3, 3}}, "2001:db8::7": {{true, 1, 1}, {false, 1, 1}}} {
		s := told(t, p256, p384)
		s.through(t, name)
		j := judge.New(t, "sh")
		for _, by := range []*talker{s.ana, s.rui}[:1+len(wanted)/2] {
			x := s.export(by, wanted...)
			_, err := evidence.Verify(x.Bundle, s.policy.Anchors)
			must(t, err)
			if _, err := evidence.Verify(x.Bundle, s.policy.Anchors[:1]); err == nil {
				t.Error("a relay under another anchor is believed")
			}
			files, err := bundle.Unpack(x.Bundle)
			must(t, err)
			words := j.Accepts(j.Folder(files))
			for _, m := range x.Report.Messages {
				if m.Relayed == nil || x.Report.Relays[m.Relayed.Relay].Name != name || m.Relayed.At != uint64(s.now.Unix()) {
					t.Errorf("message %d: %+v", m.Number, m.Relayed)
				}
			}
			at := ", at the relay " + name + " at " + s.now.UTC().Format("2006-01-02 15:04:05 UTC")
			if n := strings.Count(words, at); n != len(x.Report.Messages) {
				t.Errorf("%q is said %d times of %d messages:\n%s", at, n, len(x.Report.Messages), words)
			}
		}
	}
}

// What a store of an older program holds, or one whose passages prove nothing, is proved without the relay's statement.
func TestNoRelayStates(t *testing.T) {
	for what, spoil := range map[string]func(*store.Evidence){
		"another transcript": func(e *store.Evidence) { e.Passage.Before.T[0] ^= 1 },
		"another relay":      func(e *store.Evidence) { e.Channel.Relay.Name = "elsewhere.example" },
		"a strange name":     func(e *store.Evidence) { e.Channel.Relay.Name = "relay example" },
		"no certificates":    func(e *store.Evidence) { e.Channel.Relay.Chain = nil },
		"a lost flight":      func(e *store.Evidence) { e.Passage.Steps[0].First += 1 << 20 },
		"no messages":        func(e *store.Evidence) { e.Passage.Steps = nil },
	} {
		s := told(t, p256, p256)
		s.through(t, "relay.example")
		for i := range s.ana.events {
			if s.ana.events[i].Passage != nil {
				spoil(&s.ana.events[i])
			}
		}
		x := s.export(s.ana)
		if n := len(x.Report.Messages); n != 8 || len(x.Report.Relays) > 0 || len(x.Left) > 0 {
			t.Errorf("%s: %d messages, relays %+v", what, n, x.Report.Relays)
		}
	}
}

// Whoever makes the manifest fit is caught by the proof, by both verifiers.
func TestRelayLies(t *testing.T) {
	s := newStory(t, p256, p256)
	s.says(s.ana, "one")
	s.says(s.ana, "two")
	r := s.through(t, "relay.example")
	genuine, err := bundle.Unpack(s.export(s.ana).Bundle)
	must(t, err)
	j := judge.New(t, "sh")
	none := strings.Repeat("0", 64)
	lies := map[string]struct {
		kind string // of the line of which the first is changed
		lie  func(words []string) []string
	}{
		"another name":          {"relay", func(w []string) []string { w[2] = "elsewhere.example"; return w }},
		"a name that is none":   {"relay", func(w []string) []string { w[2] = "relay_example"; return w }},
		"a person as the relay": {"relay", func(w []string) []string { return append(w[:3], "1", "2", "3", "4", "5") }},
		"the name in capitals":  {"relay", func(w []string) []string { w[2] = "Relay.example"; return w }},
		"no anchor":             {"relay", func(w []string) []string { return w[:4] }},
		"no relay":              {"relay", func([]string) []string { return nil }},
		"another direction":     {"passage", func(w []string) []string { w[1] = string('1' + '2' - w[1][0]); return w }},
		"no direction":          {"passage", func(w []string) []string { w[1] = "3"; return w }},
		"another epoch":         {"passage", func(w []string) []string { w[2] = "71"; return w }},
		"another count":         {"passage", func(w []string) []string { w[3] = "15999"; return w }},
		"another beginning":     {"passage", func(w []string) []string { w[4] = none; return w }},
		"no beginning":          {"passage", func([]string) []string { return nil }},
		"another envelope":      {"outer", func(w []string) []string { w[1] = none; return w }},
		"one envelope less":     {"outer", func([]string) []string { return nil }},
		"another statement":     {"relayed", func(w []string) []string { w[4] = none; return w }},
		"another seal":          {"relayed", func(w []string) []string { w[1] = "1"; return w }},
		"no statement":          {"relayed", func([]string) []string { return nil }},
		"an author's head":      {"relayed", func(w []string) []string { w[0] = "head"; return w }},
	}
	for what, l := range lies {
		files := maps.Clone(genuine)
		lines := strings.Split(string(genuine[bundle.Proof]), "\n")
		i := slices.IndexFunc(lines, func(line string) bool { return strings.HasPrefix(line, l.kind+" ") })
		words := l.lie(strings.Split(lines[i], " "))
		lines[i] = strings.Join(words, " ")
		if words == nil {
			lines = slices.Delete(lines, i, i+1)
		}
		files[bundle.Proof] = []byte(strings.Join(lines, "\n"))
		refusedByBoth(t, j, what, files)
	}
	refusedByBoth(t, j, "a relay in an author's place", r.authors(s, genuine))

	at := 0
	for line := range strings.Lines(string(genuine[bundle.Proof])) {
		kind, _, _ := strings.Cut(line, " ")
		for i := range line {
			if !slices.Contains([]string{"relay", "passage", "outer", "relayed"}, kind) {
				break
			}
			for _, bit := range []int{0, 5} { // another digit, or a capital
				files := maps.Clone(genuine)
				files[bundle.Proof] = bytes.Clone(genuine[bundle.Proof])
				files[bundle.Proof][at+i] ^= 1 << bit
				if _, _, err := evidence.Make(files); err == nil {
					t.Errorf("byte %d of %q with another bit %d is believed", i, line, bit)
				}
			}
		}
		at += len(line)
	}
}

func refusedByBoth(t testing.TB, j *judge.Judge, what string, files map[string][]byte) {
	t.Helper()
	files[bundle.Manifest] = bundle.ManifestOf(files)
	if _, _, err := evidence.Make(files); err == nil {
		t.Errorf("%s is believed", what)
	}
	j.Refuses(j.Folder(files), "line ")
}

// authors has the relay seal the first head in the place of its author, whose number is the relay's, too.
func (r *relay) authors(s *story, genuine map[string][]byte) map[string][]byte {
	s.t.Helper()
	files := maps.Clone(genuine)
	lines := strings.Split(string(genuine[bundle.Proof]), "\n")
	signer, seals, run, head := "", 1, 0, 0
	for i, line := range lines {
		switch words := strings.Split(line, " "); {
		case words[0] == "signer" && words[2] == "relay":
			signer = words[1]
		case words[0] == "seal":
			seals++
		case words[0] == "run" && run == 0:
			run = i
		case words[0] == "head" && head == 0:
			head = i
		}
	}
	statement, err := hex.DecodeString(strings.Split(lines[head], " ")[4])
	must(s.t, err)
	sl := s.seal(r.talker, wire.PurposeHead, statement)
	root, _ := seal.RootOf(seal.Leaf(wire.PurposeHead, sl.Salt, statement), sl.Leaves, sl.Index, sl.Path)
	in := wire.SealInput{Signer: r.digest, Time: sl.Time, Leaves: sl.Leaves, Root: root}
	files[bundle.Name("seal", seals, "bin")], files[bundle.Name("seal", seals, "sig")] = in.Append(nil), sl.Signature
	lines[head] = "head " + tailOf(seals, statement, &sl)
	lines = slices.Insert(lines, run, fmt.Sprintf("seal %d %s %04x %d %d %x", seals, signer, uint16(sl.Scheme), sl.Time, sl.Leaves, root))
	files[bundle.Proof] = []byte(strings.Join(lines, "\n"))
	return files
}

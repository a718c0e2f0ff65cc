//go:build cgo

package processtest

import (
	"bytes"
	"encoding/json"
	"encoding/pem"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// signature is what a card signed, as its process wrote it down.
type signature struct {
	Certificate, Signed, Signature []byte
	Scheme                         uint16
}

// recorded takes a process's lines apart.
func recorded(t *testing.T, lines []byte) (flights []flight, signatures []signature) {
	t.Helper()
	for line := range bytes.Lines(lines) {
		var one struct {
			flight
			signature
		}
		must(t, json.Unmarshal(line, &one))
		if one.From != "" {
			flights = append(flights, one.flight)
		} else {
			signatures = append(signatures, one.signature)
		}
	}
	return flights, signatures
}

// judgeRecords judges what the three processes of a conversation wrote down.
func judgeRecords(t *testing.T, relay, initiator, responder []byte) {
	flights, ofRelay := recorded(t, relay)
	a, err := auditFlights(flights)
	must(t, err)

	const machine, bye = 1, 1
	for i, c := range []struct {
		name      string
		records   []byte
		envelopes int // the machine statement, the thousand, the last word, and of who leaves first the farewell
	}{{"Rita", initiator, machine + thousand + 1 + bye}, {"Paulo", responder, machine + thousand + 1}} {
		side, other := a.sides[i], a.sides[1-i]
		if side.leaf.Subject.CommonName != c.name || side.sealedUpTo != c.envelopes {
			t.Errorf("%s sealed %d envelopes, not %s %d", side.leaf.Subject.CommonName, side.sealedUpTo, c.name, c.envelopes)
		}
		if want := machine + thousand; side.acknowledged < want {
			t.Errorf("the seals of %s acknowledge %d envelopes of %s, not %d", c.name, side.acknowledged, other.leaf.Subject.CommonName, want)
		}
		_, signatures := recorded(t, c.records)
		onlyTheirCards(t, side, signatures)
		fewSignatures(t, c.name, signatures)
		openssl(t, signatures[len(signatures)-1])
	}
	fewSignatures(t, "the relay", ofRelay)
	openssl(t, ofRelay[len(ofRelay)-1])
	tampered(t, flights)
}

// onlyTheirCards: what the auditor saw signed is what the card signed, byte for byte, and nothing else of it was used.
func onlyTheirCards(t *testing.T, p *party, made []signature) {
	t.Helper()
	card := map[string][]byte{}
	for _, s := range made {
		card[string(s.Signature)] = s.Signed
		if !bytes.Equal(s.Certificate, p.leaf.Raw) {
			t.Error("a signature with another certificate")
		}
	}
	for s, signed := range p.signatures {
		if !bytes.Equal(card[s], signed) {
			t.Errorf("the relay passed on a signature of %s that the card did not make", p.leaf.Subject.CommonName)
		}
	}
}

// fewSignatures: a signature covers many messages. Everything is counted: login, handshake, receipts to the relay and to the other.
func fewSignatures(t *testing.T, who string, made []signature) {
	t.Helper()
	distinct := map[string]bool{}
	for _, s := range made {
		distinct[string(s.Signature)] = true
	}
	t.Logf("%s: %d signatures for %d messages sent and %d received", who, len(distinct), thousand, thousand)
	if n := len(distinct); n < 3 || n > 2*thousand/5 {
		t.Errorf("%s made %d signatures for %d messages", who, n, 2*thousand)
	}
}

// openssl has the openssl command verify a signature over the 154 bytes, and refuse it over others.
func openssl(t *testing.T, s signature) {
	t.Helper()
	if len(s.Signed) != 154 {
		t.Fatalf("%d bytes were signed", len(s.Signed))
	}
	dir := t.TempDir()
	write := func(name string, b []byte) string {
		path := filepath.Join(dir, name)
		must(t, os.WriteFile(path, b, 0o600))
		return path
	}
	certificate := write("certificate.pem", pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate}))
	key, err := exec.Command("openssl", "x509", "-in", certificate, "-noout", "-pubkey").Output()
	must(t, err)
	verify := func(signed []byte) string {
		args := []string{"dgst", "-sha256", "-verify", write("key.pem", key), "-signature", write("signature", s.Signature)}
		if s.Scheme == 0x0804 {
			args = append(args, "-sigopt", "rsa_padding_mode:pss", "-sigopt", "rsa_pss_saltlen:32")
		}
		out, _ := exec.Command("openssl", append(args, write("signed", signed))...).CombinedOutput() // its words say more than its status
		return strings.TrimSpace(string(out))
	}
	if out := verify(s.Signed); out != "Verified OK" {
		t.Errorf("openssl: %s", out)
	}
	other := bytes.Clone(s.Signed)
	other[153] ^= 1
	if out := verify(other); !strings.Contains(out, "Verification failure") {
		t.Errorf("openssl, over other bytes: %s", out)
	}
}

// tampered: an audit that passes everything would show nothing.
func tampered(t *testing.T, flights []flight) {
	t.Helper()
	// The flight in the middle of those that hold content.
	var withContent []int
	for i, f := range flights {
		if slices.ContainsFunc(f.Pieces, func(p piece) bool { return p.Type == 2 }) {
			withContent = append(withContent, i)
		}
	}
	middle := withContent[len(withContent)/2]
	content := slices.IndexFunc(flights[middle].Pieces, func(p piece) bool { return p.Type == 2 })
	seals := slices.IndexFunc(flights[middle].Pieces, func(p piece) bool { return p.Seals != nil })
	other := slices.IndexFunc(flights, func(f flight) bool { return f.From != flights[middle].From })
	flip := func(b []byte) { b[len(b)-1] ^= 1 }
	ways := map[string]func(*flight){
		"an envelope altered":     func(f *flight) { flip(f.Pieces[content].Payload) },
		"an envelope left out":    func(f *flight) { f.Pieces = slices.Delete(f.Pieces, content, content+1) },
		"an envelope twice":       func(f *flight) { f.Pieces = slices.Insert(f.Pieces, content, f.Pieces[content]) },
		"a receipt altered":       func(f *flight) { flip(f.Pieces[seals].Seals[0].Head) },
		"a salt altered":          func(f *flight) { flip(f.Pieces[seals].Seals[0].Salt) },
		"a signature altered":     func(f *flight) { flip(f.Pieces[seals].Seals[0].Signature) },
		"a time altered":          func(f *flight) { f.Pieces[seals].Seals[0].Time++ },
		"a leaf in another place": func(f *flight) { f.Pieces[seals].Seals[0].Index ^= 1 },
		"somebody else's flight":  func(f *flight) { f.From = flights[other].From },
	}
	for _, way := range slices.Sorted(maps.Keys(ways)) {
		copied := slices.Clone(flights)
		b, err := json.Marshal(flights[middle])
		must(t, err)
		copied[middle] = flight{}
		must(t, json.Unmarshal(b, &copied[middle]))
		ways[way](&copied[middle])
		if _, err := auditFlights(copied); err == nil {
			t.Errorf("%s: the audit finds nothing", way)
		}
	}
}

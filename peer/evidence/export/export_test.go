package export

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"sinete/peer/evidence"
	"sinete/peer/evidence/internal/bundle"
)

var kinds = map[string]kind{"p256": p256, "p384": p384, "rsa2048": rsa2048, "pss2048": pss2048, "delegated": byDelegation}

// What is exported proves every message to whoever trusts the anchor, from both sides, whatever they seal with.
func TestRoundTrip(t *testing.T) {
	for name, k := range kinds {
		t.Run(name, func(t *testing.T) {
			s := told(t, k, p256)
			for _, by := range []*talker{s.ana, s.rui} {
				x := s.export(by)
				r, err := evidence.Verify(x.Bundle, s.policy.Anchors)
				must(t, err)
				got := map[string]string{}
				for _, m := range r.Messages {
					got[fmt.Sprintf("%s %d", r.People[m.From].Identity, m.Number)] = m.Text
				}
				if len(x.Left) != 0 || len(got) != 8 || got[s.ana.identity+" 3"] != "after the new keys" || got[s.rui.identity+" 1"] != "two epochs later" {
					t.Errorf("%q, left %v", got, x.Left)
				}
				sample(t, name+map[*talker]string{s.ana: "-ana", s.rui: "-rui"}[by], x)
			}
		})
	}
}

// Evidence of one of three messages says nothing of the other two but their digests.
func TestHidesTheOthers(t *testing.T) {
	s := newStory(t, p256, rsa2048)
	s.says(s.ana, "the first of them", "the second of them", "the third of them")
	s.confirms(s.rui)
	x := s.export(s.ana, Range{true, 1, 1})
	sample(t, "one-of-three", x)
	if n := len(x.Report.Messages); n != 1 || x.Report.Messages[0].Text != "the second of them" || x.Report.Messages[0].Delivered == nil {
		t.Fatalf("%+v", x.Report.Messages)
	}
	files, err := bundle.Unpack(x.Bundle)
	must(t, err)
	for i, e := range s.ana.events[0].Flight.Envelopes {
		secrets := map[string][]byte{"text": []byte(e.Text.Text), "opening key": e.Opening[:], "id": e.Text.ID[:], "header": e.Header, "ciphertext": e.Ciphertext[:]}
		for what, secret := range secrets {
			if there := holds(files, secret); there != (i == 1) {
				t.Errorf("%s of message %d is there: %v", what, i, there)
			}
		}
	}
}

// holds reports whether a secret is in any of the files, raw, in hexadecimal or in base64, whatever it stands behind.
func holds(files map[string][]byte, secret []byte) bool {
	forms := [][]byte{secret, []byte(hex.EncodeToString(secret)), []byte(strings.ToUpper(hex.EncodeToString(secret)))}
	for shift := range 3 {
		b := base64.StdEncoding.EncodeToString(append(make([]byte, shift), secret...))
		forms = append(forms, []byte(b[(shift*8+5)/6:len(b)-4])) // what neighbours cannot change
	}
	for _, f := range files {
		for _, form := range forms {
			if bytes.Contains(f, form) || bytes.Contains(bytes.ReplaceAll(f, []byte("\n"), nil), form) {
				return true
			}
		}
	}
	return false
}

// sample writes a bundle to the folder that SINETE_SAMPLES names, for whoever wants one to look at.
func sample(t *testing.T, name string, x *Exported) {
	t.Helper()
	if dir := os.Getenv("SINETE_SAMPLES"); dir != "" {
		must(t, os.WriteFile(filepath.Join(dir, name+".zip"), x.Bundle, 0o644))
	}
}

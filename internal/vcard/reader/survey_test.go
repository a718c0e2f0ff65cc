//go:build cgo

package reader_test

import (
	"strings"
	"testing"

	"sinete/cardauth/pkcs11card"
	"sinete/internal/trialpki"
	"sinete/internal/vcard"
	"sinete/internal/vcard/reader"
)

// A survey through OpenSC and pcscd says what is in a reader, and gives no PIN.
func TestSurvey(t *testing.T) {
	r := reader.Start(t)
	look := func() pkcs11card.Module {
		t.Helper()
		m := pkcs11card.Survey(t.Context(), []string{r.Module(t)})[0]
		if m.Err != nil || !m.NeedsPCSC() || !strings.Contains(m.Description, "OpenSC") || m.Version == "" || len(m.Unknown)+len(m.Blank) > 0 {
			t.Errorf("%+v", m)
		}
		return m
	}
	empty := look()
	for _, token := range empty.Tokens {
		if token.Present || token.Reader == "" {
			t.Errorf("in an empty reader: %+v", token)
		}
	}
	if len(empty.Tokens) == 0 {
		t.Error("no reader")
	}
	chip, certificate := reader.NewPIV(t, world(), "ana", trialpki.P256)
	r.Insert(t, chip)
	found, err := pkcs11card.Find("pkcs11:", look().Tokens)
	if err != nil {
		t.Fatal(err)
	}
	if !found.Certificate.Equal(certificate) || found.Token.Profile.Name != "PIV" || found.Why != pkcs11card.WhyPurpose || found.Certificate.Exportable {
		t.Errorf("%+v", found)
	}
	if n := chip.Counts(); n != (vcard.Counts{}) {
		t.Errorf("%+v", n)
	}
}

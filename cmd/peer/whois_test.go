package main

import (
	"crypto/x509"
	"crypto/x509/pkix"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"sinete/peer"
	"sinete/peer/store"
	"sinete/wire"
)

// What is known of somebody comes from the list, from the last conversation, and from what is kept: each as far as it goes.
func TestWhois(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		s := newFakeSession()
		s.people[0].Certificate = [32]byte{0xab}
		rui := s.opens(0, known(peer.MachineNew))
		rui.delegated = true
		day := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
		rui.shown = peer.Shown{Certificate: &x509.Certificate{Raw: []byte("certificate"), RawSubjectPublicKeyInfo: []byte("key"),
			Issuer: pkix.Name{CommonName: "Authority"}, NotBefore: day, NotAfter: day.AddDate(1, 0, 0)}, Until: day.Add(time.Hour), Asked: true}
		s.kept = openStore(t, dir)
		defer s.kept.Close()
		contact := s.kept.Contact("BI2@a", "Rui")
		contact.SpeaksFrom(store.Machine{Hash: [32]byte{1}, Description: "one"})
		contact.SpeaksFrom(store.Machine{Hash: [32]byte{2}, Description: "two"})
		since := contact.Machines()[1].Since.UTC().Format("2006-01-02T15:04:05.000Z")
		s.kept.Contact("BI7@a", "Zé")
		c := talkTo(t, s)
		c.shows(sessionOpen, ruiOpen)
		listed := `{"event":"whois","id":2,"name":"Rui","identity":"BI2@a","here":true,"level":1,"send":true,"conversation":"`
		gone := `{"event":"whois","id":2,"name":"Rui","identity":"BI2@a","here":false,"send":false,"conversation":"closed",`
		certificate := `"certificate":"03d66dd08835c1ca3f128cceacd1f31ac94163096b20f445ae84285bc0832d72","issuer":"CN=Authority","not_before":"2026-03-01T12:00:00.000Z",` +
			`"not_after":"2027-03-01T12:00:00.000Z","key":"2c70e12b7a0646f92279f427c7b38e7334d8e5389cff167a1dc30e73f826b683",`
		machine := `"machine":"two","machine_since":"` + since + `","machine_changes":1}`
		c.says([]string{"whois#rui"}, listed+`open",`+certificate+`"signing":"delegated","signing_until":"2026-03-01T13:00:00.000Z","revocation":"good",`+
			`"suite":"P256-AES128GCM-SHA256","epoch":0,`+machine)
		rui.shown.Found = wire.CodeCertificateRevoked
		rui.ends(wire.CodeCertificateRevoked)
		c.shows(ruiClosed)
		c.says([]string{"whois#2"}, listed+`closed",`+certificate+`"revocation":"revoked",`+machine)
		s.people = s.people[1:] // he has left the relay
		c.says([]string{"whois#rui", "whois#Zé"}, gone+certificate+`"revocation":"revoked",`+machine, refusal("whois", "unknown-peer"))
		s.away = true
		c.says([]string{"whois#2"}, gone)
		c.first()
		c.leaves(0, sessionClosed)
		want(t, keeps(t, s, s.kept, "whois#zé", "whois#nobody"),
			`{"event":"whois","id":0,"name":"Zé","identity":"BI7@a","here":false,"send":false,"conversation":"none","machine_changes":0}`, refusal("whois", "unknown-peer"))
	})
}

// What is said of revocation is what this side found: a conversation may end because the other side found something about this one.
func TestWhoisRevoked(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newFakeSession()
		rui := s.opens(0, known(peer.MachineNew))
		c := talkTo(t, s)
		c.shows(sessionOpen, ruiOpen)
		says := func(shown peer.Shown, want string) {
			t.Helper()
			rui.shown = shown
			c.typed <- "whois#2\n"
			synctest.Wait()
			if lines := c.out.take(); len(lines) != 1 || !strings.Contains(string(lines[0]), want) || want == "" && strings.Contains(string(lines[0]), "revocation") {
				t.Errorf("%q lacks %s", lines, want)
			}
		}
		says(peer.Shown{}, `"revocation":"unchecked"`)
		says(peer.Shown{Asked: true}, `"revocation":"good"`)
		rui.ends(wire.CodeCertificateRevoked)
		c.shows(ruiClosed)
		says(peer.Shown{Asked: true}, "")
		says(peer.Shown{Asked: true, Found: wire.CodeRevocationUnknown}, `"revocation":"unknown"`)
		c.first()
		c.leaves(0, sessionClosed)
	})
}

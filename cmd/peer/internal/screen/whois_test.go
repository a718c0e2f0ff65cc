package screen

import (
	"crypto/x509"
	"crypto/x509/pkix"
	"strings"
	"testing"
	"time"

	"sinete/peer"
	"sinete/peer/store"
	"sinete/wire"
)

// Each line says what is known, and no line stands for what is not.
func TestWhoisLines(t *testing.T) {
	noon := time.Date(2026, 3, 1, 12, 0, 0, 0, time.Local)
	rui := WhoisOf(peer.Person{ID: 2, Name: "Rui", Identity: "BI2@a", Level: wire.Level{Rank: 1, Compartments: []string{"ops"}}}, true)
	full := rui.In(Conversation{State: "open", Suite: "S", Epoch: 3, Signing: peer.SignDelegated}, peer.Shown{Certificate: &x509.Certificate{
		Issuer: pkix.Name{CommonName: "Authority"}, NotBefore: noon, NotAfter: noon.AddDate(1, 0, 0)}, Until: noon, Asked: true}).
		On([]store.Stay{{}, {}, {Machine: store.Machine{Description: "host\n"}, Since: noon}})
	for _, c := range []struct {
		e    Whois
		want []string
	}{
		{WhoisOf(peer.Person{Name: "Zé", Identity: "BI7@a"}, false), []string{"Zé", "  identity  BI7@a", "  now       not logged in"}},
		{rui, []string{"Rui (2)", "  identity  BI2@a", "  now       logged in, level 1{ops}; you may not write"}},
		{full, []string{"Rui (2)", "  identity     BI2@a", "  now          logged in, level 1{ops}; you may not write; connected", "  issuer       CN=Authority",
			"  valid        from 2026-03-01 to 2027-03-01", "  certificate  SHA-256 e3b0c442", "  its key      SHA-256 e3b0c442",
			"  revoked      no: that was asked, and is asked again while you are connected",
			"  seals with   a key that the card delegated to, until 2026-03-01 12:00", "  keys         S, epoch 3", "  machine      host\n, since 2026-03-01 12:00; 2 changes"}},
	} {
		got := whoisLines(c.e)
		for i := range max(len(got), len(c.want)) {
			if i >= len(got) || i >= len(c.want) || !strings.HasPrefix(got[i], c.want[i]) {
				t.Fatalf("got  %q\nwant %q", got, c.want)
			}
		}
	}
}

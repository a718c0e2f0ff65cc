//go:build realchains

package cardauth

import (
	"crypto/x509"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"sinete/wire"
)

// The authorities of real cards, where they lie: make test-real-chains. Nobody's own certificate is among them, so the rules for
// chains are tried on the authorities themselves.
func TestRealChains(t *testing.T) {
	trust := os.Getenv("TRUST")
	if trust == "" {
		t.Fatal("TRUST names no folder")
	}
	read := func(folder, name string) *x509.Certificate {
		t.Helper()
		certs, err := readCertificates(filepath.Join(trust, "cartao-de-cidadao", folder, name+".pem"))
		if err != nil || len(certs) != 1 {
			t.Fatalf("%s: %d certificates, %v", name, len(certs), err)
		}
		return certs[0]
	}
	const production, test, oldSub = "production", "test-pki", "EC_de_Autenticacao_do_Cartao_de_Cidadao_0011"
	anchors := []*x509.Certificate{read(production, "ECRaizEstado002"), read(production, "ECRaizEstado_MC"), read(test, "Teste-CartaodeCidadao004")}
	at := func(year int, month time.Month) time.Time { return time.Date(year, month, 15, 0, 0, 0, 0, time.UTC) }
	now := at(2026, time.November)

	for _, c := range []struct {
		folder, name string
		above        []string
		at           time.Time
		want         wire.Code // 0: it builds
		word         string    // of the reason
	}{
		{production, "CC_Auc0019", []string{"CartaodeCidadao008"}, now, 0, ""},
		{production, "CC_Auc0020", []string{"CartaodeCidadao008"}, now, 0, ""},
		{production, "CC_Asc0019", []string{"CartaodeCidadao008"}, now, 0, ""},
		{production, "CC_Asc0020", []string{"CartaodeCidadao008"}, now, 0, ""},
		{production, "CartaodeCidadao004", nil, now, 0, ""},
		{production, "CartaodeCidadao005", nil, now, 0, ""},
		{production, "CartaodeCidadao006", nil, now, 0, ""},
		{production, "CartaodeCidadao007", nil, now, 0, ""},
		{test, "Teste-EC-Autenticacao-0013", nil, now, 0, ""},
		{test, "Teste-EC-Assinatura-0013", nil, now, 0, ""},
		// Expired, and refused for that alone: in their time they build.
		{production, oldSub, []string{"CartaodeCidadao003"}, now, wire.CodeCertificateExpired, "expired"},
		{production, oldSub, []string{"CartaodeCidadao003"}, at(2021, time.June), 0, ""},
		{production, "CartaodeCidadao003", nil, now, wire.CodeCertificateExpired, "expired"},
		{production, "CartaodeCidadao003", nil, at(2025, time.June), 0, ""},
		// Signed with SHA-1: refused in their time, too.
		{production, "CartaodeCidadao001", nil, at(2018, time.June), wire.CodeCertificateInvalid, "SHA1"},
		{production, "CartaodeCidadao002", nil, at(2024, time.June), wire.CodeCertificateInvalid, "SHA1"},
		// And none without its way up.
		{production, "CC_Auc0019", nil, now, wire.CodeCertificateInvalid, "unknown authority"},
	} {
		certs := []*x509.Certificate{read(c.folder, c.name)}
		for _, name := range c.above {
			certs = append(certs, read(c.folder, name))
		}
		policy := &Policy{Anchors: anchors}
		built, err := policy.build(certs, c.at)
		for _, chain := range built {
			if err = errors.Join(err, checkChain(chain)); chain[len(chain)-1].Subject.CommonName == "" {
				t.Errorf("%s: an anchor without a name", c.name)
			}
		}
		var refused *CertificateError
		switch {
		case c.want == 0 && err != nil:
			t.Errorf("%s in %d: %v", c.name, c.at.Year(), err)
		case c.want != 0 && (!errors.As(err, &refused) || refused.Number != c.want || !strings.Contains(refused.Reason, c.word)):
			t.Errorf("%s in %d: %v, want %v for %q", c.name, c.at.Year(), err, c.want, c.word)
		}
		// Every one of them, and an authority is nobody to log in.
		if err == nil && CheckUsage(certs[0]) == nil {
			t.Errorf("%s could log in", c.name)
		}
	}

	// Whoever is to be asked must be named, in a form that is asked.
	for _, name := range []string{"CC_Auc0019", "CC_Auc0020", "CartaodeCidadao008"} {
		c := read(production, name)
		if len(c.OCSPServer) == 0 || len(c.CRLDistributionPoints) == 0 || !strings.HasPrefix(c.OCSPServer[0], "http://") {
			t.Errorf("%s names %v and %v", name, c.OCSPServer, c.CRLDistributionPoints)
		}
	}
}

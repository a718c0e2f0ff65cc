package systemtest

import (
	"crypto/x509"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"

	"sinete/cardauth/seal"
	"sinete/peer"
	"sinete/relay"
	"sinete/relay/audit"
	"sinete/relay/flow"
	"sinete/transport"
	"sinete/wire"
)

// audited has the relay keep an audit log, and returns its folder.
func audited(t testing.TB, c *relay.Config) string {
	t.Helper()
	dir := t.TempDir()
	l, err := audit.Open(dir, audit.Options{})
	must(t, err)
	t.Cleanup(func() { _ = l.Close() }) // when the relay has ended
	c.Audit = l
	return dir
}

// verifies checks a log's heads as anybody can who has the relay's certificate.
func verifies(certificate *x509.Certificate) func(audit.Head) error {
	v := seal.NewVerifier(0)
	return func(h audit.Head) error {
		by := seal.Signer{Key: certificate.PublicKey, Scheme: h.Seal.Scheme, Digest: wire.SignerHash(certificate.Raw, nil)}
		return v.Verify(by, wire.PurposeAuditHead, h.AuditHead.Append(nil), h.Seal)
	}
}

// What happens at a relay stands in its audit log, whole and in order, under a head that it has sealed; what people write does not.
func TestRelayIsAudited(t *testing.T) {
	dir := ""
	simulated(t, func(c *relay.Config) {
		dir = audited(t, c)
		of := c.Level
		c.Level = func(identity string) (flow.Subject, bool) {
			s, ok := of(identity)
			return s, ok && s.Level.Rank != 13
		}
	}, func(t *testing.T, w *world) {
		low, high := w.card("low"), w.card("high")
		w.grants(w.identity(high), wire.Level{Rank: 1}, false)
		w.grants(w.identity(w.card("nobody")), wire.Level{Rank: 13}, false)
		turnedAway(t, tryLogin(t, w.config(w.card("nobody"))), wire.CodeFlowDenied)
		lowly, mighty := w.login(low), w.login(high)
		up, down := connect(t, lowly, mighty)
		talk(t, down, up, "a secret order")
		_, err := up.Send(t.Context(), "a secret question")
		refused(t, err, wire.CodeFlowDenied)
		w.becomes(lowly.Identity(), wire.Level{Rank: 2, Compartments: []string{"ops"}})
		over(t, up, wire.CodeLevelChanged, 0)
		turnedAway(t, tryLogin(t, w.config(low)), wire.CodeCardInUse)
		must(t, mighty.Close(t.Context()))
		w.becomes(lowly.Identity(), wire.Level{Rank: 13})
		<-lowly.Done()
		w.stop()

		r, err := audit.Read(dir)
		must(t, err)
		defer r.Close()
		report, err := r.Check(verifies(w.relay.Certificate.Leaf))
		if err != nil || report.Open != 0 || report.Verified == 0 {
			t.Errorf("%+v, %v", report, err)
		}
		var got []string
		for _, data := range r.Records(0) {
			if strings.Contains(string(data), "secret") {
				t.Errorf("what people write: %s", data)
			}
			var rec audit.Record
			must(t, json.Unmarshal(data, &rec))
			who := map[string]string{lowly.Identity(): " low", mighty.Identity(): " high", w.identity(w.card("nobody")): " nobody", "": ""}[rec.Identity]
			with := map[string]string{mighty.Identity(): " high", "": ""}[rec.With]
			got = append(got, strings.TrimSpace(string(rec.Event)+who+" "+rec.Request+with+" "+rec.Before+" "+rec.Level+" "+rec.Code))
			if rec.Event == audit.Login && (rec.From == "" || len(rec.Certificate) != 64 || rec.Identity == "") {
				t.Errorf("a login without where from or with what: %s", data)
			}
		}
		want := []string{"begun", "started", "login-refused nobody    flow-denied", "login low   0", "login high   1",
			"refused low write high   flow-denied", "level-changed low  0 2{ops}", "login-refused low    card-in-use", "ended high    bye", "ended low    flow-denied", "stopped"}
		if !slices.Equal(got, want) {
			t.Errorf("the log says\n%s\nand not\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
		}
	})
}

// A relay that cannot write its audit log lets nobody in, unless it is told to; those who are in go on.
func TestAuditCannotBeWritten(t *testing.T) {
	for _, anyway := range []bool{false, true} {
		t.Run(map[bool]string{false: "refuse", true: "continue"}[anyway], func(t *testing.T) {
			simulated(t, func(c *relay.Config) {
				audited(t, c)
				c.Unaudited = anyway
			}, func(t *testing.T, w *world) {
				a, b := connect(t, w.login(w.card("alice")), w.login(w.card("bob")))
				must(t, w.relay.Audit.Close()) // nothing can be written any more
				if s, err := peer.Login(t.Context(), w.config(w.card("carol"))); anyway {
					must(t, err)
					must(t, s.Close(t.Context()))
				} else if c, ok := errors.AsType[*transport.CloseError](err); !ok || c.Number != wire.CodeBusy {
					t.Errorf("a login that cannot be recorded: %v", err)
				}
				talk(t, a, b, "goes on")
			})
		})
	}
}

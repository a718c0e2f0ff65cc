package trouble

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"strings"
	"testing"

	"sinete/cardauth"
	"sinete/cardauth/pkcs11card"
	"sinete/cardauth/seal"
	"sinete/cardauth/softcard"
	"sinete/peer"
	"sinete/peer/evidence"
	"sinete/peer/presence"
	"sinete/peer/store"
	"sinete/transport"
	"sinete/wire"
)

func TestExplain(t *testing.T) {
	certificate := func(n wire.Code) error { return &cardauth.CertificateError{Number: n, Reason: "because"} }
	closed := func(n wire.Code) error { return &transport.CloseError{Number: n, Remote: true} }
	for _, c := range []struct {
		err    error
		code   string
		status int
	}{
		{&peer.OwnCertificateError{Err: certificate(wire.CodeCertificateExpired)}, "certificate-expired", 3},
		{&peer.OwnCertificateError{Err: &cardauth.IdentityError{Reason: "none"}}, "certificate-invalid", 3},
		{&transport.ServerCertificateError{Err: certificate(wire.CodeCertificateInvalid)}, "relay-untrusted", 3},
		{certificate(wire.CodeCertificateExpired), "relay-untrusted", 3},
		{&peer.AddressError{Address: "x", Err: &net.AddrError{Err: "missing port"}}, "relay-address", 2},
		{&peer.AddressError{Address: "x:1", Err: &net.OpError{Op: "dial", Err: &net.DNSError{Err: "no such host"}}}, "relay-unreachable", 1},
		{&transport.UnreachableError{Addr: "127.0.0.1:1", Err: context.DeadlineExceeded}, "relay-unreachable", 1},
		{&transport.RefusedError{Err: errors.New("full")}, "busy", 1},
		{&transport.ProtocolError{Err: errors.New("alpn")}, "version-unsupported", 1},
		{&transport.LostError{Err: errors.New("idle")}, "cut", 1},
		{closed(wire.CodeCardInUse), "card-in-use", 3},
		{closed(wire.CodeCertificateRevoked), "certificate-revoked", 3},
		{closed(wire.CodeSuperseded), "superseded", 3},
		{closed(wire.CodeBusy), "busy", 1},
		{closed(wire.CodeBye), "going-away", 1},
		{wire.Errorf(wire.CodeIntegrity, "a seal"), "integrity", 1},
		{wire.Errorf(wire.CodeAuthenticationFailed, "a MAC"), "authentication-failed", 3},
		{&cardauth.TrustError{Path: "d", Err: &fs.PathError{Op: "open", Path: "d", Err: fs.ErrNotExist}}, "trust-missing", 1},
		{&cardauth.TrustError{Path: "d", Err: cardauth.ErrNoAnchors}, "trust-unusable", 1},
		{store.ErrPassphraseNeeded, "passphrase-needed", 1},
		{store.ErrPassphraseWrong, "passphrase-wrong", 3},
		{&store.LockedError{PID: 7}, "store-in-use", 1},
		{&store.OwnerError{Owner: "BI1@a", Asked: "BI2@a"}, "store-unreadable", 1},
		{&store.VersionError{Version: 9}, "store-unreadable", 1},
		{&store.FormatError{Err: errors.New("x")}, "store-unreadable", 1},
		{&store.KeyringError{Err: errors.New("x")}, "keyring-unusable", 1},
		{&store.FullError{Err: errors.New("x")}, "store-full", 1},
		{&store.IOError{Op: "sync", Err: &fs.PathError{Op: "sync", Path: "p", Err: errors.New("x")}}, "store-failed", 1},
		{evidence.ErrTooMuch, "evidence-too-large", 1},
		{&evidence.FileError{Err: evidence.ErrTooMuch}, "evidence-invalid", 3},
		{EvidenceFile(fs.ErrExist), "evidence-file", 1},
		{&cardauth.PINError{Card: "c"}, "pin-wrong", 3},
		{&cardauth.PINError{Card: "c", Locked: true}, "pin-locked", 3},
		{&pkcs11card.NotFoundError{URI: "pkcs11:", Err: &pkcs11card.ModuleError{Err: errors.New("dlopen")}}, "no-card", 1},
		{&pkcs11card.AmbiguousError{URIs: []string{"pkcs11:a", "pkcs11:b"}}, "card-ambiguous", 1},
		{&cardauth.AbsentError{Card: "c", Other: true}, "card-removed", 1},
		{&pkcs11card.CancelledError{Card: "c"}, "pin-needed", 1},
		{&pkcs11card.ExportableError{Card: "c"}, "card-unsupported", 1},
		{&pkcs11card.ModuleError{Err: pkcs11card.ErrCrashed}, "card-module", 1},
		{&pkcs11card.ModuleError{Err: pkcs11card.ErrHung}, "card-module", 1},
		{&pkcs11card.ModuleError{Err: errors.New("x")}, "card-module", 1},
		{&pkcs11card.UnsupportedError{What: "no cgo"}, "card-unsupported", 1},
		{&pkcs11card.URIError{Reason: "x"}, "card-name", 2},
		{&softcard.FormatError{Path: "p", Reason: "x"}, "card-unreadable", 1},
		{&fs.PathError{Op: "open", Path: "p", Err: fs.ErrNotExist}, "no-card", 1},
		{&seal.SignError{Err: errors.New("x")}, "card-failed", 1},
		{&seal.SignError{Err: PinNeeded("c")}, "pin-needed", 1},
		{&seal.SignError{Err: &cardauth.AbsentError{Card: "c"}}, "card-removed", 1},
		{presence.ErrRemoved, "card-removed", 1},
		{presence.ErrIdle, "idle-logout", 1},
		{presence.ErrDelegationEnds, "certificate-expired", 3},
		{presence.ErrAway, "away", 1},
		{&peer.RefusedError{Number: wire.CodeFlowDenied}, "flow-denied", 3},
		{&peer.RefusedError{Number: wire.CodeSuiteUnsupported, Suites: []wire.Suite{5}}, "suite-unsupported", 3},
		{&peer.LabelError{Number: wire.CodeLabelDenied}, "label-denied", 3},
		{&peer.LabelError{Number: wire.CodeFlowDenied}, "flow-denied", 3},
		{&peer.TooLargeError{Bytes: 70000}, "message-too-large", 1},
		{context.Canceled, "interrupted", 1},
		{context.DeadlineExceeded, "timeout", 1},
		{errors.New("strange"), "internal", 1},
	} {
		for _, err := range []error{c.err, fmt.Errorf("around: %w", c.err)} {
			got := Explain(err)
			if got.Code != c.code || got.Status != c.status {
				t.Errorf("%v: %s, status %d; want %s, %d", err, got.Code, got.Status, c.code, c.status)
			}
			if got.What == "" || strings.HasSuffix(got.What, ".") || got.Advice == "" && got.Code != "interrupted" {
				t.Errorf("%v: %+v", err, got)
			}
		}
	}
	if text := Explain(&pkcs11card.AmbiguousError{URIs: []string{"pkcs11:a", "pkcs11:b"}}).Text(); !strings.Contains(text, "pkcs11:a\npkcs11:b") {
		t.Errorf("URIs are missing: %s", text)
	}
}

// TestLabels: why nothing goes out under a label is said in three ways.
func TestLabels(t *testing.T) {
	own := wire.Level{Rank: 2}
	for want, err := range map[string]error{
		"not below your level, which is 2": &peer.LabelError{Label: wire.Level{Rank: 3}, Own: own, Number: wire.CodeFlowDenied},
		"policy lets nothing through":      &peer.LabelError{Label: wire.Level{Rank: 1}, Own: own, Number: wire.CodeFlowDenied},
		"no right to label":                &peer.LabelError{Label: wire.Level{Rank: 1}, Own: own, Number: wire.CodeLabelDenied},
	} {
		if text := Explain(err).Text(); !strings.Contains(text, want) {
			t.Errorf("%q lacks %q", text, want)
		}
	}
}

// TestCodes: every code of the protocol has its words, and no other.
func TestCodes(t *testing.T) {
	n := wire.Code(0)
	for ; !strings.HasPrefix(n.String(), "code-"); n++ {
		w := Codes[n.String()]
		if w.What == "" || w.Status == 0 {
			t.Errorf("%v has no words or status", n)
		}
		if w.Advice == "" && n != wire.CodeBye && n != wire.CodePeerLeft {
			t.Errorf("%v has no advice", n)
		}
	}
	if len(Codes) != int(n) {
		t.Errorf("%d codes have words, the protocol has %d", len(Codes), n)
	}
	if got := ofCode(999); got.Code != "code-999" || got.Status != 1 {
		t.Errorf("%+v", got)
	}
}

// Where the two sides' views differ, a person is told both.
func TestFound(t *testing.T) {
	theirs, ours := wire.Place{Count: 3, T: [32]byte{0xab}}, wire.Place{Epoch: 1, Count: 2, T: [32]byte{0xcd}}
	const both = " 3 envelopes of epoch 0 (ab00000000000000…), and here it is 2 envelopes of epoch 1 (cd00000000000000…)"
	for _, c := range []struct {
		err  error
		want string
	}{
		{nil, ""},
		{&peer.DivergedError{Mine: true, Theirs: theirs, Ours: ours}, "they sealed that they sent" + both},
		{&peer.DivergedError{Theirs: theirs, Ours: ours}, "they sealed that they received" + both},
		{wire.Errorf(wire.CodeIntegrity, "envelope %d does not decrypt", 3), "envelope 3 does not decrypt"},
	} {
		if got := Found(c.err); got != c.want {
			t.Errorf("%v: %q", c.err, got)
		}
	}
	if e := Explain(&peer.DivergedError{Theirs: theirs, Ours: ours}); e.Code != "integrity" || !strings.Contains(e.What, both) {
		t.Errorf("of a session: %+v", e)
	}
}

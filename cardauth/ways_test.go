package cardauth_test

import (
	"bytes"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"slices"
	"testing"
	"time"

	"sinete/cardauth"
	"sinete/wire"
)

// Whoever comes after others is judged as if nobody had come before.
func TestWhatCameBeforeChangesNoVerdict(t *testing.T) {
	year := func(c *x509.Certificate) {
		c.NotBefore, c.NotAfter = testNow.AddDate(-1, 0, 0), testNow.AddDate(5, 0, 0)
	}
	until := func(end time.Time) change {
		return func(c *x509.Certificate) { c.NotBefore, c.NotAfter = testNow.AddDate(-1, 0, 0), end }
	}
	from := func(start time.Time) change {
		return func(c *x509.Certificate) { c.NotBefore, c.NotAfter = start, testNow.AddDate(5, 0, 0) }
	}
	named := func(dns string) change {
		return func(c *x509.Certificate) { year(c); c.DNSNames = []string{dns} }
	}
	policyConstraints := func(c *x509.Certificate) { // requireExplicitPolicy: 0
		year(c)
		c.ExtraExtensions = []pkix.Extension{{Id: asn1.ObjectIdentifier{2, 5, 29, 36}, Critical: true, Value: []byte{0x30, 3, 0x80, 1, 0}}}
		c.Policies = []x509.OID{oid(t, 1, 2, 3)}
	}
	root, other := newAuthority(t, nil, "Root", year), newAuthority(t, nil, "Other root", year)
	sub := newAuthority(t, root, "Sub", year)
	// across is a's key and name under another authority.
	across := func(a, by *authority, changes ...change) *x509.Certificate {
		template := &x509.Certificate{Subject: a.cert.Subject, IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign}
		return by.issue(template, a.key.Public(), changes)
	}
	narrow := newAuthority(t, root, "Narrow", year, func(c *x509.Certificate) {
		c.PermittedDNSDomains, c.PermittedDNSDomainsCritical = []string{"good.example"}, true
	})
	below := newAuthority(t, narrow, "Below", year)
	strict := newAuthority(t, root, "Strict", policyConstraints)
	belowStrict := newAuthority(t, strict, "Below strict", year, func(c *x509.Certificate) { c.Policies = []x509.OID{oid(t, 1, 2, 3)} })
	short := newAuthority(t, root, "Short", until(testNow.AddDate(0, 1, 0)))
	deep := newAuthority(t, short, "Deep", year)
	stranger := newAuthority(t, nil, "Sub", year)
	late := across(sub, other, from(testNow.AddDate(0, 1, 0)))
	past := across(sub, other, until(testNow.AddDate(0, -1, 0)))
	anchored := sub.person(year)

	type visit struct {
		leaf    *x509.Certificate
		sent    []*x509.Certificate
		at      time.Time
		anchors []*x509.Certificate // if not nil, written over those of the policy
	}
	soon := testNow.AddDate(0, 2, 0)
	for name, c := range map[string]struct {
		anchors, between []*x509.Certificate
		visits           []visit
		codes            []wire.Code // of each visit, CodeBye where it is accepted
	}{
		"another of the same issuer": {[]*x509.Certificate{root.cert}, nil, []visit{
			{leaf: sub.person(year), sent: []*x509.Certificate{sub.cert}}, {leaf: sub.person(year), sent: []*x509.Certificate{sub.cert}}}, []wire.Code{0, 0}},
		"issuers that the policy has": {[]*x509.Certificate{root.cert}, []*x509.Certificate{sub.cert}, []visit{
			{leaf: sub.person(year)}, {leaf: sub.person(year)}, {leaf: stranger.person(year)}}, []wire.Code{0, 0, wire.CodeCertificateInvalid}},
		"a forged one": {[]*x509.Certificate{root.cert}, nil, []visit{
			{leaf: sub.person(year), sent: []*x509.Certificate{sub.cert}}, {leaf: stranger.person(year), sent: []*x509.Certificate{sub.cert}}},
			[]wire.Code{0, wire.CodeCertificateInvalid}},
		"a leaf out of its time": {[]*x509.Certificate{root.cert}, nil, []visit{
			{leaf: sub.person(year), sent: []*x509.Certificate{sub.cert}},
			{leaf: sub.person(until(testNow.AddDate(0, 0, -1))), sent: []*x509.Certificate{sub.cert}}}, []wire.Code{0, wire.CodeCertificateExpired}},
		"an issuer out of its time": {[]*x509.Certificate{root.cert}, nil, []visit{
			{leaf: short.person(year), sent: []*x509.Certificate{short.cert}}, {leaf: short.person(year), sent: []*x509.Certificate{short.cert}, at: soon}},
			[]wire.Code{0, wire.CodeCertificateExpired}},
		"its issuer out of its time": {[]*x509.Certificate{root.cert}, nil, []visit{
			{leaf: deep.person(year), sent: []*x509.Certificate{deep.cert, short.cert}},
			{leaf: deep.person(year), sent: []*x509.Certificate{deep.cert, short.cert}, at: soon}}, []wire.Code{0, wire.CodeCertificateExpired}},
		"an anchor taken away": {[]*x509.Certificate{root.cert}, nil, []visit{
			{leaf: sub.person(year), sent: []*x509.Certificate{sub.cert}},
			{leaf: sub.person(year), sent: []*x509.Certificate{sub.cert}, anchors: []*x509.Certificate{other.cert}}},
			[]wire.Code{0, wire.CodeCertificateInvalid}},
		"a way to an earlier anchor that begins": {[]*x509.Certificate{other.cert, root.cert}, nil, []visit{
			{leaf: sub.person(year), sent: []*x509.Certificate{sub.cert, late}},
			{leaf: sub.person(year), sent: []*x509.Certificate{sub.cert, late}, at: soon}}, []wire.Code{0, 0}},
		"a way that was over, and a clock that goes back": {[]*x509.Certificate{other.cert, root.cert}, nil, []visit{
			{leaf: sub.person(year), sent: []*x509.Certificate{sub.cert, past}},
			{leaf: sub.person(year), sent: []*x509.Certificate{sub.cert, past}, at: testNow.AddDate(0, -2, 0)}}, []wire.Code{0, 0}},
		"names that an authority far above does not allow": {[]*x509.Certificate{root.cert}, []*x509.Certificate{narrow.cert}, []visit{
			{leaf: below.person(named("a.good.example")), sent: []*x509.Certificate{below.cert}},
			{leaf: below.person(named("a.bad.example")), sent: []*x509.Certificate{below.cert}}}, []wire.Code{0, wire.CodeCertificateInvalid}},
		"policies that an authority far above wants": {[]*x509.Certificate{root.cert}, []*x509.Certificate{strict.cert}, []visit{
			{leaf: belowStrict.person(year, func(c *x509.Certificate) { c.Policies = []x509.OID{oid(t, 1, 2, 3)} }), sent: []*x509.Certificate{belowStrict.cert}},
			{leaf: belowStrict.person(year), sent: []*x509.Certificate{belowStrict.cert}}}, []wire.Code{0, wire.CodeCertificateInvalid}},
		"a leaf that is an anchor": {[]*x509.Certificate{root.cert, anchored}, nil, []visit{
			{leaf: sub.person(year), sent: []*x509.Certificate{sub.cert}}, {leaf: anchored, sent: []*x509.Certificate{sub.cert}}},
			[]wire.Code{0, wire.CodeCertificateInvalid}},
	} {
		warm := policyOf(c.anchors, c.between)
		for i, v := range c.visits {
			if v.at.IsZero() {
				v.at = testNow
			}
			copy(warm.Anchors, v.anchors)
			warm.Now = func() time.Time { return v.at }
			cold := policyOf(warm.Anchors, c.between)
			cold.Now = warm.Now
			chain := ders(append([]*x509.Certificate{v.leaf}, v.sent...)...)
			want, wantErr := cold.VerifyPerson(chain, nil)
			got, err := warm.VerifyPerson(chain, nil)
			if wire.CodeOf(wantErr) != c.codes[i] && (wantErr != nil || c.codes[i] != 0) {
				t.Fatalf("%s, %d: %v by itself", name, i, wantErr)
			}
			switch {
			case (err == nil) != (wantErr == nil), err != nil && wire.CodeOf(err) != wire.CodeOf(wantErr):
				t.Errorf("%s, %d: %v; by itself %v", name, i, err, wantErr)
			case err == nil && (got.Identity != want.Identity || !slices.EqualFunc(got.Chain, want.Chain, bytes.Equal) || !got.Anchor.Equal(want.Anchor)):
				t.Errorf("%s, %d: %s by %v; by itself %s by %v", name, i, got.Identity, got.Anchor.Subject, want.Identity, want.Anchor.Subject)
			}
		}
	}
}

// policyOf is a policy for which nothing is remembered.
func policyOf(anchors, between []*x509.Certificate) *cardauth.Policy {
	return &cardauth.Policy{Anchors: slices.Clone(anchors), Intermediates: slices.Clone(between), Revocation: cardauth.RevocationOff}
}

func oid(t *testing.T, parts ...uint64) x509.OID {
	t.Helper()
	o, err := x509.OIDFromInts(parts)
	if err != nil {
		t.Fatal(err)
	}
	return o
}

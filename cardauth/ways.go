package cardauth

import (
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"slices"
	"sync"
	"time"
)

// ways remembers how authorities are connected with anchors. Most who come have the same few above them, whose signatures need no second look;
// times are looked at each time, as is what Revocation says of them.
var ways paths

// mostWays is beyond what the policies of a program see, each with all issuers of a trust store.
const mostWays = 1024

type paths struct {
	mu    sync.Mutex
	known map[below]known
}

// below is what the ways to anchors depend on.
type below struct {
	anchors, intermediates **x509.Certificate // the first of a policy's, which stays where it is as long as it is remembered
	anchorsLen, betweenLen int
	sent                   [32]byte // the leaf's issuer, and what came with the leaf
}

func (p *Policy) below(certs []*x509.Certificate) below {
	h := sha256.New()
	h.Write(certs[0].RawIssuer) // DER, which says where it ends
	for _, c := range certs[1:] {
		h.Write(c.Raw)
	}
	return below{first(p.Anchors), first(p.Intermediates), len(p.Anchors), len(p.Intermediates), [32]byte(h.Sum(nil))}
}

func first(c []*x509.Certificate) **x509.Certificate {
	if len(c) == 0 {
		return nil
	}
	return &c[0]
}

// known is what was found above the certificates of one issuer: all ways, in the order of build.
type known struct {
	since time.Time             // when; before that, other certificates may have been in their time
	above [][]*x509.Certificate // from the issuer to an anchor
}

// from returns the ways of a leaf to anchors; none where they must be searched for.
func (w *paths) from(p *Policy, certs []*x509.Certificate, now time.Time) (built [][]*x509.Certificate) {
	w.mu.Lock()
	k := w.known[p.below(certs)]
	w.mu.Unlock()
	if k.above == nil || now.Before(k.since) || slices.ContainsFunc(p.Anchors, certs[0].Equal) {
		return nil
	}
	issuers := x509.NewCertPool()
	for _, way := range k.above {
		issuers.AddCert(way[0])
	}
	signed, err := certs[0].Verify(x509.VerifyOptions{Roots: issuers, Intermediates: x509.NewCertPool(), CurrentTime: now,
		KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageAny}})
	if err != nil {
		return nil
	}
	for _, way := range k.above {
		by := func(chain []*x509.Certificate) bool { return len(chain) == 2 && chain[1].Equal(way[0]) }
		over := func(c *x509.Certificate) bool { return now.Before(c.NotBefore) || now.After(c.NotAfter) }
		if slices.ContainsFunc(signed, by) && !slices.ContainsFunc(way, over) && slices.Contains(p.Anchors, way[len(way)-1]) {
			built = append(built, append([]*x509.Certificate{certs[0]}, way...))
		}
	}
	return built
}

// remember takes what crypto/x509 has found above a leaf.
func (w *paths) remember(p *Policy, certs []*x509.Certificate, built [][]*x509.Certificate, now time.Time) {
	for _, c := range ancestors(certs[0], slices.Concat(p.Anchors, p.Intermediates, certs[1:])) {
		if now.Before(c.NotBefore) || slices.ContainsFunc(c.Extensions, looksDown) {
			return // the next leaf may have another way
		}
	}
	k := known{since: now}
	for _, chain := range built {
		if len(chain) == 1 {
			return // an anchor, whose issuer stands above nobody here
		}
		k.above = append(k.above, chain[1:])
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.known == nil || len(w.known) >= mostWays {
		w.known = map[below]known{}
	}
	w.known[p.below(certs)] = k
}

// ancestors are the candidates that a way up from a leaf could lead through, by their names.
func ancestors(leaf *x509.Certificate, candidates []*x509.Certificate) (all []*x509.Certificate) {
	names := []string{string(leaf.RawIssuer)}
	for i := 0; i < len(names); i++ {
		for _, c := range candidates {
			if string(c.RawSubject) != names[i] {
				continue
			}
			all = append(all, c)
			if issuer := string(c.RawIssuer); !slices.Contains(names, issuer) {
				names = append(names, issuer)
			}
		}
	}
	return all
}

// downward are the extensions by which an authority says something about certificates far below it: name constraints, policy mappings, policy
// constraints, inhibit any policy (RFC 5280 section 4.2.1). What stands above one leaf need not stand above the next then.
var downward = []asn1.ObjectIdentifier{{2, 5, 29, 30}, {2, 5, 29, 33}, {2, 5, 29, 36}, {2, 5, 29, 54}}

func looksDown(e pkix.Extension) bool { return slices.ContainsFunc(downward, e.Id.Equal) }

package revocation

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"mime"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"syscall"
	"time"
)

// newClient asks nobody but those whom the addresses in a certificate mean, and only where that is a public address or a network that the
// configuration allows: else whoever gets a certificate issued could have a relay talk to the machines beside it.
func newClient(allowed []netip.Prefix) *http.Client {
	dialer := &net.Dialer{Timeout: fetchTime, Control: func(_, address string, _ syscall.RawConn) error {
		// Here the name has been resolved: what is checked is what is connected to.
		return checkAddress(address, allowed)
	}}
	return &http.Client{
		Transport: &http.Transport{DialContext: dialer.DialContext, MaxResponseHeaderBytes: 16 << 10, MaxIdleConns: 16,
			IdleConnTimeout: 30 * time.Second, TLSHandshakeTimeout: fetchTime},
		CheckRedirect: func(r *http.Request, via []*http.Request) error {
			if len(via) > 2 || r.URL.Host != via[0].URL.Host || r.URL.Scheme != via[0].URL.Scheme {
				return &AddressError{"a redirect to elsewhere"}
			}
			return nil
		},
	}
}

// special are networks that netip does not call private, and that are nobody's public address either.
var special = prefixes("0.0.0.0/8", "100.64.0.0/10", "192.0.0.0/24", "192.0.2.0/24", "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24",
	"240.0.0.0/4", "64:ff9b::/96", "64:ff9b:1::/48", "100::/64", "2001::/32", "2001:db8::/32", "2002::/16", "fec0::/10")

func prefixes(all ...string) (p []netip.Prefix) {
	for _, s := range all {
		p = append(p, netip.MustParsePrefix(s))
	}
	return p
}

func checkAddress(address string, allowed []netip.Prefix) error {
	ap, err := netip.ParseAddrPort(address)
	if err != nil {
		return &AddressError{"no address: " + address}
	}
	ip := ap.Addr().Unmap().WithZone("")
	within := func(p netip.Prefix) bool { return p.Contains(ip) }
	if slices.ContainsFunc(allowed, within) {
		return nil
	}
	if !ip.IsGlobalUnicast() || ip.IsPrivate() || slices.ContainsFunc(special, within) {
		return &AddressError{fmt.Sprintf("%v is no public address, and no network that the configuration allows", ip)}
	}
	return nil
}

// checkURL refuses what is no plain address of the web.
func checkURL(s string) error {
	u, err := url.Parse(s)
	if err != nil || len(s) > 1024 || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.User != nil {
		return &AddressError{"neither http nor https"}
	}
	return nil
}

// transportError is a failure to reach an address at all, which concerns everything that is asked there.
type transportError struct{ err error }

func (e *transportError) Error() string { return e.err.Error() }
func (e *transportError) Unwrap() error { return e.err }

// get fetches at most limit bytes of a media type; an empty type takes any. A body that is not nil is posted.
func (k *Checker) get(ctx context.Context, address string, body []byte, kind string, limit int) ([]byte, error) {
	if err := checkURL(address); err != nil {
		return nil, err
	}
	method := http.MethodGet
	if body != nil {
		method = http.MethodPost
	}
	r, err := http.NewRequestWithContext(ctx, method, address, bytes.NewReader(body))
	if err != nil {
		return nil, &AddressError{"it cannot be asked"}
	}
	if body != nil {
		r.Header.Set("Content-Type", "application/ocsp-request")
	}
	if kind != "" {
		r.Header.Set("Accept", kind)
	}
	r.Header.Set("User-Agent", "sinete")
	response, err := k.client.Do(r)
	if err != nil {
		var u *url.Error
		if errors.As(err, &u) {
			err = u.Err // the address stands beside it already
		}
		if refused := (*AddressError)(nil); errors.As(err, &refused) {
			return nil, refused
		}
		if errors.Is(err, context.DeadlineExceeded) {
			err = errors.New("no answer in time")
		}
		return nil, &transportError{err}
	}
	defer response.Body.Close()
	if date, err := http.ParseTime(response.Header.Get("Date")); err == nil && k.cfg.Date != nil {
		k.cfg.Date(address, date)
	}
	switch c := response.StatusCode; {
	case c == http.StatusOK:
	case c >= 400 && c < 500 && c != http.StatusTooManyRequests: // it finds fault with this question, not with itself
		return nil, bad("HTTP status %d", c)
	default:
		return nil, &transportError{fmt.Errorf("HTTP status %d", response.StatusCode)}
	}
	if got, _, _ := mime.ParseMediaType(response.Header.Get("Content-Type")); kind != "" && got != kind {
		return nil, bad("it comes as %q", got)
	}
	b, err := io.ReadAll(io.LimitReader(response.Body, int64(limit)+1))
	switch {
	case err != nil && ctx.Err() != nil:
		return nil, &transportError{errors.New("no answer in time")}
	case err != nil:
		return nil, &transportError{err}
	case len(b) > limit:
		return nil, bad("more than %d bytes", limit)
	}
	return b, nil
}

// askOCSP asks one responder.
func (k *Checker) askOCSP(ctx context.Context, s subject, address string) (*answer, error) {
	der, nonce, err := request(s)
	if err != nil {
		return nil, bad("no request can be made: %v", err)
	}
	ctx, cancel := context.WithTimeout(ctx, fetchTime)
	defer cancel()
	raw, err := k.get(ctx, address, der, "application/ocsp-response", maxResponse)
	if err != nil {
		return nil, err
	}
	a, err := parseOCSP(raw, s, k.now())
	if err != nil {
		return nil, err
	}
	// Responders that sign in advance cannot echo it. One that does means this very question.
	if a.nonce != nil && !bytes.Equal(a.nonce, nonce) {
		return nil, bad("an answer to somebody else's question")
	}
	a.fetched, a.source = k.now(), address
	return a, nil
}

// askCRL fetches one list, for all its certificates. known, or nil, is the last one from there.
func (k *Checker) askCRL(ctx context.Context, s subject, address string, known *list) (*list, error) {
	ctx, cancel := context.WithTimeout(ctx, listTime)
	defer cancel()
	raw, err := k.get(ctx, address, nil, "", maxList)
	if err != nil {
		return nil, err
	}
	l, err := parseCRL(raw, s.issuer, k.now())
	if err != nil {
		return nil, err
	}
	if l.fetched = k.now(); known != nil && known.this.After(l.this) && !known.next.Before(l.fetched) {
		// Somebody on the way, or a mirror that is behind, shows one from before.
		again := *known
		again.fetched = l.fetched
		k.cache.keepList(address, &again)
		return &again, nil
	}
	k.cache.putList(address, l, raw)
	return l, nil
}

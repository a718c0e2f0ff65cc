package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"time"

	"sinete/internal/trialpki"
)

type ocspCmd struct {
	Dir    string `arg:"" name:"DIR" help:"Directory that init made, with --ocsp."`
	Listen string `placeholder:"ADDR" help:"Address and TCP port to listen on. Default: what the certificates name."`
}

// Run answers until ctx ends.
func (c *ocspCmd) Run(ctx context.Context, out output) error {
	w, err := trialpki.Open(c.Dir, trialpki.Options{})
	if err != nil {
		return err
	}
	if c.Listen == "" {
		u, err := url.Parse(w.OCSP())
		if err != nil || u.Host == "" {
			return errNoResponder
		}
		if c.Listen = u.Host; u.Port() == "" {
			c.Listen = net.JoinHostPort(u.Hostname(), "80")
		}
	}
	responder, err := w.Responder()
	if err != nil {
		return err
	}
	listener, err := net.Listen("tcp", c.Listen)
	if err != nil {
		return err
	}
	server := &http.Server{Handler: responder, ReadTimeout: 10 * time.Second, WriteTimeout: 10 * time.Second}
	defer context.AfterFunc(ctx, func() { _ = server.Close() })()
	fmt.Fprintf(out, "answering on %s\n", listener.Addr())
	if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

// errNoResponder is a hierarchy whose certificates name nobody to ask.
var errNoResponder = errors.New("the certificates of this hierarchy name no responder")

type revokeCmd struct {
	Dir    string `arg:"" name:"DIR" help:"Directory that init made."`
	Name   string `arg:"" name:"NAME" help:"Whose: all that was issued so far to a person or for a relay, or an authority by the name of its file in DIR/trust."`
	Hold   bool   `xor:"what" help:"Suspend only: --lift ends it."`
	Lift   bool   `xor:"what" help:"End a suspension."`
	Reason string `default:"keyCompromise" enum:"unspecified,keyCompromise,cACompromise,affiliationChanged,superseded,cessationOfOperation,privilegeWithdrawn" help:"Why: ${enum}. Default: ${default}."`
}

func (c *revokeCmd) Run(out output) error {
	w, err := trialpki.Open(c.Dir, trialpki.Options{})
	if err != nil {
		return err
	}
	done, reason := "revoked", trialpki.Reasons[c.Reason]
	change := func() (int, error) { certs, err := w.Revoke(c.Name, reason); return len(certs), err }
	switch {
	case c.Hold:
		done, reason = "suspended", trialpki.Reasons["certificateHold"]
	case c.Lift:
		done = "good again"
		change = func() (int, error) { certs, err := w.Lift(c.Name); return len(certs), err }
	}
	n, err := change()
	if err != nil {
		return err
	}
	out.line(done, "%d of %s's certificates", n, c.Name)
	return nil
}

// revocationFlags are what a program needs to ask the responder of a hierarchy.
func revocationFlags(w *trialpki.World) string {
	if w.OCSP() == "" {
		return " --revocation off"
	}
	return networkFlag(w.OCSP())
}

// networkFlag allows the responder's network where its address is not a public one.
func networkFlag(responder string) string {
	u, err := url.Parse(responder)
	if err != nil {
		return ""
	}
	host := u.Hostname()
	if host == "localhost" {
		host = "127.0.0.1"
	}
	if ip, err := netip.ParseAddr(strings.Trim(host, "[]")); err == nil && (ip.IsPrivate() || ip.IsLoopback()) {
		return fmt.Sprintf(" --revocation-network %s/%d", ip, ip.BitLen())
	}
	return ""
}

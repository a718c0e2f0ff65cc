package main

import (
	"fmt"
	"net"
	"os"
	"strings"
)

// loopback is where the responder of the demonstration answers.
const loopback = "127.0.0.1/32"

// freeAddress is one that nobody listens on at the moment: certificates must name it before anybody can.
func freeAddress() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	defer l.Close()
	return l.Addr().String(), nil
}

func startResponder(w *world) (err error) {
	if w.ocsp, err = start("the responder", w.path("testpki"), "ocsp", w.dir); err != nil {
		return err
	}
	_, err = w.ocsp.Line("answering on ADDR", func(l string) bool { return strings.HasPrefix(l, "answering on ") })
	return err
}

func stopResponder(w *world) error { w.ocsp.Kill(); return nil }

// shortRecheck has the relay ask again every second or so, where a quarter of an hour is usual: nobody wants to wait for a demonstration.
func (w *world) shortRecheck(config string) error {
	text, err := os.ReadFile(config)
	if err != nil {
		return err
	}
	return os.WriteFile(config, []byte(strings.Replace(string(text), `revocation_recheck = "15m"`, `revocation_recheck = "2s"`, 1)), 0o644)
}

// revokedLogin has Carla's card suspended before she logs in with it.
func revokedLogin(w *world) error {
	if _, err := run(w.path("testpki"), "revoke", w.dir, "carla", "--hold"); err != nil {
		return err
	}
	p, err := start("carla", w.path("peer"), append(w.chatArgs("carla"), "--json")...)
	if err != nil {
		return err
	}
	if _, err := p.Event("error", "code", "certificate-revoked"); err != nil {
		p.Kill()
		return err
	}
	if status, err := p.Wait(); err != nil || status != 3 {
		return fmt.Errorf("%w: exit status %d, %v", errJudged, status, err)
	}
	if _, err := run(w.path("testpki"), "revoke", w.dir, "carla", "--lift"); err != nil { // she has found it
		return err
	}
	return w.message("alice", "bruno", "Bruno", "A Carla tinha perdido o cartão.")
}

// revokeBruno has a card revoked that is in use.
func revokeBruno(w *world) error {
	if _, err := run(w.path("testpki"), "revoke", w.dir, "bruno"); err != nil {
		return err
	}
	if _, err := w.people["alice"].Event("conversation", "state", "closed", "reason", "certificate-revoked"); err != nil {
		return err
	}
	if _, err := w.people["bruno"].Event("session", "state", "closed", "reason", "certificate-revoked"); err != nil {
		return err
	}
	if status, err := w.people["bruno"].Wait(); err != nil || status != 3 {
		return fmt.Errorf("%w: exit status %d, %v", errJudged, status, err)
	}
	return w.message("diretora", "alice", "Alice", "O Bruno perdeu o dele também.")
}

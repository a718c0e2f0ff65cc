package trialpki

import (
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"math/big"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"golang.org/x/crypto/ocsp"
)

// Reasons are the words for why a certificate is revoked (RFC 5280 section 5.3.1).
var Reasons = map[string]int{"unspecified": ocsp.Unspecified, "keyCompromise": ocsp.KeyCompromise, "cACompromise": ocsp.CACompromise,
	"affiliationChanged": ocsp.AffiliationChanged, "superseded": ocsp.Superseded, "cessationOfOperation": ocsp.CessationOfOperation,
	"certificateHold": ocsp.CertificateHold, "privilegeWithdrawn": ocsp.PrivilegeWithdrawn}

// revocation is that of one certificate.
type revocation struct {
	at     time.Time
	reason int
}

// lifted is what becomes of a suspension.
const lifted = ocsp.RemoveFromCRL

// Revoke revokes everything issued so far to a person or for a relay, or an authority by the name of its file in trust/. A hold
// can be lifted again or become a revocation; a revocation stays. Whoever answers for this world knows at once.
func (w *World) Revoke(name string, reason int) ([]*x509.Certificate, error) {
	return w.change(name, reason)
}

// Lift ends the suspension of what Revoke has suspended.
func (w *World) Lift(name string) ([]*x509.Certificate, error) { return w.change(name, lifted) }

func (w *World) change(name string, reason int) ([]*x509.Certificate, error) {
	certs, err := w.named(name)
	if err != nil {
		return nil, err
	}
	if len(certs) == 0 {
		return nil, fmt.Errorf("nothing was issued to %q: %w", name, fs.ErrNotExist)
	}
	var changed []*x509.Certificate
	for _, c := range certs {
		old, err := w.revocationOf(c.SerialNumber)
		if err != nil {
			return nil, err
		}
		switch {
		case old == nil && reason == lifted, old != nil && old.reason != ocsp.CertificateHold:
			continue
		}
		if err := w.setRevocation(c.SerialNumber, revocation{w.now(), reason}); err != nil {
			return nil, err
		}
		changed = append(changed, c)
	}
	return changed, nil
}

// named finds the certificates of a name.
func (w *World) named(name string) ([]*x509.Certificate, error) {
	for _, l := range levels {
		if l.file == name {
			return []*x509.Certificate{l.of(w).Certificate}, nil
		}
	}
	if w.dir == "" {
		w.mu.Lock()
		defer w.mu.Unlock()
		return w.byName[name], nil
	}
	if !validName(name) {
		return nil, fmt.Errorf("%q is no name of a person or relay", name)
	}
	return readCertificates(filepath.Join(w.dir, "ca", "issued", "*", name, "*.pem"))
}

// issued finds the certificate of a serial number, nil where there is none.
func (w *World) issued(serial *big.Int) (*x509.Certificate, error) {
	for _, l := range levels {
		if c := l.of(w).Certificate; c.SerialNumber.Cmp(serial) == 0 {
			return c, nil
		}
	}
	if w.dir == "" {
		w.mu.Lock()
		defer w.mu.Unlock()
		return w.bySerial[serial.Text(16)], nil
	}
	certs, err := readCertificates(filepath.Join(w.dir, "ca", "issued", "*", "*", serial.Text(16)+".pem"))
	if err != nil || len(certs) == 0 {
		return nil, err
	}
	return certs[0], nil
}

func readCertificates(pattern string) ([]*x509.Certificate, error) {
	paths, err := filepath.Glob(pattern)
	var certs []*x509.Certificate
	for _, p := range paths {
		c, err := readCertificate(p)
		if err != nil {
			return nil, err
		}
		certs = append(certs, c)
	}
	return certs, err
}

// revocationOf is nil for a certificate that is good.
func (w *World) revocationOf(serial *big.Int) (*revocation, error) {
	if w.dir == "" {
		w.mu.Lock()
		defer w.mu.Unlock()
		return w.revoked[serial.Text(16)], nil
	}
	b, err := os.ReadFile(w.revocationFile(serial))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	at, reason, ok := strings.Cut(strings.TrimSpace(string(b)), " ")
	r := &revocation{}
	var number error
	r.at, err = time.Parse(time.RFC3339, at)
	r.reason, number = strconv.Atoi(reason)
	if !ok || err != nil || number != nil {
		return nil, fmt.Errorf("%s: it holds no time and reason", w.revocationFile(serial))
	}
	return r, nil
}

func (w *World) setRevocation(serial *big.Int, r revocation) error {
	if w.dir == "" {
		w.mu.Lock()
		defer w.mu.Unlock()
		if w.revoked[serial.Text(16)] = &r; r.reason == lifted {
			delete(w.revoked, serial.Text(16))
		}
		return nil
	}
	path := w.revocationFile(serial)
	if r.reason == lifted {
		return os.Remove(path)
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	f, err := os.CreateTemp(filepath.Dir(path), ".new-")
	if err != nil {
		return err
	}
	defer os.Remove(f.Name())
	_, err = fmt.Fprintf(f, "%s %d\n", r.at.UTC().Format(time.RFC3339), r.reason)
	if err := errors.Join(err, f.Close()); err != nil {
		return err
	}
	return os.Rename(f.Name(), path) // whoever reads it meanwhile finds the old or the new
}

func (w *World) revocationFile(serial *big.Int) string {
	return filepath.Join(w.dir, "ca", "revoked", serial.Text(16))
}

// allRevoked lists the certificates of an authority that do not hold.
func (w *World) allRevoked(issuer *x509.Certificate) ([]x509.RevocationListEntry, error) {
	var serials []string
	if w.dir == "" {
		w.mu.Lock()
		for s := range w.revoked {
			serials = append(serials, s)
		}
		w.mu.Unlock()
	} else {
		files, err := filepath.Glob(filepath.Join(w.dir, "ca", "revoked", "[0-9a-f]*"))
		if err != nil {
			return nil, err
		}
		for _, f := range files {
			serials = append(serials, filepath.Base(f))
		}
	}
	var entries []x509.RevocationListEntry
	for _, s := range serials {
		serial, ok := new(big.Int).SetString(s, 16)
		if !ok {
			continue
		}
		c, err := w.issued(serial)
		if err != nil {
			return nil, err
		}
		r, err := w.revocationOf(serial)
		if err != nil {
			return nil, err
		}
		if c != nil && r != nil && string(c.RawIssuer) == string(issuer.RawSubject) {
			entries = append(entries, x509.RevocationListEntry{SerialNumber: serial, RevocationTime: r.at, ReasonCode: r.reason})
		}
	}
	return entries, nil
}

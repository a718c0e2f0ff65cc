package trialpki

import (
	"crypto"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// A world's directory. Nothing in it is ever read, changed and written again, so any number of processes may issue at once.
//
//	trust/NAME.pem               the root and the authorities, one certificate each: what peers and relays need
//	ca/NAME.key                  the authorities' keys (PKCS #8)
//	ca/people/SERIALNUMBER       holds the name that has this subject serialNumber
//	ca/issued/KIND/NAME/HEX.pem  every certificate issued, by its serial number; KIND is person or relay
//	ca/revoked/HEX               time and reason of each that is revoked or suspended

// Create makes a hierarchy as New does, in a directory. It refuses one that already holds a hierarchy, or what an organisation put
// there for a relay of its own: trust/, relay.pem, relay.key. The error is fs.ErrExist then.
func Create(dir string, o Options) (*World, error) {
	for _, name := range []string{"ca", "trust", "relay.pem", "relay.key"} {
		if _, err := os.Lstat(filepath.Join(dir, name)); !errors.Is(err, fs.ErrNotExist) {
			if err == nil {
				err = fs.ErrExist
			}
			return nil, fmt.Errorf("%s: %w", filepath.Join(dir, name), err)
		}
	}
	w, err := New(o)
	if err != nil {
		return nil, err
	}
	w.dir = dir
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	for _, d := range []struct {
		name string
		mode fs.FileMode
	}{{"ca", 0o700}, {"ca/people", 0o700}, {"trust", 0o755}} {
		if err := os.Mkdir(filepath.Join(dir, d.name), d.mode); err != nil {
			return nil, err
		}
	}
	for _, l := range levels {
		a := l.of(w)
		if err := writeCertificates(w.trustFile(l), [][]byte{a.Certificate.Raw}); err != nil {
			return nil, err
		}
		if err := writeKey(w.keyFile(l), a.Key); err != nil {
			return nil, err
		}
	}
	return w, nil
}

// Open reads what Create made. Options.OCSP is ignored: it stands in the authorities' certificates.
func Open(dir string, o Options) (*World, error) {
	w := empty(Options{Now: o.Now})
	w.dir = dir
	for _, l := range levels {
		a := l.of(w)
		a.file = l.file
		var err error
		if a.Certificate, err = readCertificate(w.trustFile(l)); err != nil {
			return nil, err
		}
		if a.Key, err = readKey(w.keyFile(l)); err != nil {
			return nil, err
		}
	}
	if u := w.Authentication.Certificate.OCSPServer; len(u) > 0 {
		w.ocsp = u[0]
	}
	return w, nil
}

// WriteFiles writes the chain as PEM and the key as PKCS #8, readable by the owner alone. It writes over nothing: fs.ErrExist.
func (i *Issued) WriteFiles(chain, key string) error {
	if err := writeKey(key, i.Key); err != nil {
		return err
	}
	return i.WriteChain(chain)
}

// WriteChain is WriteFiles for the chain alone, where the key lies elsewhere.
func (i *Issued) WriteChain(file string) error { return writeCertificates(file, i.Chain) }

func (w *World) trustFile(l level) string { return filepath.Join(w.dir, "trust", l.file+".pem") }
func (w *World) keyFile(l level) string   { return filepath.Join(w.dir, "ca", l.file+".key") }

func (w *World) record(kind, name string, c *x509.Certificate) error {
	if w.dir == "" {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.byName[name] = append(w.byName[name], c)
		w.bySerial[c.SerialNumber.Text(16)] = c
		return nil
	}
	dir := filepath.Join(w.dir, "ca", "issued", kind, name)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	return writeCertificates(filepath.Join(dir, fmt.Sprintf("%x.pem", c.SerialNumber)), [][]byte{c.Raw})
}

// claimFile makes the file with the name in it unless there is one, and returns the name that is in it then. A link is what
// makes a file appear with its content already inside.
func claimFile(path, name string) (owner string, err error) {
	b, err := os.ReadFile(path)
	if !errors.Is(err, fs.ErrNotExist) {
		return string(b), err
	}
	f, err := os.CreateTemp(filepath.Dir(path), ".new-")
	if err != nil {
		return "", err
	}
	defer os.Remove(f.Name())
	_, err = f.WriteString(name)
	if err := errors.Join(err, f.Close()); err != nil {
		return "", err
	}
	if err := os.Link(f.Name(), path); err != nil && !errors.Is(err, fs.ErrExist) {
		return "", err
	}
	b, err = os.ReadFile(path)
	return string(b), err
}

func writeCertificates(path string, certs [][]byte) error {
	var b []byte
	for _, c := range certs {
		b = append(b, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c})...)
	}
	return writeNew(path, b, 0o644)
}

func writeKey(path string, key crypto.Signer) error {
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return err
	}
	return writeNew(path, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), 0o600)
}

// writeNew never writes over a file: a key that is lost cannot be had again.
func writeNew(path string, b []byte, mode fs.FileMode) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, mode)
	if err != nil {
		return err
	}
	_, err = f.Write(b)
	return errors.Join(err, f.Close())
}

func readCertificate(path string) (*x509.Certificate, error) {
	der, err := readPEM(path, "CERTIFICATE")
	if err != nil {
		return nil, err
	}
	return x509.ParseCertificate(der)
}

func readKey(path string) (crypto.Signer, error) {
	der, err := readPEM(path, "PRIVATE KEY")
	if err != nil {
		return nil, err
	}
	k, err := x509.ParsePKCS8PrivateKey(der)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	s, ok := k.(crypto.Signer)
	if !ok {
		return nil, fmt.Errorf("%s: a key that cannot sign", path)
	}
	return s, nil
}

func readPEM(path, kind string) ([]byte, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	block, _ := pem.Decode(b)
	if block == nil || block.Type != kind {
		return nil, fmt.Errorf("%s: no PEM block %q", path, kind)
	}
	return block.Bytes, nil
}

package cardauth

import (
	"bytes"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// LoadTrust reads the certificates in dir/*.pem for a Policy. Self-signed ones are anchors, all others intermediates that
// help to build chains and are not trusted by themselves; in a file named *.anchor.pem all are anchors, for an authority
// that is known only by another's signature. The error is a *TrustError, which is ErrNoAnchors where no anchor was found.
func LoadTrust(dir string) (anchors, intermediates []*x509.Certificate, err error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, nil, &TrustError{dir, err}
	}
	for _, e := range entries {
		if !strings.HasSuffix(e.Name(), ".pem") {
			continue
		}
		path := filepath.Join(dir, e.Name())
		certs, err := readCertificates(path)
		if err != nil {
			return nil, nil, &TrustError{path, err}
		}
		for _, c := range certs {
			to := &intermediates
			if selfSigned(c) || strings.HasSuffix(path, ".anchor.pem") {
				to = &anchors
			}
			if !slices.ContainsFunc(*to, c.Equal) {
				*to = append(*to, c)
			}
		}
	}
	if len(anchors) == 0 {
		return nil, nil, &TrustError{dir, ErrNoAnchors}
	}
	return anchors, intermediates, nil
}

func selfSigned(c *x509.Certificate) bool {
	return bytes.Equal(c.RawSubject, c.RawIssuer) && c.CheckSignature(c.SignatureAlgorithm, c.RawTBSCertificate, c.Signature) == nil
}

func readCertificates(path string) (certs []*x509.Certificate, err error) {
	rest, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	for {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			break
		}
		// A key among the trusted certificates is a mistake that somebody wants to hear of.
		if block.Type != "CERTIFICATE" {
			return nil, fmt.Errorf("holds a %s", block.Type)
		}
		c, err := parseCertificate(block.Bytes)
		if err != nil {
			return nil, err
		}
		certs = append(certs, c)
	}
	if len(certs) == 0 {
		return nil, errors.New("holds no certificate in PEM form")
	}
	return certs, nil
}

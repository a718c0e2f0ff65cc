package evidence

import (
	"bytes"
	"context"
	"crypto"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/asn1"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/digitorus/pkcs7"
	"github.com/digitorus/timestamp"
)

// Authority stamps bundles with its time (RFC 3161).
type Authority struct {
	URL     string              // http or https
	Anchors []*x509.Certificate // one of which its certificate must lead to
	Client  *http.Client        // nil: one that waits for 15 seconds
}

// StampError says that an authority gave no stamp that is one.
type StampError struct {
	URL string
	Err error
}

func (e *StampError) Error() string { return "time-stamp of " + e.URL + ": " + e.Err.Error() }
func (e *StampError) Unwrap() error { return e.Err }

// maxStamp is more than an answer with a chain of certificates has.
const maxStamp = 32 << 10

// stamp has an authority stamp the files of a bundle, and adds the stamp to them.
func (a *Authority) stamp(ctx context.Context, files map[string][]byte) error {
	over := imprint(files)
	answer, err := a.ask(ctx, over)
	if err != nil {
		return &StampError{a.URL, err}
	}
	for _, anchor := range a.Anchors {
		if _, err = readStamp(answer, anchor, over); err == nil {
			files[fileOf("stamp", 1, "tsr")], files[fileOf("stamp", 1, "pem")] = answer, pemOf("CERTIFICATE", anchor.Raw)
			return nil
		}
	}
	if err == nil {
		err = errors.New("there is no authority that is trusted")
	}
	return &StampError{a.URL, err}
}

// ask gets an answer over HTTP (RFC 3161 section 3.4).
func (a *Authority) ask(ctx context.Context, imprint [32]byte) ([]byte, error) {
	nonce, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 63))
	if err != nil {
		return nil, err
	}
	request := timestamp.Request{HashAlgorithm: crypto.SHA256, HashedMessage: imprint[:], Certificates: true, Nonce: nonce}
	body, err := request.Marshal()
	if err != nil {
		return nil, err
	}
	client := a.Client
	if client == nil {
		client = &http.Client{Timeout: 15 * time.Second}
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, a.URL, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	r.Header.Set("Content-Type", "application/timestamp-query")
	response, err := client.Do(r)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(response.Body, maxStamp+1))
	switch {
	case err != nil:
		return nil, err
	case response.StatusCode != http.StatusOK:
		return nil, fmt.Errorf("HTTP status %s", response.Status)
	}
	t, err := parseStamp(answer)
	if err == nil && (t.Nonce == nil || t.Nonce.Cmp(nonce) != 0) {
		err = errors.New("an answer to another request")
	}
	return answer, err
}

// imprint is what a stamp is over: the manifest's lines for all that the proof consists of. So neither a line nor a signature is younger than the stamp.
func imprint(files map[string][]byte) [32]byte {
	covered := map[string][]byte{}
	for name, content := range files {
		if !slices.Contains(derived, name) && !strings.HasPrefix(name, "stamp-") {
			covered[name] = content
		}
	}
	return sha256.Sum256(manifest(covered))
}

func parseStamp(answer []byte) (*timestamp.Timestamp, error) {
	if len(answer) > maxStamp {
		return nil, fmt.Errorf("more than %d bytes", maxStamp)
	}
	var whole asn1.RawValue
	if rest, err := asn1.Unmarshal(answer, &whole); err != nil || len(rest) > 0 {
		return nil, errors.New("no time-stamp response")
	}
	return timestamp.ParseResponse(answer)
}

// readStamp verifies an answer that must be over this imprint, and whose signer's certificate must lead to the anchor.
func readStamp(answer []byte, anchor *x509.Certificate, over [32]byte) (*Stamp, error) {
	t, err := parseStamp(answer)
	switch {
	case err != nil:
		return nil, err
	case t.HashAlgorithm != crypto.SHA256 || !bytes.Equal(t.HashedMessage, over[:]):
		return nil, errors.New("a time-stamp of something else")
	}
	p7, err := pkcs7.Parse(t.RawToken)
	if err != nil {
		return nil, err
	}
	signer := p7.GetOnlySigner()
	if signer == nil {
		return nil, errors.New("a time-stamp without the certificate of its signer, or of several")
	}
	// VerifyWithOpts takes roots alone on trust; the usage is critical by RFC 3161 section 2.3, and Go knows it.
	opts := x509.VerifyOptions{Roots: x509.NewCertPool(), Intermediates: x509.NewCertPool(), CurrentTime: t.Time,
		KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageTimeStamping}}
	opts.Roots.AddCert(anchor)
	for _, c := range p7.Certificates {
		opts.Intermediates.AddCert(c)
	}
	if err := p7.VerifyWithOpts(opts); err != nil {
		return nil, err
	}
	return &Stamp{signer, anchor, uint64(max(t.Time.Unix(), 0))}, nil
}

// stamps verifies the stamps of a bundle.
func (b *book) stamps() error {
	for n := 1; b.files[fileOf("stamp", n, "tsr")] != nil; n++ {
		name := fileOf("stamp", n, "pem")
		file, err := b.file("stamp", n, "pem")
		if err != nil {
			return &FileError{name, err}
		}
		der, plain := derOf("CERTIFICATE", file)
		if !plain {
			return &FileError{name, errors.New("not one certificate in its plain form")}
		}
		anchor, err := x509.ParseCertificate(der)
		if err != nil {
			return &FileError{name, err}
		}
		answer, _ := b.file("stamp", n, "tsr") // it is there
		stamp, err := readStamp(answer, anchor, imprint(b.files))
		if err != nil {
			return &FileError{fileOf("stamp", n, "tsr"), err}
		}
		b.report.Stamps = append(b.report.Stamps, *stamp)
	}
	return nil
}

// Package stamp asks time-stamping authorities and reads what they answer (RFC 3161). Most readers need Ask and Read.
package stamp

import (
	"bytes"
	"context"
	"crypto"
	"crypto/rand"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net/http"
	"time"

	"github.com/digitorus/pkcs7"
	"github.com/digitorus/timestamp"
	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"
)

// maxAnswer is more bytes than an answer with a chain of certificates has.
const maxAnswer = 32 << 10

// Ask gets an answer over HTTP (RFC 3161 section 3.4), which Read is to verify. A client that is nil is one that waits for 15 seconds.
func Ask(ctx context.Context, client *http.Client, url string, imprint [32]byte) ([]byte, error) {
	nonce, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 63))
	if err != nil {
		return nil, err
	}
	request := timestamp.Request{HashAlgorithm: crypto.SHA256, HashedMessage: imprint[:], Certificates: true, Nonce: nonce}
	body, err := request.Marshal()
	if err != nil {
		return nil, err
	}
	if client == nil {
		client = &http.Client{Timeout: 15 * time.Second}
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, url, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	r.Header.Set("Content-Type", "application/timestamp-query")
	response, err := client.Do(r)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(response.Body, maxAnswer+1))
	switch {
	case err != nil:
		return nil, err
	case response.StatusCode != http.StatusOK:
		return nil, fmt.Errorf("HTTP status %s", response.Status)
	}
	t, err := parse(answer)
	if err == nil && (t.Nonce == nil || t.Nonce.Cmp(nonce) != 0) {
		err = errors.New("an answer to another request")
	}
	return answer, err
}

func parse(answer []byte) (*timestamp.Timestamp, error) {
	if len(answer) > maxAnswer {
		return nil, fmt.Errorf("more than %d bytes", maxAnswer)
	}
	if !der(answer) {
		return nil, errors.New("no time-stamp response")
	}
	return timestamp.ParseResponse(answer)
}

// der tells whether elements is DER to its innermost one. RFC 3161 asks for it (section 3.4), and the library, which reads BER as well,
// panics where a tag or a length breaks off there.
func der(elements cryptobyte.String) bool {
	for !elements.Empty() {
		var inside cryptobyte.String
		var tag asn1.Tag
		if !elements.ReadAnyASN1(&inside, &tag) || tag == tag.Constructed() && !der(inside) {
			return false
		}
	}
	return true
}

// Read verifies an answer that must be over this imprint, and whose signer's certificate must lead to the anchor. at is in Unix seconds.
func Read(answer []byte, anchor *x509.Certificate, over [32]byte) (signer *x509.Certificate, at uint64, err error) {
	t, err := parse(answer)
	switch {
	case err != nil:
		return nil, 0, err
	case t.HashAlgorithm != crypto.SHA256 || !bytes.Equal(t.HashedMessage, over[:]):
		return nil, 0, errors.New("a time-stamp of something else")
	}
	p7, err := pkcs7.Parse(t.RawToken)
	if err != nil {
		return nil, 0, err
	}
	signer = p7.GetOnlySigner()
	if signer == nil {
		return nil, 0, errors.New("a time-stamp without the certificate of its signer, or of several")
	}
	// VerifyWithOpts takes roots alone on trust; the usage is critical by RFC 3161 section 2.3, and Go knows it.
	opts := x509.VerifyOptions{Roots: x509.NewCertPool(), Intermediates: x509.NewCertPool(), CurrentTime: t.Time,
		KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageTimeStamping}}
	opts.Roots.AddCert(anchor)
	for _, c := range p7.Certificates {
		opts.Intermediates.AddCert(c)
	}
	if err := p7.VerifyWithOpts(opts); err != nil {
		return nil, 0, err
	}
	return signer, uint64(max(t.Time.Unix(), 0)), nil
}

package trialpki

import (
	"bytes"
	"crypto/x509"
	"errors"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"testing"

	"golang.org/x/crypto/ocsp"
)

// ask asks a responder about a certificate, by OCSP and by its list, which must agree.
func ask(t *testing.T, r *Responder, c *x509.Certificate, issuer Authority) (status, reason int) {
	t.Helper()
	der, err := ocsp.CreateRequest(c, issuer.Certificate, nil)
	if err != nil {
		t.Fatal(err)
	}
	out := httptest.NewRecorder()
	r.ServeHTTP(out, httptest.NewRequest(http.MethodPost, "/", bytes.NewReader(der)))
	answer, err := ocsp.ParseResponseForCert(out.Body.Bytes(), c, issuer.Certificate)
	if err != nil {
		t.Fatal(err)
	}
	out = httptest.NewRecorder()
	r.ServeHTTP(out, httptest.NewRequest(http.MethodGet, "/"+issuer.file+".crl", nil))
	list, err := x509.ParseRevocationList(out.Body.Bytes())
	if err != nil {
		t.Fatal(err)
	}
	if err := list.CheckSignatureFrom(issuer.Certificate); err != nil {
		t.Error(err)
	}
	listed := -1
	for _, e := range list.RevokedCertificateEntries {
		if e.SerialNumber.Cmp(c.SerialNumber) == 0 {
			listed = e.ReasonCode
		}
	}
	if (answer.Status == ocsp.Revoked) != (listed >= 0) || listed >= 0 && listed != answer.RevocationReason {
		t.Errorf("OCSP says %d for %d, the list %d", answer.Status, answer.RevocationReason, listed)
	}
	return answer.Status, answer.RevocationReason
}

func TestResponder(t *testing.T) {
	const url = "http://ocsp.example"
	inMemory, err := New(Options{OCSP: url})
	if err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(t.TempDir(), "world")
	onDisk, err := Create(dir, Options{OCSP: url})
	if err != nil {
		t.Fatal(err)
	}
	for name, w := range map[string]*World{"in memory": inMemory, "on disk": onDisk} {
		t.Run(name, func(t *testing.T) {
			r, err := w.Responder()
			if err != nil {
				t.Fatal(err)
			}
			issue := func(name string) *x509.Certificate {
				i, err := w.IssuePerson(Person{Name: name})
				if err != nil {
					t.Fatal(err)
				}
				return i.Certificate
			}
			alice, bob := issue("alice"), issue("bob")
			want := func(what string, c *x509.Certificate, issuer Authority, status, reason int) {
				t.Helper()
				if s, n := ask(t, r, c, issuer); s != status || n != reason {
					t.Errorf("%s: %d for %d, want %d for %d", what, s, n, status, reason)
				}
			}
			want("alice", alice, w.Authentication, ocsp.Good, 0)
			want("an authority", w.Card.Certificate, w.State, ocsp.Good, 0)
			want("another authority's", alice, w.Services, ocsp.Unknown, 0)
			change := func(certs []*x509.Certificate, err error) int {
				t.Helper()
				if err != nil {
					t.Fatal(err)
				}
				return len(certs)
			}
			change(w.Revoke("alice", ocsp.CertificateHold))
			want("alice, suspended", alice, w.Authentication, ocsp.Revoked, ocsp.CertificateHold)
			change(w.Lift("alice"))
			want("alice, lifted", alice, w.Authentication, ocsp.Good, 0)
			if n := change(w.Revoke("alice", ocsp.KeyCompromise)); n != 1 {
				t.Errorf("%d revoked", n)
			}
			want("alice, revoked", alice, w.Authentication, ocsp.Revoked, ocsp.KeyCompromise)
			if n := change(w.Lift("alice")); n != 0 {
				t.Errorf("%d revocations lifted", n)
			}
			want("alice, still", alice, w.Authentication, ocsp.Revoked, ocsp.KeyCompromise)
			want("alice, renewed", issue("alice"), w.Authentication, ocsp.Good, 0)
			want("bob", bob, w.Authentication, ocsp.Good, 0)
			change(w.Revoke("card-ca", ocsp.CACompromise))
			want("an authority, revoked", w.Card.Certificate, w.State, ocsp.Revoked, ocsp.CACompromise)
			if _, err := w.Revoke("nobody", 0); !errors.Is(err, fs.ErrNotExist) {
				t.Error(err)
			}
		})
	}
}

// What is no question is answered as such, and does nothing else.
func TestResponderRefusesWhatIsNoQuestion(t *testing.T) {
	w, err := New(Options{})
	if err != nil {
		t.Fatal(err)
	}
	r, err := w.Responder()
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		method, path string
		body         []byte
		status       int
		want         []byte
	}{
		{"POST", "/", []byte("nonsense"), 200, ocsp.MalformedRequestErrorResponse},
		{"POST", "/", make([]byte, 1<<20), 500, nil},
		{"GET", "/nobody.crl", nil, 404, nil},
		{"GET", "/../ca/root.key", nil, 404, nil},
		{"DELETE", "/", nil, 404, nil},
	} {
		out := httptest.NewRecorder()
		r.ServeHTTP(out, httptest.NewRequest(c.method, c.path, bytes.NewReader(c.body)))
		if out.Code != c.status || c.want != nil && !bytes.Equal(out.Body.Bytes(), c.want) {
			t.Errorf("%s %s: %d %q", c.method, c.path, out.Code, out.Body)
		}
	}
}

package export

import (
	"context"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"sinete/internal/judge"
	"sinete/peer/evidence"
	"sinete/peer/evidence/internal/bundle"
	"sinete/peer/evidence/internal/stamp"
)

// stamper is a time-stamping authority: openssl's, behind HTTP. wrong, if there is one, changes what it is asked.
type stamper struct {
	t      testing.TB
	dir    string
	anchor *x509.Certificate
	wrong  func(query []byte) []byte
}

const stamperConfig = `
[tsa]
basicConstraints = critical, CA:FALSE
keyUsage = critical, digitalSignature
extendedKeyUsage = critical, timeStamping
[stamps]
serial = serial
signer_digest = sha256
default_policy = 1.2.3.4
digests = sha256, sha512
ess_cert_id_alg = sha256
`

func newStamper(t testing.TB) *stamper {
	t.Helper()
	s := &stamper{t: t, dir: t.TempDir()}
	must(t, os.WriteFile(filepath.Join(s.dir, "conf"), []byte(stamperConfig), 0o600))
	key := []string{"-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"}
	s.openssl(nil, append([]string{"req", "-x509", "-config", "/dev/null", "-subj", "/CN=Stamps Root", "-days", "30", "-keyout", "ca.key", "-out", "ca.pem",
		"-addext", "basicConstraints=critical,CA:TRUE", "-addext", "keyUsage=critical,keyCertSign"}, key...)...)
	s.openssl(nil, append([]string{"req", "-config", "/dev/null", "-subj", "/CN=Stamps", "-keyout", "tsa.key", "-out", "tsa.csr"}, key...)...)
	s.openssl(nil, "x509", "-req", "-in", "tsa.csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-days", "20", "-extfile", "conf", "-extensions", "tsa", "-out", "tsa.pem")
	s.anchor = readPEM(t, filepath.Join(s.dir, "ca.pem"))
	return s
}

func readPEM(t testing.TB, path string) *x509.Certificate {
	t.Helper()
	b, err := os.ReadFile(path)
	must(t, err)
	block, _ := pem.Decode(b)
	c, err := x509.ParseCertificate(block.Bytes)
	must(t, err)
	return c
}

func (s *stamper) openssl(stdin []byte, args ...string) []byte {
	s.t.Helper()
	cmd := exec.Command("openssl", args...)
	cmd.Dir, cmd.Stdin = s.dir, strings.NewReader(string(stdin))
	var words strings.Builder
	cmd.Stderr = &words
	out, err := cmd.Output()
	if err != nil {
		s.t.Fatalf("openssl %s: %v\n%s", args[0], err, &words)
	}
	return out
}

func (s *stamper) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	query, err := io.ReadAll(r.Body)
	if err != nil || r.Method != http.MethodPost || r.Header.Get("Content-Type") != "application/timestamp-query" {
		http.Error(w, "no query", http.StatusBadRequest)
		return
	}
	if s.wrong != nil {
		query = s.wrong(query)
	}
	if os.WriteFile(filepath.Join(s.dir, "query"), query, 0o600) != nil {
		panic("no query")
	}
	w.Header().Set("Content-Type", "application/timestamp-reply")
	_, _ = w.Write(s.openssl(nil, "ts", "-reply", "-config", "conf", "-section", "stamps", "-queryfile", "query", "-signer", "tsa.pem", "-inkey", "tsa.key", "-chain", "ca.pem"))
}

// authority is the stamper behind an address.
func (s *stamper) authority() *Authority {
	server := httptest.NewServer(s)
	s.t.Cleanup(server.Close)
	return &Authority{URL: server.URL, Anchors: []*x509.Certificate{s.anchor}}
}

// A stamp over the evidence is verified by both verifiers, and is of nothing else.
func TestStamp(t *testing.T) {
	s := newStory(t, byDelegation, p256)
	s.says(s.ana, "the contract")
	s.confirms(s.rui)
	tsa := newStamper(t)
	began := time.Now().Add(-2 * time.Second)
	x, err := Export(t.Context(), s.ana, s.policy, Wanted{With: s.rui.identity, Stamp: tsa.authority()})
	must(t, err)
	files, err := bundle.Unpack(x.Bundle)
	must(t, err)

	anchors := append([]*x509.Certificate{tsa.anchor}, s.policy.Anchors...)
	r, err := evidence.Verify(x.Bundle, anchors)
	must(t, err)
	if len(r.Stamps) != 1 || r.Stamps[0].Certificate.Subject.CommonName != "Stamps" || !r.Stamps[0].Anchor.Equal(tsa.anchor) ||
		int64(r.Stamps[0].At) < began.Unix() || int64(r.Stamps[0].At) > time.Now().Unix() {
		t.Errorf("stamps %+v", r.Stamps)
	}
	date := time.Unix(int64(r.Stamps[0].At), 0).UTC().Format("2006-01-02 15:04:05 UTC")
	if text := string(files[bundle.Text]); !strings.Contains(text, "The time-stamping authority Stamps\n   states       that all that is proved here, the signatures too, was there "+date) {
		t.Errorf("%s says\n%s", bundle.Text, text)
	}
	var untrusted *evidence.AnchorError
	if _, err := evidence.Verify(x.Bundle, s.policy.Anchors); !errors.As(err, &untrusted) || untrusted.Subject != "Stamps Root" {
		t.Errorf("a stamp of an authority that is not trusted: %v", err)
	}

	j := judge.New(t, "sh")
	words := j.Accepts(j.Folder(files))
	if want := fmt.Sprintf("was there on %s.\n", date); !strings.Contains(words, want) || !strings.Contains(words, fmt.Sprintf("%x", evidence.Fingerprint(tsa.anchor))) {
		t.Errorf("it does not say %q:\n%s", want, words)
	}
	trust := func(certs ...*x509.Certificate) string {
		var all []byte
		for _, c := range certs {
			all = append(all, bundle.PEM("CERTIFICATE", c.Raw)...)
		}
		path := filepath.Join(t.TempDir(), "trust.pem")
		must(t, os.WriteFile(path, all, 0o600))
		return path
	}
	j.Accepts(j.Folder(files), trust(anchors...))
	j.Refuses(j.Folder(files), "not among those that you trust", trust(s.policy.Anchors...))

	// The stamp of other evidence, and evidence to which something came later, with a manifest that fits.
	s.says(s.ana, "and another")
	s.confirms(s.rui)
	other, err := bundle.Unpack(s.export(s.ana, Range{true, 1, 1}).Bundle)
	must(t, err)
	for _, name := range []string{bundle.Name("stamp", 1, "tsr"), bundle.Name("stamp", 1, "pem")} {
		other[name] = files[name]
	}
	other[bundle.Manifest] = bundle.ManifestOf(other)
	j.Refuses(j.Folder(other), "the time-stamp is not one of these files")
	if _, _, err := evidence.Make(other); err == nil || !strings.Contains(err.Error(), "a time-stamp of something else") {
		t.Errorf("another's stamp: %v", err)
	}
}

// What is no stamp of that authority is not taken, and says why.
func TestNoStamp(t *testing.T) {
	s := newStory(t, p256, p256)
	s.says(s.ana, "the contract")
	for name, c := range map[string]struct {
		stamp func(tsa *stamper) *Authority
		why   string
	}{
		"another authority's": {func(tsa *stamper) *Authority {
			a := tsa.authority()
			a.Anchors = s.policy.Anchors
			return a
		}, "certificate signed by unknown authority"},
		"an old answer": {func(tsa *stamper) *Authority {
			tsa.wrong = func([]byte) []byte { return tsa.openssl(nil, "ts", "-query", "-sha256", "-cert", "-data", "conf") }
			return tsa.authority()
		}, "an answer to another request"},
		"no stamp": {func(tsa *stamper) *Authority {
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "tomorrow") }))
			t.Cleanup(server.Close)
			return &Authority{URL: server.URL, Anchors: []*x509.Certificate{tsa.anchor}}
		}, "no time-stamp response"},
		"nobody there": {func(*stamper) *Authority {
			server := httptest.NewServer(http.NotFoundHandler())
			t.Cleanup(server.Close)
			return &Authority{URL: server.URL}
		}, "HTTP status 404"},
	} {
		t.Run(name, func(t *testing.T) {
			tsa := newStamper(t)
			_, err := Export(context.Background(), s.ana, s.policy, Wanted{With: s.rui.identity, Stamp: c.stamp(tsa)})
			var no *StampError
			if !errors.As(err, &no) || !strings.Contains(err.Error(), c.why) {
				t.Errorf("%v, expected %q", err, c.why)
			}
		})
	}
}

// No answer makes a reader fall over.
func FuzzStamp(f *testing.F) {
	s := newStory(f, p256, p256)
	s.says(s.ana, "the contract")
	tsa := newStamper(f)
	x, err := Export(context.Background(), s.ana, s.policy, Wanted{With: s.rui.identity, Stamp: tsa.authority()})
	must(f, err)
	files, err := bundle.Unpack(x.Bundle)
	must(f, err)
	over := bundle.Imprint(files)
	f.Add(files[bundle.Name("stamp", 1, "tsr")])
	f.Add([]byte{0x30, 0x03, 0x02, 0x01, 0x02})
	f.Add([]byte{0x30, 0x0a, 0x30, 0x03, 0x02, 0x01, 0x00, 0x30, 0x03, 0x1f, 0x81, 0x81}) // a token whose tag breaks off
	f.Fuzz(func(t *testing.T, answer []byte) {
		if signer, _, err := stamp.Read(answer, tsa.anchor, over); err == nil && signer.Subject.CommonName != "Stamps" {
			t.Errorf("signed by %s", signer.Subject)
		}
	})
}

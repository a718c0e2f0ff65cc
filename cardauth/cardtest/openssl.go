package cardtest

import (
	"bufio"
	"crypto"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// FreeAddress is one on loopback that nobody listens on at the moment.
func FreeAddress(tb testing.TB) string {
	tb.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// OpenSSL is stock `openssl ocsp` answering for one authority: a judge of package revocation that shares no code with it.
type OpenSSL struct {
	Address   string // FreeAddress
	CA        *x509.Certificate
	Signer    *x509.Certificate // of the answers
	SignerKey crypto.Signer
	Index     []string // lines; see Valid and Revoked
	Args      []string // further ones; without -ndays there is no nextUpdate
}

// Valid is the line of a certificate that is good.
func Valid(c *x509.Certificate) string {
	return fmt.Sprintf("V\t351231235959Z\t\t%s\tunknown\t/CN=x", serial(c))
}

// Revoked is the line of one that was revoked an hour ago, for a reason as openssl writes it.
func Revoked(c *x509.Certificate, reason string) string {
	at := time.Now().Add(-time.Hour).UTC().Format("060102150405Z")
	return fmt.Sprintf("R\t351231235959Z\t%s,%s\t%s\tunknown\t/CN=x", at, reason, serial(c))
}

// serial is the number as openssl writes it: whole bytes, upper case.
func serial(c *x509.Certificate) string { return fmt.Sprintf("%X", c.SerialNumber.Bytes()) }

// Start runs it until the test ends, or stop is called, and returns when it listens.
func (o OpenSSL) Start(tb testing.TB) (stop func()) {
	tb.Helper()
	dir := tb.TempDir()
	file := func(name, kind string, b []byte) string {
		path := filepath.Join(dir, name)
		if kind != "" {
			b = pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: b})
		}
		if err := os.WriteFile(path, b, 0o600); err != nil {
			tb.Fatal(err)
		}
		return path
	}
	key, err := x509.MarshalPKCS8PrivateKey(o.SignerKey)
	if err != nil {
		tb.Fatal(err)
	}
	_, port, _ := net.SplitHostPort(o.Address)
	args := append([]string{"ocsp", "-index", file("index.txt", "", []byte(strings.Join(o.Index, "\n")+"\n")),
		"-CA", file("ca.pem", "CERTIFICATE", o.CA.Raw), "-rsigner", file("signer.pem", "CERTIFICATE", o.Signer.Raw),
		"-rkey", file("signer.key", "PRIVATE KEY", key), "-port", port, "-ignore_err"}, o.Args...)
	cmd := exec.Command("openssl", args...)
	out, in, err := os.Pipe()
	if err != nil {
		tb.Fatal(err)
	}
	cmd.Stdout, cmd.Stderr = in, in
	err = cmd.Start()
	in.Close()
	if err != nil {
		tb.Fatalf("openssl: %v", err)
	}
	lines := bufio.NewScanner(out)
	ready, said := false, ""
	for !ready && lines.Scan() {
		said += lines.Text() + "\n"
		ready = strings.Contains(lines.Text(), "ACCEPT") || strings.Contains(lines.Text(), "waiting for")
	}
	drained := make(chan struct{})
	go func() { // it must not block on what it has to say
		defer close(drained)
		for lines.Scan() {
		}
	}()
	stop = sync.OnceFunc(func() {
		_ = cmd.Process.Kill() // it may have ended
		_ = cmd.Wait()
		<-drained
		out.Close()
	})
	tb.Cleanup(stop)
	if !ready {
		stop()
		tb.Fatalf("openssl ended: %s", said)
	}
	return stop
}

package rivals

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"syscall"
	"time"

	"sinete/internal/program"
)

// startProcess runs a server's own program until ctx or this process ends, and waits until it listens.
func startProcess(ctx context.Context, address, path string, args ...string) (*Server, error) {
	cmd := exec.CommandContext(ctx, path, args...)
	said := &bytes.Buffer{}
	cmd.Stdout, cmd.Stderr = said, said
	cmd.SysProcAttr = program.EndsWithUs(syscall.SIGKILL)
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	gone := make(chan struct{})
	go func() {
		_ = cmd.Wait()
		close(gone)
	}()
	for end := time.Now().Add(patience); time.Now().Before(end); {
		if c, err := net.Dial("tcp", address); err == nil {
			_ = c.Close()
			return &Server{Address: address, PID: cmd.Process.Pid}, nil
		}
		select {
		case <-gone:
			return nil, fmt.Errorf("%s ended: %s", path, said)
		case <-time.After(20 * time.Millisecond):
		}
	}
	return nil, errors.New(path + " does not listen")
}

// find looks where Debian puts servers, too.
func find(name string) (string, error) {
	if path, err := exec.LookPath(name); err == nil {
		return path, nil
	}
	path := filepath.Join("/usr/sbin", name)
	if _, err := os.Stat(path); err != nil {
		return "", fmt.Errorf("%s is missing (Debian package %s)", name, name)
	}
	return path, nil
}

// freePort is one that nobody listened at a moment ago.
func freePort() (int, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port, nil
}

// writeCertificate writes chain.pem and key.pem.
func writeCertificate(dir string, c tls.Certificate) error {
	var chain []byte
	for _, der := range c.Certificate {
		chain = append(chain, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})...)
	}
	key, err := x509.MarshalPKCS8PrivateKey(c.PrivateKey)
	if err != nil {
		return err
	}
	return errors.Join(os.WriteFile(filepath.Join(dir, "chain.pem"), chain, 0o600),
		os.WriteFile(filepath.Join(dir, "key.pem"), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: key}), 0o600))
}

// version is what a program says that matches.
func version(ctx context.Context, expression, path string, args ...string) string {
	said, _ := exec.CommandContext(ctx, path, args...).CombinedOutput() // some say it with an exit status
	return string(regexp.MustCompile(expression).Find(said))
}

package rivals

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"encoding/base64"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
)

// prosodyUsers is for so many pairs there are accounts.
const prosodyUsers = 128

func startProsody(ctx context.Context, dir string, certificate tls.Certificate) (*Server, error) {
	path, err := find("prosody")
	if err != nil {
		return nil, err
	}
	port, err := freePort()
	if err != nil {
		return nil, err
	}
	conf := fmt.Sprintf(`run_as_root = true
daemonize = false
pidfile = "%[1]s/prosody.pid"
data_path = "%[1]s"
log = { error = "*console" }
interfaces = { "127.0.0.1" }
c2s_ports = {}
s2s_ports = {}
http_ports = {}
https_ports = {}
c2s_direct_tls_ports = { %[2]d }
c2s_direct_tls_ssl = { protocol = "tlsv1_3", key = "%[1]s/key.pem", certificate = "%[1]s/chain.pem" }
authentication = "internal_plain"
modules_enabled = { "saslauth" }
modules_disabled = { "s2s", "offline", "limits" }
network_backend = "epoll"
VirtualHost "localhost"
ssl = { key = "%[1]s/key.pem", certificate = "%[1]s/chain.pem" }
`, dir, port)
	file := filepath.Join(dir, "prosody.cfg.lua")
	accounts := filepath.Join(dir, "localhost", "accounts")
	err = errors.Join(writeCertificate(dir, certificate), os.WriteFile(file, []byte(conf), 0o600), os.MkdirAll(accounts, 0o700))
	for pair := range prosodyUsers {
		for side := range 2 {
			account := filepath.Join(accounts, inbox(pair, side)+".dat")
			err = errors.Join(err, os.WriteFile(account, []byte(`return { ["password"] = "load" };`), 0o600))
		}
	}
	if err != nil {
		return nil, err
	}
	s, err := startProcess(ctx, fmt.Sprintf("127.0.0.1:%d", port), path, "-F", "--config", file)
	if err == nil {
		s.Version = version(ctx, `Prosody \d\S*`, path+"ctl", "about")
	}
	return s, err
}

// xmppLine is a client of XMPP (RFC 6120) that knows its server. What comes is looked through for bodies of messages, which no library does
// as fast.
type xmppLine struct {
	in   *bufio.Reader
	came []byte // and not looked through yet
	open []byte // before a text

	mu  sync.Mutex
	out *bufio.Writer
}

func dialProsody(ctx context.Context, address, own, other string) (Line, error) {
	config := clientTLS()
	config.NextProtos = []string{"xmpp-client"}
	conn, err := (&tls.Dialer{Config: config}).DialContext(ctx, "tcp", address)
	if err != nil {
		return nil, err
	}
	l := &xmppLine{in: bufio.NewReaderSize(conn, lineBuffer), out: bufio.NewWriterSize(conn, lineBuffer),
		open: fmt.Appendf(nil, "<message to='%s@localhost/load' type='chat'><body>", other)}
	const stream = "<?xml version='1.0'?><stream:stream to='localhost' version='1.0' xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams'>"
	password := base64.StdEncoding.EncodeToString([]byte("\x00" + own + "\x00load"))
	for _, step := range []struct{ say, hear string }{
		{stream, "</stream:features>"},
		{"<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'>" + password + "</auth>", "<success"},
		{stream, "</stream:features>"},
		{"<iq id='1' type='set'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'><resource>load</resource></bind></iq>", own + "@localhost/load</jid>"},
	} {
		if _, err := l.out.WriteString(step.say); err != nil {
			return nil, err
		}
		if err := l.Flush(); err != nil {
			return nil, err
		}
		for end := []byte(step.hear); ; {
			if i := bytes.Index(l.came, end); i >= 0 {
				l.came = l.came[i+len(end):]
				break
			}
			if err := l.fill(); err != nil {
				return nil, fmt.Errorf("prosody said %q: %w", l.came, err)
			}
		}
	}
	return l, nil
}

// fill reads what there is.
func (l *xmppLine) fill() error {
	if _, err := l.in.Peek(1); err != nil {
		return err
	}
	b, err := l.in.Peek(l.in.Buffered())
	l.came = append(l.came, b...)
	_, _ = l.in.Discard(len(b))
	return err
}

var (
	xmppBody  = []byte("<body>")
	xmppClose = []byte("</body>")
)

func (l *xmppLine) Send(text []byte) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	_, _ = l.out.Write(l.open) // the writer keeps its first error
	_, _ = l.out.Write(text)
	_, err := l.out.WriteString("</body></message>")
	return err
}

func (l *xmppLine) Flush() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.out.Flush()
}

// next cuts the first text out of what came; nil where none is whole.
func (l *xmppLine) next() []byte {
	_, rest, ok := bytes.Cut(l.came, xmppBody)
	if !ok {
		return nil
	}
	text, rest, ok := bytes.Cut(rest, xmppClose)
	if !ok {
		return nil
	}
	l.came = rest
	return text
}

func (l *xmppLine) Receive() (text []byte, more bool, err error) {
	for text = l.next(); text == nil; text = l.next() {
		l.came = append([]byte(nil), l.came...) // what was taken is gone, and the last text may still be in use
		if err := l.fill(); err != nil {
			return nil, false, err
		}
	}
	return text, bytes.Contains(l.came, xmppClose), nil
}

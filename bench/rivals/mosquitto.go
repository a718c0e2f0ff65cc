package rivals

import (
	"bufio"
	"context"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync"
)

func startMosquitto(ctx context.Context, dir string, certificate tls.Certificate) (*Server, error) {
	path, err := find("mosquitto")
	if err != nil {
		return nil, err
	}
	if err := writeCertificate(dir, certificate); err != nil {
		return nil, err
	}
	port, err := freePort()
	if err != nil {
		return nil, err
	}
	// No limit on what is under way, and nothing on disk. It reads its key before it changes to another user.
	conf := fmt.Sprintf("listener %d 127.0.0.1\ncertfile %s/chain.pem\nkeyfile %s/key.pem\ntls_version tlsv1.3\nallow_anonymous true\n"+
		"persistence false\nmax_inflight_messages 0\nmax_queued_messages 0\nset_tcp_nodelay true\nlog_type error\nuser root\n", port, dir, dir)
	file := filepath.Join(dir, "mosquitto.conf")
	if err := os.WriteFile(file, []byte(conf), 0o600); err != nil {
		return nil, err
	}
	s, err := startProcess(ctx, fmt.Sprintf("127.0.0.1:%d", port), path, "-c", file)
	if err == nil {
		s.Version = version(ctx, `mosquitto version \S+`, path, "-h")
	}
	return s, err
}

// mqttLine is MQTT 3.1.1 with QoS 1: the server acknowledges each message to its sender, and each client to the server. It is written for
// this measurement, so that no library's habits slow the server down.
type mqttLine struct {
	in    *bufio.Reader
	own   string
	other string
	body  []byte

	mu  sync.Mutex
	out *bufio.Writer
	id  uint16
}

// Types of MQTT packets, with their flags.
const (
	mqttConnect   = 0x10
	mqttConnAck   = 0x20
	mqttPublish   = 0x30
	mqttQoS1      = 0x02
	mqttPubAck    = 0x40
	mqttSubscribe = 0x82
	mqttSubAck    = 0x90
)

func dialMosquitto(ctx context.Context, address, own, other string) (Line, error) {
	conn, err := (&tls.Dialer{Config: clientTLS()}).DialContext(ctx, "tcp", address)
	if err != nil {
		return nil, err
	}
	l := &mqttLine{in: bufio.NewReaderSize(conn, lineBuffer), out: bufio.NewWriterSize(conn, lineBuffer), own: own, other: other}
	hello := append(mqttText(nil, "MQTT"), 4, 2, 0, 0) // version 3.1.1, a clean session, no keep-alive
	if err := l.ask(mqttConnect, mqttText(hello, own), mqttConnAck); err != nil {
		return nil, err
	}
	return l, l.ask(mqttSubscribe, append(mqttText([]byte{0, 1}, own), 1), mqttSubAck)
}

const lineBuffer = 64 << 10

func mqttText(b []byte, s string) []byte {
	return append(binary.BigEndian.AppendUint16(b, uint16(len(s))), s...)
}

func (l *mqttLine) ask(kind byte, body []byte, answer byte) error {
	if err := errors.Join(l.write(kind, body), l.Flush()); err != nil {
		return err
	}
	got, body, err := l.read()
	if err == nil && (got != answer || body[len(body)-1] >= 0x80 || got == mqttConnAck && body[1] != 0) {
		err = fmt.Errorf("mosquitto refuses: %x %x", got, body)
	}
	return err
}

// write appends a packet, in parts.
func (l *mqttLine) write(kind byte, parts ...[]byte) error {
	n := 0
	for _, p := range parts {
		n += len(p)
	}
	_ = l.out.WriteByte(kind) // the writer keeps its first error
	for ; n >= 0x80; n >>= 7 {
		_ = l.out.WriteByte(byte(n) | 0x80)
	}
	err := l.out.WriteByte(byte(n))
	for _, p := range parts {
		_, err = l.out.Write(p)
	}
	return err
}

func (l *mqttLine) read() (kind byte, body []byte, err error) {
	if kind, err = l.in.ReadByte(); err != nil {
		return 0, nil, err
	}
	n, err := binary.ReadUvarint(l.in) // the same encoding
	if err != nil || n > lineBuffer {
		return 0, nil, errors.Join(err, errors.New("no MQTT packet"))
	}
	if uint64(cap(l.body)) < n {
		l.body = make([]byte, n)
	}
	_, err = io.ReadFull(l.in, l.body[:n])
	return kind, l.body[:n], err
}

func (l *mqttLine) Send(text []byte) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.id = max(1, l.id+1)
	var space [64]byte
	head := binary.BigEndian.AppendUint16(mqttText(space[:0], l.other), l.id)
	return l.write(mqttPublish|mqttQoS1, head, text)
}

func (l *mqttLine) Flush() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.out.Flush()
}

func (l *mqttLine) Receive() (text []byte, more bool, err error) {
	for {
		if l.in.Buffered() == 0 { // acknowledgements to the server, too, leave together
			if err := l.Flush(); err != nil {
				return nil, false, err
			}
		}
		kind, body, err := l.read()
		if err != nil {
			return nil, false, err
		}
		if kind == mqttPubAck {
			continue
		}
		at := 2 + len(l.own)
		if kind&0xf6 != mqttPublish|mqttQoS1 || len(body) < at+2 {
			return nil, false, fmt.Errorf("an MQTT packet %x", kind)
		}
		l.mu.Lock()
		err = l.write(mqttPubAck, body[at:at+2])
		l.mu.Unlock()
		return body[at+2:], l.in.Buffered() > 0, err
	}
}

package transport

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"math/big"
	"net"
	"testing"
	"time"

	"github.com/quic-go/quic-go"
)

// A resumed session is refused even where tickets were handed out, by either side (protocol.md section 1).
func TestResumptionIsRefused(t *testing.T) {
	for _, refuser := range []string{"nobody", "server", "client"} {
		t.Run(refuser, func(t *testing.T) {
			serverConf, clientConf := tlsConfig(), tlsConfig()
			serverConf.Certificates = []tls.Certificate{selfMade(t)}
			serverConf.SessionTicketsDisabled, clientConf.SessionTicketsDisabled = false, false
			if refuser != "server" {
				serverConf.VerifyConnection = nil
			}
			if refuser != "client" {
				clientConf.VerifyConnection = nil
			}
			cache := &cache{ClientSessionCache: tls.NewLRUClientSessionCache(1), got: make(chan bool, 8)}
			clientConf.InsecureSkipVerify, clientConf.ClientSessionCache = true, cache

			tr := &quic.Transport{Conn: udp(t)}
			defer tr.Close()
			l, err := tr.Listen(serverConf, nil)
			if err != nil {
				t.Fatal(err)
			}
			dialler := &quic.Transport{Conn: udp(t)}
			defer dialler.Close()
			first, err := dialler.Dial(t.Context(), l.Addr(), clientConf, nil)
			if err != nil {
				t.Fatal(err)
			}
			<-cache.got
			_ = first.CloseWithError(0, "")

			second, err := dialler.Dial(t.Context(), l.Addr(), clientConf, nil)
			resumed := false
			if err == nil {
				resumed = second.ConnectionState().TLS.DidResume
				if refuser == "server" { // which decides after the client
					<-second.Context().Done()
					resumed = false
				} else {
					_ = second.CloseWithError(0, "")
				}
			}
			if resumed != (refuser == "nobody") {
				t.Errorf("resumed: %v (%v)", resumed, err)
			}
		})
	}
}

type cache struct {
	tls.ClientSessionCache
	got chan bool
}

func (c *cache) Put(key string, s *tls.ClientSessionState) {
	c.ClientSessionCache.Put(key, s)
	c.got <- true
}

func udp(t *testing.T) net.PacketConn {
	t.Helper()
	c, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c
}

func selfMade(t *testing.T) tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

func TestOrigin(t *testing.T) {
	for addr, want := range map[string]string{
		"192.0.2.7:1":            "192.0.2.7/32",
		"[::ffff:192.0.2.7]:1":   "192.0.2.7/32",
		"[fd00:1:2:3:4:5:6:7]:1": "fd00:1:2:3::/64",
		"[fe80::1%eth0]:1":       "fe80::/64",
	} {
		ap, err := net.ResolveUDPAddr("udp", addr)
		if err != nil {
			t.Fatal(err)
		}
		if got := origin(ap).String(); got != want {
			t.Errorf("%s counts as %s, not %s", addr, got, want)
		}
	}
	if origin(&net.UnixAddr{Name: "x"}).IsValid() {
		t.Error("a strange address has an origin")
	}
}

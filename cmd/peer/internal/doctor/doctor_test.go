package doctor

import (
	"context"
	"crypto/x509"
	"errors"
	"io/fs"
	"maps"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/ocsp"

	"sinete/cardauth/pkcs11card"
	"sinete/cardauth/pkcs11card/profile"
	"sinete/cardauth/revocation"
	"sinete/cmd/peer/internal/terminal"
	"sinete/cmd/peer/internal/trouble"
	"sinete/internal/trialpki"
	"sinete/peer"
	"sinete/transport/transporttest"
)

const cardURI = "pkcs11:token=CARD?module-path=m"

const anyCard = "pkcs11:?module-path=m"

// illness is something wrong with a machine, and what the doctor says of it.
type illness struct {
	name string
	ill  func(p *patient)
	want map[string]string // the checks that fail, and words of what they say; with a ! behind their names those that warn
}

func (p *patient) silent(what echo) {
	network := transporttest.New(p.t, transporttest.Options{})
	p.program.socket = func(string) (net.PacketConn, net.Addr, error) {
		return network.Endpoint(), &net.UDPAddr{IP: net.IPv4(10, 0, 0, 9), Port: 7443}, nil
	}
	p.program.probe = func(context.Context, net.Addr) echo { return what }
}

// answersVersions has something in the relay's place that speaks QUIC of a version that nobody knows.
func (p *patient) answersVersions() {
	network := transporttest.New(p.t, transporttest.Options{})
	other := network.Endpoint()
	go func() {
		b := make([]byte, 2048)
		for {
			n, from, err := other.ReadFrom(b)
			if err != nil {
				return
			}
			to, of := b[6:6+int(b[5])], b[6+int(b[5]):n]
			of = of[1 : 1+int(of[0])]
			answer := append([]byte{0xc0, 0, 0, 0, 0, byte(len(of))}, of...)
			answer = append(append(answer, byte(len(to))), to...)
			_, _ = other.WriteTo(append(answer, 0x5a, 0x5a, 0x5a, 0x5a), from)
		}
	}()
	p.program.socket = func(string) (net.PacketConn, net.Addr, error) { return network.Endpoint(), other.LocalAddr(), nil }
}

// ages has the authority that issues cards end yesterday.
func (p *patient) ages() {
	a := &p.pki.Authentication
	old := *a.Certificate
	old.SignatureAlgorithm, old.NotAfter = 0, time.Now().AddDate(0, 0, -1)
	der, err := x509.CreateCertificate(nil, &old, p.pki.Card.Certificate, a.Key.Public(), p.pki.Card.Key)
	try(p.t, err)
	a.Certificate, err = x509.ParseCertificate(der)
	try(p.t, err)
	p.distrusts("authentication-ca")
}

func failing(err error) pkcs11card.Module { return pkcs11card.Module{Path: "m", Err: err} }

func broken(call string, err error) pkcs11card.Module {
	return failing(&pkcs11card.ModuleError{Module: "m", Call: call, Err: err})
}

const opensc = "/usr/lib/opensc-pkcs11.so"

// illnesses are those of machines on which nothing but what is named fails. Every remedy is given to one of them.
func illnesses(elsewhere string) []illness {
	now := time.Now // which is the bubble's, there
	nothing := pkcs11card.Module{Path: opensc}
	noResponder := func(c *x509.Certificate) { c.OCSPServer, c.CRLDistributionPoints = nil, nil }
	return slices.Concat([]illness{
		{"all is well", func(*patient) {}, nil},
		{"all is well on a token", func(p *patient) { p.holds(cardURI, p.token("")) }, nil},
		{"all is well by another name", func(p *patient) { p.relay.Names, p.address = nil, "127.0.0.1:7443" }, nil},
		{"the intermediates are in the folder only", func(p *patient) { p.chain = 1 }, nil},
		{"a wrong PIN was given", func(p *patient) { p.holds(cardURI, p.token(pkcs11card.PINLow)) }, nil},
		{"asked for nothing about revocation", func(p *patient) {
			p.flags["--revocation"], p.err = "off", errors.New("asked")
		}, nil},
		{"a copy of a key is taken for a test", func(p *patient) {
			t := p.token("")
			t.Certificates[0].Exportable = true
			p.holds(cardURI+"&exportable-key=yes", t)
		}, nil},
	}, []illness{ // modules and readers
		{"built without cgo", func(p *patient) { p.has(anyCard, failing(&pkcs11card.UnsupportedError{What: "no cgo"})) }, map[string]string{"module": "built with cgo"}},
		{"no module on Linux", func(p *patient) { p.has("pkcs11:?module-name=nobodys") }, map[string]string{"module": "apt-get install opensc"}},
		{"no module on a Mac", func(p *patient) { p.has("pkcs11:?module-name=nobodys"); p.program.machine.system = "darwin" }, map[string]string{"module": "brew"}},
		{"no module on Windows", func(p *patient) { p.has("pkcs11:?module-name=nobodys"); p.program.machine.system = "windows" }, map[string]string{"module": "releases"}},
		{"no such module", func(p *patient) { p.has(anyCard, broken("dlopen", fs.ErrNotExist)) }, map[string]string{"module": "Is the path right?"}},
		{"no module at all", func(p *patient) { p.has(anyCard, broken("dlopen", errors.New("not a module"))) }, map[string]string{"module": "dlopen: not a module"}},
		{"a module that crashes", func(p *patient) { p.has(anyCard, broken("C_Initialize", pkcs11card.ErrCrashed)) }, map[string]string{"module": "update the card's software"}},
		{"a module that hangs", func(p *patient) { p.has(anyCard, broken("C_GetSlotList", pkcs11card.ErrHung)) }, map[string]string{"module": "waiting for a PIN"}},
		{"a module that asks", func(p *patient) { p.has(anyCard, broken("C_GetSlotList", pkcs11card.ErrCancelled)) }, map[string]string{"module": "neither screen nor keyboard"}},
		{"an error nobody thought of", func(p *patient) { p.has(anyCard, failing(errors.New("boo"))) }, map[string]string{"module": "boo No advice"}},
		{"one module crashes, another has the card", func(p *patient) {
			p.has(cardURI, pkcs11card.Module{Path: "m", Tokens: []pkcs11card.Token{p.token("")}}, broken("C_Initialize", pkcs11card.ErrCrashed))
		}, map[string]string{"module!": "crashed"}},
		{"the service for readers does not run", func(p *patient) {
			p.has(anyCard, nothing)
			p.program.machine.exists = func(path string) bool { return path != "/run/pcscd/pcscd.comm" }
		}, map[string]string{"reader": "systemctl enable --now pcscd.socket"}},
		{"the service does not run, and a module in software has an empty slot", func(p *patient) {
			p.has(anyCard, nothing, pkcs11card.Module{Path: "/usr/lib/softhsm/libsofthsm2.so", Blank: []string{"Slot 0"}})
			p.program.machine.exists = func(string) bool { return false }
		}, map[string]string{"reader": "pcscd.socket"}},
		{"the service does not run, and the card is in software", func(p *patient) {
			p.has(cardURI, nothing, pkcs11card.Module{Path: "m", Tokens: []pkcs11card.Token{p.token("")}})
			p.program.machine.exists = func(string) bool { return false }
		}, nil},
		{"no reader", func(p *patient) { p.has(anyCard, nothing) }, map[string]string{"reader": "libccid"}},
		{"no reader, and a module that needs no service", func(p *patient) {
			p.has(anyCard, pkcs11card.Module{Path: "/usr/lib/softhsm/libsofthsm2.so"})
			p.program.machine.exists = func(string) bool { return false }
		}, map[string]string{"reader": "libccid"}},
		{"no reader on a Mac", func(p *patient) { p.has(anyCard, nothing); p.program.machine.system = "darwin" }, map[string]string{"reader": "system_profiler"}},
		{"no reader on Windows", func(p *patient) { p.has(anyCard, nothing); p.program.machine.system = "windows" }, map[string]string{"reader": "SCardSvr"}},
	}, []illness{ // cards
		{"no such file", func(p *patient) { p.args = []string{"--card", "soft:nowhere"} }, map[string]string{"card": "no such file"}},
		{"no soft card", func(p *patient) { p.args = []string{"--card", "soft:" + filepath.Join(p.dir, "trust", "root.pem")} }, map[string]string{"card": "testpki card"}},
		{"no name of a card", func(p *patient) { p.args = []string{"--card", "mine"} }, map[string]string{"card": "peer cards"}},
		{"no URI", func(p *patient) { p.args = []string{"--card", "pkcs11:token=%zz"} }, map[string]string{"card": "shows the URIs"}},
		{"no card in the reader", func(p *patient) { p.holds(anyCard, pkcs11card.Token{Module: "m", Reader: "R"}) }, map[string]string{"card": "into the reader"}},
		{"a card that no module knows", func(p *patient) {
			p.has(anyCard, pkcs11card.Module{Path: "m", Unknown: []string{"Gemalto 0"}, Tokens: []pkcs11card.Token{{Reader: "R"}}})
		}, map[string]string{"card": "in Gemalto 0 is something"}},
		{"a token that is new", func(p *patient) { p.has(anyCard, pkcs11card.Module{Path: "m", Blank: []string{"Slot 0"}}) },
			map[string]string{"card": "in Slot 0 is a token that was never initialised"}},
		{"two cards", func(p *patient) {
			one, other := p.token(""), p.token("")
			other.Slot = 1
			p.holds(anyCard, one, other)
		}, map[string]string{"card": "Name one with --card"}},
		{"a key that can be copied", func(p *patient) {
			t := p.token("")
			t.Certificates[0].Exportable = true
			p.holds(cardURI, t)
		}, map[string]string{"card": "holding the card proves nothing"}},
		{"a certificate that cannot be read", func(p *patient) {
			t := p.token("")
			t.Certificates[0].Certificate = &x509.Certificate{Raw: []byte("x")}
			p.holds(cardURI, t)
		}, map[string]string{"card": "Nothing here can mend it"}},
		{"PIN locked", func(p *patient) { p.holds(cardURI, p.token(pkcs11card.PINLocked)) }, map[string]string{"pin": "can unlock it"}},
		{"last try", func(p *patient) { p.holds(cardURI, p.token(pkcs11card.PINFinal)) }, map[string]string{"pin": "one more wrong PIN locks"}},
	}, []illness{ // certificates
		{"expired card", func(p *patient) {
			p.card.NotBefore, p.card.NotAfter = now().AddDate(0, 0, -30), now().AddDate(0, 0, -1)
		}, map[string]string{"validity": "have the card renewed"}},
		{"a card that expires soon", func(p *patient) { p.card.NotAfter = now().AddDate(0, 0, 29) }, map[string]string{"validity!": "29 days"}},
		{"card of tomorrow", func(p *patient) { p.card.NotBefore, p.timeless = now().Add(24*time.Hour), true },
			map[string]string{"validity": "not yet", "clock": "Set date and time"}},
		{"certificate for legally binding signatures", func(p *patient) {
			p.card.Edit = func(c *x509.Certificate) { c.KeyUsage |= x509.KeyUsageContentCommitment }
		}, map[string]string{"usage": "name the one for authentication"}},
		{"a server's certificate on the card", func(p *patient) {
			p.card.Edit = func(c *x509.Certificate) { c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth} }
		}, map[string]string{"chain": "a server's certificate"}},
		{"no trust folder", func(p *patient) { try(p.t, os.RemoveAll(filepath.Join(p.dir, "trust"))) }, map[string]string{"trust": "name their folder with --trust"}},
		{"no root in it", func(p *patient) { p.distrusts("root") }, map[string]string{"trust": "no root among"}},
		{"nowhere to look for it", func(p *patient) {
			delete(p.flags, "--trust")
			p.t.Setenv("HOME", "")
			p.t.Setenv("XDG_CONFIG_HOME", "")
		}, map[string]string{"trust": "Name one with --trust DIR"}},
		{"an authority is missing", func(p *patient) { p.chain = 1; p.distrusts("card-ca") },
			map[string]string{"chain": `the certificate of "Sinete Trial Cartão de Cidadão 001" is missing, which issued "Sinete Trial EC de Autenticação do Cartão de Cidadão 0001"`}},
		{"an authority is missing that says where it is", func(p *patient) {
			p.chain = 1
			p.distrusts("authentication-ca")
			p.card.Edit = func(c *x509.Certificate) { c.IssuingCertificateURL = []string{"http://pki.example/ca.cer"} }
		}, map[string]string{"chain": "published at http://pki.example/ca.cer, says"}},
		{"authorities of another organisation", func(p *patient) { p.lives(elsewhere) }, map[string]string{"chain": `"Sinete Trial State Root" that is there is another one`, "relay-certificate": "is another one"}},
		{"another root on the card", func(p *patient) { p.lives(elsewhere); p.chain = 5 },
			map[string]string{"chain": "says that this root is theirs", "relay-certificate": "is another one"}},
		{"signed with SHA-1", func(p *patient) {
			p.card.Edit = func(c *x509.Certificate) { c.SignatureAlgorithm = x509.ECDSAWithSHA1 }
		}, map[string]string{"chain": `001" signed "Ana`}},
		{"an authority has expired", (*patient).ages, map[string]string{"chain": "authority's newer certificate"}},
	}, []illness{ // revocation, and the clock
		{"revoked", func(p *patient) { p.revokes("ana", ocsp.KeyCompromise) },
			map[string]string{"revocation": "since 2000-01-01 00:00: its key may be in other hands"}},
		{"suspended", func(p *patient) { p.revokes("ana", ocsp.CertificateHold) }, map[string]string{"revocation": "end the suspension"}},
		{"the relay is revoked", func(p *patient) { p.revokes("relay.example", ocsp.Unspecified) }, map[string]string{"relay-revocation": "Do not go on"}},
		{"nobody knows the card", func(p *patient) { p.answer(0, func(r *ocsp.Response) { r.Status = ocsp.Unknown }) },
			map[string]string{"revocation": "not heard of it", "relay-revocation": "not heard of it"}},
		{"nobody answers", func(p *patient) { p.err = errors.New("connection refused") },
			map[string]string{"revocation": "http://ocsp.example: connection refused", "relay-revocation": "Try again later"}},
		{"authorities on a private network", func(p *patient) { p.err = &revocation.AddressError{Reason: "10.1.2.3"} },
			map[string]string{"revocation": "--revocation-network", "relay-revocation": "--revocation-network"}},
		{"nobody to ask", func(p *patient) { p.card.Edit = noResponder }, map[string]string{"revocation": "which is for trials"}},
		{"answers out of date", func(p *patient) { p.listless = true; p.answer(-48*time.Hour, nil) },
			map[string]string{"revocation": "The authority's service is out of date", "relay-revocation": "The authority's service is out of date"}},
		{"answers out of date, and no other clock", func(p *patient) { p.listless, p.timeless = true, true; p.answer(-48*time.Hour, nil) },
			map[string]string{"revocation": "Is the date of this machine right?", "relay-revocation": "Is the date of this machine right?"}},
		{"a clock that is behind", func(p *patient) { p.listless, p.ahead = true, 3*time.Hour; p.answer(3*time.Hour, nil) },
			map[string]string{"revocation": "Set date and time", "relay-revocation": "Set date and time", "clock": "is 3h0m0s ahead"}},
		{"a clock that is ahead", func(p *patient) { p.listless, p.ahead = true, -3*time.Hour; p.answer(-3*time.Hour, nil) },
			map[string]string{"revocation": "Set date and time", "relay-revocation": "Set date and time", "clock": "is 3h0m0s behind"}},
		{"nobody answers, and the last answer serves", func(p *patient) {
			p.flags["--revocation"] = "grace"
			p.later = func() { time.Sleep(2 * time.Hour); p.err = errors.New("down") }
		}, map[string]string{"revocation!": "held until 2000-01-01 01:00", "relay-revocation!": "by --revocation grace until 2000-01-02 01:00"}},
	}, []illness{ // the relay
		{"no address", func(p *patient) { p.address = "relay.example" }, map[string]string{"relay": "HOST:PORT"}},
		{"no such name", func(p *patient) {
			p.program.socket = func(a string) (net.PacketConn, net.Addr, error) {
				return nil, nil, &peer.AddressError{Address: a, Err: &net.DNSError{Err: "no such host", Name: a}}
			}
		}, map[string]string{"relay": "name server"}},
		{"no answer", func(p *patient) { p.silent(echoNothing) }, map[string]string{"relay": "let UDP through"}},
		{"a closed port", func(p *patient) { p.silent(echoRefused) }, map[string]string{"relay": "The machine is there."}},
		{"no way there", func(p *patient) { p.silent(echoNoRoute) }, map[string]string{"relay": "a VPN"}},
		{"another service", func(p *patient) { p.silent(echoOther) }, map[string]string{"relay": "another service"}},
		{"small packets only", func(p *patient) { p.silent(echoQUIC) }, map[string]string{"relay": "drops large packets"}},
		{"another version", (*patient).answersVersions, map[string]string{"relay": "update the older"}},
		{"a full relay", func(p *patient) { p.server.MaxConnections = -1 }, map[string]string{"relay": "Try again later"}},
		{"another relay", func(p *patient) { p.address = "other.example:7443" }, map[string]string{"relay-certificate": "--relay-name relay.example"}},
		{"the relay's certificate has expired", func(p *patient) { p.relay.NotAfter = now().Add(-time.Minute) }, map[string]string{"relay-certificate": "tell whoever runs the relay"}},
		{"a person in the relay's place", func(p *patient) {
			p.relay.Edit = func(c *x509.Certificate) { c.ExtKeyUsage = nil }
		}, map[string]string{"relay-certificate": "no server's certificate"}},
	}, []illness{ // what is kept
		{"nothing can be kept", func(p *patient) {
			file := filepath.Join(p.dir, "file")
			try(p.t, os.WriteFile(file, nil, 0o600))
			p.t.Setenv("XDG_CACHE_HOME", file)
		}, map[string]string{"places!": "asked anew"}},
		{"a damaged memory", func(p *patient) {
			p.program.Memory = filepath.Join(p.dir, "card")
			try(p.t, os.WriteFile(p.program.Memory, []byte("x"), 0o600))
		}, map[string]string{"places!": "Delete it"}},
	})
}

// Each illness is found, nothing else is complained of, and every remedy of remedies.go is given to somebody, and no other.
func TestDoctor(t *testing.T) {
	world, all := newWorld(t), illnesses(newWorld(t))
	pharmacy, seen := newPharmacy(t), 0
	for _, c := range all {
		t.Run(c.name, func(t *testing.T) {
			seen++
			checks, status := diagnose(t, world, c.ill)
			failed := 0
			for name, e := range checks {
				pharmacy.takes(t, e)
				if !e.OK {
					failed = 1
				}
				words, fails := c.want[name]
				soon, warns := c.want[name+"!"]
				if e.OK == fails || warns != (e.OK && e.Remedy != "") || !strings.Contains(e.Text+" "+e.Remedy, words+soon) {
					t.Errorf("%+v, want %q", e, words+soon)
				}
			}
			if status != failed {
				t.Errorf("status %d, want %d", status, failed)
			}
			for name := range c.want {
				if _, there := checks[strings.TrimSuffix(name, "!")]; !there {
					t.Errorf("%s is missing in %+v", name, checks)
				}
			}
		})
	}
	for _, name := range slices.Sorted(maps.Keys(pharmacy.forms)) {
		if seen == len(all) && !pharmacy.given[name] {
			t.Errorf("%s is never given: add an illness that it helps against", name)
		}
	}
}

// What one thing that is broken does not concern is checked all the same, in the order in which one depends on the other.
func TestDoctorGoesOn(t *testing.T) {
	world := newWorld(t)
	for name, ill := range map[string]func(p *patient){
		"versions clock trust relay relay-certificate relay-revocation places": func(p *patient) { p.args = []string{"--card", "soft:nowhere"} },
		"versions card clock validity usage relay places":                      func(p *patient) { try(p.t, os.RemoveAll(filepath.Join(p.dir, "trust"))) },
		"versions module reader card pin trust validity usage chain relay relay-certificate revocation relay-revocation clock places": func(p *patient) {
			p.holds(cardURI, p.token(""))
		},
	} {
		checks, _ := diagnose(t, world, ill)
		for _, want := range strings.Fields(name) {
			if _, there := checks[want]; !there {
				t.Errorf("%s is not checked: %+v", want, checks)
			}
		}
	}
}

// An interrupt ends the waiting for whatever it is, and is not told as something to mend.
func TestDoctorInterrupted(t *testing.T) {
	world := newWorld(t)
	for name, ill := range map[string]func(p *patient){
		"a module that hangs": func(p *patient) {
			p.args = []string{"--card", cardURI}
			p.program.machine.survey = func(ctx context.Context, _ []string) []pkcs11card.Module {
				<-ctx.Done()
				return []pkcs11card.Module{failing(ctx.Err())}
			}
		},
		"a silent relay":     func(p *patient) { p.silent(echoNothing) },
		"a silent authority": func(p *patient) { p.hangs = make(chan struct{}) },
	} {
		t.Run(name, func(t *testing.T) {
			checks, status := diagnose(t, world, func(p *patient) {
				ill(p)
				p.program.Interrupts = func(signals chan<- os.Signal) func() {
					time.AfterFunc(time.Second, func() { signals <- os.Interrupt })
					return func() {}
				}
			})
			for _, e := range checks {
				if !e.OK {
					t.Errorf("%+v", e)
				}
			}
			if _, told := checks["interrupted"]; !told || status != trouble.StatusFailed {
				t.Errorf("status %d: %+v", status, checks)
			}
		})
	}
}

// What is well says what a person wants to know of it.
func TestDoctorTells(t *testing.T) {
	world := newWorld(t)
	checks, _ := diagnose(t, world, func(p *patient) {
		one := p.token("")
		one.Profile = profile.Profile{Name: "Cartão de Cidadão v2", EachTime: true, CAN: true}
		old := one.Certificates[0]
		p.card.NotBefore, p.card.NotAfter = time.Now().AddDate(-2, 0, 0), time.Now().AddDate(-1, 0, 0)
		old.Certificate = p.token("").Certificates[0].Certificate
		one.Certificates = append(one.Certificates, old)
		p.has(anyCard, pkcs11card.Module{Path: "m", Description: "OpenSC smartcard framework", Version: "0.26", Maker: "OpenSC Project", Tokens: []pkcs11card.Token{one}})
	})
	for name, want := range map[string]string{
		"versions":         "protocol 1, go1.",
		"module":           "m: OpenSC smartcard framework 0.26, of OpenSC Project",
		"reader":           "R",
		"card":             "on CARD (Cartão de Cidadão v2, P-256): it is the one within its validity",
		"pin":              "so the card signs once, for a key that seals during the session; without contact, the six digits",
		"chain":            "leads to Sinete Trial State Root",
		"revocation":       "the first answer holds until 2000-01-01 01:00",
		"relay-revocation": "the first answer holds until 2000-01-01 01:00",
		"relay":            "answers, in version 1 of the protocol, after 2ms",
		"clock":            "2000-01-01 00:00, and that of http://ocsp.example agrees",
	} {
		if e := checks[name]; !e.OK || !strings.Contains(e.Text, want) {
			t.Errorf("%s: %+v, want %q", name, e, want)
		}
	}
}

func TestDoctorInLines(t *testing.T) {
	dir := t.TempDir()
	_, err := trialpki.Create(dir, trialpki.Options{})
	try(t, err)
	t.Setenv("XDG_CACHE_HOME", filepath.Join(dir, "trust", "root.pem"))
	var out strings.Builder
	p := &practice{Terminal: terminal.Terminal{Stdout: &out, Stderr: &out}, Means: TheseMeans()}
	status := p.Run(t, []string{"doctor", "--trust", filepath.Join(dir, "trust"), "--card", "soft:" + filepath.Join(dir, "no\x1b.card")})
	for _, want := range []string{"ok  versions ", "--  card ", "<U+001B>", "\n                       testpki card", "ok  trust              1 root and 4 authorities below in ", "ok  clock",
		"!!  places", "One thing is to be mended."} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("%q lacks %q", out.String(), want)
		}
	}
	if status != 1 {
		t.Errorf("status %d", status)
	}
}

// The system tells of a port that is closed; of one whose owner says nothing, nobody does.
func TestProbe(t *testing.T) {
	listen := func() net.PacketConn {
		c, err := net.ListenPacket("udp", "127.0.0.1:0")
		try(t, err)
		t.Cleanup(func() { c.Close() })
		return c
	}
	closed := listen()
	closed.Close()
	if got := probe(t.Context(), closed.LocalAddr()); got != echoRefused {
		t.Errorf("a closed port: %s", got)
	}
	ctx, cancel := context.WithCancel(t.Context())
	silent := listen()
	got := make(chan echo)
	go func() { got <- probe(ctx, silent.LocalAddr()) }()
	b := make([]byte, 2048)
	if n, _, err := silent.ReadFrom(b); err != nil || n != 1200 || b[0]&0xc0 != 0xc0 {
		t.Errorf("%d bytes, %v", n, err)
	}
	cancel()
	if e := <-got; e != echoNothing {
		t.Errorf("silence: %s", e)
	}
	for want, answer := range map[echo]string{echoOther: "220 mail", echoQUIC: "\x80\x00\x00\x00\x00\x00\x00\x00\x00\x00\x01"} {
		other := listen()
		go func() { got <- probe(t.Context(), other.LocalAddr()) }()
		_, from, err := other.ReadFrom(b)
		try(t, err)
		_, err = other.WriteTo([]byte(answer), from)
		try(t, err)
		if e := <-got; e != want {
			t.Errorf("%q: %s", answer, e)
		}
	}
	if got := probe(t.Context(), &net.UDPAddr{IP: net.ParseIP("fe80::1"), Port: 9}); got != echoNoRoute {
		t.Errorf("an address without its network: %s", got)
	}
}

// TestManualChecks: the manual has each check, in the order in which a doctor for whom all is well shows them.
func TestManualChecks(t *testing.T) {
	world := newWorld(t)
	manual, err := os.ReadFile(filepath.Join("..", "..", "..", "..", "docs", "manual.md"))
	try(t, err)
	_, section, _ := strings.Cut(string(manual), "## Checks of peer doctor")
	section, _, _ = strings.Cut(section, "\n## ")
	var described []string
	for line := range strings.Lines(section) {
		if name, ok := strings.CutPrefix(line, "| `"); ok {
			name, _, _ = strings.Cut(name, "`")
			described = append(described, name)
		}
	}
	var shown []string
	diagnose(t, world, func(p *patient) {
		p.holds(cardURI, p.token(""))
		p.shown = &shown
	})
	if !slices.Equal(shown, described) {
		t.Errorf("shown are      %q\ndescribed are %q", shown, described)
	}
}

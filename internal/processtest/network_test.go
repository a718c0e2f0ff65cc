//go:build cgo

package processtest

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"sinete/internal/udpproxy"
)

// through puts a network of its own before a relay.
func through(t *testing.T, r *relay) *udpproxy.Proxy {
	t.Helper()
	p, err := udpproxy.Listen(r.address, 1)
	must(t, err)
	t.Cleanup(p.Close)
	return p
}

// steady is somebody whose card signs once, at login, and whose process writes down what the card signs.
type steady struct {
	person
	records string
}

func loginSteady(t *testing.T, address, card string, args ...string) *steady {
	t.Helper()
	s := &steady{records: filepath.Join(t.TempDir(), "records")}
	s.process = chat(t, address, card, []string{"SINETE_TEST_RECORDS=" + s.records}, append(args, "--sign", "delegated")...)
	s.event("session", "state", "open")
	return s
}

// undisturbed ends it all, and wants nobody to have logged in but once, and no card to have signed anything else.
func undisturbed(t *testing.T, r *relay, people ...*steady) {
	t.Helper()
	for _, s := range people {
		s.leave()
		b, err := os.ReadFile(s.records)
		must(t, err)
		if _, signatures := recorded(t, b); len(signatures) != 1 {
			t.Errorf("%s: the card has signed %d times", s.Name, len(signatures))
		}
	}
	r.stop()
	if n := strings.Count(r.Stderr(), "msg=login "); n != len(people) {
		t.Errorf("%d logins of %d people:\n%s", n, len(people), r.Stderr())
	}
}

func connectedSteady(t *testing.T, alice, bruno *steady) {
	t.Helper()
	alice.person, bruno.person = connected(t, alice.process, bruno.process, "Alice", "Bruno")
	talk(t, alice.person, bruno.person, "before")
}

// hears takes so many texts, in order, the receipt for as many of one's own, and new keys.
func (s *steady) hears(texts int) {
	s.t.Helper()
	rekeyed := false
	for heard, confirmed := 0, false; heard < texts || !confirmed || !rekeyed; {
		e, err := s.Next()
		must(s.t, err)
		switch {
		case e.Is("receipt", "stage", "peer", "seq", texts):
			confirmed = true
		case e.Is("message", "text", fmt.Sprint("text ", heard), "seq", heard+1):
			heard++
		case e["event"] == "conversation" && e["state"] == "open" && !e.Is("conversation", "epoch", 0):
			rekeyed = true
		case e["event"] != "receipt" && !e.Is("warning", "code", "rekey-waiting"):
			s.t.Fatalf("after %d texts %s says %v", heard, s.Name, e)
		}
	}
}

// One datagram in twenty is lost, each takes 200 ms, and they overtake each other: people talk and take new keys all the same, and nothing
// of it ends.
func TestBadWeather(t *testing.T) {
	t.Parallel()
	r := startRelay(t, trial)
	weather := udpproxy.Weather{Drop: 0.05, Delay: 200 * time.Millisecond, Jitter: 50 * time.Millisecond}
	var people []*steady
	for _, name := range []string{"alice", "bruno"} {
		network := through(t, r)
		network.Set(weather)
		people = append(people, loginSteady(t, network.Addr(), soft(name), "--rekey-messages", "40"))
	}
	connectedSteady(t, people[0], people[1])
	const texts = 60
	for _, p := range people {
		for i := range texts {
			p.says(fmt.Sprintf("send##%s##text %d", p.other, i))
		}
	}
	for _, p := range people {
		p.hears(texts)
	}
	undisturbed(t, r, people...)
}

// A NAT between somebody and the relay forgets them, again and again: the session goes on, and the card is not asked.
func TestForgottenByTheNAT(t *testing.T) {
	t.Parallel()
	r := startRelay(t, trial)
	network := through(t, r)
	alice, bruno := loginSteady(t, network.Addr(), soft("alice")), loginSteady(t, r.address, soft("bruno"))
	connectedSteady(t, alice, bruno)
	for i := range 3 {
		must(t, network.Rebind())
		talk(t, alice.person, bruno.person, fmt.Sprint("from alice first ", i))
		must(t, network.Rebind())
		began := time.Now()
		talk(t, bruno.person, alice.person, fmt.Sprint("from bruno first ", i))
		if took := time.Since(began); took > soon {
			t.Errorf("alice was reached after %v", took)
		}
	}
	undisturbed(t, r, alice, bruno)
}

// A laptop sleeps for longer than the relay waits for it, and wakes: the other side saw it leave, and it is back within seconds, with what
// was written meanwhile.
func TestSleep(t *testing.T) {
	t.Parallel()
	r, alice, bruno := friends(t)
	alice.signal(syscall.SIGSTOP)
	bruno.event("conversation", "state", "closed", "reason", "cut")
	bruno.says("send##" + bruno.other + "##while you slept")
	alice.signal(syscall.SIGCONT)
	began := time.Now()
	alice.event("session", "state", "closed", "reason", "cut", "again", true)
	alice.event("session", "state", "open")
	if took := time.Since(began); took > 10*time.Second {
		t.Errorf("alice was back after %v", took)
	}
	alice.event("message", "text", "while you slept")
	bruno.event("receipt", "stage", "peer", "seq", 1)
	alice.leave()
	bruno.leave()
	r.stop()
}

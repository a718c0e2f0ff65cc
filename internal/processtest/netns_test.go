//go:build cgo && linux

package processtest

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// namespace is a network namespace: a machine as far as networks are concerned.
type namespace struct {
	t    *testing.T
	name string
}

func newNamespace(t *testing.T, name string) namespace {
	t.Helper()
	n := namespace{t, fmt.Sprintf("sinete-%d-%s", os.Getpid(), name)}
	out, err := exec.Command("ip", "netns", "add", n.name).CombinedOutput()
	if err != nil {
		t.Fatalf("a change of address cannot be tried without network namespaces, which need root and iproute2: %v\n%s", err, out)
	}
	t.Cleanup(func() { must(t, exec.Command("ip", "netns", "del", n.name).Run()) })
	n.ip("link", "set", "lo", "up")
	return n
}

// ip changes the namespace's network.
func (n namespace) ip(args ...string) {
	n.t.Helper()
	if out, err := exec.Command("ip", append([]string{"-n", n.name}, args...)...).CombinedOutput(); err != nil {
		n.t.Fatalf("ip %v: %v\n%s", args, err, out)
	}
}

// cable connects two namespaces, which call their ends by the same name.
func cable(a, b namespace, name, mtu string) {
	a.ip("link", "add", name, "mtu", mtu, "type", "veth", "peer", "name", name, "mtu", mtu, "netns", b.name)
	a.ip("link", "set", name, "up")
	b.ip("link", "set", name, "up")
}

// start runs a program there until the test ends.
func (n namespace) start(t *testing.T, name, path string, env []string, args ...string) *process {
	t.Helper()
	return start(t, name, "ip", env, append([]string{"netns", "exec", n.name, path}, args...)...)
}

// A laptop changes its network: another address of the same one, a gap without any, a network with a smaller packet size, and back. Whatever
// it is, the session goes on, and the card is not asked.
func TestChangeOfAddress(t *testing.T) {
	t.Parallel()
	hub, laptop := newNamespace(t, "hub"), newNamespace(t, "laptop")
	cable(hub, laptop, "wlan", "1500")
	cable(hub, laptop, "vpn", "1400")
	hub.ip("addr", "add", "10.77.0.1/32", "dev", "lo")
	hub.ip("addr", "add", "10.77.1.1/24", "dev", "wlan")
	hub.ip("addr", "add", "10.77.2.1/24", "dev", "vpn")
	online := func(device, address string) {
		laptop.ip("addr", "add", address+"/24", "dev", device)
		laptop.ip("route", "replace", "default", "via", address[:strings.LastIndex(address, ".")]+".1")
	}
	offline := func(device string) { laptop.ip("addr", "flush", "dev", device) }
	online("wlan", "10.77.1.2")

	const address = "10.77.0.1:7443"
	config, err := os.ReadFile(filepath.Join(trial, "relay.toml"))
	must(t, err)
	file := filepath.Join(trial, "in-a-namespace.toml")
	must(t, os.WriteFile(file, []byte(strings.Replace(string(config), "127.0.0.1:0", address, 1)), 0o600))
	r := &relay{hub.start(t, "the relay", filepath.Join(bin, "relay"), nil, "serve", "--config", file), address}
	_, err = r.Line("listening on ADDR", func(l string) bool { return l == "listening on "+address })
	must(t, err)
	people := make([]*steady, 2)
	for i, n := range []namespace{laptop, hub} {
		name := []string{"alice", "bruno"}[i]
		s := &steady{records: filepath.Join(t.TempDir(), "records")}
		s.process = n.start(t, "the program of "+name, filepath.Join(bin, "peer"), []string{"SINETE_TEST_RECORDS=" + s.records}, "chat", address,
			"--card", soft(name), "--trust", filepath.Join(trial, "trust"), "--revocation", "off", "--json", "--relay-name", "localhost", "--sign", "delegated")
		s.event("session", "state", "open")
		people[i] = s
	}
	alice, bruno := people[0], people[1]
	connectedSteady(t, alice, bruno)

	long := strings.Repeat("x", 50_000)
	reached := func(what string) { // from whom nothing was heard since
		t.Helper()
		began := time.Now()
		talk(t, bruno.person, alice.person, what)
		talk(t, alice.person, bruno.person, what+long)
		if took := time.Since(began); took > soon {
			t.Errorf("%s: alice was reached after %v", what, took)
		}
	}
	reached("before")
	offline("wlan")
	online("wlan", "10.77.1.3")
	reached("another address")

	offline("wlan")
	bruno.says("send##" + bruno.other + "##into the gap") // and alice sends into it, too
	alice.says("send##" + alice.other + "##out of the gap")
	<-time.After(7 * time.Second) // the gap: longer than alice's program waits between two looks at the network
	online("vpn", "10.77.2.2")
	alice.event("message", "text", "into the gap")
	bruno.event("message", "text", "out of the gap")
	reached("smaller packets")

	offline("vpn")
	online("wlan", "10.77.1.2")
	reached("back again")

	undisturbed(t, r, alice, bruno)
}

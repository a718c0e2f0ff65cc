//go:build cgo

package processtest

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// Logins that fail: each says a stable word and what to do, ends with its status, and disturbs nobody.
func TestLoginsThatFail(t *testing.T) {
	t.Parallel()
	r, alice, bruno := friends(t)
	dir := t.TempDir()

	damaged := filepath.Join(dir, "damaged.card")
	whole, err := os.ReadFile(filepath.Join(trial, "carla.card"))
	must(t, err)
	must(t, os.WriteFile(damaged, whole[:len(whole)/2], 0o600))

	both := filepath.Join(dir, "both") // trusts both hierarchies: the stranger's own program finds nothing wrong with her card
	must(t, os.MkdirAll(both, 0o700))
	for _, hierarchy := range []string{trial, stranger} {
		must(t, os.CopyFS(filepath.Join(both, filepath.Base(hierarchy)), os.DirFS(filepath.Join(hierarchy, "trust"))))
		files, err := filepath.Glob(filepath.Join(both, filepath.Base(hierarchy), "*"))
		must(t, err)
		for _, f := range files {
			must(t, os.Rename(f, filepath.Join(both, filepath.Base(hierarchy)+"-"+filepath.Base(f))))
		}
		must(t, os.Remove(filepath.Join(both, filepath.Base(hierarchy))))
	}

	impostor := startRelay(t, stranger)
	silent, err := net.ListenPacket("udp", "127.0.0.1:0") // takes the port so that nobody else does, and answers nothing
	must(t, err)
	defer silent.Close()

	mallory := "soft:" + filepath.Join(stranger, "mallory.card") + "?pin-value=" + softPIN
	onlyTokens := []string{"SINETE_PKCS11_MODULE=" + module}
	withoutTokens := append(onlyTokens, "SOFTHSM2_CONF="+noTokens)
	for _, c := range []struct {
		name    string
		address string // the relay's if empty
		card    string
		args    []string
		env     []string
		code    string
		status  int
		advice  string
	}{
		{name: "wrong PIN", card: "soft:" + filepath.Join(trial, "carla.card") + "?pin-value=9999",
			code: "pin-wrong", status: 3, advice: "Log in again with the right one"},
		{name: "wrong PIN of a token", card: tokenCard["rita"] + "&pin-value=9999",
			code: "pin-wrong", status: 3, advice: "Log in again with the right one"},
		{name: "no PIN and nobody to ask", card: tokenCard["rita"],
			code: "pin-needed", status: 1, advice: "pin-source=file:PATH"},
		{name: "no card", env: withoutTokens,
			code: "no-card", status: 1, advice: "Put the card into the reader"},
		{name: "several cards", env: onlyTokens,
			code: "card-ambiguous", status: 1, advice: "Name one with --card:\npkcs11:token="},
		{name: "no such token", card: strings.ReplaceAll(token("rita"), "token=rita", "token=nobody"),
			code: "no-card", status: 1, advice: "peer cards"},
		{name: "no such file", card: soft("nobody"),
			code: "no-card", status: 1, advice: "testpki card"},
		{name: "damaged file", card: "soft:" + damaged + "?pin-value=" + softPIN,
			code: "card-unreadable", status: 1, advice: "testpki card"},
		{name: "no name of a card", card: "carla",
			code: "card-name", status: 2, advice: "peer cards shows"},
		{name: "another authority's card", card: mallory,
			code: "certificate-invalid", status: 3, advice: "--trust folder"},
		{name: "another authority's card, refused by the relay", card: mallory, args: []string{"--trust", both},
			code: "certificate-invalid", status: 3, advice: "authorities that both sides trust"},
		{name: "expired card", card: soft("old"),
			code: "certificate-expired", status: 3, advice: "Otherwise have the card renewed"},
		{name: "no trust folder", card: soft("carla"), args: []string{"--trust", filepath.Join(dir, "none")},
			code: "trust-missing", status: 1, advice: "--trust DIR"},
		{name: "another relay than the one meant", card: soft("carla"), args: []string{"--relay-name", "relay.example.org"},
			code: "relay-untrusted", status: 3, advice: "(--relay-name)"},
		{name: "a relay of another authority", address: impostor.address, card: soft("carla"),
			code: "relay-untrusted", status: 3, advice: "somebody may be in between: do not go on"},
		{name: "nobody listens", address: silent.LocalAddr().String(), card: soft("carla"),
			code: "relay-unreachable", status: 1, advice: "is the relay running"},
		{name: "no address", address: "relay", card: soft("carla"),
			code: "relay-address", status: 2, advice: "HOST:PORT"},
		{name: "no such host", address: "relay.invalid:7443", card: soft("carla"),
			code: "relay-unreachable", status: 1, advice: "Is the name right"},
		{name: "no such suite", card: soft("carla"), args: []string{"--suite", "ROT13"},
			code: "suite-unsupported", status: 2, advice: "There are X25519MLKEM768-AES256GCM-SHA384"},
		{name: "revocation hard, and nobody to ask", card: soft("carla"), args: []string{"--revocation", "hard"},
			code: "revocation-unknown", status: 3, advice: "--revocation-network NET"},
		{name: "the same card again", card: soft("alice"),
			code: "card-in-use", status: 3, advice: "Leave the other session first"},
	} {
		t.Run(c.name, func(t *testing.T) {
			address := c.address
			if address == "" {
				address = r.address
			}
			p := chat(t, address, c.card, c.env, c.args...)
			e := p.event("error")
			if text := fmt.Sprint(e["text"]); e["code"] != c.code || !strings.Contains(text, c.advice) {
				t.Errorf("%s: %q\nwhere %s should be, with the advice %q", e["code"], text, c.code, c.advice)
			}
			if strings.Contains(fmt.Sprint(e["text"]), "9999") || strings.Contains(p.Stderr(), "9999") {
				t.Error("the PIN is shown")
			}
			p.ends(c.status)
		})
		talk(t, alice, bruno, "undisturbed by "+c.name)
	}
	alice.leave()
	bruno.leave()
	r.stop()
}

// Commands that are refused: each says why and what to do, and the session goes on.
func TestCommandsThatAreRefused(t *testing.T) {
	t.Parallel()
	r, alice, bruno := friends(t)
	carla := login(t, r, soft("carla"))
	toAlice := carla.idOf("Alice")
	for _, c := range []struct{ name, command, code, advice string }{
		{"unknown number", "connect#99", "unknown-peer", "list shows who is"},
		{"unknown name", "connect#Zeferino", "unknown-peer", "list shows who is"},
		{"nobody to write to", "send##99##olá", "not-connected", "connect#99 connects you"},
		{"never connected", "send##" + toAlice + "##olá", "not-connected", "connects you"},
		{"nothing to end", "disconnect#" + toAlice, "not-connected", "connects you"},
		{"oversized message", "send##" + toAlice + "##" + strings.Repeat("x", 128<<10), "message-too-large", "send it in parts"},
		{"unknown command", "dance", "unknown-command", "menu names them"},
		{"unknown suite", "connect#" + toAlice + "##ROT13", "suite-unsupported", "There are X25519MLKEM768-AES256GCM-SHA384"},
		{"badly written", "send#" + toAlice + "#olá", "bad-command", "send##ID##TEXT"},
		{"nothing to send", "send##" + toAlice + "##", "bad-command", "send##ID##TEXT"},
	} {
		t.Run(c.name, func(t *testing.T) {
			refused(t, carla, c.command, c.code, c.advice)
		})
	}
	for _, c := range []struct{ name, command, code, advice string }{
		{"connected already", "connect#" + alice.other, "already-connected", "connected shows with whom"},
		{"oversized message to a friend", "send##" + alice.other + "##" + strings.Repeat("x", 61_001), "message-too-large", "at most 61000 bytes"},
		{"no text", "send##" + alice.other + "##\xff", "malformed", "UTF-8"},
	} {
		t.Run(c.name, func(t *testing.T) {
			refused(t, alice.process, c.command, c.code, c.advice)
			talk(t, alice, bruno, "undisturbed")
		})
	}
	a, c := connected(t, alice.process, carla, "Alice", "Carla")
	talk(t, a, c, "good for nothing? no")
	largest := strings.Repeat("x", 61_000)
	talk(t, alice, bruno, largest)
	carla.leave()
	alice.leave()
	bruno.leave()
	r.stop()
}

func refused(t *testing.T, p *process, command, code, advice string) {
	t.Helper()
	p.says(command)
	e, err := p.Event("refused")
	must(t, err)
	if e["code"] != code || !strings.Contains(fmt.Sprint(e["text"]), advice) {
		t.Errorf("%s: %q\nwhere %s should be, with the advice %q", e["code"], e["text"], code, advice)
	}
}

// Programs that are called wrongly, or configured for what is not built, say so on standard error.
func TestWrongUsage(t *testing.T) {
	t.Parallel()
	config, err := os.ReadFile(filepath.Join(trial, "relay.toml"))
	must(t, err)
	soft := filepath.Join(trial, "soft.toml")
	must(t, os.WriteFile(soft, []byte(strings.Replace(string(config), `revocation = "off"`, `revocation = "soft"`, 1)), 0o600))
	slip := filepath.Join(trial, "slip.toml")
	must(t, os.WriteFile(slip, append(config, "\npolcy = \"equal\"\n"...), 0o600))
	for _, c := range []struct {
		args   []string
		status int
		advice string
	}{
		{[]string{"peer", "dance"}, 2, "peer --help"},
		{[]string{"peer", "chat"}, 2, "peer --help"},
		{[]string{"peer", "chat", "localhost:7443", "--json", "--plain"}, 2, "peer --help"},
		{[]string{"peer", "chat", "localhost:7443", "--sign", "badly"}, 2, "peer --help"},
		{[]string{"relay", "dance"}, 2, "relay --help"},
		{[]string{"relay", "serve"}, 1, "relay init DIR"},
		{[]string{"relay", "serve", "--config", soft}, 1, "hard, or grace, or off"},
		{[]string{"relay", "serve", "--config", slip}, 1, "The keys are: listen"},
		{[]string{"testpki", "card", trial}, 2, "testpki --help"},
		{[]string{"testpki", "init", trial}, 1, "name another directory"},
	} {
		t.Run(strings.Join(c.args[:min(2, len(c.args))], " "), func(t *testing.T) {
			p := start(t, c.args[0], filepath.Join(bin, c.args[0]), nil, c.args[1:]...)
			p.ends(c.status)
			if !strings.Contains(p.Stderr(), c.advice) {
				t.Errorf("%q does not say %q but:\n%s", c.args, c.advice, p.Stderr())
			}
		})
	}
}

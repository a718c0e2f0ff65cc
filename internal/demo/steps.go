package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"sinete/internal/program"
)

// step is one thing that is shown.
type step struct {
	name, shows string
	do          func(*world) error
	sabotage    func(*world) error // breaks the world so that do must fail
}

var steps = []step{
	{"world", "a trial hierarchy, a relay's certificate, four people's cards", makeWorld, func(w *world) error {
		return os.WriteFile(w.dir+".blocked", nil, 0o600)
	}},
	{"ocsp", "a responder that says whether cards still hold", startResponder, func(w *world) error {
		return os.Remove(filepath.Join(w.dir, "ca", "root.key"))
	}},
	{"relay", "a relay, its levels, waiting for peers", startRelay, func(w *world) error {
		return os.Remove(filepath.Join(w.dir, "relay.key"))
	}},
	{"login", "Alice and Bruno log in with their cards", loginBoth, func(w *world) error {
		return os.Remove(filepath.Join(w.dir, "bruno.card"))
	}},
	{"list", "Alice sees Bruno, by the name in his certificate", seeEachOther, killBruno},
	{"connect", "a conversation, end to end encrypted, at both ends", connect, killBruno},
	{"message", "a message from Alice, with the relay's and Bruno's receipts", messageThere, freezeRelay},
	{"answer", "a message back, with both receipts", messageBack, killAlice},
	{"killed", "Bruno is killed with -9; what Alice writes meanwhile comes when he is back", killedAndBack, freezeRelay},
	{"machine", "Bruno writes from another machine: Alice is warned, and Bruno told that it was noticed", otherMachine, sameMachine},
	{"compare", "Alice and Bruno have the same code to read to each other", compareCodes, killBruno},
	{"flow", "writing to somebody above is refused by the relay", flowRefused, lowerTheDirector},
	{"second login", "a second login with Alice's card is refused, the first goes on", secondLogin, killAlice},
	{"revoked card", "a login with a card that was suspended is refused", revokedLogin, stopResponder},
	{"revocation", "Bruno's card is revoked: his session ends, Alice is told", revokeBruno, stopResponder},
	{"disconnect", "Alice leaves the conversation with the director, who is told", disconnect, killDirector},
	{"leave", "everybody leaves; every program ends with status 0", leave, killAlice},
	{"history", "both stores have each message once, delivered or received, and proved", histories, func(w *world) error { return os.RemoveAll(w.store("alice")) }},
	{"evidence", "what Alice and Bruno said is proved with openssl, sha256sum and a shell alone, and refused after one byte was changed", proveMessages, func(w *world) error { return os.RemoveAll(filepath.Join(w.dir, "trust")) }},
	{"stop", "the relay ends in order", stopRelay, func(w *world) error { w.relay.Kill(); return nil }},
}

func killBruno(w *world) error    { w.people["bruno"].Kill(); return nil }
func killDirector(w *world) error { w.people["diretora"].Kill(); return nil }
func killAlice(w *world) error    { w.people["alice"].Kill(); return nil }

func freezeRelay(w *world) error { return w.relay.Signal(syscall.SIGSTOP) }

func makeWorld(w *world) error {
	if exists(w.dir + ".blocked") {
		defer os.Remove(w.dir + ".blocked")
		return fmt.Errorf("%s.blocked is in the way", w.dir)
	}
	if err := os.RemoveAll(w.dir); err != nil {
		return err
	}
	w.people, w.serial, w.moved = map[string]*program.Program{}, map[string]string{}, map[string]string{}
	address, err := freeAddress()
	if err != nil {
		return err
	}
	if _, err := run(w.path("testpki"), "init", w.dir, "--ocsp", "http://"+address); err != nil {
		return err
	}
	for _, person := range []struct{ name, full, key string }{
		{"alice", "Alice Conceição", "p256"}, {"bruno", "Bruno Araújo", "rsa2048"}, {"diretora", "Diretora Inês Vaz", "p384"},
		{"carla", "Carla Antunes", "p256"},
	} {
		out, err := run(w.path("testpki"), "card", w.dir, person.name, "--cn", person.full, "--key", person.key, "--pin", "1234")
		if err != nil {
			return err
		}
		w.serial[person.name] = serialNumber(out)
		if w.serial[person.name] == "" {
			return fmt.Errorf("%w: no serialNumber in %q", errJudged, out)
		}
	}
	return nil
}

// serialNumber finds the serialNumber that testpki card prints.
func serialNumber(out string) string {
	for _, line := range strings.Split(out, "\n") {
		if f := strings.Fields(line); len(f) > 1 && f[0] == "serialNumber" {
			return strings.TrimSuffix(f[1], ",")
		}
	}
	return ""
}

func startRelay(w *world) error {
	if _, err := run(w.path("relay"), "init", w.dir, "--listen", "127.0.0.1:0", "--revocation-network", loopback); err != nil {
		return err
	}
	config := filepath.Join(w.dir, "relay.toml")
	if err := w.shortRecheck(config); err != nil {
		return err
	}
	if _, err := run(w.path("relay"), "level", "set", w.serial["diretora"], "2", "--config", config); err != nil {
		return err
	}
	var err error
	if w.relay, err = start("relay", w.path("relay"), "serve", "--config", config); err != nil {
		return err
	}
	ready, err := w.relay.Line("listening on ADDR", func(l string) bool { return strings.HasPrefix(l, "listening on ") })
	w.address = strings.TrimPrefix(ready, "listening on ")
	if err != nil {
		return err
	}
	return w.prepareByHand()
}

// prepareByHand leaves a configuration beside the one of this run, with the usual port.
func (w *world) prepareByHand() error {
	text, err := os.ReadFile(filepath.Join(w.dir, "relay.toml"))
	if err != nil {
		return err
	}
	hand := strings.NewReplacer("127.0.0.1:0", "127.0.0.1:7443", `"relay.pem"`, `"../relay.pem"`, `"relay.key"`, `"../relay.key"`,
		`"trust"`, `"../trust"`, `"levels"`, `"../levels"`, `"revocation"`, `"../revocation"`).Replace(string(text))
	if err := os.MkdirAll(filepath.Join(w.dir, "hand"), 0o700); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(w.dir, "hand", "relay.toml"), []byte(hand), 0o600)
}

func loginBoth(w *world) error {
	for _, name := range []string{"alice", "bruno"} {
		if err := w.login(name); err != nil {
			return err
		}
	}
	return nil
}

func seeEachOther(w *world) error {
	_, _, err := w.idOf("alice", "Bruno")
	if err != nil {
		return err
	}
	return w.alive("bruno")
}

// alive asks a program for something that it must answer.
func (w *world) alive(name string) error {
	if err := w.people[name].Say("ciphers"); err != nil {
		return err
	}
	_, err := w.people[name].Event("ciphers")
	return err
}

func connect(w *world) error {
	id, _, err := w.idOf("alice", "Bruno")
	if err != nil {
		return err
	}
	if err := w.people["alice"].Say("connect#" + id); err != nil {
		return err
	}
	for _, name := range []string{"alice", "bruno"} {
		if _, err := w.people[name].Event("conversation", "state", "open"); err != nil {
			return err
		}
	}
	return nil
}

// message sends a text and waits for it and both receipts.
func (w *world) message(from, to, toName, text string) error {
	id, _, err := w.idOf(from, toName)
	if err != nil {
		return err
	}
	if err := w.people[from].Say("send##" + id + "##" + text); err != nil {
		return err
	}
	m, err := w.people[to].Event("message", "text", text)
	if err != nil {
		return err
	}
	for _, stage := range []string{"relay", "peer"} {
		if _, err := w.people[from].Event("receipt", "stage", stage, "seq", m["seq"]); err != nil {
			return err
		}
	}
	return nil
}

func messageThere(w *world) error {
	return w.message("alice", "bruno", "Bruno", "Bom dia, Bruno. Está selado?")
}

func messageBack(w *world) error {
	return w.message("bruno", "alice", "Alice", "Está, com o meu cartão ## e o teu recibo.")
}

// flowRefused has Alice, of rank 0, write to the director, of rank 2.
func flowRefused(w *world) error {
	if err := w.login("diretora"); err != nil {
		return err
	}
	id, entry, err := w.idOf("alice", "Diretora")
	if err != nil {
		return err
	}
	if entry["send"] != false {
		return fmt.Errorf("%w: the list says that Alice may write to the director: %v", errJudged, entry)
	}
	if err := w.people["alice"].Say("connect#" + id); err != nil {
		return err
	}
	if _, err := w.people["alice"].Event("conversation", "state", "open"); err != nil {
		return err
	}
	if err := w.people["alice"].Say("send##" + id + "##Para cima"); err != nil {
		return err
	}
	if _, err := w.people["alice"].Event("refused", "code", "flow-denied"); err != nil {
		return err
	}
	return w.message("diretora", "alice", "Alice", "Para baixo, sim.")
}

func lowerTheDirector(w *world) error {
	_, err := run(w.path("relay"), "level", "set", w.serial["diretora"], "0", "--config", filepath.Join(w.dir, "relay.toml"))
	return err
}

func secondLogin(w *world) error {
	p, err := start("Alice's second login", w.path("peer"), append(w.chatArgs("alice"), "--json")...)
	if err != nil {
		return err
	}
	if _, err := p.Event("error", "code", "card-in-use"); err != nil {
		p.Kill()
		return err
	}
	if status, err := p.Wait(); err != nil || status != 3 {
		return fmt.Errorf("%w: exit status %d, %v", errJudged, status, err)
	}
	return w.message("alice", "bruno", "Bruno", "Ainda aqui estou.")
}

func disconnect(w *world) error {
	id, _, err := w.idOf("alice", "Diretora")
	if err != nil {
		return err
	}
	if err := w.people["alice"].Say("disconnect#" + id); err != nil {
		return err
	}
	if _, err := w.people["alice"].Event("conversation", "state", "closed"); err != nil {
		return err
	}
	_, err = w.people["diretora"].Event("conversation", "state", "closed", "reason", "peer-left")
	return err
}

func leave(w *world) error {
	for _, name := range []string{"alice", "diretora"} {
		p := w.people[name]
		if err := p.Say("disconnect"); err != nil {
			return err
		}
		if _, err := p.Event("session", "state", "closed"); err != nil {
			return err
		}
		if status, err := p.Wait(); err != nil || status != 0 {
			return fmt.Errorf("%w: %s ended with status %d, %v\n%s", errJudged, name, status, err, p.Stderr())
		}
	}
	return nil
}

func stopRelay(w *world) error {
	if err := w.relay.Signal(syscall.SIGTERM); err != nil {
		return err
	}
	if status, err := w.relay.Wait(); err != nil || status != 0 {
		return fmt.Errorf("%w: the relay ended with status %d, %v\n%s", errJudged, status, err, w.relay.Stderr())
	}
	return nil
}

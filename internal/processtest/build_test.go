//go:build cgo

package processtest

import (
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"sinete/cardauth/cardtest"
	"sinete/internal/program"
	"sinete/internal/vcard/reader"
)

const (
	tokenPIN = "4711"
	softPIN  = "1234"
)

// Made once for all tests.
var (
	bin       string            // folder of the programs
	trial     string            // folder of the hierarchy, with relay.toml and cards
	stranger  string            // folder of another hierarchy
	module    string            // SoftHSM2
	noTokens  string            // a SOFTHSM2_CONF without tokens
	tokenCard map[string]string // URI of the card on a token, by person
)

func TestMain(m *testing.M) {
	flag.Parse()
	// Most of the time these tests wait for processes, and some of them for one of the protocol's deadlines.
	if err := flag.Set("test.parallel", "4"); err != nil {
		panic(err)
	}
	os.Exit(prepared(m))
}

func prepared(m *testing.M) int {
	dir, err := os.MkdirTemp("", "sinete-")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(dir)
	var remove func()
	if module, remove, err = cardtest.SoftHSM(tokenPIN, "rita", "paulo"); err == nil {
		defer remove()
		err = prepare(dir)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return reader.Main(m)
}

func prepare(dir string) error {
	bin, trial, stranger = filepath.Join(dir, "bin"), filepath.Join(dir, "trial"), filepath.Join(dir, "stranger")
	noTokens = filepath.Join(dir, "no-tokens.conf")
	overlay, err := overlay(dir)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Join(dir, "empty"), 0o700); err != nil {
		return err
	}
	if err := os.WriteFile(noTokens, []byte("directories.tokendir = "+filepath.Join(dir, "empty")+"\n"), 0o600); err != nil {
		return err
	}
	testpki, relay := filepath.Join(bin, "testpki"), filepath.Join(bin, "relay")
	if err := program.Build(bin, "-race", "-ldflags=-s -w", "-overlay", overlay, "sinete/cmd/..."); err != nil {
		return err
	}
	for _, command := range [][]string{
		{testpki, "init", trial},
		{testpki, "init", stranger},
		{testpki, "card", trial, "alice", "--cn", "Alice"},
		{testpki, "card", trial, "bruno", "--cn", "Bruno"},
		{testpki, "card", trial, "carla", "--cn", "Carla"},
		{testpki, "card", trial, "old", "--cn", "Old", "--expired"},
		{testpki, "card", stranger, "mallory", "--cn", "Mallory"},
		{relay, "init", trial, "--listen", "127.0.0.1:0", "--revocation", "off"},
		{relay, "init", stranger, "--listen", "127.0.0.1:0", "--revocation", "off"},
	} {
		if _, err := output(command...); err != nil {
			return err
		}
	}
	tokenCard = map[string]string{}
	for _, p := range []struct{ name, full, key string }{{"rita", "Rita", "rsa2048"}, {"paulo", "Paulo", "p256"}} {
		out, err := output(testpki, "card", trial, p.name, "--cn", p.full, "--key", p.key, "--module", module, "--token", p.name, "--pin", tokenPIN)
		if err != nil {
			return err
		}
		_, uri, _ := strings.Cut(out, "card ")
		uri, _, _ = strings.Cut(strings.TrimSpace(uri), "\n")
		tokenCard[p.name] = uri
	}
	return nil
}

func output(command ...string) (string, error) {
	out, err := exec.Command(command[0], command[1:]...).CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("%s: %w\n%s", strings.Join(command, " "), err, out)
	}
	return string(out), nil
}

// overlay has the programs built with the files of testdata/overlay, and where those are called.
func overlay(dir string) (file string, err error) {
	room, err := os.Getwd()
	if err != nil {
		return "", err
	}
	own := func(name string) string { return filepath.Join(room, "testdata", "overlay", name) }
	added := map[string]string{"internal/link/processtest.go": own("link.go")}
	for _, name := range []string{"peer", "relay"} {
		added[filepath.Join("cmd", name, "processtest.go")] = own(name + ".go")
		added[filepath.Join("cmd", name, "processtest_both.go")] = own("both.go")
	}
	return program.Overlay(dir, filepath.Dir(filepath.Dir(room)), []program.Change{
		{File: "cmd/peer/main.go", Old: "os.Exit(run(", New: "leave(run("},
		{File: "cmd/peer/session.go", Old: "presence.Begin(ctx, cfg)", New: "recordedBegin(ctx, cfg)"},
		{File: "cmd/relay/main.go", Old: "os.Exit(status)", New: "leave(status)"},
		{File: "cmd/relay/serve.go", Old: "relay.Serve(ctx, ", New: "recordedServe(ctx, "},
		{File: "internal/link/rekey.go", Old: "error { return k.carrier.Post(f) }", New: "error { return recordedPost(k, f) }"},
		{File: "internal/link/rekey.go", Old: "body, err := k.channel.Switch()", New: "body, err := recordedSwitch(k)"},
		{File: "internal/link/rekey.go", Old: "k.channel.Switched(f.Body)", New: "recordedSwitched(k, f.Body)"},
	}, added)
}

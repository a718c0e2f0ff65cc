// Command try lets a newcomer chat within seconds: it makes a trial world with a card of theirs, runs a relay and an echo on
// loopback, and gives the terminal to peer chat, which explains what happens. When they leave, everything ends.
//
// Where the input is no terminal its first two lines are name and PIN, and the rest are the commands.
package main

import (
	"errors"
	"flag"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"syscall"

	"golang.org/x/term"

	"sinete/internal/program"
)

func main() {
	t := &trial{input: os.Stdin, terminal: term.IsTerminal(int(os.Stdin.Fd()))}
	flag.StringVar(&t.bin, "bin", "bin", "folder of the programs relay, peer, testpki and echo")
	flag.StringVar(&t.dir, "world", "try-world", "folder that is made anew for the trial world")
	flag.Parse()
	err := t.run()
	if err == nil {
		return
	}
	if e, ok := errors.AsType[*exec.ExitError](err); ok && e.ExitCode() > 0 {
		os.Exit(e.ExitCode()) // peer chat has said why
	}
	fmt.Fprintln(os.Stderr, "try:", err)
	os.Exit(1)
}

// trial is the world, and what runs in it.
type trial struct {
	bin, dir string
	input    *os.File
	terminal bool // somebody sits at input

	name, pin string
	responder string // its address
	ocsp      *background
	relay     *background
	echo      *background
	signals   chan os.Signal
}

func (t *trial) run() error {
	if !t.terminal {
		fmt.Fprintln(os.Stderr, noTerminal)
	}
	if err := t.askWhoYouAre(); err != nil {
		return err
	}
	// From here on nothing ends this program but its own end, which ends the others.
	t.signals = make(chan os.Signal, 4)
	signal.Notify(t.signals, os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	defer t.end()
	if err := t.makeWorld(); err != nil {
		return err
	}
	if err := t.startOthers(); err != nil {
		return err
	}
	return t.chat()
}

func (t *trial) askWhoYouAre() (err error) {
	fmt.Print(welcome, "\n\n")
	for {
		if t.name, err = t.ask("Your name [Ana]: ", "Ana"); err != nil {
			return err
		}
		what := nameTrouble(t.name)
		if what == "" {
			break
		}
		if !t.terminal {
			return errors.New(what)
		}
		fmt.Println(what)
	}
	if t.pin, err = t.ask("A PIN for your trial card, not that of a real one [1234]: ", "1234"); err != nil {
		return err
	}
	if t.terminal {
		fmt.Printf("Its PIN is %s. You will be asked for it.\n", t.pin)
	}
	return nil
}

// marker is in a folder that this program made, and so may remove.
const marker = "made-by-try"

func (t *trial) makeWorld() error {
	if _, err := os.Stat(filepath.Join(t.dir, marker)); err != nil && exists(t.dir) {
		return fmt.Errorf("%s is there and was not made by this program; move it away", t.dir)
	}
	if err := os.RemoveAll(t.dir); err != nil {
		return err
	}
	if err := os.MkdirAll(t.dir, 0o700); err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(t.dir, marker), nil, 0o600); err != nil {
		return err
	}
	var err error
	if t.responder, err = freeAddress(); err != nil {
		return err
	}
	fmt.Println("\nA trial world, by these commands:")
	for _, command := range [][]string{
		{"testpki", "init", t.dir, "--ocsp", "http://" + t.responder},
		{"testpki", "card", t.dir, "you", "--cn=" + t.name, "--pin=" + t.pin},
		{"testpki", "card", t.dir, "echo", "--cn=" + echoName, "--pin=" + echoPIN},
		{"relay", "init", t.dir, "--listen", "127.0.0.1:0", "--name", "Trial relay", "--revocation-network", loopback},
	} {
		if err := t.step(command); err != nil {
			return err
		}
	}
	return nil
}

// step shows a command and runs it.
func (t *trial) step(command []string) error {
	fmt.Println(shown(t.program(command[0]), command[1:]))
	cmd := exec.Command(t.program(command[0]), command[1:]...)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%s %s: %w\n%s", command[0], command[1], err, out)
	}
	return nil
}

// loopback is where the responder answers.
const loopback = "127.0.0.1/32"

// freeAddress is one that nobody listens on at the moment: the certificates must name it before anybody can.
func freeAddress() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	defer l.Close()
	return l.Addr().String(), nil
}

// startOthers starts what says whether cards still hold, then the relay, and then the echo.
func (t *trial) startOthers() (err error) {
	if t.ocsp, err = t.start("testpki", "answering on ", "", "ocsp", t.dir); err != nil {
		return err
	}
	config := filepath.Join(t.dir, "relay.toml")
	t.relay, err = t.start("relay", "listening on ", "", "serve", "--config", config)
	if err != nil {
		return err
	}
	t.echo, err = t.start("echo", "ready: ", echoPIN+"\n", "-relay", t.address(), "-card", filepath.Join(t.dir, "echo.card"),
		"-trust", filepath.Join(t.dir, "trust"), "-revocation-network", loopback)
	return err
}

func (t *trial) address() string { return t.relay.ready }

// chat gives the terminal to peer chat until the person leaves.
func (t *trial) chat() error {
	card := "soft:" + filepath.Join(t.dir, "you.card")
	if !t.terminal {
		pin := filepath.Join(t.dir, "you.pin")
		if err := os.WriteFile(pin, []byte(t.pin), 0o600); err != nil {
			return err
		}
		card += "?pin-source=file:" + pin
	}
	args := []string{"chat", t.address(), "--card", card, "--trust", filepath.Join(t.dir, "trust"), "--revocation-network", loopback, "--plain"}
	fmt.Println("\nNow your own program, which connects you to the echo and explains what happens:")
	fmt.Println(shown(t.program("peer"), args))
	fmt.Print(howToLeave, "\n\n")
	peer := exec.Command(t.program("peer"), append(args, "--explain", "--connect", echoName)...)
	peer.Stdin, peer.Stdout, peer.Stderr = t.input, os.Stdout, os.Stderr
	peer.SysProcAttr = program.EndsWithUs(syscall.SIGTERM)
	if err := peer.Start(); err != nil {
		return err
	}
	left := make(chan error, 1)
	go func() { left <- peer.Wait() }()
	for {
		select {
		case err := <-left:
			return err
		case s := <-t.signals:
			if s != os.Interrupt { // which the terminal sends to everybody in the foreground
				_ = peer.Process.Signal(syscall.SIGTERM) // it may have ended
			}
		}
	}
}

// end ends what runs, the echo first so that it can take its leave of the relay.
func (t *trial) end() {
	for _, b := range []*background{t.echo, t.relay, t.ocsp} {
		if b != nil {
			b.end()
		}
	}
	if t.relay != nil {
		fmt.Printf(farewell, t.dir)
	}
}

func (t *trial) program(name string) string { return filepath.Join(t.bin, name) }

func exists(path string) bool {
	_, err := os.Lstat(path)
	return err == nil
}

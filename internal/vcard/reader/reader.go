// Package reader is a PC/SC reader for the cards of package vcard: a pcscd of the test's own, with the virtual driver of
// vsmartcard.
//
//	func TestMain(m *testing.M) { os.Exit(reader.Main(m)) }
//
//	r := reader.Start(t)
//	r.Insert(t, card)
//	// pkcs11card.Open with r.Module(t), which is OpenSC's
//
// Nothing is shared with a pcscd of the machine's or of another test: the daemon is handed a socket of its own, as systemd would,
// and finds its driver in a configuration of its own. The environment of this process says so to the PC/SC library. The daemon ends
// with the process, however that ends.
package reader

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"sinete/internal/vcard"
)

// Patience is how long anything here may take before the test fails.
const Patience = time.Minute

// socketVariable is where libpcsclite looks for the daemon's socket. It looks once in the life of a process, so the name stays
// the same.
const socketVariable = "PCSCLITE_CSOCK_NAME"

const advice = "; on Debian, as root: apt-get install pcscd vsmartcard-vpcd opensc (make test does it)"

// Reader is a reader with two slots, each for one card.
type Reader struct {
	ports  [2]int
	inside [2]*vcard.Card // what was put in and is not known to be out
}

// Main runs a package's tests and stops the reader that they started, for TestMain. It returns the exit status.
func Main(m *testing.M) int {
	inMain = true
	status := m.Run()
	if err := stopAll(); err != nil {
		fmt.Fprintln(os.Stderr, "reader:", err)
		return 1
	}
	return status
}

// The one reader of the process. It stays for all tests, since PC/SC's library does not get over a daemon that ends.
var (
	inMain  bool
	using   sync.Mutex // held by the test that has it
	only    *Reader
	stopAll = func() error { return nil }
)

// Start gives the test the process's reader, empty, once no other test has it.
func Start(t testing.TB) *Reader {
	t.Helper()
	if !inMain {
		t.Fatal("TestMain must call reader.Main")
	}
	using.Lock()
	t.Cleanup(using.Unlock)
	if only == nil {
		r, stop, err := start()
		if err != nil {
			t.Fatal(err)
		}
		only, stopAll = r, stop
	}
	return only
}

// start tries again where somebody else took a port just then.
func start() (r *Reader, stop func() error, err error) {
	driver, err := installed("the reader's driver", "/usr/lib/pcsc/drivers/serial/libifdvpcd.so", "/usr/lib64/pcsc/drivers/serial/libifdvpcd.so")
	if err != nil {
		return nil, nil, err
	}
	daemon, err := installed("pcscd", "/usr/sbin/pcscd", "/sbin/pcscd")
	if err != nil {
		return nil, nil, err
	}
	if os.Geteuid() != 0 {
		return nil, nil, errors.New("a pcscd wants to write to /run/pcscd: run the tests of virtual cards as root, in a container for example")
	}
	for range 5 {
		r = &Reader{ports: freePorts()}
		stop, err = r.run(daemon, driver)
		if !errors.Is(err, errPortTaken) {
			return r, stop, err
		}
	}
	return nil, nil, err
}

func installed(what string, paths ...string) (string, error) {
	for _, p := range paths {
		if _, err := os.Stat(p); err == nil {
			return p, nil
		}
	}
	return "", fmt.Errorf("%s is missing (looked for %s)%s", what, strings.Join(paths, ", "), advice)
}

// freePorts are two in a row, as the driver wants them, below those that systems hand out by themselves.
func freePorts() [2]int {
	for {
		p := 20_000 + 2*rand.IntN(6_000)
		if !slices.ContainsFunc([]int{p, p + 1}, taken) {
			return [2]int{p, p + 1}
		}
	}
}

func taken(port int) bool {
	l, err := net.Listen("tcp4", fmt.Sprintf(":%d", port)) // the driver listens on all addresses, too
	if err != nil {
		return true
	}
	return l.Close() != nil
}

var errPortTaken = errors.New("the virtual reader could not listen on its port")

// run starts the daemon and waits until it is ready.
func (r *Reader) run(daemon, driver string) (stop func() error, err error) {
	dir := filepath.Join(os.TempDir(), "sinete-reader-"+strconv.Itoa(os.Getpid()))
	defer func() {
		if err != nil {
			os.RemoveAll(dir)
		}
	}()
	// A process of the same number may have been killed once.
	if err := errors.Join(os.RemoveAll(dir), os.Mkdir(dir, 0o700)); err != nil {
		return nil, err
	}
	config := fmt.Sprintf("FRIENDLYNAME \"Virtual reader\"\nDEVICENAME /dev/null:%d\nLIBPATH %s\nCHANNELID %d\n", r.ports[0], driver, r.ports[0])
	if err := os.WriteFile(filepath.Join(dir, "reader.conf"), []byte(config), 0o600); err != nil {
		return nil, err
	}
	socket := filepath.Join(dir, "pcscd.comm")
	listener, err := net.Listen("unix", socket)
	if err != nil {
		return nil, err
	}
	defer listener.Close()
	listener.(*net.UnixListener).SetUnlinkOnClose(false) // it is the daemon's from now on
	handed, err := listener.(*net.UnixListener).File()
	if err != nil {
		return nil, err
	}
	defer handed.Close()

	// The number of the process that the socket is for must be the daemon's own, hence the shell.
	cmd := exec.Command("/bin/sh", "-c", `LISTEN_PID=$$ exec "$0" "$@"`, daemon, "--foreground", "--info", "--config", filepath.Join(dir, "reader.conf"))
	cmd.ExtraFiles = []*os.File{handed} // descriptor 3
	cmd.Env = append(os.Environ(), "LISTEN_FDS=1")
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	cmd.Stderr = cmd.Stdout
	dieWithParent(cmd)
	ended, err := launch(cmd)
	if err != nil {
		return nil, err
	}
	ready, said := make(chan error, 1), make(chan struct{})
	go func() {
		defer close(said)
		defer out.Close()
		ready <- untilReady(out)
		_, _ = io.Copy(io.Discard, out)
	}()
	stop = func() error {
		_ = cmd.Process.Signal(syscall.SIGTERM) // so that it removes its process number from /run/pcscd
		select {
		case <-ended:
		case <-time.After(Patience):
			_ = cmd.Process.Kill()
			<-ended
		}
		<-said
		return os.RemoveAll(dir)
	}
	select {
	case err = <-ready:
	case <-time.After(Patience):
		err = errors.New("pcscd does not get ready")
	}
	if err == nil {
		err = os.Setenv(socketVariable, socket)
	}
	if err != nil {
		return nil, errors.Join(err, stop())
	}
	return stop, nil
}

// launch starts the command from a thread that lives as long as it, since Linux takes the end of the thread for the parent's.
func launch(cmd *exec.Cmd) (ended chan struct{}, err error) {
	started, ended := make(chan error, 1), make(chan struct{})
	go func() {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		defer close(ended)
		err := cmd.Start()
		started <- err
		if err == nil {
			_, _ = cmd.Process.Wait() // not cmd.Wait: that would take the output away from its reader
		}
	}()
	return ended, <-started
}

// untilReady reads what the daemon says up to its being ready.
func untilReady(out io.Reader) error {
	var all strings.Builder
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		fmt.Fprintln(&all, lines.Text())
		switch {
		case strings.Contains(lines.Text(), "Could not initialize connection"):
			return errPortTaken
		case strings.Contains(lines.Text(), "daemon ready"):
			return nil
		}
	}
	return fmt.Errorf("pcscd ended before it was ready: %s", all.String())
}

// Module is the path of OpenSC's PKCS #11 module.
func (r *Reader) Module(t testing.TB) string {
	t.Helper()
	path, err := installed("OpenSC", "/usr/lib/x86_64-linux-gnu/opensc-pkcs11.so", "/usr/lib/aarch64-linux-gnu/opensc-pkcs11.so",
		"/usr/lib64/opensc-pkcs11.so", "/usr/lib64/pkcs11/opensc-pkcs11.so", "/usr/lib/opensc-pkcs11.so")
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// Insert puts a card into the first slot, in the place of any other, and takes it out when the test ends. It returns when every
// program can see the card.
func (r *Reader) Insert(t testing.TB, c *vcard.Card) { t.Helper(); r.InsertInto(t, 0, c) }

// InsertInto is Insert for the slot 0 or 1.
func (r *Reader) InsertInto(t testing.TB, slot int, c *vcard.Card) {
	t.Helper()
	// The card before it was perhaps pulled out only now, by the end of a test.
	r.empty(t, slot, 1)
	ctx, cancel := context.WithTimeout(context.Background(), Patience)
	defer cancel()
	if err := c.Insert(ctx, r.address(slot)); err != nil {
		t.Fatal(err)
	}
	r.inside[slot] = c
	t.Cleanup(c.Remove)
}

// Remove pulls the card out of the first slot and returns when every program can see that it is empty. Where that need not be
// waited for, Remove of the card itself is enough.
func (r *Reader) Remove(t testing.TB) { t.Helper(); r.empty(t, 0, 2) }

// empty pulls out what is in a slot. The daemon asks the driver now and then whether a card is there, and the driver looks for one
// when it has none. So a connection of ours, found once, says that the driver has dropped the card; found twice, that it has told
// the daemon so.
func (r *Reader) empty(t testing.TB, slot, knocks int) {
	t.Helper()
	if r.inside[slot] == nil {
		return
	}
	r.inside[slot].Remove()
	r.inside[slot] = nil
	for range knocks {
		if err := r.knock(slot); err != nil {
			t.Fatal(err)
		}
	}
}

func (r *Reader) knock(slot int) error {
	conn, err := net.Dial("tcp", r.address(slot))
	if err != nil {
		return err
	}
	defer conn.Close()
	if err := conn.SetReadDeadline(time.Now().Add(Patience)); err != nil {
		return err
	}
	_, err = conn.Read(make([]byte, 1))
	return err
}

func (r *Reader) address(slot int) string {
	return net.JoinHostPort("127.0.0.1", strconv.Itoa(r.ports[slot]))
}

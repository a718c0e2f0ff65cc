package channel

import (
	"bufio"
	"bytes"
	"crypto/rand"
	"crypto/subtle"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
	"testing"

	"sinete/wire"
)

// What this file shows: a process in which channels have taken new keys holds those in force, and none of those that section 9.5 has erased.
// A child, which is this test's own program, runs the channels, notes every secret as it comes into being, and dumps its memory. The
// parent searches. Notes are masked, so that a note is no secret to be found.

// memories names the variable by which the child knows that it is one, and where its files go.
const memories = "SINETE_TEST_MEMORIES"

const mask = 0xa5

// note is one secret, masked.
type note struct {
	Name   string
	Live   bool // it must still be there
	Masked []byte
}

type notes []note

// of notes a secret, without a copy of it.
func (n *notes) of(name string, live bool, secret []byte) {
	masked := make([]byte, len(secret))
	for i := range secret {
		masked[i] = secret[i] ^ mask
	}
	*n = append(*n, note{name, live, masked})
	if live {
		return
	}
	for _, pad := range []byte{0x36, 0x5c} { // as HMAC has its keys
		padded := slices.Clone(masked)
		for i := range padded {
			padded[i] ^= pad
		}
		*n = append(*n, note{name, false, padded})
	}
}

// made notes a secret that was made for this note alone.
func (n *notes) made(name string, live bool, secret []byte) {
	n.of(name, live, secret)
	clear(secret)
}

// handshake notes what a handshake makes, as it runs, and returns its channels.
func (n *notes) handshake(h *talk) (i, r *Channel) {
	die := func(err error) {
		if err != nil {
			panic(err)
		}
	}
	hello, err := h.i.Hello()
	die(err)
	for _, k := range h.i.shares {
		n.made("share", false, k.ec.Bytes())
		if k.kem != nil {
			n.made("KEM key", false, k.kem.Bytes())
		}
	}
	_, err = h.r.ReadHello(hello)
	die(err)
	n.of("shared secret", false, h.r.shared)
	answer, err := h.r.Answer()
	die(err)
	prk, p := h.r.prk, h.r.p
	n.of("PRK", false, prk)
	for _, label := range []string{"mac i", "mac r"} {
		n.made(label, false, p.expandLabel(prk, label, h.r.th2, p.hash().Size()))
	}
	n.made("parameters key", false, p.expandLabel(prk, "parameters key", h.r.th2, p.keyLen))
	die(h.deliver(wire.FrameAnswer, answer))
	return h.ic, h.rc
}

// epoch notes the secrets of the epoch that both sides are in. They are live where no other follows.
func (n *notes) epoch(live bool, channels ...*Channel) {
	for _, c := range channels {
		e := c.epochs[0]
		n.of("chain secret", live, e.chain)
		n.of("rekey-please key", live, e.please[:])
		for d := range e.switched {
			n.of("switched key", live, e.switched[d][:])
		}
		if c.kind == wire.KindConversation {
			for d := range e.machine {
				n.of("machine key", live, e.machine[d][:])
			}
			n.of("ratchet", live, c.messages.out.state[:])
			n.of("ratchet", live, c.messages.in.state[:])
			continue
		}
		n.of("lane secret", live, e.lanes)
		for id := range c.hops {
			for d := wire.Direction(1); d <= 2; d++ {
				n.made("lane key", live, c.p.expandLabel(e.lanes, "lane key", lanePlace(id, d), c.p.keyLen))
			}
		}
	}
}

// says sends a message and notes the keys that are of no more use behind it.
func (n *notes) says(from, to *ConversationLane) {
	for _, l := range []*ratchet{&from.out.ratchet, &to.in.ratchet} {
		n.of("used ratchet", false, l.state[:])
		ahead := *l
		opening := ahead.next()
		n.made("message key", false, ahead.key[:from.p.keyLen])
		n.made("opening key", false, opening[:])
		clear(ahead.state[:])
		clear(ahead.key[:])
	}
	m := say(from, "a message")
	if err := open(to, m); err != nil {
		panic(err)
	}
	if _, _, err := to.Check(from.Closing()); err != nil {
		panic(err)
	}
}

// remembers is the child. Its channels stay to the end.
func remembers(dir string) {
	var n notes
	var kept []*Channel
	for _, s := range Suites() {
		for _, kind := range []wire.Kind{wire.KindHop, wire.KindConversation} {
			for _, ends := range []bool{false, true} { // ended channels have nothing left
				i, r := n.lives(s, kind, !ends)
				if ends {
					for _, c := range []*Channel{i, r} {
						for _, l := range slices.Collect(maps.Values(c.hops)) {
							l.Erase()
						}
						c.Erase()
					}
				}
				kept = append(kept, i, r)
			}
		}
	}
	given := NewInitiator(Config{Kind: wire.KindHop, Suites: Suites(), Credentials: wire.Credentials{Chain: [][]byte{{1}}}})
	n.abandons(given)

	planted := make([]byte, 32)
	rand.Read(planted)
	n.of("planted", true, planted)
	runtime.GC()
	runtime.GC()
	f, err := os.Create(filepath.Join(dir, "dump"))
	if err == nil {
		debug.WriteHeapDump(f.Fd())
		err = f.Close()
	}
	text, _ := json.Marshal(n)
	if err == nil {
		err = os.WriteFile(filepath.Join(dir, "notes"), text, 0o600)
	}
	fmt.Println("dumped", err)
	_, _ = io.Copy(io.Discard, os.Stdin) // the parent looks into this process meanwhile
	runtime.KeepAlive(kept)
	runtime.KeepAlive(planted)
	runtime.KeepAlive(given)
}

// lives is the life of one channel: messages, and three rekeyings.
func (n *notes) lives(s wire.Suite, kind wire.Kind, live bool) (i, r *Channel) {
	i, r = n.handshake(newTalk(variant{kind: kind}, s))
	if kind == wire.KindHop {
		for id := range uint64(2) {
			i.Hop(id)
			r.Hop(id)
		}
	}
	for e := range 4 {
		for _, way := range [][2]*Channel{{i, r}, {r, i}, {i, r}} {
			if kind == wire.KindConversation {
				n.says(way[0].Conversation(), way[1].Conversation())
			} else if _, err := way[1].hops[1].Open(nil, frameBody(way[0].hops[1].Seal(nil, wire.EnvelopeControl, []byte("x")))); err != nil {
				panic(err)
			}
		}
		n.epoch(live && e == 3, i, r)
		if e == 3 {
			return i, r
		}
		n.handshake(rekeying(i, r))
		for _, way := range [][2]*Channel{{i, r}, {r, i}} {
			body, err := way[0].Switch()
			if err == nil {
				err = way[1].Switched(body)
			}
			if err != nil {
				panic(err)
			}
		}
	}
	return i, r
}

func frameBody(b []byte) []byte {
	f, err := wire.ParseFrame(b)
	if err != nil {
		panic(err)
	}
	return f.Body
}

// abandons is a handshake that somebody gives up.
func (n *notes) abandons(i *Initiator) {
	if _, err := i.Hello(); err != nil {
		panic(err)
	}
	for _, k := range i.shares {
		n.made("abandoned share", false, k.ec.Bytes())
	}
	i.Erase()
}

func TestMain(m *testing.M) {
	if dir := os.Getenv(memories); dir != "" {
		remembers(dir)
		return
	}
	os.Exit(m.Run())
}

// overwritten is what is nowhere in the process any more once it is past, freed memory and old stacks included. The rest passes through
// stacks, or lies in Go's own types: docs/security.md says what that means.
var overwritten = []string{"shared secret", "PRK", "chain secret", "lane secret", "mac i", "mac r", "switched key", "machine key", "rekey-please key"}

// Keys in force are found in a dump of the process, and those that are past are not.
func TestNothingIsRemembered(t *testing.T) {
	dir := t.TempDir()
	child := exec.Command(os.Args[0])
	// As it interrupts a goroutine the scheduler saves vector registers beside it, with whatever they hold, until the next time. A stack
	// that the collector has shrunk, at a time of its own, grows again in the middle of Go's own arithmetic, and leaves the old one behind.
	child.Env = append(os.Environ(), memories+"="+dir, "GODEBUG=asyncpreemptoff=1,gcshrinkstackoff=1")
	child.Stderr = os.Stderr
	in, err := child.StdinPipe()
	must(t, err)
	out, err := child.StdoutPipe()
	must(t, err)
	must(t, child.Start())
	if said, err := bufio.NewReader(out).ReadString('\n'); said != "dumped <nil>\n" {
		t.Fatalf("the child says %q: %v", said, err)
	}
	text, err := os.ReadFile(filepath.Join(dir, "notes"))
	must(t, err)
	var all notes
	must(t, json.Unmarshal(text, &all))
	dump, err := os.ReadFile(filepath.Join(dir, "dump"))
	must(t, err)

	left, _ := all.search(t, dump)
	for name, found := range left {
		if found > 0 {
			t.Errorf("%d of kind %q should be gone and are in the dump", found, name)
		}
	}
	if runtime.GOOS == "linux" {
		memory, err := writable(child.Process.Pid)
		must(t, err)
		left, total := all.search(t, memory)
		t.Logf("%d bytes of dump, %d of writable memory; of secrets that are past the latter holds %v of %v", len(dump), len(memory), left, total)
		for _, name := range overwritten {
			if left[name] > 0 || total[name] == 0 {
				t.Errorf("%d of %d of kind %q should be overwritten, and are in the memory of the process", left[name], total[name], name)
			}
		}
	}
	must(t, in.Close())
	must(t, child.Wait())
}

// search wants what is live, and counts by kind what is past and is there all the same, and how many there are of each.
func (n notes) search(t *testing.T, memory []byte) (left, total map[string]int) {
	left, total = map[string]int{}, map[string]int{}
	index := map[uint32][]int{} // where a secret's first bytes stand is looked up once for all secrets
	var begins [1 << 21]bool    // by their first 21 bits: most places are none
	for k := range n {
		first := binary.BigEndian.Uint32(n[k].Masked)
		index[first] = append(index[first], k)
		begins[first>>11] = true
		total[n[k].Name]++
	}
	subtle.XORBytes(memory, memory, bytes.Repeat([]byte{mask}, len(memory)))
	found := make([]bool, len(n))
	first := uint32(0)
	for at, b := range memory {
		if first = first<<8 | uint32(b); at < 3 || !begins[first>>11] {
			continue
		}
		for _, k := range index[first] {
			found[k] = found[k] || bytes.HasPrefix(memory[at-3:], n[k].Masked[:16])
		}
	}
	for k := range n {
		switch {
		case n[k].Live && !found[k]:
			t.Errorf("a %s in force is not found: the search misses what is there", n[k].Name)
		case !n[k].Live && found[k]:
			left[n[k].Name]++
		}
	}
	return left, total
}

// writable reads all memory that a process can write to, but for what is zero.
func writable(pid int) (all []byte, err error) {
	maps, err := os.ReadFile(fmt.Sprintf("/proc/%d/maps", pid))
	if err != nil {
		return nil, err
	}
	memory, err := os.Open(fmt.Sprintf("/proc/%d/mem", pid))
	if err != nil {
		return nil, err
	}
	defer memory.Close()
	page, zero := make([]byte, 1<<12), make([]byte, 1<<12)
	for line := range strings.Lines(string(maps)) {
		var from, to uint64
		var rights string
		if _, err := fmt.Sscanf(line, "%x-%x %s", &from, &to, &rights); err != nil {
			return nil, err
		}
		if rights[1] != 'w' || from > math.MaxInt64 {
			continue
		}
		for ; from < to; from += uint64(len(page)) {
			if k, err := memory.ReadAt(page, int64(from)); err == nil && !bytes.Equal(page, zero) { // the kernel's own cannot be read
				all = append(all, page[:k]...)
			}
		}
	}
	return all, nil
}
